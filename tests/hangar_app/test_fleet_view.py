"""What is worked out of a heartbeat and the ledgers for the fleet page."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hangar_app.behind import Backlog, behind_down, behind_up
from hangar_app.fleet_view import Observed, WorkSeen, row
from hangar_app.wanted import WantedSeen
from sync.behind import Lacking
from sync.state import Head


def head(epoch: str, seq: int) -> Head:
    return Head(epoch=epoch, seq=seq, sha256="")


NOW = datetime(2026, 11, 23, 2, tzinfo=UTC)
HEADS = {"cat": head("e1", 7), "usr": head("e1", 3)}
EVEN: dict[str, Any] = {
    "phase": "ground",
    "position": {"lat": 40.47, "lon": -3.56, "altitude_ft": 1998.0},
    "releases": {"onboard": {"version": "20261123000000-0123456789ab", "state": "confirmed"}},
    "up": {"use": {"epoch": "u1", "sealed": 4}},
    "down": {"cat": {"epoch": "e1", "seq": 7}, "usr": {"epoch": "e1", "seq": 3}},
    "content": {"missing_files": 0, "missing_bytes": 0},
    "disk": {"free": 25, "total": 100},
}


def observed(*work: WorkSeen, seen_s: float | None = 2, **changed: Any) -> Observed:
    seen = None if seen_s is None else NOW - timedelta(seconds=seen_s)
    body = {} if seen is None else EVEN | changed
    return Observed("EC-TAA", "10.0.0.11", "TA", seen, body, {"use": head("u1", 4)}, work)


def doing(state: str) -> WorkSeen:
    return WorkSeen("dispatch", state, "no route" if state == "failed" else "", 3, "")


def waits(failed: int) -> WantedSeen:
    return WantedSeen("4bb5594", "d1", "ops@desk", 60, failed, "no disk" if failed else "")


def test_an_aircraft_that_has_everything_is_even() -> None:
    line = row(observed(), HEADS, NOW)
    assert line.standing == "even"
    assert line.behind == {"cat ↓": 0, "usr ↓": 0, "use ↑": 0, "rows ↑": 0}
    assert (line.seen_s_ago, line.phase, line.disk_free_share) == (2, "ground", 0.25)


LACKS_TWO = {"down": {"cat": {"epoch": "e1", "seq": 5}, "usr": {"epoch": "e1", "seq": 3}}}


@pytest.mark.parametrize(
    ("seen", "standing"),
    [
        (observed(seen_s=None), "new"),
        (observed(seen_s=31), "silent"),
        (observed(**LACKS_TWO), "behind"),
        (observed(content={"missing_files": 2, "missing_bytes": 10}), "behind"),
        (observed(up={"use": {"epoch": "u1", "sealed": 5}}), "behind"),
        (observed(up={"use": {"epoch": "u1", "sealed": 4, "unsealed_rows": 1}}), "behind"),
        (observed(syncing=True, **LACKS_TWO), "working"),
        (observed(doing("queued"), **LACKS_TWO), "working"),
        (observed(doing("failed"), **LACKS_TWO), "failed"),
        (observed(doing("failed")), "even"),
        (observed(doing("running"), seen_s=31), "silent"),
        (replace(observed(), wanted=waits(0)), "behind"),
        (replace(observed(), wanted=waits(1)), "failed"),
        (replace(observed(seen_s=31), wanted=waits(1)), "silent"),
    ],
)
def test_standing(seen: Observed, standing: str) -> None:
    assert row(seen, HEADS, NOW).standing == standing


def test_another_epoch_means_that_all_of_a_stream_is_lacking() -> None:
    assert behind_down(HEADS["cat"], {"epoch": "old", "seq": 9}) == 7
    assert behind_down(HEADS["cat"], None) == 7
    assert behind_down(head("e2", 0), {"epoch": "e1", "seq": 7}) == 1, "its snapshot"
    assert behind_up({"epoch": "u2", "sealed": 2}, head("u1", 40)) == 2
    assert behind_up({"epoch": "u2", "sealed": 2}, None) == 2


def test_rows_that_are_sealed_nowhere_are_counted() -> None:
    told = {stream: {"epoch": "u1", "sealed": 0, "unsealed_rows": 92} for stream in ("use", "usr")}
    assert row(observed(up=told), HEADS, NOW).behind["rows ↑"] == 184


@pytest.mark.parametrize(
    ("kept", "standing"), [({"1f0a93c2": 7}, "behind"), ({}, "even"), (7, "even")]
)
def test_what_is_kept_of_a_former_history_is_not_up_to_date(kept: object, standing: str) -> None:
    line = row(observed(up={"use": {"epoch": "u1", "sealed": 4, "former": kept}}), HEADS, NOW)
    assert line.standing == standing
    said = ["use: change-sets of a former history are not acknowledged"]
    assert line.aside == (said if standing == "behind" else [])


def test_an_aircraft_never_is_ahead() -> None:
    assert behind_down(head("e1", 1), {"epoch": "e1", "seq": 2}) == 0


def test_a_position_without_coordinates_is_none() -> None:
    assert row(observed(position={"lat": None, "lon": None}), HEADS, NOW).position is None


@pytest.mark.parametrize(
    ("told", "seen_s", "left", "ending"),
    [
        (21, 2, 21, False),
        (20, 2, 20, True),
        (24, 4 * 86_400 + 5, 20, True),
        (0, 86_400, -1, True),
    ],
    ids=["long enough", "ends soon", "it ends while nobody hears of it", "it has ended"],
)
def test_a_certificate_that_ends_soon_stands_out(
    told: int, seen_s: float, left: int, ending: bool
) -> None:
    line = row(observed(seen_s=seen_s, certificates={"portal.example.aero": told}), HEADS, NOW)
    assert line.certificates == {"portal.example.aero": left}
    assert bool(line.ending) is ending


def test_what_waits_aboard_is_as_old_as_the_aircraft_says_whatever_its_clock() -> None:
    told = {"sealed": 5, "rows": 100, "bytes": 2000, "unsealed_rows": 10, "row_bytes": 17.3}
    told |= {"epoch": "u1", "oldest_at": "2009-01-01T00:00:00+00:00"}
    seen = observed(seen_s=60, at="2009-01-01T02:00:00+00:00", up={"use": told})
    assert row(seen, HEADS, NOW).up == {"use": Backlog(1, 110, 2173, 7260)}


def test_an_aircraft_of_an_older_release_says_rows_only() -> None:
    told = {"use": {"epoch": "u1", "sealed": 4, "unsealed_rows": 3}}
    assert row(observed(up=told), HEADS, NOW).up == {"use": Backlog(0, 3, 0, None)}


def test_what_it_lacks_is_told_by_stream_and_how_old_it_is() -> None:
    lacks = {"cat": Lacking(2, 30, 8120, NOW - timedelta(hours=3))}
    line = row(replace(observed(**LACKS_TWO), lacks=lacks), HEADS, NOW)
    assert line.down == {"cat": Backlog(2, 30, 8120, 10800), "usr": Backlog()}


def test_what_stands_still_waits_or_had_to_go_is_said_in_words() -> None:
    content = {
        "waiting": {"items": 1, "bytes": 9, "why": "no room: it lacks 3.0 MB"},
        "evicted": {"items": 2, "bytes": 9, "why": "w" * 999},
        "refused": "manifest: altered",
    }
    held = {"cat": {"rows": 2, "why": ""}, "usr": {"rows": 0, "why": "expected schema 0007"}}
    seen = replace(observed(content=content, held=held), held_here={"cat": {"rows": 1}})
    line = row(seen, HEADS, NOW)
    assert line.aside == [
        "cat: 2 rows in quarantine aboard",
        "usr: stands still aboard: expected schema 0007",
        "cat: 1 row in quarantine at the hangar",
        "content: 1 item not fetched: no room: it lacks 3.0 MB",
        f"content: 2 items removed to make room: {'w' * 300}",
        "content: manifest: altered",
    ]
    assert line.held_rows == {"cat": 3}
