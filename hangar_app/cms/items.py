"""The catalogue's view: films and newspapers as they were imported, and what may be changed of them."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from flask import url_for
from flask_admin.form import BaseForm
from markupsafe import Markup
from wtforms import BooleanField, IntegerField, SelectMultipleField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import InputRequired, NumberRange, Optional

from hangar_app.cms.base_view import PublishedView
from hangar_app.cms.fields import CodesField, TranslationsField, UtcField
from hangar_app.languages import LANGUAGES, best

CHOICES = [SelectChoice(code, name) for code, name in LANGUAGES.items()]


class ItemForm(BaseForm):  # type: ignore[misc, unused-ignore]
    """What editors decide of an item; kind and files come with the import."""

    title = TranslationsField("Title", needed=True)
    summary = TranslationsField("Summary", rows=3)
    languages = SelectMultipleField(
        "Languages", choices=CHOICES, description="spoken, or written in"
    )
    airlines = CodesField("Airlines", description="codes separated by commas; empty for all")
    destinations = CodesField("Destinations", description="IATA codes; empty for all")
    priority = IntegerField(
        "Priority",
        [InputRequired(), NumberRange(min=0, max=1000)],
        description="the smaller, the earlier it travels",
    )
    valid_from = UtcField("Shown from (UTC)", [Optional()])
    valid_to = UtcField("Shown until (UTC)", [Optional()])
    published = BooleanField("Published", description="aboard as soon as its files are there")


def poster(_view: Any, _context: Any, model: Any, _name: str) -> Markup:
    """The poster, small."""
    source = url_for("posters.poster", item_id=model.id)
    return Markup('<img class="poster" loading="lazy" src="{}" alt="">').format(source)


class ItemView(PublishedView):
    """List and edit; an item is made by an import, because it is its files."""

    can_create = False
    form = ItemForm
    column_list = (
        "poster",
        "title",
        "kind",
        "languages",
        "airlines",
        "destinations",
        "priority",
        "valid_to",
        "published",
    )
    column_labels = {"valid_to": "Until", "poster": ""}  # noqa: RUF012
    column_sortable_list = ("kind", "priority", "valid_to", "published", "updated_at")
    column_default_sort = ("updated_at", True)
    column_formatters = {  # noqa: RUF012
        "poster": poster,
        "title": lambda _view, _context, model, _name: best(model.title),
        "languages": lambda _view, _context, model, _name: ", ".join(model.languages),
        "airlines": lambda _view, _context, model, _name: ", ".join(model.airlines) or "all",
        "destinations": lambda _view, _context, model, _name: (
            ", ".join(model.destinations) or "all"
        ),
        "valid_to": lambda _view, _context, model, _name: (
            f"{model.valid_to.astimezone(UTC):%d %b %H:%M}" if model.valid_to else "–"
        ),
    }
    edit_template = "cms/item.html"
