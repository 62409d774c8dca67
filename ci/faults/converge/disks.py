"""Places that take nothing more, full or read-only: where files go, and where a run keeps its notes."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from random import Random

from ci.faults import wanted
from ci.faults.case import Case
from ci.faults.converge.aftermath import ends_well, whole
from ci.faults.seen import Seen
from ci.faults.stand import HOST, Said, Stand
from ci.lab import Lab, shell
from ci.story.teller import NotSo
from fleet import packages

STATE = "/var/lib/turnaround"
SIZE = "16M"
KEPT = f"rm -f {STATE}/runs/*/kept-*"  # of the rows before: more than the small disk holds


@contextlib.contextmanager
def small_disk(stand: Stand, place: str) -> Iterator[None]:
    """Puts an ext4 of its own over a folder, with what was in it."""
    _mount(stand.lab, "/mnt/small")
    stand.shell(
        f"rmdir /mnt/small/lost+found; cp -a {place}/. /mnt/small"
        f" && mount --bind /mnt/small {place}"
    )
    try:
        yield
    finally:
        stand.shell(
            f"mount -o remount,rw {place}; rm -f {place}/filler"
            f"; umount {place} && cp -a /mnt/small/. {place} && umount /mnt/small"
        )


def _mount(lab: Lab, place: str) -> None:
    """Mounts a fresh ext4 in the host; its loop device is the machine's, for hosts have none."""
    packages.ensure(["e2fsprogs"], purpose="the fault tables")
    image = lab.directory / "small.img"
    image.unlink(missing_ok=True)
    shell.run(["truncate", f"--size={SIZE}", str(image)])
    shell.run(["mkfs.ext4", "-q", "-b", "4096", "-m", "0", str(image)])
    loop = shell.run(["losetup", "--find", "--show", str(image)]).strip()
    try:
        number = os.stat(loop).st_rdev
        init = (lab.host(HOST).group / "payload/init.scope/cgroup.procs").read_text().split()[0]
        script = (
            f"mkdir -p {place} && mknod /root/loop b {os.major(number)} {os.minor(number)}"
            f" && mount -t ext4 /root/loop {place}; status=$?; rm -f /root/loop; exit $status"
        )
        shell.run(["nsenter", "--mount", f"--target={init}", "sh", "-c", script])
    finally:
        # It is in use as long as it is mounted, and goes with that.
        shell.run(["losetup", "--detach", loop])


def fill(stand: Stand, place: str, left_pages: int) -> None:
    """Fills a file system up to so many pages of 4 KiB."""
    stand.shell(
        f"dd if=/dev/zero of={place}/filler bs=4096 status=none 2>/dev/null || true\n"
        f"truncate -s -{left_pages * 4096} {place}/filler"
    )


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
