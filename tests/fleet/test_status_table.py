"""The table of `fab status`: it fits, it says both ways, and what is not a figure is said in words."""

from __future__ import annotations

from typing import Any

import pytest

from common.figures import figure, size, span
from fleet.status_table import table

NOTHING = {"change_sets": 0, "rows": 0, "bytes": 0, "oldest_s": None}
USE = {"change_sets": 1, "rows": 12_345, "bytes": 310_000, "oldest_s": 47 * 3600 + 59}
ROW: dict[str, Any] = {
    "name": "EC-TAA",
    "standing": "behind",
    "seen_s_ago": 4,
    "phase": "ground",
    "releases": {"onboard": {"version": "20261123033259-d3a6d96b1c5b", "state": "confirmed"}},
    "up": {"pay": NOTHING, "use": USE, "usr": {**NOTHING, "rows": 2, "bytes": 90, "oldest_s": 9}},
    "down": {"cat": {"change_sets": 2, "rows": 30, "bytes": 8120, "oldest_s": 7300}},
    "content_missing": {"files": 3, "bytes": 209_000_000},
    "syncing": False,
    "work": [{"kind": "ingest", "state": "done", "reason": ""}],
}
EVEN = {
    **ROW,
    **{"standing": "even", "up": {"use": NOTHING}, "down": {"cat": NOTHING}},
    "content_missing": {"files": 0, "bytes": 0},
}


def below(*rows: dict[str, Any]) -> list[str]:
    """What is told below the table, without the line that parts them."""
    return table(rows)[len(rows) + 3 :]


def test_both_ways_are_said_and_streams_are_told_together() -> None:
    assert table([ROW]) == [
        "                                            up ────────────────  down ─────────────  content ────",
        "aircraft  standing  heard  phase   release   rows  bytes oldest  sets  bytes oldest  files  bytes",
        "EC-TAA    behind    4 s    ground  d3a6d96  12347 310 kB   47 h     2 8.1 kB    2 h      3 209 MB",
    ]


def test_what_is_even_has_dashes() -> None:
    assert table([EVEN])[2].split()[-8:] == ["–"] * 8


def test_the_widest_figures_fit_a_hundred_columns() -> None:
    most = {"change_sets": 99_999, "rows": 99_999_999, "bytes": 999_999_999, "oldest_s": 9e6}
    row = {
        **ROW,
        **{"name": "EC-T0000", "standing": "dispatch", "seen_s_ago": 59 * 60, "phase": "approach"},
        **{"up": {"use": most}, "down": {"cat": {**most, "change_sets": 9999}}},
        "content_missing": {"files": 99_999, "bytes": 999_499_999_999},
    }
    assert max(map(len, table([row]))) <= 100


def test_an_aircraft_that_was_never_heard_has_a_row_too() -> None:
    assert "never" in table([{"name": "EC-TAB", "seen_s_ago": None, "work": None}])[2]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"syncing": True}, "syncing"),
        ({"standing": "working", "work": [{"kind": "converge", "state": "queued"}]}, "converge"),
        ({"standing": "silent", "work": [{"kind": "converge", "state": "running"}]}, "silent"),
    ],
)
def test_one_that_is_at_work_says_what_it_does(row: dict[str, Any], said: str) -> None:
    assert table([{**ROW, **row}])[2].split()[1] == said


def test_what_an_aircraft_says_does_nothing_to_the_terminal() -> None:
    row = {
        **ROW,
        "phase": "\x1b]0;TA12\x07",
        "aside": ["use: stands still aboard: \x1b[2J"],
        "ending": {"\x1b[2J": 1},
        "returned": {"kind": "\x9b2J"},
    }
    assert all(line.isprintable() for line in table([row]))


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"wanted": {"revision": "4bb55946ff91", "failed": 0}}, "configuration 4bb5594 waits"),
        (
            {"wanted": {"revision": "4bb55946ff91", "failed": 3, "reason": "/etc/x:\nno disk"}},
            "configuration 4bb5594 waits, failed 3 ×: /etc/x: no disk",
        ),
        (
            {
                "standing": "failed",
                "work": [{"kind": "dispatch", "state": "failed", "reason": "no route"}],
            },
            "dispatch failed: no route",
        ),
        ({"aside": ["use: 3 rows in quarantine aboard"]}, "use: 3 rows in quarantine aboard"),
        (
            {"ending": {"portal.example.aero": 9}},
            "the certificate of portal.example.aero ends in 9 days",
        ),
        (
            {"ending": {"portal.example.aero": -1}},
            "the certificate of portal.example.aero has ended",
        ),
        (
            {"returned": {"kind": "onboard", "version": "2026-abc", "reason": "/health"}},
            "onboard abc was returned from: /health",
        ),
    ],
)
def test_what_is_no_figure_is_told_below(row: dict[str, Any], said: str) -> None:
    assert below({**ROW, **row}) == [f"EC-TAA: {said}"]


def test_what_is_the_same_of_many_is_said_once_and_a_long_fleet_is_summed_up() -> None:
    wanted = {"revision": "4bb55946ff91", "failed": 0}
    rows = [{**ROW, "name": f"EC-T{number:03}", "wanted": wanted} for number in range(200)]
    first, last = below(*rows)
    assert first.startswith("EC-T000, EC-T001, ")
    assert first.endswith(" more: configuration 4bb5594 waits")
    assert last == (
        "200 aircraft: 200 behind; up 2469400 rows, 62 MB, oldest 47 h; "
        "down 400 change-sets, 1.6 MB, oldest 2 h; content 42 GB"
    )


def test_figures_never_outgrow_their_column() -> None:
    for number in (0, 1, 9, 99, 949, 950, 999, 1000, 9949, 9950, 99_949, 99_999, 999_499, 999_999):
        for factor in (1, 10**3, 10**6):
            assert len(size(number * factor)) <= 6
            assert len(span(number * factor / 10)) <= 6
            assert len(figure(number * factor // 100)) <= 5
