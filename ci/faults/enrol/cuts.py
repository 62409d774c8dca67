"""First contact cut at each step: the operator killed, the link cut, the power cut."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from time import sleep

from ci.faults.case import Case
from ci.faults.enrol.stand import BOX, EnrolStand
from ci.story.teller import NotSo

# What `fab init-machine` says as it begins each of its steps, and how long that one takes at most.
STEPS = (
    ("connecting to", 0.3),
    ("making the ops account", 6.0),
    ("coming in as ops", 0.3),
    ("shutting out root", 0.5),
    ("roles of hangar", 1.5),
    (f"roles of {BOX}", 8.0),
    (f"enrolled/{BOX}.yml", 0.2),
    ("calling back", 1.0),
)


def killed(stand: EnrolStand, chance: Random) -> str:
    """`kill -9` of ./fab."""
    return _cut(stand, chance, "operator")


def unplugged(stand: EnrolStand, chance: Random) -> str:
    """The way from ops to the box is reset."""
    return _cut(stand, chance, "link")


def dark(stand: EnrolStand, chance: Random) -> str:
    """Every process of the box ends at once; it boots again afterwards."""
    return _cut(stand, chance, "power")


def _cut(stand: EnrolStand, chance: Random, what: str) -> str:
    at, longest = chance.choice(STEPS)
    late = chance.uniform(0, longest)
    stand.bare()
    with stand.way() as way:
        process = stand.begin(BOX, f"root@127.0.0.1:{way.port}")
        faults: dict[str, Callable[[], object]] = {
            "operator": process.kill,
            "link": way.cut,
            "power": lambda: stand.lab.power(BOX, on=False),
        }

        def fault() -> None:
            sleep(late)
            faults[what]()

        said = stand.follow(process, at, fault)
    if what == "power":
        stand.lab.power(BOX, on=True)
    if process.returncode not in (0, 3, 4, -9):
        raise NotSo(f"init-machine exited {process.returncode}: {said[-1500:]}")
    return f"{at}: {stand.ends_well()}"


CASES = [
    Case(
        f"first contact, {name}",
        f"{done} at a moment of a step that chance chooses",
        "the second run finishes, the third changes nothing; nothing half is left on the box",
        act,
    )
    for name, done, act in (
        ("operator killed", "kill -9 of ./fab init-machine", killed),
        ("link cut", "the connection to the box is reset", unplugged),
        ("power cut", "every process of the box is killed, then it boots", dark),
    )
]
