"""What phones ask a network that they have just joined."""

from __future__ import annotations

import pytest

from common.settings import Settings
from onboard_app import create_app
from onboard_app.captive.phones import PROBES, SEEN_LIVES_MS
from onboard_app.web.services import Services
from roles.cabin import PROBE_PATHS

pytestmark = pytest.mark.postgres

PORTAL = "https://portal.example.aero"
PHONE = {"X-Real-IP": "10.20.0.117"}
OTHER = {"X-Real-IP": "10.20.0.118"}
EXPECTED = {
    "android": ("/generate_204", 204, ""),
    "apple": ("/hotspot-detect.html", 200, "<TITLE>Success</TITLE>"),
    "windows": ("/connecttest.txt", 200, "Microsoft Connect Test"),
    "windows before 10": ("/ncsi.txt", 200, "Microsoft NCSI"),
    "kindle": ("/kindle-wifi/wifistub.html", 200, "81ce4465-7167-4dcb-835b-dcc9e44c112a"),
    "firefox": ("/success.txt", 200, "success\n"),
}


@pytest.fixture
def client(services: Services, new_settings):
    settings: Settings = new_settings(
        database_url=services.settings.database_url, portal_url=PORTAL
    )
    return create_app(
        Services(settings, services.engine, services.store, services.library, services.clock)
    ).test_client()


def press(client, phone=PHONE):
    return client.post("/captive", headers={**phone, "Origin": "http://localhost"})


@pytest.mark.parametrize(("path", "status", "body"), EXPECTED.values(), ids=EXPECTED)
def test_a_phone_is_led_to_the_portal_once_and_then_gets_what_it_expects(
    client, path, status, body
):
    first = client.get(path, headers=PHONE, base_url="http://captive.example")
    assert (first.status_code, first.headers["Location"]) == (302, f"{PORTAL}/captive")
    pressed = press(client)
    assert (pressed.status_code, pressed.headers["Location"]) == (303, "/")
    then = client.get(path, headers=PHONE, base_url="http://captive.example")
    assert then.status_code == status
    assert body in then.text
    assert client.get(path, headers=OTHER).status_code == 302
    assert "no-store" in then.headers["Cache-Control"]


def test_the_page_has_a_button_that_works_without_javascript(client):
    page = client.get("/captive", headers={"Accept-Language": "fr"}).text
    assert '<form method="post" action="/captive"' in page
    assert f'href="{PORTAL}/"' in page
    assert "<script" not in page


def test_a_phone_that_asks_as_rfc_8908_says_is_told(client):
    answer = client.get("/captive/api", headers=PHONE)
    assert answer.mimetype == "application/captive+json"
    assert answer.get_json(force=True) == {
        "captive": True,
        "user-portal-url": f"{PORTAL}/captive",
        "venue-info-url": f"{PORTAL}/",
    }
    press(client)
    assert client.get("/captive/api", headers=PHONE).get_json(force=True)["captive"] is False


def test_after_some_hours_the_phone_is_asked_again(client, store):
    press(client)
    store.now_ms += SEEN_LIVES_MS
    assert client.get("/generate_204", headers=PHONE).status_code == 302


def test_with_the_store_away_the_sheet_opens_and_the_portal_all_the_same(client, store):
    store.away = True
    assert client.get("/generate_204", headers=PHONE).status_code == 302
    assert press(client).status_code == 303


def test_whoever_has_no_address_is_not_everybody(client):
    press(client, {})
    assert client.get("/generate_204").status_code == 302


def test_the_web_server_passes_on_just_what_phones_ask():
    assert {probe.path for probe in PROBES} == set(PROBE_PATHS)
