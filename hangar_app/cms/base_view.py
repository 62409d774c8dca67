"""What the CMS's views share: looks, audit, and publishing."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import UUID

from flask import g
from flask_login import current_user
from sqlalchemy import inspect

from hangar_app import audit, work
from hangar_app.cms.sqla import ModelView
from hangar_app.context import hangar


def changes(model: Any) -> dict[str, Any]:
    """What is about to be written of `model`: {column: [from, to]}, in words that JSON has."""
    state = inspect(model)
    found = {}
    for column in state.mapper.column_attrs:
        past = state.attrs[column.key].history
        if past.has_changes() and column.key != "updated_at":
            before = past.deleted[0] if past.deleted else None
            found[column.key] = [_plain(before), _plain(past.added[0] if past.added else None)]
    return found


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, datetime | date | UUID) else value


class StaffView(ModelView):  # type: ignore[misc, unused-ignore]
    """What the views share; rows are not deleted here: what has travelled is unpublished."""

    can_delete = False
    can_export = False
    page_size = 50
    list_template = "cms/list.html"
    edit_template = "cms/edit.html"
    create_template = "cms/create.html"


class PublishedView(StaffView):
    """A view of something that travels to the aircraft: a change is recorded and published."""

    def on_model_change(self, form: Any, model: Any, is_created: bool) -> None:
        here = hangar()
        now = here.clock()
        changed = changes(model)
        model.updated_at = now
        self.session.flush()
        what = f"{'created' if is_created else 'changed'} {model.__tablename__}"
        detail = {"id": str(model.id), "changes": changed}
        audit.write(self.session(), current_user.email, what, detail, now)
        g.publish_jobs = work.start(self.session(), [work.PUBLISH], now)

    def after_model_change(self, form: Any, model: Any, is_created: bool) -> None:
        # Only now it is committed, so only now a worker may look.
        for job in g.pop("publish_jobs", []):
            hangar().enqueue(job)
