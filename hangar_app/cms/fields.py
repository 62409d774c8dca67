"""Form fields for what the catalogue holds beside plain values: translations, codes, choices."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from flask_admin.form.fields import DateTimeField
from markupsafe import Markup
from wtforms import Field, StringField
from wtforms.validators import ValidationError

from hangar_app.ingest import codes
from hangar_app.languages import LANGUAGES

LONGEST = 2000


def _inputs(name: str, values: Mapping[str, str], rows: int) -> Markup:
    """One labelled input for each language, named `<name>-<language>`."""
    parts = []
    for language, word in LANGUAGES.items():
        own = Markup('id="{0}" name="{0}" lang="{1}" maxlength="{2}" class="form-control"').format(
            f"{name}-{language}", language, LONGEST
        )
        control = (
            '<input {0} value="{1}">' if rows == 1 else '<textarea {0} rows="{2}">{1}</textarea>'
        )
        parts.append(
            Markup('<div class="translation"><label for="{}">{}</label>{}</div>').format(
                f"{name}-{language}",
                word,
                Markup(control).format(own, values.get(language, ""), rows),  # noqa: S704
            )
        )
    return Markup('<div class="translations">{}</div>').format(Markup("").join(parts))


def _texts(formdata: Any, name: str) -> dict[str, str]:
    """What was written in the inputs of `_inputs`, without the empty ones."""
    typed = {one: (formdata.get(f"{name}-{one}") or "").strip()[:LONGEST] for one in LANGUAGES}
    return {one: text for one, text in typed.items() if text}


class TranslationsField(Field):  # type: ignore[misc, unused-ignore]
    """A text in several languages, kept as {language: text} without the empty ones.

    Args:
        rows: 1 for an input of one line, more for a text area.
        needed: whether at least one language must have a text.
    """

    data: dict[str, str] | None

    def __init__(self, label: str, rows: int = 1, needed: bool = False, **more: Any) -> None:
        super().__init__(label, **more)
        self.rows, self.needed = rows, needed
        self.widget = lambda field, **_: _inputs(field.name, field.data or {}, rows)

    def process(self, formdata: Any, data: Any = None, extra_filters: Any = None) -> None:
        super().process(None, data, extra_filters)
        if formdata:
            # What another tool wrote in a language that has no input here stays.
            kept = {one: text for one, text in (self.data or {}).items() if one not in LANGUAGES}
            self.data = kept | _texts(formdata, self.name)

    def pre_validate(self, form: Any) -> None:
        if self.needed and not self.data:
            raise ValidationError("Write it in at least one language.")


class ChoicesField(Field):  # type: ignore[misc, unused-ignore]
    """A survey's choices, one object of translations each; the names are `<field>-<n>-<language>`.

    A few empty rows wait below those that are written; rows without a text are left out.
    """

    MOST, SPARE = 12, 3
    data: list[dict[str, str]] | None

    def __init__(self, label: str, **more: Any) -> None:
        super().__init__(label, **more)
        self.widget = lambda field, **_: field.rows()

    def rows(self) -> Markup:
        """The inputs: a block for each choice."""
        choices = list(self.data or [])
        choices += [{}] * min(self.SPARE, self.MOST - len(choices))
        blocks = (_inputs(f"{self.name}-{n}", choice, 1) for n, choice in enumerate(choices))
        return Markup('<div class="choices">{}</div>').format(Markup("").join(blocks))

    def process(self, formdata: Any, data: Any = None, extra_filters: Any = None) -> None:
        super().process(None, data, extra_filters)
        if formdata:
            typed = [_texts(formdata, f"{self.name}-{n}") for n in range(self.MOST)]
            self.data = [choice for choice in typed if choice]

    def pre_validate(self, form: Any) -> None:
        if len(self.data or []) < 2:
            raise ValidationError("Write at least two choices.")


class UtcField(DateTimeField):  # type: ignore[misc, unused-ignore]
    """A date and a time in UTC, whatever zone this host or its database is in."""

    data: datetime | None

    def _value(self) -> str:
        if self.raw_data:
            return " ".join(self.raw_data)
        return f"{self.data.astimezone(UTC):%Y-%m-%d %H:%M:%S}" if self.data else ""

    def process_formdata(self, valuelist: list[str]) -> None:
        if not any(valuelist):
            self.data = None
            return
        super().process_formdata(valuelist)
        if self.data is not None:
            self.data = self.data.replace(tzinfo=UTC)


class CodesField(StringField):  # type: ignore[misc, unused-ignore]
    """Codes separated by commas, kept as a list in capitals; empty means all."""

    def _value(self) -> str:
        return ", ".join(self.data or [])

    def process_formdata(self, valuelist: list[str]) -> None:
        self.data = codes(valuelist[0] if valuelist else "")
