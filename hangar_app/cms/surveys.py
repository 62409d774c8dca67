"""The surveys' view: one question, its choices, in several languages."""

from __future__ import annotations

from datetime import UTC

from flask_admin.form import BaseForm
from wtforms import BooleanField

from hangar_app.cms.base_view import PublishedView
from hangar_app.cms.fields import ChoicesField, TranslationsField
from hangar_app.languages import best


class SurveyForm(BaseForm):  # type: ignore[misc, unused-ignore]
    """A question and its choices; an answer names a choice by its place, so keep their order."""

    question = TranslationsField("Question", needed=True)
    choices = ChoicesField("Choices", description="an answer is its place in this list")
    published = BooleanField("Published")


class SurveyView(PublishedView):
    """List, create, edit."""

    form = SurveyForm
    column_list = ("question", "choices", "published", "updated_at")
    column_sortable_list = ("published", "updated_at")
    column_default_sort = ("updated_at", True)
    column_formatters = {  # noqa: RUF012
        "question": lambda _view, _context, model, _name: best(model.question),
        "choices": lambda _view, _context, model, _name: " · ".join(
            best(choice) for choice in model.choices
        ),
        "updated_at": lambda _view, _context, model, _name: (
            f"{model.updated_at.astimezone(UTC):%d %b %H:%M}"
        ),
    }
