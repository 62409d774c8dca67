"""The audit log, newest first; nothing can be changed here."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from typing import Any

from markupsafe import Markup, escape

from hangar_app.cms.base_view import StaffView

LONGEST = 200


def sentences(detail: Mapping[str, Any]) -> list[str]:
    """What a record says beyond who and what: a line for each thing, `before → after` for changes.

    Example:
        >>> sentences({"changes": {"title": [None, {"en": "Up"}], "published": [True, False]}})
        ['title: – → en Up', 'published: yes → no']
    """
    lines = []
    for name, value in detail.items():
        if name == "changes" and isinstance(value, Mapping):
            lines += [f"{of}: {said(was)} → {said(now)}" for of, (was, now) in value.items()]
        else:
            lines.append(f"{name} {said(value)}")
    return [line if len(line) <= LONGEST else f"{line[:LONGEST]}…" for line in lines]


def said(value: Any) -> str:
    """A value of JSON in words."""
    if value is None or value in ("", [], {}):
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {said(one)}" for name, one in value.items())
    if isinstance(value, list):
        return " · ".join(said(one) for one in value)
    return str(value)


class AuditView(StaffView):
    """A list."""

    can_create = False
    can_edit = False
    column_display_actions = False
    column_list = ("at", "who", "what", "detail")
    column_default_sort = ("at", True)
    column_sortable_list = ("at", "who", "what")
    column_searchable_list = ("who", "what")
    column_formatters = {  # noqa: RUF012
        "at": lambda _view, _context, model, _name: f"{model.at.astimezone(UTC):%d %b %H:%M:%S}",
        "detail": lambda _view, _context, model, _name: Markup("<br>").join(
            escape(line) for line in sentences(model.detail)
        ),
    }
