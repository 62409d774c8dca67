"""Places that take nothing more, full or read-only: where files go, and where a run keeps its notes."""

from __future__ import annotations

from random import Random

from ci.faults.case import Case
from ci.faults.converge import wanted
from ci.faults.converge.aftermath import ends_well, whole
from ci.faults.converge.seen import Seen
from ci.faults.converge.stand import Stand
from ci.faults.small_disk import fill, small_disk
from ci.faults.under_test import Said
from ci.story.teller import NotSo

STATE = "/var/lib/turnaround"
KEPT = f"rm -f {STATE}/runs/*/kept-*"  # of the rows before: more than the small disk holds


def full(stand: Stand, chance: Random) -> str:
    """Where the files go there is room for some of them."""
    generation, declared = stand.next()
    with small_disk(stand, wanted.TOP):
        fill(stand, wanted.TOP, chance.randint(0, 80))
        said = stand.operate(declared)
        seen = stand.quiet()
        _partly(said, seen, stand.generation, generation, "No space left on device")
        stand.shell(f"rm {wanted.TOP}/filler")
        return ends_well(stand, generation)


def read_only(stand: Stand, chance: Random) -> str:
    """Where the files go nothing can be written."""
    generation, declared = stand.next()
    with small_disk(stand, wanted.TOP):
        stand.shell(f"mount -o remount,ro {wanted.TOP}")
        said = stand.operate(declared)
        seen = stand.quiet()
        _partly(said, seen, stand.generation, generation, "Read-only file system")
        stand.shell(f"mount -o remount,rw {wanted.TOP}")
        return ends_well(stand, generation)


def _partly(said: Said, seen: Seen, former: int, generation: int, reason: str) -> None:
    """What could be changed was, and what could not is named; and what was notified ran for what was."""
    whole(seen, former, generation)
    if said.code == 0:
        return  # it fitted after all
    said.expect("/srv/faults/", reason, "converge again", code=4)
    if seen.left:
        raise NotSo(f"after the run there is left {seen.left}")
    if seen.sums != wanted.sums(former) and seen.told[-1] != seen.now:
        raise NotSo("the unit was not restarted after what could be changed")
    if seen.is_of(generation):
        raise NotSo(f"nothing is wrong with the files, and ops were told: {said.text}")


def notes_full(stand: Stand, chance: Random) -> str:
    """There is no room, or a little, for the run's own notes."""
    generation, declared = stand.next()
    stand.shell(KEPT)
    with small_disk(stand, STATE):
        fill(stand, STATE, chance.randint(0, 2))
        said = stand.operate(declared)
        seen = stand.quiet()
        whole(seen, stand.generation, generation)
        if said.code != 0:
            said.expect("No space left on device", STATE, "converge again", code=4)
            if seen.left:
                raise NotSo(f"after the run there is left {seen.left}")
        stand.shell(f"rm {STATE}/filler")
        return ends_well(stand, generation)


def notes_read_only(stand: Stand, chance: Random) -> str:
    """Where the run keeps its notes nothing can be written."""
    generation, declared = stand.next()
    stand.shell(KEPT)
    with small_disk(stand, STATE):
        stand.shell(f"mount -o remount,ro {STATE}")
        said = stand.operate(declared)
        seen = stand.quiet()
        said.expect("Read-only file system", STATE, "converge again", code=4)
        if not seen.is_of(stand.generation):
            raise NotSo(f"a run without notes changed the host: {seen}")
        stand.shell(f"mount -o remount,rw {STATE}")
        return ends_well(stand, generation)


CASES = [
    Case(
        "disk full",
        "the ext4 of the files has room for 0 to 80 pages",
        "exit 4 names each file that did not fit, and why; the others are changed",
        full,
    ),
    Case(
        "disk read-only",
        "the ext4 of the files is mounted read-only",
        "exit 4 names each file, and why; the others are changed",
        read_only,
        seeds=False,
    ),
    Case(
        "notes full",
        f"the ext4 of {STATE} has room for 0 to 2 pages",
        "exit 4 says where room is missing; what was not noted was not begun",
        notes_full,
    ),
    Case(
        "notes read-only",
        f"{STATE} is mounted read-only",
        "exit 4 says so; nothing is changed",
        notes_read_only,
        seeds=False,
    ),
]
