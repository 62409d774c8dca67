"""Power that goes at any moment of a run, on a model of the disk: whatever was not synced may be lost."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import pytest

import require
from require.remote import command, file, journal, kept, lock, pending, private, probing, worker
from tests.disk import Image, images, lay_out
from tests.require.host import Here, Host
from tests.require.recorder import Killed, Recorder

pytestmark = pytest.mark.slow

MODULES = (file, journal, kept, lock, pending, private, worker)
# Each of them is needed: without it some power cut breaks what is promised.
FSYNCS = {
    "file._attributes",
    "file.apply",
    "journal.write",
    "private.write",
    "private.sync of journal.__init__",
    "private.sync of kept.keep",
    "private.sync of pending.clear",
    "private.sync of private._make",
    "private.sync of private.write",
}
OF_OTHERS = "kept._link"  # syncs what somebody else wrote
OLD, NEW = "old\n" * 30, "new\n" * 50
TEXTS = {"a": NEW, "b": NEW, "link": "new", "lines": "kept\nnew\n"}


class Broken(AssertionError):
    """A disk on which what is promised does not hold."""


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    mask = os.umask(0o077)
    yield
    os.umask(mask)
    signal.alarm(0)  # or the lock of a run would end the tests


@dataclass
class Bench:
    """A host whose disk is the model's, and what is to be on it."""

    host: Host
    monkeypatch: pytest.MonkeyPatch
    recorder: Recorder = field(init=False)

    def __post_init__(self) -> None:
        self.monkeypatch.setattr(probing, "look", _look)
        self.monkeypatch.setattr(command, "handle", self._handle)

    def begin(self, lost: Callable[[str], bool] = lambda place: False) -> None:
        """Takes all that is on the disk for synced, and writes down what is done from now on."""
        self.recorder = Recorder(self.host.root, lost)
        for module in MODULES:
            self.monkeypatch.setattr(module, "os", self.recorder)

    def _handle(self, spec: dict[str, Any]) -> None:
        self.recorder.note(self.texts())

    def texts(self) -> dict[str, str]:
        return {name: self.text(name) for name in TEXTS}

    def text(self, name: str) -> str:
        path = self.host.root / "etc" / name
        if path.is_symlink():
            return os.readlink(path)
        return path.read_text() if path.exists() else "absent"

    def wanted(self) -> require.Catalog:
        """A new file, a changed one, a link, a folder, a line; most of them call for the handler."""
        top = self.host.root / "etc"
        with require.declare() as catalog:
            tell = [require.command.handler("tell", ["true"])]
            require.file.file(f"{top}/a", content=NEW, owner=None, notify=tell)
            require.file.file(f"{top}/b", content=NEW, owner=None, mode=0o640, notify=tell)
            require.file.link(f"{top}/link", "new", notify=tell)
            require.file.directory(f"{top}/folder", owner=None)
            require.line.line(f"{top}/lines", "new", match="^(old|new)$", notify=tell)
        return catalog

    def converge(self) -> require.Result:
        return self.host.converge(self.wanted(), transport=Here())

    def is_as_declared(self) -> bool:
        return self.texts() == TEXTS and (self.host.root / "etc/folder").is_dir()


def _look(questions: Any, total_s: float = 90) -> list[Any]:
    """Probes in this process: a fork for each would take most of the time, and has no part in this."""
    return [probing._do(each) for each in questions]


@pytest.fixture
def bench(host: Host, monkeypatch: pytest.MonkeyPatch) -> Bench:
    (host.root / "etc").mkdir()
    (host.root / "var/lib").mkdir(parents=True)
    (host.root / "etc/b").write_text(OLD)
    (host.root / "etc/link").symlink_to("old")
    (host.root / "etc/lines").write_text("kept\nold\n")
    host.state = host.root / "var/lib/turnaround"
    return Bench(host, monkeypatch)


def check(bench: Bench, count: int, before: dict[str, str], over: bool) -> None:
    """Sees that what is promised holds on the disk that a power cut left.

    Args:
        count: how many operations were done before it.
        before: what the disk held before all of them.
        over: whether the run had ended.
    """
    for name, new in TEXTS.items():
        text = bench.text(name)
        if text not in (before[name], new):
            raise Broken(f"{name} is half: {text!r}")
    changed = [name for name, new in TEXTS.items() if bench.text(name) == new != before[name]]
    last = journal.last(f"{bench.host.state}/runs")
    marked = [each["key"] for each in pending.waiting(f"{bench.host.state}/pending")]
    seen = [op.note for op in bench.recorder.ops[:count] if op.what == "note"]
    begun = _begun(bench.host.state)
    for name in changed:
        if not marked and not any(note[name] == TEXTS[name] for note in seen):
            raise Broken(f"{name} is new, its handler did not run, and nothing says that it must")
        if not any(f"/etc/{name}" in key for key in begun):
            raise Broken(f"{name} is new, and no journal says that it was begun")
        if before[name] not in _kept(bench.host.state, name):
            raise Broken(f"{name} is new, and what it was cannot be put back")
    if over and (marked or not bench.is_as_declared() or last is None or not last["finished"]):
        raise Broken(f"the run was over: {marked}, {changed}, {last}")


def _begun(state: Path) -> list[str]:
    """The keys of what the journals say was begun."""
    return [event["key"] for _, event in _events(state, "begin")]


def _kept(state: Path, name: str) -> Iterator[str]:
    """What was kept of a name, as `Bench.text` tells it."""
    for folder, event in _events(state, "kept"):
        was = event["was"]
        if not event["path"].endswith(f"/etc/{name}"):
            continue
        if was["kind"] == "file":
            copy = folder / event["copy"]
            yield copy.read_text() if event["copy"] and copy.exists() else "lost"
        else:
            yield was.get("target", "absent")


def _events(state: Path, wanted: str) -> Iterator[tuple[Path, dict[str, Any]]]:
    """The lines of one kind in the journals, each with its run's folder."""
    for path in state.glob("runs/*/journal.jsonl"):
        for line in path.read_text().splitlines():
            if line.endswith("}") and (event := json.loads(line))["event"] == wanted:
                yield path.parent, event


def finish(bench: Bench) -> None:
    """Sees that the next run makes all as declared and leaves nothing."""
    bench.begin()
    result = bench.converge()
    left = [str(path) for path in bench.host.root.rglob("*~")]
    if (
        result.errors
        or not bench.is_as_declared()
        or left
        or pending.waiting(f"{bench.host.state}/pending")
    ):
        raise Broken(f"after the next run: {result.errors}, {left}")


def broken(bench: Bench, every: int = 0, first: int = 0, ended: bool = True) -> Iterator[str]:
    """Looks at each disk that may be left, and yields what is broken on it.

    Args:
        every: lets every so many-th be mended by the next run; 0 none.
        first: how many operations were done before the first cut.
        ended: whether a run had ended after the last one.
    """
    recorder = bench.recorder
    lay_out(recorder.image, bench.host.root)
    before = bench.texts()
    total = len(recorder.ops)
    for number, (count, image) in enumerate(_disks(recorder, first), 1):
        lay_out(image, bench.host.root)
        try:
            check(bench, count, before, over=ended and count == total)
            if every and number % every == 0:
                finish(bench)
        except (Broken, ValueError) as error:
            last = recorder.ops[count - 1]
            yield f"after {count} operations, {last.what} {last.names}: {error}"
        bench.recorder = recorder


def _disks(recorder: Recorder, first: int) -> Iterator[tuple[int, Image]]:
    """Yields each disk that may be left, with how many operations were done; one that was seen only
    after a handler and at the end again."""
    known = set()
    for count in range(first, len(recorder.ops) + 1):
        if count == len(recorder.ops) or recorder.ops[count - 1].what == "note":
            known.clear()
        for image in images(recorder.image, recorder.ops[:count], Random(count)):
            key = frozenset(image.items())
            if key not in known:
                known.add(key)
                yield count, image


def test_a_power_cut_at_any_moment_of_a_first_run_breaks_nothing(bench: Bench) -> None:
    bench.begin()
    assert not bench.converge().errors
    assert list(broken(bench, every=9)) == []


@pytest.mark.parametrize("place", sorted(FSYNCS))
def test_each_fsync_is_needed(bench: Bench, place: str) -> None:
    bench.begin(lost=lambda each: each == place)
    assert not bench.converge().errors
    assert bench.recorder.places == {*FSYNCS, OF_OTHERS}
    assert next(broken(bench), "")


@pytest.mark.parametrize("lost", ["", OF_OTHERS])
def test_what_somebody_wrote_a_moment_ago_is_kept_whole(bench: Bench, lost: str) -> None:
    bench.begin(lambda place: place == lost)
    bench.recorder.unsynced(bench.host.root / "etc/b")
    assert not bench.converge().errors
    kept = []
    for _, image in _disks(bench.recorder, first=1):
        lay_out(image, bench.host.root)
        if bench.text("b") == NEW:
            kept.append(OLD in _kept(bench.host.state, "b"))
    assert all(kept) == (lost == "")


def killed(bench: Bench, lost: str = "") -> Iterator[str]:
    """Kills a run after each name that it makes, lets the next one finish, and then cuts the power.

    What a killed process left unsynced is as lost to the power as what its heir leaves.
    """
    for name in ("b", "lines"):
        (bench.host.root / "etc" / name).write_text(TEXTS[name])
    bench.begin()
    bench.converge()
    start = bench.recorder.image
    moments = [
        count
        for count, op in enumerate(bench.recorder.ops, 1)
        if op.what == "entries" and not op.names[-1][0].endswith("~")
    ]
    for moment in moments:
        lay_out(start, bench.host.root)
        bench.begin(lambda place: place == lost)
        bench.recorder.kill_at = moment
        with pytest.raises(Killed):
            bench.converge()
        bench.recorder.kill_at = -1
        result = bench.converge()
        assert not result.errors
        yield from broken(bench, first=moment, ended=bool(result.run))


def test_a_power_cut_after_a_run_that_was_killed_breaks_nothing(bench: Bench) -> None:
    assert list(killed(bench)) == []


def test_what_a_killed_run_left_must_be_synced(bench: Bench) -> None:
    assert next(killed(bench, lost="worker._locked"), "")
