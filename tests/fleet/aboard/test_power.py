"""Power that goes at any moment of a release, on a model of the disk: what was not synced may be lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import pytest

from fleet.aboard import envelope, lifecycle, state, store
from fleet.aboard.errors import AboardError, ManifestError
from fleet.aboard.steps import Step
from fleet.aboard.trial import Result
from tests.disk import Image, Op, images, lay_out
from tests.fleet.aboard.host import SIGNATURE, Built, Cut, Host, build, wheel
from tests.watcher import Killed, Watcher

pytestmark = pytest.mark.slow

ORDER = 1_900_000_000  # higher than the counters of all other orders here
MOST = 5  # disks that are looked at after each operation, and more when all is over
MOST_AT_LAST = 24
SLOW = pytest.mark.slow


class Broken(AssertionError):
    """A disk on which what is promised does not hold."""


def small(number: int, **others: bytes) -> Built:
    """An artifact of a few small files, so that there are not too many disks."""
    code = wheel({"app/__init__.py": f"number = {number}\n".encode()})
    page = f"<p>{number}</p>".encode()
    return build(number, files={"wheels/app.whl": code, "page.html": page, **others})


OLD, NEW = small(1), small(2)


@dataclass
class Bench:
    """A host whose disk is the model's."""

    host: Host

    @property
    def root(self) -> Path:
        return self.host.root / "disk"

    def watch(self, lost: str = "") -> Watcher:
        """Takes all that is on the disk for synced, and has what comes written down."""
        watcher = Watcher(self.root, lambda place: place == lost)
        self.host.world = replace(
            self.host.world,
            at=lambda step: (self.host._at(step), watcher.note(step)),
            flush=lambda folder: watcher.sync("world.flush", self.root / "opt"),
        )
        return watcher

    def unwatched(self) -> None:
        self.host.world = replace(self.host.world, at=self.host._at, flush=lambda folder: None)


@pytest.fixture
def bench(host: Host) -> Bench:
    for name in ("opt", "var"):
        (host.root / "disk" / name).mkdir(parents=True)
        (host.root / name).symlink_to(f"disk/{name}")
    return Bench(host)


def many(host: Host) -> None:
    """More good releases than are kept, and a bad one."""
    host.ill.add(small(13).version)
    for built in (small(11), small(12), small(13), small(14), OLD):
        host.accept(built)


def other(host: Host) -> None:
    """A bad release with other contents under the version that comes next."""
    host.accept(OLD)
    bad(host, small(2, another=b"one file more"))


def bad(host: Host, built: Built = NEW) -> None:
    host.spoilt.add(built.version)
    host.accept(built)
    host.spoilt.clear()


def cut(host: Host) -> None:
    """A trial that the power ended."""
    host.accept(OLD)
    host.cut_at = Step.HEALTH
    with pytest.raises(Cut):
        host.accept(NEW)
    host.cut_at = None


@dataclass(frozen=True)
class Run:
    """What was done before, what is done, and what is current when it is over."""

    before: Callable[[Host], object]
    do: Callable[[Host], object]
    last: Built | None

    @property
    def is_first(self) -> bool:
        return self.before is nothing


def nothing(host: Host) -> None:
    """A host that never had a release."""


def to_new(host: Host, order: int = ORDER) -> Result:
    """However often, it is one order."""
    sealed = envelope.pack(NEW.said(order).text(), SIGNATURE)
    return host.accept(NEW, NEW.frames(store.missing(host.world, NEW.manifest), sealed))


def to_old(host: Host) -> object:
    return host.accept(OLD)


RUNS = {
    "first": Run(nothing, to_new, NEW),
    "first and bad": Run(nothing, bad, None),
    "good": Run(to_old, to_new, NEW),
    "bad": Run(to_old, bad, OLD),
    "cleaning": Run(many, to_new, NEW),
    "other contents": Run(other, to_new, NEW),
    "rollback": Run(
        lambda host: (to_old(host), to_new(host)),
        lambda host: lifecycle.rollback(host.world, "onboard"),
        OLD,
    ),
    "recover": Run(cut, Host.reboot, OLD),
}
MANY_DISKS = ("cleaning", "other contents")
# Each is needed: without it some power cut in this run breaks what is promised.
SYNCS = {
    "disk.sync_folder of disk.make_folder of lock.held": "first",
    "disk.sync_folder of disk.make_folder of store.receive": "first",
    "disk.sync_folder of disk.make_folder of trial._serve": "first",
    "disk.sync_folder of disk.point of trial._serve": "good",
    "disk.sync_folder of disk.point of trial.go_back": "bad",
    "disk.sync_folder of disk.remove_tree of trial._clean": "cleaning",
    "disk.sync_folder of disk.remove_tree of unpack.release": "other contents",
    "disk.sync_folder of disk.write of state.save": "good",
    "disk.sync_folder of disk.write of store.receive": "good",
    "disk.sync_folder of trial.go_back": "first and bad",
    "disk.sync_folder of unpack.release": "good",
    "disk.write of state.save": "good",
    "disk.write of store.receive": "good",
    "world.flush": "good",
}
# And these where the run before was killed; the latter's second place, for a release that is there.
SYNCS_AGAIN = ("disk.sync_folder of state.load", "disk.sync_folder of unpack.release")


def check(bench: Bench, run: Run, done: list[object], over: bool) -> None:
    """Sees that what is promised holds on the disk that a power cut left, before and after the boot.

    Args:
        done: the steps that were begun before it.
        over: whether the run had ended.
    """
    host = bench.host
    _whole(bench, run)
    _over(bench, run, over)
    if Step.UNPACK in done and Step.CLEAN not in done and store.missing(host.world, NEW.manifest):
        raise Broken("what had arrived whole was not kept")
    host.reboot()
    _whole(bench, run)
    known = state.load(host.world)
    if (
        host.current() == NEW.version
        and run.before in (nothing, to_old)
        and Step.CONFIRM not in done
    ):
        raise Broken("the new release is current, and it was never asked whether it is well")
    if known.on_trial():
        raise Broken("a trial is left")
    _over(bench, run, over)


def _over(bench: Bench, run: Run, over: bool) -> None:
    """Sees that what a run that had ended did is there, without anybody who mends it."""
    if over and bench.host.current() != (run.last and run.last.version):
        raise Broken(f"the run was over, and current is {bench.host.current()}")


def _whole(bench: Bench, run: Run) -> None:
    """Sees that current names a release, and that each release that has its name is whole."""
    current = bench.host.current()
    there = bench.host.world.home / "releases/onboard"
    names = {path.name for path in there.glob("*-????????????")}
    halves = [name for name in names if not _is_whole(bench.host, name)]
    if halves or current not in (names if current or not run.is_first else {None}):
        raise Broken(f"current is {current}, there are {names}, not whole are {halves}")


def _is_whole(host: Host, version: str) -> bool:
    try:
        return host.is_whole(version)
    except (OSError, ManifestError):
        return False


def finish(bench: Bench) -> None:
    """Sees that the next run finishes, and leaves only what is whole."""
    result = to_new(bench.host, ORDER + 1)
    names = [path.name for path in (bench.host.world.home / "releases/onboard").iterdir()]
    # What was being removed goes with the next release.
    keeps = result.result == "already"
    halves = [
        name
        for name in names
        if not (_is_whole(bench.host, name) or (keeps and name.endswith(".old")))
    ]
    if result.exit_code or bench.host.current() != NEW.version or halves:
        raise Broken(f"after the next run: {result}, {halves}")


def broken(
    bench: Bench, watcher: Watcher, run: Run, *, every: int = 0, first: int = 0
) -> Iterator[str]:
    """Looks at each disk that may be left, and yields what is broken on it.

    Args:
        every: lets every so many-th be mended by the next run; 0 none.
        first: how many operations were done before the first cut.
    """
    bench.unwatched()
    for number, (count, image) in enumerate(_disks(watcher, first), 1):
        lay_out(image, bench.root)
        done = [op.note for op in watcher.ops[:count] if op.what == "note"]
        try:
            check(bench, run, done, over=count == len(watcher.ops))
            if every and number % every == 0:
                finish(bench)
        except (Broken, AboardError, OSError) as error:
            last = watcher.ops[count - 1]
            yield f"after {count} operations, {last.what} {last.names}: {error}"


def _disks(watcher: Watcher, first: int) -> Iterator[tuple[int, Image]]:
    """Yields each disk that may be left, with how many operations were done; one that was seen only
    after another step was begun and at the end again."""
    known = set()
    for count in range(first, len(watcher.ops) + 1):
        last = count == len(watcher.ops)
        if last or watcher.ops[count - 1].what == "note":
            known.clear()
        most = MOST_AT_LAST if last else MOST
        for image in images(watcher.image, watcher.ops[:count], Random(count), most):
            key = frozenset(image.items())
            if key not in known:
                known.add(key)
                yield count, image


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[SLOW] * (name in MANY_DISKS)) for name in RUNS]
)
def test_a_power_cut_at_any_moment_breaks_nothing(bench: Bench, name: str) -> None:
    run = RUNS[name]
    run.before(bench.host)
    watcher = bench.watch()
    with watcher.watching():
        run.do(bench.host)
    assert watcher.places <= {*SYNCS, *SYNCS_AGAIN}
    assert list(broken(bench, watcher, run, every=9)) == []


@pytest.mark.parametrize("place", SYNCS)
def test_each_sync_is_needed(bench: Bench, place: str) -> None:
    run = RUNS[SYNCS[place]]
    run.before(bench.host)
    watcher = bench.watch(lost=place)
    with watcher.watching():
        run.do(bench.host)
    assert watcher.first_lost is not None
    # Up to there it is the run in which nothing is lost.
    assert next(broken(bench, watcher, run, first=watcher.first_lost), "")


def _is_named(op: Op) -> bool:
    """Whether an operation gave something its name by which it is known to be whole."""
    return op.what == "entries" and len(op.names) == 2


def killed(bench: Bench, run: Run, lost: str = "") -> Iterator[str]:
    """Kills a run after each name that it gave, lets the next one end, and then cuts the power.

    What a killed process left unsynced is as lost to the power as what the next one leaves.

    Args:
        lost: the sync that the next one leaves out.
    """
    run.before(bench.host)
    start = bench.watch().image
    lay_out(start, bench.root)
    watcher = bench.watch()
    with watcher.watching():
        run.do(bench.host)
    for moment in [count for count, op in enumerate(watcher.ops, 1) if _is_named(op)]:
        lay_out(start, bench.root)
        again = bench.watch()
        again.kill_at = moment
        with pytest.raises(Killed), again.watching():
            run.do(bench.host)
        assert again.ops[-1].names == watcher.ops[moment - 1].names
        again.kill_at, again.lost = -1, lambda place: place == lost
        with again.watching():
            run.do(bench.host)
        yield from broken(bench, again, run, first=len(again.ops))


@pytest.mark.parametrize(
    "name", ["first", pytest.param("good", marks=SLOW), pytest.param("other contents", marks=SLOW)]
)
def test_a_power_cut_after_a_run_that_was_killed_breaks_nothing(bench: Bench, name: str) -> None:
    assert list(killed(bench, RUNS[name])) == []


@pytest.mark.parametrize("lost", SYNCS_AGAIN)
def test_what_a_killed_run_left_must_be_synced(bench: Bench, lost: str) -> None:
    assert next(killed(bench, RUNS["good"], lost), "")
