"""A place that takes nothing more: a small ext4 of its own over a folder of the host, and what fills it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from ci.faults.under_test import HOST, UnderTest
from ci.lab import Lab, shell
from fleet import packages

SIZE = "16M"


@contextlib.contextmanager
def small_disk(host: UnderTest, place: str, size: str = SIZE, before: str = ":") -> Iterator[None]:
    """Puts an ext4 of its own over a folder, with what was in it.

    Args:
        host: whose.
        place: the folder.
        size: as truncate takes it.
        before: what is run before the folder is changed, and before it is given back, so that nobody
            uses it.
    """
    _mount(host.lab, "/mnt/small", size)
    host.shell(
        f"{before}; rmdir /mnt/small/lost+found; cp -a {place}/. /mnt/small"
        f" && mount --bind /mnt/small {place}"
    )
    try:
        yield
    finally:
        host.shell(
            f"{before}; mount -o remount,rw {place}; rm -f {place}/filler; umount {place}"
            f" && find {place} -mindepth 1 -delete && cp -a /mnt/small/. {place} && umount /mnt/small"
        )


def _mount(lab: Lab, place: str, size: str) -> None:
    """Mounts a fresh ext4 in the host; its loop device is the machine's, for hosts have none."""
    packages.ensure(["e2fsprogs"], purpose="the fault tables")
    image = lab.directory / "small.img"
    image.unlink(missing_ok=True)
    shell.run(["truncate", f"--size={size}", str(image)])
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


def fill(host: UnderTest, place: str, left_pages: int) -> None:
    """Fills a file system up to so many pages of 4 KiB."""
    host.shell(
        f"dd if=/dev/zero of={place}/filler bs=4096 status=none 2>/dev/null || true\n"
        f"truncate -s -{left_pages * 4096} {place}/filler"
    )
