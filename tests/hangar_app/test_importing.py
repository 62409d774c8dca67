"""An import is there as a whole or not at all, and its state can be watched."""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from common.schema import Asset, Audit, Item, Work
from common.uuid7 import uuid7
from hangar_app import ingest, performing, uploads, work
from hangar_app.context import of
from hangar_app.media import importing, job
from hangar_app.performing import Tools
from sync import tree

pytestmark = pytest.mark.postgres


def bring(editor, file: Path, kind: str = "newspaper", **fields: str):
    """Fills in the form as an editor does."""
    asked = {"kind": kind, "title": "The Courier", "language": "en"} | fields
    with file.open("rb") as upload:
        return editor.submit("/ingest", asked | {"file": (upload, file.name)})


def work_on(app, queue, clock) -> None:
    """Does what was queued, as a worker would."""
    here = of(app)
    tools = Tools(here.settings, here.engine, queue, clock)
    for one in [one for one in queue.jobs if one.kind.name == "media"]:
        performing.perform(tools, one.id, performing.media)


class Cut(BaseException):
    """The power went: nothing catches this."""


def cut(*_: object) -> None:
    raise Cut


def counts(session: Session) -> dict[str, int]:
    return {
        table.__tablename__: session.scalar(select(func.count()).select_from(table))
        for table in (Item, Asset)
    }


def test_a_newspaper_becomes_a_published_item_with_all_its_files(
    app, editor, queue, clock, session, pdf
) -> None:
    answer = bring(editor, pdf, airlines="ta, ib", valid_to="2026-11-24T06:00")
    assert answer.status_code == 303
    assert editor.get(f"{answer.location}.json").json["state"] == "queued"
    assert counts(session) == {"item": 0, "asset": 0}
    assert "before all of it is ready" in editor.get(answer.location).text
    work_on(app, queue, clock)
    assert "Open it in the catalogue" in editor.get(answer.location).text
    seen = editor.get(f"{answer.location}.json").json
    assert (seen["state"], seen["reason"]) == ("done", "")
    item = session.get(Item, UUID(seen["item"]))
    assert (item.kind, item.title, item.languages) == ("newspaper", {"en": "The Courier"}, ["en"])
    assert (item.airlines, item.published, item.priority) == (["TA", "IB"], True, 10)
    assert item.valid_to.isoformat() == "2026-11-24T06:00:00+00:00"
    assets = session.scalars(select(Asset).order_by(Asset.path)).all()
    assert [one.path for one in assets] == [
        "document.pdf",
        "pages/001-of-002.jpg",
        "pages/002-of-002.jpg",
        "poster.jpg",
    ]
    store = of(app).settings.content_dir
    assert all(tree.blob_path(store, one.sha256).stat().st_size == one.size for one in assets)
    assert "publish" in queue.kinds
    assert "imported" in session.scalars(select(Audit.what)).all()
    assert (
        editor.get(f"/cms/posters/{item.id}").data
        == tree.blob_path(store, assets[-1].sha256).read_bytes()
    )


def test_a_damaged_newspaper_imports_nothing_and_says_why(
    app, editor, queue, clock, session, pdf
) -> None:
    pdf.write_bytes(pdf.read_bytes()[:-600])
    answer = bring(editor, pdf)
    work_on(app, queue, clock)
    seen = editor.get(f"{answer.location}.json").json
    assert seen["state"] == "failed"
    assert "The PDF breaks off" in seen["reason"]
    assert counts(session) == {"item": 0, "asset": 0}
    assert "The PDF breaks off" in editor.get("/ingest").text
    assert "Nothing of it was imported" in editor.get(answer.location).text
    assert queue.kinds == ["media"]
    imports = of(app).settings.state_dir / "imports"
    assert [file for file in imports.rglob("*") if file.is_file()] == []


def test_a_film_of_zero_bytes_imports_nothing_and_says_why(
    app, editor, queue, clock, session, tmp_path
) -> None:
    empty = tmp_path / "film.mp4"
    empty.touch()
    answer = bring(editor, empty, kind="film")
    work_on(app, queue, clock)
    assert "empty (0 bytes)" in editor.get(f"{answer.location}.json").json["reason"]
    assert counts(session) == {"item": 0, "asset": 0}


def test_an_upload_leaves_nothing_behind(app, editor, queue, clock, pdf) -> None:
    bring(editor, pdf)
    imports = of(app).settings.state_dir / "imports"
    assert [file.name for file in imports.rglob("*") if file.is_file()] == ["upload"]
    work_on(app, queue, clock)
    assert [file for file in imports.rglob("*") if file.is_file()] == []


def test_what_a_killed_worker_left_is_swept_after_two_days(tmp_path, clock) -> None:
    left = job.folder(tmp_path, uuid7())
    left.mkdir(parents=True)
    os.utime(left, (clock().timestamp(),) * 2)
    job.sweep(tmp_path, clock() + timedelta(days=1))
    assert left.exists()
    job.sweep(tmp_path, clock() + timedelta(days=3))
    assert not left.exists()


def test_what_a_killed_web_process_was_taking_in_is_swept_after_two_days(settings, clock) -> None:
    left = uploads.arriving(settings.state_dir) / "tmp0lkasd"
    left.touch()
    for one in (left, left.parent):
        os.utime(one, (clock().timestamp(),) * 2)
    job.sweep(settings.state_dir, clock() + timedelta(days=1))
    assert left.exists()
    job.sweep(settings.state_dir, clock() + timedelta(days=3))
    assert not left.exists()
    assert left.parent.exists()


def test_two_imports_that_end_together_sweep_the_same(tmp_path, clock, monkeypatch) -> None:
    left = job.folder(tmp_path, uuid7())
    left.mkdir(parents=True)
    listed = list(Path.glob(left.parent, "*"))
    monkeypatch.setattr(Path, "glob", lambda *_: iter(listed))
    left.rmdir()  # by the other one, between the listing and the look
    job.sweep(tmp_path, clock())


def test_item_and_end_of_the_work_are_one_transaction(
    app, editor, queue, clock, session, pdf, monkeypatch
) -> None:
    """Cut where work ends that has no transaction of its own: the import has ended before."""
    bring(editor, pdf)
    monkeypatch.setattr(performing, "_end", cut)
    with suppress(Cut):
        work_on(app, queue, clock)
    assert counts(session)["item"] == 1
    assert [row.state for row in session.scalars(select(Work).where(Work.kind == "media"))] == [
        "done"
    ]


def test_an_import_that_is_done_stays_so_when_sweeping_fails(
    app, editor, queue, clock, session, pdf, monkeypatch
) -> None:
    answer = bring(editor, pdf)
    monkeypatch.setattr(job, "sweep", lambda *_: 1 / 0)
    with suppress(ZeroDivisionError):
        work_on(app, queue, clock)
    assert editor.get(f"{answer.location}.json").json["state"] == "done"
    assert counts(session)["item"] == 1


def test_the_upload_stays_until_the_item_is_written(
    app, editor, queue, clock, session, pdf, monkeypatch
) -> None:
    """Cut right before the commit: the import can be done again."""
    bring(editor, pdf)
    monkeypatch.setattr(importing.audit, "write", cut)
    with pytest.raises(Cut):
        work_on(app, queue, clock)
    assert counts(session)["item"] == 0
    monkeypatch.undo()
    here = of(app)
    queue.jobs.clear()
    performing.begin(Tools(here.settings, here.engine, queue, clock), [work.MEDIA])
    work_on(app, queue, clock)
    assert counts(session)["item"] == 1


def test_an_error_in_the_last_transaction_leaves_nothing_half_imported(
    app, editor, queue, clock, session, pdf, monkeypatch
) -> None:
    answer = bring(editor, pdf)
    monkeypatch.setattr(importing.audit, "write", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        work_on(app, queue, clock)
    assert counts(session) == {"item": 0, "asset": 0}
    assert "ZeroDivisionError" in editor.get(f"{answer.location}.json").json["reason"]


def test_a_message_that_comes_twice_imports_once(app, editor, queue, clock, session, pdf) -> None:
    bring(editor, pdf)
    work_on(app, queue, clock)
    work_on(app, queue, clock)
    assert counts(session)["item"] == 1


def test_the_form_wants_a_title_and_a_file(editor, session, pdf) -> None:
    answer = editor.submit("/ingest", {"kind": "newspaper", "title": "", "language": "en"})
    assert answer.status_code == 422
    assert "Choose the file to import." in answer.text
    assert session.scalar(select(func.count()).select_from(Work)) == 0


@pytest.mark.parametrize("field", ["title", "summary", "airlines", "destinations"])
def test_the_form_takes_no_text_that_the_database_cannot_keep(editor, queue, pdf, field) -> None:
    answer = bring(editor, pdf, **{field: "The\0Courier"})
    assert answer.status_code == 400
    assert "U+0000" in answer.text
    assert queue.jobs == []


def test_nor_such_a_name_of_a_file(editor, queue, pdf) -> None:
    fields = {"kind": "newspaper", "title": "x", "language": "en"}
    with pdf.open("rb") as upload:
        answer = editor.submit("/ingest", fields | {"file": (upload, "x\0.pdf")})
    assert answer.status_code == 400
    assert queue.jobs == []


def test_the_form_wants_its_token(editor, queue, pdf) -> None:
    with pdf.open("rb") as upload:
        fields = {"kind": "newspaper", "title": "x", "language": "en", "file": (upload, "x.pdf")}
        assert editor.client.post("/ingest", data=fields).status_code == 400
    assert queue.jobs == []


def test_nobody_else_may_upload(browser, pdf) -> None:
    with pdf.open("rb") as upload:
        answer = browser.client.post("/ingest", data={"file": (upload, "x.pdf")})
    assert answer.status_code == 302


def test_an_upload_that_does_not_fit_is_refused_before_it_is_taken(
    app, editor, queue, pdf, monkeypatch
) -> None:
    token = editor.token("/ingest")
    monkeypatch.setattr(uploads, "SPARE", 1 << 62)
    with pdf.open("rb") as upload:
        answer = editor.client.post("/ingest", data={"csrf_token": token, "file": (upload, "x")})
    assert answer.status_code == 507
    assert "GB free" in answer.text


@pytest.mark.parametrize(
    ("typed", "codes"), [("", []), (None, []), ("ta, ib ta", ["TA", "IB"]), (" ,, ", [])]
)
def test_codes(typed: str | None, codes: list[str]) -> None:
    assert ingest.codes(typed) == codes
