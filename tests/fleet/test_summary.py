"""What is said of many hosts fits a screen: why some failed, which were off-line, how many ended how."""

from __future__ import annotations

import pytest

from fleet.errors import Exit
from fleet.report import Outcome
from fleet.summary import MOST_LINES, names, tally, worst


def failed(host: str, detail: str = "no disk", remedy: str = "") -> Outcome:
    return Outcome(host, Exit.FAILED, "failed", detail, remedy)


def away(host: str, detail: str = "no answer") -> Outcome:
    return Outcome(host, Exit.OFFLINE, "off-line", detail, "call again")


def test_the_failed_come_first_and_what_went_well_is_only_counted() -> None:
    outcomes = [away("EC-TAA"), Outcome("EC-TAB", status="changed"), failed("EC-TAC", "no disk")]
    assert worst(outcomes) == [
        "EC-TAC: failed", "  no disk",
        "EC-TAA: off-line", "  no answer", "  → call again",
    ]  # fmt: skip
    assert tally(outcomes) == "3 hosts: 1 off-line, 1 changed, 1 failed"


@pytest.mark.parametrize(
    ("details", "said"),
    [
        (("no disk", "no disk"), "no disk"),
        (("fab converge --target EC-TAA", "fab converge --target EC-TAB"), "fab … HOST"),
        (
            ("10.64.1.5:22: no answer in 15 s", "10.64.1.6: no answer in 15 s"),
            "…: no answer in … s",
        ),
        (("SHA256:a", "SHA256:b"), ""),
    ],
)
def test_hosts_with_one_reason_are_told_together_without_what_is_their_own(
    details: tuple[str, str], said: str
) -> None:
    lines = worst([failed("EC-TAA", details[0]), failed("EC-TAB", details[1])])
    said = said.replace("fab …", "fab converge --target")
    assert lines[:2] == (["EC-TAA, EC-TAB: failed", f"  {said}"] if said else lines[:2])
    assert len(lines) == (2 if said else 4)


def test_a_reason_has_three_lines_of_a_terminal_at_most() -> None:
    lines = worst([failed("EC-TAA", "word " * 100)], width=60)
    assert len(lines) == 4
    assert max(map(len, lines)) <= 60
    assert lines[-1].endswith(" …")


def test_what_a_program_said_on_many_lines_is_one_on_a_pipe() -> None:
    assert worst([failed("EC-TAA", "it said:\none\n  two")]) == [
        "EC-TAA: failed",
        "  it said: one two",
    ]


@pytest.mark.parametrize("width", [0, 80])
def test_two_hundred_hosts_that_all_failed_in_their_own_way_fit_a_screen(width: int) -> None:
    hosts = [failed(f"EC-T{n:03}", "x" * (n + 1), "y" * (n + 1)) for n in range(200)]
    lines = worst(hosts, width=width)
    assert len(lines) <= MOST_LINES
    told = sum(line.startswith("EC-") for line in lines)
    assert lines[-1] == f"… and {200 - told} more hosts: see the log"
    assert worst(hosts, width=width, logged=False)[-1] == f"… and {200 - told} more hosts"


def test_what_just_fits_leaves_no_line_for_more() -> None:
    hosts = [failed(f"EC-T{n:03}", "x" * (n + 1)) for n in range(MOST_LINES // 2)]
    assert len(worst(hosts)) == MOST_LINES
    assert worst([*hosts, failed("EC-TZZ", "z")])[-1] == "… and 2 more hosts: see the log"


def test_hosts_whose_turn_never_came_are_only_counted() -> None:
    outcomes = [Outcome("EC-TAA", Exit.FAILED, "not begun"), failed("EC-TAB")]
    assert worst(outcomes) == ["EC-TAB: failed", "  no disk"]


def test_as_many_names_as_a_line_has_place_for() -> None:
    hosts = [failed(f"EC-T{n:03}") for n in range(48)]
    for width in (40, 80, 120):
        assert len(f"{names(hosts, width)}: off-line") <= width
    assert names(hosts[:2], 80) == "EC-T000, EC-T001"
    assert names(hosts, 30) == "EC-T000 and 47 more"
