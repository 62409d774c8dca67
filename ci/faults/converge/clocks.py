"""A host whose clock is wrong by years: it wakes up without a battery, or with someone else's idea of now."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from random import Random

from ci.faults.case import Case
from ci.faults.clock import install, wrapper
from ci.faults.converge.aftermath import ends_well
from ci.faults.converge.stand import Stand

PYTHON = "/usr/bin/python3"


@contextlib.contextmanager
def clock(stand: Stand, offset: str) -> Iterator[None]:
    """Gives the host's python3 another time."""
    install(stand)
    real = stand.shell(f"readlink -f {PYTHON}").strip()
    script = wrapper(real, offset, '"$@"')
    stand.shell(
        f"cat >{PYTHON}.new <<'END'\n{script}END\nchmod 755 {PYTHON}.new; mv {PYTHON}.new {PYTHON}"
    )
    try:
        yield
    finally:
        stand.shell(f"ln -sf $(cd /usr/bin; ls python3.?? | head -1) {PYTHON}")


def years_off(stand: Stand, chance: Random) -> str:
    """Between two runs the clock goes years forth or back, and then is right again."""
    years = chance.choice([-40, -20, -5, 5, 10])
    generation, declared = stand.next()
    with clock(stand, f"{years * 365:+d}d"):
        said = stand.operate(declared)
        said.expect("changed", code=0)
        assert said.result is not None
        ends_well(stand, generation)
    return ends_well(stand, generation + 1)


CASES = [
    Case(
        "clock wrong by years",
        "the host's python3 lives 40 years back to 10 ahead, then in the present again",
        "exit 0 each time; nothing is taken for stale or new because of its date",
        years_off,
    )
]
