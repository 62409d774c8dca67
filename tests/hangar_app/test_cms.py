"""What editors change is written, recorded and published, and only through a form with its token."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from common.schema import Audit, Item, Survey
from hangar_app.cms.audits import sentences
from hangar_app.context import of

pytestmark = pytest.mark.postgres


@pytest.fixture
def item(session: Session) -> Item:
    made = Item(
        kind="newspaper",
        title={"en": "The Courier", "pt": "O Correio"},
        languages=["en"],
        priority=10,
        published=True,
    )
    session.add(made)
    session.commit()
    return made


FIELDS = {
    "title-en": "The Courier",
    "title-fr": "Le Courrier",
    "summary-en": "",
    "languages": ["en", "fr"],
    "airlines": "ta",
    "destinations": "mad, bio",
    "priority": "5",
    "valid_from": "",
    "valid_to": "2026-11-24 06:00:00",
}


def test_an_item_can_be_changed(editor, item: Item, session: Session, queue) -> None:
    answer = editor.submit(f"/cms/item/edit/?id={item.id}", FIELDS)
    assert answer.status_code == 302, answer.text
    session.refresh(item)
    # The language that has no input here stays.
    assert item.title == {"pt": "O Correio", "en": "The Courier", "fr": "Le Courrier"}
    assert (item.languages, item.airlines) == (["en", "fr"], ["TA"])
    assert (item.destinations, item.priority, item.published) == (["MAD", "BIO"], 5, False)
    assert item.valid_to == datetime(2026, 11, 24, 6, tzinfo=UTC)
    assert queue.kinds == ["publish"]


def test_times_are_in_utc_wherever_the_database_is(editor, item, session) -> None:
    session.execute(text("ALTER ROLE postgres SET timezone = 'Pacific/Auckland'"))
    session.commit()
    try:
        of(editor.client.application).engine.dispose()
        editor.submit(f"/cms/item/edit/?id={item.id}", FIELDS)
        page = editor.get(f"/cms/item/edit/?id={item.id}").text
        assert 'value="2026-11-24 06:00:00"' in page
        session.refresh(item)
        assert item.valid_to == datetime(2026, 11, 24, 6, tzinfo=UTC)
    finally:
        session.execute(text("ALTER ROLE postgres RESET timezone"))
        session.commit()
        of(editor.client.application).engine.dispose()


def test_the_change_is_recorded_from_and_to(editor, item: Item, session: Session) -> None:
    editor.submit(f"/cms/item/edit/?id={item.id}", FIELDS)
    row = session.scalar(select(Audit).where(Audit.what == "changed item"))
    assert row.who == "editor@hangar.example"
    assert row.detail["id"] == str(item.id)
    assert row.detail["changes"]["published"] == [True, False]
    assert row.detail["changes"]["priority"] == [10, 5]


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [("priority", "-1", "between 0 and 1000"), ("valid_to", "tomorrow", "Not a valid")],
)
def test_a_wrong_value_changes_nothing(editor, item, session, queue, field, value, said) -> None:
    answer = editor.submit(f"/cms/item/edit/?id={item.id}", FIELDS | {field: value})
    assert said in answer.text
    session.refresh(item)
    assert item.published
    assert queue.jobs == []


def test_a_title_is_needed_in_one_language(editor, session, queue) -> None:
    survey = {"question-en": "", "choices-0-en": "a", "choices-1-en": "b"}
    answer = editor.submit("/cms/survey/new/", survey)
    assert "at least one language" in answer.text
    assert session.scalar(select(Survey)) is None


SURVEY = {"question-en": "How was it?", "choices-0-en": "Good", "choices-1-en": "Bad"}


@pytest.mark.parametrize(
    ("path", "fields"), [("/cms/item/edit/?id={id}", FIELDS), ("/cms/survey/new/", SURVEY)]
)
def test_a_form_without_its_token_is_refused(editor, item, session, path, fields) -> None:
    here = path.format(id=item.id)
    assert editor.client.post(here, data=fields).status_code == 400
    session.refresh(item)
    assert item.published
    assert session.scalar(select(Survey)) is None
    assert editor.submit(here, fields).status_code == 302  # with it the same is taken


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/cms/item/edit/?id={id}", FIELDS | {"title-en": "The\0Courier"}),
        ("/cms/survey/new/", SURVEY | {"choices-1-en": "B\0d"}),
    ],
)
def test_a_text_that_the_database_cannot_keep_is_refused(editor, item, path, fields) -> None:
    answer = editor.submit(path.format(id=item.id), fields)
    assert answer.status_code == 400
    assert "U+0000" in answer.text


def test_a_survey_can_be_made_in_several_languages(editor, session, queue) -> None:
    answer = editor.submit(
        "/cms/survey/new/",
        {
            "question-en": "How was it?",
            "question-de": "Wie war es?",
            "choices-0-en": "Good",
            "choices-0-de": "Gut",
            "choices-2-en": "Bad",
            "published": "y",
        },
    )
    assert answer.status_code == 302, answer.text
    made = session.scalar(select(Survey))
    assert made.question == {"en": "How was it?", "de": "Wie war es?"}
    assert made.choices == [{"en": "Good", "de": "Gut"}, {"en": "Bad"}]
    assert made.published
    assert queue.kinds == ["publish"]
    page = editor.get(f"/cms/survey/edit/?id={made.id}").text
    assert 'name="choices-0-de"' in page and 'value="Gut"' in page


def test_two_changes_in_a_row_are_published_once(editor, item, queue) -> None:
    editor.submit(f"/cms/item/edit/?id={item.id}", FIELDS)
    editor.submit(f"/cms/item/edit/?id={item.id}", FIELDS | {"published": "y"})
    assert queue.kinds == ["publish"]


def test_an_item_is_made_by_an_import_and_never_deleted(editor, item, session) -> None:
    assert editor.get("/cms/item/new/").status_code == 302
    token = editor.token(f"/cms/item/edit/?id={item.id}")
    editor.client.post("/cms/item/delete/", data={"id": str(item.id), "csrf_token": token})
    assert session.scalar(select(Item)) is not None


def test_the_list_and_the_audit_show_what_is_there(editor, item) -> None:
    assert "The Courier" in editor.get("/cms/item/").text
    editor.submit(f"/cms/item/edit/?id={item.id}", FIELDS)
    audit = editor.get("/cms/audit/").text
    assert "changed item" in audit
    assert "→" in audit


def test_the_audit_says_changes_in_words() -> None:
    detail = {
        "id": "7",
        "changes": {
            "summary": [{}, {"en": "A rabbit", "fr": ""}],
            "choices": [None, [{"en": "Quick"}, {"en": "Slow"}]],
            "published": [False, True],
        },
    }
    assert sentences(detail) == [
        "id 7",
        "summary: – → en A rabbit, fr –",
        "choices: – → en Quick · en Slow",
        "published: no → yes",
    ]
    assert sentences({}) == []
    (line,) = sentences({"file": "x" * 5000})
    assert len(line) < 250


def test_text_of_editors_is_never_markup(editor, item, session) -> None:
    item.title = {"en": '<script>"x"</script>'}
    session.commit()
    for path in ("/cms/item/", f"/cms/item/edit/?id={item.id}"):
        assert "<script>&#34;" not in editor.get(path).text
        assert '<script>"x"' not in editor.get(path).text
