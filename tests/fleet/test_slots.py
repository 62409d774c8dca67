"""Many hosts at once: a slow one keeps nobody, and Ctrl-C ends it all and tells what is known."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from fleet.errors import Exit
from fleet.inventory import Host
from fleet.report import Outcome
from fleet.slots import on_each

HOSTS = [Host(f"EC-T{number:03}", ("aircraft",), (), "10.0.0.1") for number in range(200)]


class Seen:
    """A reporter that only remembers."""

    def __init__(self) -> None:
        self.ended: dict[str, Outcome] = {}
        self.closed = 0

    def progress(self, host: str, text: str) -> None:
        pass

    def done(self, outcome: Outcome) -> None:
        self.ended[outcome.host] = outcome

    def close(self) -> None:
        self.closed += 1


def test_a_slow_host_among_two_hundred_holds_up_none() -> None:
    last = threading.Event()
    count = iter(range(1, 200))

    def work(host: Host, say: Callable[[str], None]) -> Outcome:
        if host is HOSTS[0]:
            assert last.wait(10), "the others waited for the slow one"
        elif next(count) == 199:
            last.set()
        return Outcome(host.name)

    outcomes = on_each(HOSTS, work, Seen(), slots=2)
    assert [each.host for each in outcomes] == [host.name for host in HOSTS]


def test_each_host_is_let_go_of_when_its_work_is_over() -> None:
    gone: list[str] = []

    def work(host: Host, say: Callable[[str], None]) -> Outcome:
        assert len(gone) == HOSTS.index(host)
        return Outcome(host.name)

    outcomes = on_each(HOSTS, work, Seen(), slots=1, after=lambda host: gone.append(host.name))
    assert {each.code for each in outcomes} == {Exit.DONE}
    assert len(gone) == 200


@pytest.fixture
def heard() -> Iterator[None]:
    """Ctrl-C is heard, however the tests were started."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heard")
def test_an_interrupt_ends_at_once_and_says_of_each_host_what_is_known() -> None:
    never, at_work = threading.Event(), threading.Barrier(2)
    worked: list[str] = []

    def work(host: Host, say: Callable[[str], None]) -> Outcome:
        worked.append(host.name)
        if host is HOSTS[0]:
            return Outcome(host.name, status="changed")
        say(f"apply 3/12 file:/etc/x, run {host.name}-1a2b")
        if at_work.wait(5) == 0:
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        never.wait(10)
        return Outcome(host.name)

    seen = Seen()
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        on_each(HOSTS, work, seen, slots=2)
    assert time.monotonic() - started < 5
    begun = list(worked)
    never.set()
    assert seen.closed == 1
    assert seen.ended["EC-T000"].status == "changed"
    cut = seen.ended["EC-T001"]
    assert (cut.code, cut.status) == (Exit.INTERRUPTED, "interrupted")
    assert cut.detail == "last seen at: apply 3/12 file:/etc/x, run EC-T001-1a2b"
    assert "may go on there" in cut.remedy
    rest = [seen.ended[host.name].status for host in HOSTS[3:]]
    assert rest == ["not begun"] * 197
    assert begun == ["EC-T000", "EC-T001", "EC-T002"]
