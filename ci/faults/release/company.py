"""Somebody else at work on the same host, or on the same clock: one after the other, and each is told why."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from random import Random
from time import sleep

from ci.faults import clock
from ci.faults.case import Case
from ci.faults.release import held
from ci.faults.release.aftermath import finished, served, told_why
from ci.faults.release.artifacts import KIND, Made
from ci.faults.release.matrix import DOWN
from ci.faults.release.stand import ABOARD, HELD, Stand
from ci.story.teller import NotSo
from fleet.aboard.steps import Step

LATE_S = 2.0
AT_WORK = "is at work on this host's releases"


def two(stand: Stand, chance: Random) -> str:
    """Two operators ship two releases at once."""
    one, other = stand.make(), stand.make()
    late = chance.uniform(0, LATE_S)

    def second() -> int:
        sleep(late)
        return stand.deploy(other).code

    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(second)
        codes = (stand.deploy(one).code, coming.result())
    found = served(stand, one, other)
    if codes[found is other]:
        raise NotSo(f"exits {codes}, and {found.version} is served")
    return f"exits {codes}, {finished(stand, stand.make())}"


def meanwhile(stand: Stand, chance: Random) -> str:
    """Ops lose the link during a trial, and another release is ordered before it is over."""
    new, next_one = stand.make(), stand.make()
    refused = []
    with stand.way() as way, stand.held(Step.HEALTH):

        def on_step(text: str) -> None:
            if text == f"{Step.HEALTH.label} ({KIND})":
                way.cut()

        stand.deploy(new, way, on_step).expect("off-line", code=3)
        refused.append(stand.deploy(next_one))
    refused[0].expect(AT_WORK, "deploy", code=4)
    served(stand, new)
    return finished(stand, next_one)


def at_boot(stand: Stand, chance: Random) -> str:
    """After a power cut in a trial the host is returning, and the next deploy comes already."""
    old, new = stand.good, stand.make()
    _cut_in_its_trial(stand, new)
    with stand.held(Step.RETURN_SWITCH):
        stand.power(on=True)
        stand.deploy(new).expect(AT_WORK, "recover", code=4)
    served(stand, old)
    told_why(stand, new, DOWN)
    return finished(stand, new)


def at_once(stand: Stand, chance: Random) -> str:
    """The same, and nobody waits for anything."""
    new = stand.make()
    _cut_in_its_trial(stand, new)
    stand.power(on=True)
    return finished(stand, new)


def years_off(stand: Stand, chance: Random) -> str:
    """A trial is begun in another year, and the power ends it; then the clock is right again."""
    offset = f"{chance.choice([-40, -20, -5, 5, 10]) * 365:+d}d"
    clock.install(stand)
    real = stand.shell("readlink -f /usr/bin/python3").strip()
    script = clock.wrapper(real, offset, f'-B -I {held.PLACE} "$@"')
    new, next_one = stand.make(), stand.make()
    stand.shell(f"cat >{ABOARD} <<'END'\n{script}END\n")
    try:
        stand.deploy(new).expect("released", code=0)
        served(stand, new)
        _cut_in_its_trial(stand, next_one)
        stand.power(on=True)
        served(stand, new)
        told_why(stand, next_one, DOWN)
    finally:
        stand.shell(f"cat >{ABOARD} <<'END'\n{HELD}END\n")
    fact = finished(stand, next_one)
    stand.rollback().expect("released", new.version, code=0)
    served(stand, new)
    stand.good = new
    return fact


def _cut_in_its_trial(stand: Stand, made: Made) -> None:
    """Ships a release, and the power goes while it is asked whether it is well."""
    with stand.way() as way, stand.held(Step.HEALTH):

        def on_step(text: str) -> None:
            if text == f"{Step.HEALTH.label} ({KIND})":
                stand.power(on=False)
                way.cut()

        stand.deploy(made, way, on_step)


CASES = [
    Case(
        "two deploys at once",
        f"two operators ship two releases, the second up to {LATE_S:g} s later",
        "one after the other, or one is told who is at work; what is served is of one",
        two,
    ),
    Case(
        "ops away, another deploy",
        "the link is cut during a trial, and another release is ordered before it is over",
        "the other is told who is at work; the trial is confirmed by itself",
        meanwhile,
        seeds=False,
    ),
    Case(
        "deploy while recover runs",
        "after a power cut in a trial the host is returning when the same deploy comes again",
        "exit 4 tells who is at work; the host returns; the next run finishes",
        at_boot,
        seeds=False,
    ),
    Case(
        "deploy right after the boot",
        "the same, as soon as sshd answers",
        "exit 0",
        at_once,
        seeds=False,
    ),
    Case(
        "clock wrong by years in a trial",
        "aboard lives 40 years back to 10 ahead; the power ends a trial; then the clock is right",
        "confirmed and returned from as ever; a rollback finds the release before",
        years_off,
    ),
]
