"""Usage events from players and apps."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest

from common.schema import UsageEvent

pytestmark = pytest.mark.postgres


def only(hangar):
    (event,) = hangar.rows(UsageEvent)
    return event


def test_an_event_is_kept_with_who_where_and_on_which_flight(client, hangar, passenger, fly):
    fly(flight="AFR34ZG")
    item = uuid4()
    event = {"kind": "play", "item_id": str(item), "data": {"from_s": 12}}
    assert client.post("/api/v1/stats", json=event, headers=passenger).status_code == 202
    kept = only(hangar)
    assert (kept.kind, kept.item_id, kept.data) == ("play", item, {"from_s": 12})
    assert (kept.aircraft, kept.flight) == ("EC-TAA", "AFR34ZG")
    assert kept.user_id is not None


def test_nobody_has_to_be_logged_in_and_the_flight_may_be_unknown(client, hangar):
    assert client.post("/api/v1/stats", json={"kind": "play"}).status_code == 202
    assert (only(hangar).user_id, only(hangar).flight) == (None, "")


@pytest.mark.parametrize(
    ("away", "believed"),
    [
        (timedelta(hours=-3), True),
        (timedelta(minutes=4), True),
        (timedelta(days=-400), False),
        (timedelta(hours=2), False),
    ],
)
def test_a_devices_clock_is_believed_only_when_it_can_be_right(
    client, hangar, clock, away, believed
):
    said = clock() + away
    client.post("/api/v1/stats", json={"kind": "play", "at": said.isoformat()})
    assert only(hangar).at == (said if believed else clock())


@pytest.mark.parametrize(
    ("event", "status"),
    [
        ({"kind": "Play it"}, 422),
        ({"kind": "play", "item_id": "7"}, 422),
        ({"kind": "play", "at": "2026-11-23T12:00:00"}, 422),
        ({"kind": "play", "data": [1]}, 422),
        ({"kind": "play", "data": {"x": "y" * 5000}}, 413),
        ({"kind": "play", "data": {str(n): n for n in range(33)}}, 422),
        ({}, 422),
    ],
    ids=["kind", "item", "time without zone", "data", "size", "too many fields", "empty"],
)
def test_what_cannot_be_is_refused_and_not_kept(client, hangar, event, status):
    assert client.post("/api/v1/stats", json=event).status_code == status
    assert hangar.rows(UsageEvent) == []


@pytest.mark.parametrize(
    "value",
    [r'"a\u0000b"', r'"\ud800"', r'{"\u0000": 1}', "NaN", "-Infinity", "1e999", "[" * 1500],
)
def test_what_no_database_keeps_is_refused(client, hangar, value):
    body = '{"kind": "play", "data": {"x": ' + value + "}}"
    answer = client.post("/api/v1/stats", data=body, content_type="application/json")
    assert (answer.status_code, answer.json["error"]["code"]) == (400, "not_json")
    assert hangar.rows(UsageEvent) == []
