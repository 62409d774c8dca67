"""What Prometheus reads of the hangar: the figures of the fleet page, and labels that nobody can add to."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families

from common.schema import Aircraft
from hangar_app import metrics
from hangar_app.backup import Backup
from hangar_app.behind import Backlog
from hangar_app.fleet_view import DOWN, UP, AircraftRow

HERE = {"X-Real-IP": "127.0.0.1"}
# prometheus.io/docs/practices/naming: base units, and what a name ends in.
UNITS = ("_seconds", "_bytes", "_rows", "_files", "_change_sets", "_ratio")
STATES = ("_standing", "_syncing")


def line(name: str = "EC-TAA", **more: object) -> AircraftRow:
    return AircraftRow(
        **{
            **{"name": name, "tower": "10.1.0.1", "airline": "TA", "standing": "behind"},
            **{"seen_s_ago": 4, "phase": "ground", "flight": "", "position": None, "releases": {}},
            **{"behind": {}, "content_missing": {"files": 3, "bytes": 209}, "work": []},
            **{
                "disk_free_share": 0.25,
                "syncing": False,
                "up": {"use": Backlog(1, 184, 3100, 7200)},
            },
            **{"down": {"cat": Backlog(2, 30, 8120), "usr": Backlog()}, "held_rows": {"use": 2}},
            **more,
        }  # type: ignore[arg-type]
    )


def read(text: bytes) -> dict[tuple[str, ...], float]:
    """The samples by name and labels: ("sync_up_rows", "EC-TAA", "use")."""
    return {
        (one.name.removeprefix("turnaround_"), *one.labels.values()): one.value
        for family in text_string_to_metric_families(text.decode())
        for one in family.samples
    }


def test_each_figure_has_its_aircraft_and_its_stream() -> None:
    found = read(metrics.text([line()], Backup(7200, None, 0)))
    expected = {
        ("sync_up_rows", "EC-TAA", "use"): 184,
        ("sync_up_bytes", "EC-TAA", "use"): 3100,
        ("sync_up_oldest_age_seconds", "EC-TAA", "use"): 7200,
        ("sync_down_change_sets", "EC-TAA", "cat"): 2,
        ("sync_down_oldest_age_seconds", "EC-TAA", "usr"): 0,
        ("sync_held_rows", "EC-TAA", "use"): 2,
        ("sync_held_rows", "EC-TAA", "pay"): 0,
        ("content_missing_files", "EC-TAA"): 3,
        ("content_missing_bytes", "EC-TAA"): 209,
        ("aircraft_last_heard_age_seconds", "EC-TAA"): 4,
        ("aircraft_standing", "EC-TAA", "behind"): 1,
        ("aircraft_standing", "EC-TAA", "even"): 0,
        ("aircraft_disk_free_ratio", "EC-TAA"): 0.25,
        ("backup_age_seconds", "database"): 7200,
        ("backup_age_seconds", "files"): float("inf"),
        ("backup_age_seconds", "wal"): 0,
    }
    assert {key: found.get(key) for key in expected} == expected


def test_one_that_was_never_heard_is_infinitely_old_and_has_no_disk() -> None:
    found = read(metrics.text([line(seen_s_ago=None, disk_free_share=None, up={}, down={})], None))
    assert found["aircraft_last_heard_age_seconds", "EC-TAA"] == float("inf")
    assert ("aircraft_disk_free_ratio", "EC-TAA") not in found
    assert not [key for key in found if key[0].startswith(("backup", "sync_up", "sync_down"))]


def test_names_follow_the_rules_and_each_has_a_meaning() -> None:
    families = list(
        text_string_to_metric_families(metrics.text([line()], Backup(1, 1, 1)).decode())
    )
    assert len(families) > 10
    for one in families:
        assert re.fullmatch(r"turnaround_[a-z_]+", one.name), one.name
        assert one.name.endswith((*UNITS, *STATES)), one.name
        assert one.type == "gauge"
        assert one.documentation.endswith(".")


def test_an_aircraft_more_adds_so_many_lines_and_no_more() -> None:
    few, more = (
        len(metrics.text([line(f"EC-T{n}") for n in range(count)], None).splitlines())
        for count in (1, 101)
    )
    assert (more - few) / 100 <= 60


@pytest.mark.postgres
class TestAsked:
    @pytest.fixture(autouse=True)
    def fleet(self, session, clock) -> None:
        told = {stream: {"epoch": "u1", "unsealed_rows": 7} for stream in ("use", "x" * 9, 'a"b\n')}
        session.add(
            Aircraft(
                name="EC-TAA",
                tower="10.1.0.1",
                airline="TA",
                last_seen=clock() - timedelta(seconds=5),
                last_body={"up": told, "held": {"nonsense": {"rows": 3}}},
            )
        )
        session.commit()

    def test_from_this_host_it_is_told(self, browser) -> None:
        answer = browser.get("/metrics", headers=HERE)
        assert answer.status_code == 200
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        found = read(answer.data)
        assert found["sync_up_rows", "EC-TAA", "use"] == 7

    def test_no_word_of_an_aircraft_becomes_a_label(self, browser) -> None:
        text = browser.get("/metrics", headers=HERE).text
        assert set(re.findall(r'stream="([^"]*)"', text)) <= {*UP, *DOWN}

    @pytest.mark.parametrize("source", [{}, {"X-Real-IP": "10.100.64.11"}])
    def test_for_anybody_else_there_is_nothing_there(self, browser, editor, source) -> None:
        for who in (browser, editor):
            assert who.get("/metrics", headers=source).status_code == 404
