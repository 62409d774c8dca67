"""Headers, foreign pages, errors, health."""

from __future__ import annotations

import pytest
from sqlalchemy import create_engine

from onboard_app import create_app
from onboard_app.web.services import Services

pytestmark = pytest.mark.postgres


@pytest.mark.parametrize("address", ["/", "/join", "/api/v1/content", "/nowhere", "/health"])
def test_every_answer_forbids_what_is_not_ours(client, address):
    headers = client.get(address).headers
    policy = headers["Content-Security-Policy"]
    assert "script-src 'self';" in policy
    assert "unsafe-inline" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Referer": "http://evil.example/page"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
)
def test_a_page_of_another_site_writes_nothing(client, headers):
    answer = client.post("/api/v1/stats", json={"kind": "play"}, headers=headers)
    assert answer.status_code == 403


def test_our_own_pages_and_apps_write(client):
    for headers in ({"Origin": "http://localhost"}, {"Referer": "http://localhost/"}, {}):
        answer = client.post("/api/v1/stats", json={"kind": "play"}, headers=headers)
        assert answer.status_code == 202


def test_a_cookie_without_an_origin_writes_nothing(client):
    client.set_cookie("turnaround", "x")
    assert client.post("/api/v1/stats", json={"kind": "play"}).status_code == 403


def test_a_body_beyond_the_limit_is_not_read(client):
    answer = client.post("/api/v1/users", data=b"x" * 20_000)
    assert answer.status_code == 413
    assert answer.json["error"]["code"] == "too_large"


def test_the_wrong_method_is_an_error_like_any_other(client):
    answer = client.delete("/api/v1/content")
    assert answer.status_code == 405
    assert answer.json["error"]["code"] == "method_not_allowed"


def test_health_says_what_is_here(client, hangar):
    hangar.item()
    answer = client.get("/health")
    assert answer.status_code == 200
    assert answer.json["healthy"] is True
    assert answer.json["schema"]
    assert answer.json["catalogue"]["items"] == 1


@pytest.fixture
def without_database(services, tmp_path):
    engine = create_engine(f"postgresql+psycopg2://nobody@/none?host={tmp_path}")
    return create_app(
        Services(services.settings, engine, services.store, services.library, services.clock)
    ).test_client()


def test_without_a_database_it_says_so_and_shows_a_page(without_database, hangar):
    hangar.item()
    assert without_database.get("/health").status_code == 503
    api = without_database.get("/api/v1/content")
    assert (api.status_code, api.json["error"]["code"]) == (503, "database_away")
    page = without_database.get("/", headers={"Accept-Language": "es"})
    assert page.status_code == 503
    assert "No ha funcionado" in page.text
    assert "psycopg2" not in page.text


def test_the_flight_is_shown_even_without_a_database(without_database, fly):
    fly(phase="cruise")
    assert without_database.get("/api/v1/flightinfo").json["phase"] == "cruise"
