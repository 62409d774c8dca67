"""Probes that hang, break or die hold up nobody else, and leave nothing behind."""

from __future__ import annotations

import errno
import os
import select
import time
from pathlib import Path
from typing import Any

import pytest

from require.remote import apt, probing


def question(noun: str, timeout: float = 10, **spec: object) -> probing.Question:
    return {"noun": noun, "timeout": timeout, "spec": spec}


def guard(*argv: str, timeout: float = 10) -> probing.Question:
    return question("command", timeout, user="", cwd="/", unless=list(argv))


def test_a_probe_that_hangs_is_one_unknown(tmp_path: Path) -> None:
    hanging = guard("sleep", "60", timeout=0.2)
    answers = probing.look([guard("true"), hanging, guard("false")])
    assert answers == [
        {"state": {"done": True}},
        {"failed": "the probe had no answer after 0.2 s"},
        {"state": {"done": False}},
    ]


def test_a_probe_that_breaks_or_dies_is_one_unknown(tmp_path: Path) -> None:
    kill = guard("/bin/sh", "-c", "kill -9 $PPID")
    answers = probing.look([question("file"), kill, guard("true")])
    assert answers == [
        {"failed": "looking failed: KeyError: 'path'"},
        {"failed": "the probe died"},
        {"state": {"done": True}},
    ]


def test_probes_that_together_take_too_long_are_unknown() -> None:
    answers = probing.look([guard("sleep", "60"), guard("true")], total_s=0.2)
    assert ["failed" in answer for answer in answers] == [True, True]
    assert "more than 0.2 s" in answers[1]["failed"]


def test_looking_leaves_nothing_in_our_memory() -> None:
    from require.remote import apt

    probing.look([question("apt", names=["bash"])])
    assert apt._installed is None


def hang(specs: Any) -> None:
    time.sleep(60)


def broken(specs: Any) -> None:
    raise OSError(errno.EIO, "dpkg's list cannot be read")


def test_a_noun_that_hangs_when_it_asks_for_all_is_unknown_and_only_that_noun(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(apt, "prefetch", hang)
    packages = [question("apt", 0.1, names=[name]) for name in ("bash", "nginx")]
    hung = {"failed": "one question for all apt had no answer after 0.1 s"}
    answers = probing.look([guard("true"), packages[0], guard("false"), packages[1], guard("true")])
    assert answers[1] == answers[3] == hung
    assert answers[::2] == [{"state": {"done": done}} for done in (True, False, True)]


def test_a_noun_that_dies_when_it_asks_for_all_is_unknown_and_only_that_noun(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(apt, "prefetch", lambda specs: os.kill(os.getpid(), 9))
    answers = probing.look([question("apt", names=["bash"]), guard("true")])
    assert answers == [{"failed": "one question for all apt died"}, {"state": {"done": True}}]


def test_when_asking_for_all_breaks_each_probe_asks_for_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def found(spec: Any) -> dict[str, Any]:
        return {"dpkg": True, "missing": spec["names"]}

    monkeypatch.setattr(apt, "prefetch", broken)
    monkeypatch.setattr(apt, "probe", found)
    answers = probing.look([guard("true"), question("apt", names=["nginx"])])
    assert answers == [
        {"state": {"done": True}},
        {"state": {"dpkg": True, "missing": ["nginx"]}},
    ]
    monkeypatch.setattr(apt, "probe", broken)
    (answer,) = probing.look([question("apt", names=["nginx"])])
    assert "OSError: [Errno 5] dpkg's list cannot be read" in answer["failed"]


def test_a_noun_asks_for_all_of_its_resources_once_and_not_before_its_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "log"

    def note(what: str) -> None:
        with log.open("a") as file:
            file.write(f"{what}\n")

    monkeypatch.setattr(apt, "prefetch", lambda specs: note(f"all {len(specs)}"))
    monkeypatch.setattr(apt, "probe", lambda spec: note("one"))
    before = guard("/bin/sh", "-c", f"echo guard >> '{log}'")
    probing.look([before, question("apt", names=["a"]), question("apt", names=["b"])])
    assert log.read_text().split("\n") == ["guard", "all 2", "one", "one", ""]


def test_a_probe_that_hangs_is_ended_with_all_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "held")
    held = os.open(tmp_path / "held", os.O_RDONLY | os.O_NONBLOCK)
    wait = select.select

    def impatient(reading: list[int], *_: Any) -> tuple[list[int], list[int], list[int]]:
        """No answer in time, as soon as the guard is known to hang."""
        ready = wait([*reading, held], [], [], 10)[0]
        return [each for each in ready if each in reading], [], []

    monkeypatch.setattr(probing.select, "select", impatient)
    hanging = f"exec 9> '{tmp_path}/held'; echo up >&9; sleep 60 & sleep 60"
    (answer,) = probing.look([guard("/bin/sh", "-c", hanging)])
    assert "no answer" in answer["failed"]
    assert os.read(held, 3) == b"up\n"
    assert wait([held], [], [], 5)[0], "somebody who was started still has it open"
    assert os.read(held, 1) == b""
    os.close(held)


def test_a_host_with_no_room_for_a_process_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> int:
        raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", full)
    (answer,) = probing.look([guard("true")])
    assert answer["failed"] == "not looked at: [Errno 11] Resource temporarily unavailable"
