"""The live table never outgrows the terminal, and what must be looked at is what it shows."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from fleet.errors import Exit
from fleet.live import LiveReporter
from fleet.report import WAITS, Outcome

NAMES = [f"EC-T{number:03}" for number in range(200)]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Screen:
    """A live table on a terminal of this size."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, width: int, height: int, *, whole: bool = False
    ) -> None:
        monkeypatch.setenv("COLUMNS", str(width))
        monkeypatch.setenv("LINES", str(height))
        self.width, self.height, self.out = width, height, Terminal()
        self.live = LiveReporter(self.out, lambda: "/logs/run", whole=whole)

    def shown(self) -> list[str]:
        console = Console(file=io.StringIO(), width=self.width, height=self.height)
        console.print(self.live.table())
        return [line.rstrip() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]


def failing(host: str) -> Outcome:
    return Outcome(host, Exit.FAILED, "failed", f"nginx did not start: {'because ' * 40}")


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 40), (40, 10), (200, 5)])
@pytest.mark.parametrize("failed", [0, 3, 60])
def test_two_hundred_hosts_fit_any_terminal(
    width: int, height: int, failed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = Screen(monkeypatch, width, height)
    for name in NAMES:
        screen.live.progress(name, WAITS)
    for name in NAMES[:failed]:
        screen.live.done(failing(name))
    for name in NAMES[failed : failed + 8]:
        screen.live.progress(name, f"apply 3/12 file:/etc/{'x' * 200}")
    shown = screen.shown()
    screen.live.close()
    assert len(shown) <= max(height, 9) - 1
    assert max(map(len, shown)) <= width
    assert f"{192 - failed} waiting" in " ".join(shown)
    assert sum(line.startswith("EC-") for line in shown) >= 3


def test_who_is_at_work_and_who_failed_is_shown_and_nobody_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    screen = Screen(monkeypatch, 80, 24)
    for name in NAMES:
        screen.live.progress(name, WAITS)
    screen.live.done(Outcome(NAMES[0], status="changed"))
    screen.live.done(Outcome(NAMES[1], Exit.OFFLINE, "off-line"))
    screen.live.done(Outcome(NAMES[2], Exit.FAILED, "failed", "no disk"))
    screen.live.progress(NAMES[3], "probe 0/68")
    assert screen.shown() == [
        "EC-T002  failed    no disk",
        "EC-T003  …         probe 0/68",
        "200 hosts: 1 changed, 1 off-line, 1 failed, 1 at work, 196 waiting",
    ]
    screen.live.close()


def test_more_that_failed_than_there_is_place_for_are_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    screen = Screen(monkeypatch, 80, 24)
    for name in NAMES:
        screen.live.progress(name, WAITS)
    for name in NAMES[:50]:
        screen.live.done(failing(name))
    shown = screen.shown()
    screen.live.close()
    assert shown[0].startswith("EC-T031  failed")
    assert shown[19] == "         failed  … and 31 before"


def test_a_long_fleet_ends_with_a_summary_that_names_the_log(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    screen = Screen(monkeypatch, 80, 24)
    for number, name in enumerate(NAMES):
        screen.live.progress(name, WAITS)
        changed = Outcome(name, status="changed", lines=("changed: file:/etc/motd",))
        screen.live.done(Outcome(name, Exit.FAILED, "failed", "no disk") if not number else changed)
    screen.live.close()
    ended = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.out.getvalue()).rstrip().splitlines()[-7:]
    assert ended == [
        "EC-T000: failed", "  no disk", "", "199 hosts have more to say: see the log",
        "", "200 hosts: 199 changed, 1 failed", "log: /logs/run",
    ]  # fmt: skip


def test_diffs_that_were_asked_for_are_shown_of_every_host(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen(monkeypatch, 80, 24, whole=True)
    for name in NAMES:
        screen.live.progress(name, WAITS)
        screen.live.done(Outcome(name, status="changed", detail="1 of 2", lines=("+ here",)))
    screen.live.close()
    assert screen.out.getvalue().count("+ here") == 200
    assert screen.out.getvalue().count("changed: 1 of 2") == 200


def test_hosts_of_which_only_the_remedy_is_left_are_told_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    screen = Screen(monkeypatch, 80, 24)
    for name in NAMES[:5]:
        screen.live.done(Outcome(name, Exit.OFFLINE, "off-line", "no answer", "call again"))
    screen.live.close()
    assert screen.out.getvalue().count("call again") == 1
    assert "EC-T000, EC-T001, EC-T002, EC-T003, EC-T004" in screen.out.getvalue()
