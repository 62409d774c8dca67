"""What a command prints and how it exits, on one host and on many."""

from __future__ import annotations

import io
import itertools
import json
import re
import threading
from collections.abc import Callable

import pytest

from fleet.errors import Exit, FleetError, Offline, UsageError, combine
from fleet.inventory import Host
from fleet.live import LiveReporter
from fleet.report import JsonReporter, Outcome, PlainReporter, exit_code, reporter
from fleet.slots import most_failed, on_each

HOSTS = [Host(name, ("aircraft",), (), "10.0.0.1") for name in ("EC-TAA", "EC-TAB", "EC-TAC")]


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        ([], 0),
        ([0, 0], 0),
        ([0, 3], 3),
        ([3, 2], 2),
        ([2, 4, 3], 4),
        ([3, 4], 4),
        ([4, 64], 64),
    ],
)
def test_failed_goes_over_changes_over_off_line_over_done(codes: list[int], expected: int) -> None:
    for order in itertools.permutations(codes):
        assert combine(Exit(code) for code in order) == expected


def test_off_line_is_not_failed() -> None:
    away = Outcome.of("EC-TAA", Offline("EC-TAA: 10.0.0.1: no answer within 15 s"))
    assert (away.status, away.code) == ("off-line", Exit.OFFLINE)
    assert away.detail == "10.0.0.1: no answer within 15 s"
    broken = Outcome.of("EC-TAA", FleetError("EC-TAA: nginx did not start", "look at the log"))
    assert (broken.status, broken.code, broken.remedy) == ("failed", Exit.FAILED, "look at the log")


def test_json_is_one_object_per_host_and_line() -> None:
    out = io.StringIO()
    show = JsonReporter(out)
    show.progress("EC-TAA", "probing")
    show.done(Outcome("EC-TAA", Exit.CHANGES, "would change", "2 of 33", data={"trips": 7}))
    show.done(Outcome("EC-TAB", data={"trips": 6}))
    first, second = (json.loads(line) for line in out.getvalue().splitlines())
    assert first == {
        "host": "EC-TAA",
        "exit": 2,
        "status": "would change",
        "detail": "2 of 33",
        "trips": 7,
    }
    assert second["host"] == "EC-TAB"


def test_plain_lines_each_begin_with_the_host() -> None:
    out = io.StringIO()
    show = PlainReporter(out)
    show.done(Outcome("EC-TAA", Exit.FAILED, "failed", "no disk", "free some", lines=("+a", "-b")))
    assert all(line.startswith("EC-TAA: ") for line in out.getvalue().splitlines())
    assert "→ free some" in out.getvalue()


def test_plain_progress_is_told_only_of_a_host_that_takes_its_time() -> None:
    out, now = io.StringIO(), [0.0]
    show = PlainReporter(out, lambda: now[0])
    for now[0], text in ((0.0, "waits"), (9.0, "probe 0/68"), (16.0, "unpack 3/9"), (20.0, "done")):
        show.progress("EC-TAA", text)
    show.done(Outcome("EC-TAA", Exit.DONE, "changed"))
    assert out.getvalue().splitlines() == ["EC-TAA: … unpack 3/9", "EC-TAA: changed"]


class Gone(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


def test_a_reader_that_is_gone_is_told_at_the_end_of_a_host_and_not_amid_its_work() -> None:
    now = [0.0]
    show = PlainReporter(Gone(), lambda: now[0])
    for now[0] in (0.0, 20.0):
        show.progress("EC-TAA", "apply 3/12")
    with pytest.raises(BrokenPipeError):
        show.done(Outcome("EC-TAA"))


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_below_the_table_is_what_each_host_has_to_say_and_how_many_ended_how(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    out = Terminal()
    live = LiveReporter(out)
    for name in ("EC-TAA", "EC-TAB", "EC-TAC"):
        live.progress(name, "waits")
    long = "nginx: " + "a" * 80
    live.done(Outcome("EC-TAB", Exit.FAILED, "failed", remedy="look :+1:", lines=(long,)))
    live.done(Outcome("EC-TAC"))
    live.done(Outcome("EC-TAA", lines=("+ here",)))
    live.close()
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", out.getvalue())
    below = shown[shown.index("\nEC-TAA\n") :]
    assert below.splitlines() == [
        "", "EC-TAA", "  + here", "", "EC-TAB", f"  {long}", "  → look :+1:",
        "", "3 hosts: 2 done, 1 failed",
    ]  # fmt: skip


def test_a_pipe_gets_plain_lines_and_a_terminal_a_table() -> None:
    assert isinstance(reporter(False, io.StringIO()), PlainReporter)
    assert isinstance(reporter(True, Terminal()), JsonReporter)
    out = Terminal()
    live = reporter(False, out)
    assert isinstance(live, LiveReporter)
    live.progress("EC-TAA", "probing")
    live.done(Outcome("EC-TAA", Exit.CHANGES, "would change", "[1] of 2", lines=("+[red]new",)))
    live.close()
    assert "would change" in out.getvalue()
    assert "+[red]new" in out.getvalue()


def test_each_host_gets_its_outcome_and_an_error_stops_only_its_own() -> None:
    def work(host: Host, say: Callable[[str], None]) -> Outcome:
        say("working")
        if host.name == "EC-TAA":
            raise Offline("EC-TAA: in the air")
        if host.name == "EC-TAB":
            raise ZeroDivisionError("oops")
        return Outcome(host.name)

    out = io.StringIO()
    outcomes = on_each(HOSTS, work, PlainReporter(out))
    assert [(o.host, int(o.code)) for o in outcomes] == [
        ("EC-TAA", 3),
        ("EC-TAB", 4),
        ("EC-TAC", 0),
    ]
    assert exit_code(outcomes) == Exit.FAILED
    assert "ZeroDivisionError" in outcomes[1].detail


def test_no_more_hosts_than_slots_work_at_once_and_the_slowest_keeps_nobody() -> None:
    slow_goes_on = threading.Event()
    running, most = [0], [0]
    lock = threading.Lock()

    def work(host: Host, say: Callable[[str], None]) -> Outcome:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        if host.name == "EC-TAA":
            assert slow_goes_on.wait(5)
        if host.name == "EC-TAC":
            slow_goes_on.set()
        with lock:
            running[0] -= 1
        return Outcome(host.name)

    outcomes = on_each(HOSTS, work, PlainReporter(io.StringIO()), slots=2)
    assert exit_code(outcomes) == Exit.DONE
    assert most[0] == 2


@pytest.mark.parametrize(
    ("allowed", "statuses"),
    [
        (None, ["failed", "off-line", "failed"]),
        (0, ["failed", "not begun", "not begun"]),
        (1, ["failed", "off-line", "failed"]),
    ],
)
def test_when_too_many_have_failed_no_other_host_is_begun(
    allowed: int | None, statuses: list[str]
) -> None:
    def work(host: Host, say: object) -> Outcome:
        if host.name == "EC-TAB":
            raise Offline("EC-TAB: no answer")
        raise FleetError(f"{host.name}: nginx did not start")

    outcomes = on_each(HOSTS, work, PlainReporter(io.StringIO()), slots=1, max_failed=allowed)
    assert [each.status for each in outcomes] == statuses
    assert exit_code(outcomes) == Exit.FAILED


@pytest.mark.parametrize("text", ["-1", "two", "101%", "5 %", "1.5"])
def test_a_bound_that_is_none_is_wrong_usage(text: str) -> None:
    with pytest.raises(UsageError, match="--max-failed: expected a number such as 2 or 5%"):
        most_failed(text, 10)


@pytest.mark.parametrize("slots", [0, -1])
def test_without_a_slot_nothing_would_ever_end_so_it_is_wrong_usage(slots: int) -> None:
    closed: list[bool] = []

    class Closing(PlainReporter):
        def close(self) -> None:
            closed.append(True)

    with pytest.raises(UsageError, match=f"--slots: expected 1 or more, found {slots}"):
        on_each(HOSTS, lambda host, say: Outcome(host.name), Closing(io.StringIO()), slots=slots)
    assert closed == [True]


def test_a_reader_that_goes_away_ends_the_command_instead_of_hanging_it() -> None:
    ended: list[BaseException] = []

    def command() -> None:
        try:
            on_each(HOSTS, lambda host, say: Outcome(host.name), PlainReporter(Gone()))
        except BrokenPipeError as error:
            ended.append(error)

    thread = threading.Thread(target=command, daemon=True)
    thread.start()
    thread.join(5)
    assert not thread.is_alive()
    assert len(ended) == 1
