"""What is on: who is offered what, and in which words."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import event
from sqlalchemy.orm import Session

from common.schema import Item

pytestmark = pytest.mark.postgres


def titles(client, query="", **headers):
    answer = client.get(f"/api/v1/content{query}", headers=headers)
    assert answer.status_code == 200, answer.json
    return [item["title"] for item in answer.json["items"]]


def test_an_item_comes_with_the_addresses_of_its_files(client, hangar):
    film = hangar.item("film", "Big Buck Bunny", summary={"en": "A rabbit."}, languages=["en"])
    paper = hangar.item("newspaper", "The Daily")
    found = {item["id"]: item for item in client.get("/api/v1/content").json["items"]}
    assert found[str(film)] == {
        "id": str(film),
        "kind": "film",
        "title": "Big Buck Bunny",
        "summary": "A rabbit.",
        "languages": ["en"],
        "url": f"/film/{film}",
        "poster": f"/media/{film}/poster.jpg",
        "stream": f"/media/{film}/hls/master.m3u8",
        "document": None,
        "pages": [],
    }
    assert found[str(paper)]["url"] == f"/paper/{paper}"
    assert found[str(paper)]["document"] == f"/media/{paper}/paper.pdf"
    assert [page.rsplit("/", 1)[1] for page in found[str(paper)]["pages"]] == [
        "1.jpg",
        "2.jpg",
        "10.jpg",
    ]


def test_an_item_whose_files_are_not_here_is_not_offered(client, hangar):
    absent = hangar.item(title="Still on its way", complete=False)
    assert titles(client) == []
    assert client.get(f"/api/v1/content/{absent}").status_code == 404


def test_a_library_as_large_as_a_manifest_may_be_is_shown(client, hangar):
    hangar.item(title="Short")
    # As many segments as a hundred films have.
    hangar.complete[str(UUID(int=1))] = {
        f"hls/{number:06d}.ts": "0" * 64 for number in range(100_000)
    }
    hangar.write()
    assert titles(client) == ["Short"]


def test_it_appears_as_soon_as_its_files_are(client, hangar):
    hangar.item(title="First")
    hangar.item(title="Second", files=[], complete=False)
    assert titles(client) == ["First"]
    third = hangar.item(title="Third", files=[("poster", "poster.jpg")], complete=False)
    hangar.complete[str(third)] = {"poster.jpg": "0" * 64}
    hangar.write()
    assert set(titles(client)) == {"First", "Third"}


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"poster.jpg": "0" * 64},
        {"poster.jpg": "0" * 64, "paper.pdf": "1" * 64},
        {"poster.jpg": "0" * 64, "paper.pdf": "0" * 64, "pages/1.jpg": "0" * 64},
    ],
)
def test_an_item_whose_rows_name_other_files_than_are_here_is_not_offered(client, hangar, files):
    two = [("poster", "poster.jpg"), ("document", "paper.pdf")]
    paper = hangar.item("newspaper", files=two)
    assert len(titles(client)) == 1
    hangar.complete[str(paper)] = files
    hangar.write()
    assert titles(client) == []
    assert client.get(f"/api/v1/content/{paper}").status_code == 404
    assert client.get(f"/paper/{paper}").status_code == 404


@pytest.mark.parametrize("text", ["", "{", "[]", '{"not an id": {}}', '{"a": 1}'])
def test_a_damaged_list_of_files_offers_nothing(client, hangar, text):
    hangar.item()
    (hangar.current / "links.json").write_text(text)
    assert titles(client) == []


def test_without_content_nothing_is_offered_and_nothing_fails(client):
    assert titles(client) == []


def test_drafts_are_not_offered(client, hangar):
    draft = hangar.item(published=False)
    assert titles(client) == []
    assert client.get(f"/api/v1/content/{draft}").status_code == 404


def test_an_offer_begins_and_ends_by_the_clock(client, hangar, clock):
    hangar.item(
        title="Lunch hour",
        valid_from=clock() + timedelta(hours=1),
        valid_to=clock() + timedelta(hours=2),
    )
    assert titles(client) == []
    clock.advance(hours=1)
    assert titles(client) == ["Lunch hour"]
    clock.advance(hours=1)
    assert titles(client) == []


def test_kind_language_and_text_narrow_the_choice(client, hangar):
    hangar.item("film", "English film", languages=["en"])
    hangar.item("film", "Silent film")
    hangar.item("newspaper", "El Diario", languages=["es"])
    assert set(titles(client, "?kind=film")) == {"English film", "Silent film"}
    assert set(titles(client, "?language=es")) == {"El Diario", "Silent film"}
    assert set(titles(client, "?language=es-ES")) == {"El Diario", "Silent film"}
    assert titles(client, "?q=DIAR") == ["El Diario"]
    assert titles(client, "?q=%25") == [], "a percent sign is just a character"


def test_what_is_for_another_airline_is_not_offered(client, hangar):
    other = hangar.item(title="Theirs", airlines=["XX"])
    hangar.item(title="Ours", airlines=["TA", "XX"])
    assert titles(client) == ["Ours"]
    assert set(titles(client, "?airline=xx")) == {"Theirs", "Ours"}
    assert client.get(f"/api/v1/content/{other}").status_code == 404
    assert client.get(f"/api/v1/content/{other}?airline=xx").json["title"] == "Theirs"


def test_what_is_for_a_destination_waits_until_it_is_asked_for(client, hangar):
    hangar.item(title="Everywhere")
    hangar.item(title="Toulouse only", destinations=["TLS"])
    assert titles(client) == ["Everywhere"]
    assert set(titles(client, "?destination=tls")) == {"Everywhere", "Toulouse only"}


def test_the_smallest_priority_comes_first(client, hangar):
    hangar.item(title="Old film", priority=200)
    hangar.item(title="Today's paper", kind="newspaper", priority=10)
    assert titles(client) == ["Today's paper", "Old film"]


def test_titles_come_in_the_readers_language(client, hangar):
    film = hangar.item(title="x")
    with Session(hangar.engine) as session, session.begin():
        session.get(Item, film).title = {"en": "The Rabbit", "es": "El conejo"}
    assert titles(client, **{"Accept-Language": "es-MX,fr;q=0.5"}) == ["El conejo"]
    assert titles(client, **{"Accept-Language": "de"}) == ["The Rabbit"]
    assert titles(client, "?language=es", **{"Accept-Language": "en"}) == ["El conejo"]


@pytest.mark.parametrize(
    "query",
    ["?kind=game", "?language=english language", "?airline='--", "?q=" + "x" * 81, "?q=a%00b"],
)
def test_a_filter_that_cannot_be_is_refused_by_name(client, query):
    answer = client.get(f"/api/v1/content{query}")
    assert answer.status_code == 422
    assert answer.json["error"]["code"] == "invalid"
    assert answer.json["error"]["message"].startswith(query[1:].split("=")[0])


def test_an_id_that_is_none_is_not_aboard(client):
    answer = client.get("/api/v1/content/x")
    assert answer.status_code == 404
    assert answer.json["error"] == {
        "code": "not_found",
        "message": "There is no such item aboard.",
    }


def test_the_list_costs_two_statements_however_long_it_is(client, hangar):
    for n in range(12):
        hangar.item(title=f"Film {n}")
    statements = []
    event.listen(hangar.engine, "before_cursor_execute", lambda *a: statements.append(a[2]))
    client.get("/api/v1/content")
    assert len(statements) == 2
