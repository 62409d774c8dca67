"""The pages, as a browser without JavaScript uses them."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
from uuid import uuid4

import pytest
from flask import before_render_template
from sqlalchemy import text

from common.schema import SurveyAnswer, UsageEvent
from onboard_app.web.bundle import PACKAGE

pytestmark = pytest.mark.postgres

ADA = {"do": "register", "email": "ada@example.org", "name": "Ada", "password": "correct horse"}
OURS = {"Origin": "http://localhost"}


def test_home_shows_what_is_on_and_where_we_are(client, hangar, fly):
    film = hangar.item("film", "Big Buck Bunny")
    paper = hangar.item("newspaper", "The Daily")
    survey = hangar.survey(question="How was lunch?")
    fly(
        phase="cruise",
        position={"lat": 45.85, "lon": 1.89},
        altitude_ft=35025.0,
        ground_speed_kt=440.0,
        heading_deg=191.6,
        flight="AFR34ZG",
    )
    page = client.get("/").text
    for part in (f"/film/{film}", f"/paper/{paper}", f"/survey/{survey}", "Cruising", "AFR34ZG"):
        assert part in page
    for figure in ("10\xa0680", "35\xa0000 ft", "815", "440 kt", "192°", "south"):
        assert figure in page
    assert '<path class="land" d="M' in page


def test_with_nothing_known_home_is_still_a_page(client):
    page = client.get("/")
    assert page.status_code == 200
    assert "No flight data at the moment" in page.text
    assert "No films on this flight yet." in page.text


def test_it_speaks_the_passengers_language(client):
    page = client.get("/", headers={"Accept-Language": "fr-CA,fr;q=0.9"})
    assert '<html lang="fr">' in page.text
    assert "Bienvenue à bord" in page.text


def test_the_texts_of_all_languages_have_the_same_keys():
    files = sorted((PACKAGE / "templates" / "texts").glob("*.json"))
    keys = {path.stem: set(json.loads(path.read_text())) for path in files}
    assert set(keys) == {"en", "es", "fr"}
    assert keys["es"] == keys["fr"] == keys["en"]


def test_titles_are_text_and_never_markup(client, hangar):
    film = hangar.item("film", '<script>alert("x")</script>', summary={"en": "<b>"})
    for address in ("/", f"/film/{film}"):
        page = client.get(address).text
        assert "<script>alert" not in page
        assert "&lt;script&gt;" in page


def test_no_page_asks_another_host_or_runs_inline_script(client, hangar, fly):
    fly(phase="cruise", position={"lat": 45.85, "lon": 1.89})
    film, paper = hangar.item("film"), hangar.item("newspaper")
    survey = hangar.survey()
    for address in ("/", f"/film/{film}", f"/paper/{paper}", "/join", f"/survey/{survey}", "/x"):
        page = client.get(address).text
        assert not re.findall(r'(?:src|href|action|poster)="(?!/|#)', page), address
        assert not re.findall(r'(?:src|href|action|poster)="//', page), address
        assert not re.findall(r"<script(?![^>]*\ssrc=)", page), address
        assert not re.findall(r'\s(?:style|on\w+)="', page), address


def test_opening_is_counted_with_the_item(client, hangar):
    film = hangar.item("film")
    client.get("/")
    client.get(f"/film/{film}")
    assert [(e.kind, e.item_id) for e in hangar.rows(UsageEvent)] == [
        ("view", None),
        ("open", film),
    ]


@pytest.fixture
def full_disk(engine):
    """The database reads as always and has no room for what passengers do."""
    refuse = "create trigger full_disk before insert or update on {} execute function full_disk()"
    with engine.begin() as connection:
        connection.execute(
            text(
                "create function full_disk() returns trigger language plpgsql as $$ begin "
                "raise exception 'No space left on device' using errcode = '53100'; end $$"
            )
        )
        for table in ("usage_event", "token"):
            connection.execute(text(refuse.format(table)))
    yield
    with engine.begin() as connection:
        connection.execute(text("drop function full_disk cascade"))


def test_on_a_full_disk_nothing_is_counted_and_everything_is_shown(
    client, hangar, clock, passenger, full_disk, caplog
):
    film = hangar.item("film", "Big Buck Bunny")
    clock.advance(minutes=6)
    for address in ("/", f"/film/{film}"):
        page = client.get(address, headers=passenger)
        assert page.status_code == 200, address
        assert "Big Buck Bunny" in page.text
        assert '<span class="who">Ada</span>' in page.text
    assert hangar.rows(UsageEvent) == []
    assert "a page view is not kept: " in caplog.text


def test_a_page_that_draws_itself_anew_was_opened_once(client, hangar):
    page = client.get("/?destination=tls").text
    (address,) = re.findall(r'http-equiv="refresh" content="60; url=([^"]+)"', page)
    address = html.unescape(address)
    assert "destination=TLS" in address
    for _ in range(3):
        assert address in html.unescape(client.get(address).text)
    assert [event.kind for event in hangar.rows(UsageEvent)] == ["view"]


def test_what_is_for_a_destination_is_on_the_home_page_that_names_it(client, hangar):
    film = hangar.item("film", destinations=["TLS"])
    assert f"/film/{film}" not in client.get("/").text
    assert f"/film/{film}" in client.get("/?destination=tls").text
    assert client.get("/?destination=to lose").status_code == 422


def test_looking_ahead_is_not_opening(client, hangar):
    client.get(f"/film/{hangar.item()}", headers={"Sec-Purpose": "prefetch"})
    assert hangar.rows(UsageEvent) == []


def test_the_player_has_the_stream_in_the_page_itself(client, hangar):
    film = hangar.item("film")
    assert f'<source src="/media/{film}/hls/master.m3u8"' in client.get(f"/film/{film}").text


def test_the_reader_has_the_pdf_and_the_pages_in_order(client, hangar):
    paper = hangar.item("newspaper")
    page = client.get(f"/paper/{paper}").text
    assert f'href="/media/{paper}/paper.pdf"' in page
    shown = re.findall(r'<img src="/media/[^"]+/pages/(\d+)', page)
    assert shown == ["1", "2", "10"]


def test_a_paper_with_more_pages_than_images_says_where_the_others_are(client, hangar):
    def read(of_all):
        pages = [("page", f"pages/{n:03d}-of-{of_all:03d}.jpg") for n in (1, 2)]
        paper = hangar.item("newspaper", files=[("document", "document.pdf"), *pages])
        return client.get(f"/paper/{paper}").text

    assert "2 / 2" in read(2)
    assert "The other pages are in the PDF." not in read(2)
    assert "2 / 150" in read(150)
    assert "The other pages are in the PDF." in read(150)


def test_a_film_is_no_newspaper_and_what_is_not_aboard_is_said_kindly(client, hangar):
    film = hangar.item("film")
    for address in (f"/paper/{film}", f"/film/{uuid4()}", "/film/x"):
        page = client.get(address)
        assert page.status_code == 404
        assert "This is not on board" in page.text


def test_a_passenger_joins_and_is_greeted(client, hangar):
    film = hangar.item("film")
    answer = client.post("/join", data={**ADA, "next": f"/film/{film}"}, headers=OURS)
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/film/{film}")
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Hello, Ada" in client.get("/").text
    client.get(f"/film/{film}")
    assert hangar.rows(UsageEvent)[-1].user_id is not None


def test_leaving_ends_the_token_itself(client):
    client.post("/join", data=ADA, headers=OURS)
    token = client.get_cookie("turnaround").value
    client.post("/leave", headers=OURS)
    assert "Hello" not in client.get("/").text
    answer = client.get("/api/v1/users/me", headers={"Authorization": f"Token {token}"})
    assert answer.status_code == 401


def test_a_returning_passenger_logs_in(client):
    client.post("/join", data=ADA, headers=OURS)
    client.delete_cookie("turnaround")
    known = {"do": "log_in", "email": "ada@example.org", "password": "correct horse"}
    assert client.post("/join", data=known, headers=OURS).status_code == 303
    assert "Hello, Ada" in client.get("/").text


def test_what_was_typed_stays_when_it_was_wrong_but_never_the_password(client):
    page = client.post("/join", data={**ADA, "password": "short"}, headers=OURS)
    assert page.status_code == 422
    assert 'value="ada@example.org"' in page.text
    assert 'value="short"' not in page.text
    assert "Please check what you typed" in page.text


@pytest.mark.parametrize(
    "target", ["//evil.example", "https://evil.example", "/\\evil.example", "/a\r\nX: y", "x"]
)
def test_after_joining_nobody_is_sent_to_another_site(client, target):
    answer = client.post("/join", data={**ADA, "next": target}, headers=OURS)
    assert answer.headers["Location"] == "/"


def test_a_foreign_page_cannot_log_somebody_in(client):
    assert client.post("/join", data=ADA, headers={"Origin": "http://evil"}).status_code == 403


def test_who_is_logged_in_is_not_asked_to_join(client, hangar):
    client.post("/join", data=ADA, headers=OURS)
    answer = client.get("/join?next=/film/x")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/film/x")


def test_nobody_is_asked_again_what_they_have_answered(client, hangar):
    survey = hangar.survey("Good", "Bad", question="How was lunch?")
    client.post("/join", data=ADA, headers=OURS)
    assert "How was lunch?" in client.get("/").text
    client.post(f"/survey/{survey}", data={"choice": "1"}, headers=OURS)
    assert "How was lunch?" not in client.get("/").text
    client.delete_cookie("turnaround")
    assert "How was lunch?" in client.get("/").text


def test_a_survey_is_answered_by_form(client, hangar):
    survey = hangar.survey("Good", "Bad")
    nothing = client.post(f"/survey/{survey}", headers=OURS)
    assert nothing.status_code == 422
    assert "Choose one of the answers first." in nothing.text
    thanks = client.post(f"/survey/{survey}", data={"choice": "1"}, headers=OURS)
    assert "Thank you!" in thanks.text
    assert [answer.choice for answer in hangar.rows(SurveyAnswer)] == [1]


def test_the_piece_that_says_where_we_are_is_the_same_alone(client, fly):
    fly(phase="descent", altitude_ft=6000.0)
    piece = client.get("/here")
    assert "Descending" in piece.text
    assert "<html" not in piece.text
    assert piece.headers["Cache-Control"] == "public, max-age=2"


def test_a_new_bundle_is_used_without_a_restart(client, services):
    """Two releases may carry files of the same date, so only the link tells them apart."""
    releases, current = services.settings.state_dir / "r", services.settings.current_dir / "html5"
    current.parent.mkdir(parents=True)
    for name in ("one", "two"):
        shutil.copytree(PACKAGE / "templates", releases / name / "templates")
        path = releases / name / "templates" / "base.html"
        path.write_text(path.read_text().replace("</footer>", f"bundle {name}</footer>"))
        os.utime(path, (1, 1))
    for name in ("one", "two", "one"):
        current.unlink(missing_ok=True)
        current.symlink_to(releases / name)
        answer = client.get("/join")
        assert f"bundle {name}" in answer.text
        assert f"/static/{name}/portal.css" in answer.text
        assert answer.headers["X-Release"] == f"dev, {name}"


def test_a_page_is_of_one_bundle_though_the_link_moves_while_it_is_made(client, services):
    releases, current = services.settings.state_dir / "r", services.settings.current_dir / "html5"
    current.parent.mkdir(parents=True)
    for name in ("one", "two"):
        shutil.copytree(PACKAGE / "templates", releases / name / "templates")
        for path in (releases / name / "templates").glob("*.html"):
            path.write_text(path.read_text() + f"<!-- {name} {path.name} -->")
    current.symlink_to(releases / "one")

    def move(_: object, **__: object) -> None:
        current.unlink(missing_ok=True)
        current.symlink_to(releases / "two")

    with before_render_template.connected_to(move):
        page = client.get("/join").text
    assert "<!-- one base.html -->" in page
    assert "two" not in re.findall(r"<!-- (\w+) ", page)
    assert "/static/two/" not in page
