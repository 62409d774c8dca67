"""The import form: a newspaper or a film comes in, and what becomes of it can be watched."""

from __future__ import annotations

import os
from datetime import UTC
from pathlib import Path
from typing import Any
from uuid import UUID

from flask import Blueprint, Flask, abort, jsonify, redirect, render_template, url_for
from flask_login import current_user
from flask_wtf import FlaskForm
from flask_wtf.file import FileField, FileRequired
from sqlalchemy import select
from werkzeug.datastructures import FileStorage
from werkzeug.wrappers import Response
from wtforms import DateTimeLocalField, IntegerField, SelectField, StringField, TextAreaField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import InputRequired, Length, NumberRange, Optional

from common.schema import Work
from common.uuid7 import uuid7
from hangar_app import fleet_state, work
from hangar_app.context import hangar
from hangar_app.languages import LANGUAGES
from hangar_app.media import job

SHOWN = 30
# The smaller, the earlier it travels: today's paper overtakes films.
PRIORITIES = {"newspaper": 10, "film": 100}
KINDS = {"newspaper": "Newspaper (PDF)", "film": "Film (video)"}

blueprint = Blueprint("ingest", __name__, url_prefix="/ingest")


def _choices(words: dict[str, str]) -> list[SelectChoice]:
    return [SelectChoice(value, word) for value, word in words.items()]


class IngestForm(FlaskForm):  # type: ignore[misc, unused-ignore]
    """What an editor says of a file that is brought in."""

    kind = SelectField("Kind", choices=_choices(KINDS))
    title = StringField("Title", [InputRequired(), Length(max=200)])
    language = SelectField("Language", choices=_choices(LANGUAGES), default="en")
    summary = TextAreaField("Summary", [Length(max=2000)])
    file = FileField("File", [FileRequired("Choose the file to import.")])
    airlines = StringField("Airlines", [Length(max=400)], description="codes, empty for all")
    destinations = StringField("Destinations", [Length(max=400)], description="IATA, empty for all")
    priority = IntegerField(
        "Priority",
        [Optional(), NumberRange(min=0, max=1000)],
        description="the smaller, the earlier it travels; empty for the usual",
    )
    valid_from = DateTimeLocalField("Shown from (UTC)", [Optional()])
    valid_to = DateTimeLocalField("Shown until (UTC)", [Optional()])


def init_app(app: Flask) -> None:
    """Adds the form and the pages of its imports."""
    app.register_blueprint(blueprint)


def codes(text: str | None) -> list[str]:
    """Codes separated by commas or spaces, in capitals, each once.

    Example:
        >>> codes("ta, ib ta")
        ['TA', 'IB']
    """
    return list(dict.fromkeys((text or "").replace(",", " ").upper().split()))


@blueprint.get("")
def form() -> str:
    """The form, and below it the imports of the last days."""
    return _page(IngestForm())


@blueprint.post("")
def post() -> Response | tuple[str, int]:
    """Keeps the upload and queues its import; nothing of it can be seen before it is complete."""
    asked = IngestForm()
    if not asked.validate_on_submit():
        return _page(asked), 422
    here = hangar()
    id = uuid7()
    _keep(asked.file.data, job.folder(here.settings.state_dir, id))
    session = here.session()
    row = work.add(session, work.MEDIA, here.clock(), id, _request(asked).detail())
    session.commit()
    here.enqueue(row)
    return redirect(url_for("ingest.one", id=id), 303)


@blueprint.get("/<uuid:id>")
def one(id: UUID) -> str:
    """One import: what was asked for and what became of it."""
    found = _find(id)
    here = hangar()
    seen = fleet_state.look(found, here.clock())
    return render_template("import.html", one=found, seen=seen, asked=found.detail)


@blueprint.get("/<uuid:id>.json")
def one_json(id: UUID) -> Response:
    """The same for programs: state is queued, running, done (then `item` is its id) or failed."""
    found = _find(id)
    seen = fleet_state.look(found, hangar().clock())
    return jsonify(id=id, state=seen.state, reason=seen.reason, item=found.detail.get("item"))


def _find(id: UUID) -> Work:
    found = hangar().session().get(Work, id)
    if found is None or found.kind != work.MEDIA.name:
        abort(404)
    return found


def _page(form: IngestForm) -> str:
    here = hangar()
    rows = here.session().scalars(
        select(Work)
        .where(Work.aircraft == work.HANGAR, Work.kind == work.MEDIA.name)
        .order_by(Work.queued_at.desc())
        .limit(SHOWN)
    )
    imports = [(row, fleet_state.look(row, here.clock())) for row in rows]
    return render_template("ingest.html", form=form, imports=imports)


def _request(asked: Any) -> job.Request:
    language = asked.language.data
    summary = (asked.summary.data or "").strip()
    priority = asked.priority.data
    return job.Request(
        kind=asked.kind.data,
        title={language: asked.title.data.strip()},
        summary={language: summary} if summary else {},
        language=language,
        airlines=codes(asked.airlines.data),
        destinations=codes(asked.destinations.data),
        priority=PRIORITIES[asked.kind.data] if priority is None else priority,
        valid_from=asked.valid_from.data and asked.valid_from.data.replace(tzinfo=UTC),
        valid_to=asked.valid_to.data and asked.valid_to.data.replace(tzinfo=UTC),
        file_name=Path(asked.file.data.filename or "").name[:200],
        who=current_user.email,
    )


def _keep(upload: FileStorage, folder: Path) -> None:
    """Gives the arrived file its place; it is on this disk already, so that is a second name."""
    folder.mkdir(parents=True)
    upload.stream.flush()
    os.link(upload.stream.name, folder / job.UPLOAD)
