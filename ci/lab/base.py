"""The base tree: a bare Debian 13 made once, kept outside the checkout, and never written to again.

Every host is an overlay above it. Its folder is named after a hash of its recipe, so a change of the recipe
makes a new tree and never touches one that a running lab stands on.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from ci.lab import mirror, shell
from ci.lab import tree as tree_files
from ci.lab.errors import LabFault
from fleet.cache import cache_folder

SUITE = "trixie"
# What a bare Debian 13 server with sshd has; minbase lacks these.
BARE = (
    "ca-certificates",
    "dbus",
    "iproute2",
    "openssh-server",
    "procps",
    "python3",
    "systemd",
    "systemd-sysv",
)
# What the roles install: waiting in the hosts' apt cache, so that installing needs no network.
ROLES = (
    "dnsmasq-base",
    "ffmpeg",
    "logrotate",
    "nftables",
    "nginx",
    "postgresql",
    "redis-server",
    "rsync",
    "sudo",
    "systemd-timesyncd",
    "unattended-upgrades",
    "wireguard-go",
    "wireguard-tools",
)
NEEDED_BYTES = 3 << 30
BUILD_TIMEOUT_S = 1200.0

_HOOKS = (
    'chroot "$1" apt-get clean',
    f'chroot "$1" apt-get install --yes --no-install-recommends --download-only {" ".join(ROLES)}',
    'chroot "$1" systemctl enable systemd-networkd.service',
    # Each host has keys and an identity of its own.
    'rm -f "$1"/etc/ssh/ssh_host_*_key* "$1"/etc/machine-id "$1"/etc/hostname "$1"/etc/resolv.conf',
)
_FILES = {
    # The lab's trees are thrown away; real hosts keep dpkg's fsyncs.
    "etc/dpkg/dpkg.cfg.d/turnaround-lab": "force-unsafe-io\n",
    # Nothing may take apt's lock behind a test's back.
    "etc/apt/apt.conf.d/90turnaround-lab": 'APT::Periodic::Enable "0";\n',
}


@dataclass(frozen=True)
class Recipe:
    """All that decides what the base tree holds."""

    mirror: mirror.Mirror
    suite: str = SUITE
    bare: tuple[str, ...] = BARE
    waiting: tuple[str, ...] = ROLES
    hooks: tuple[str, ...] = _HOOKS

    @property
    def key(self) -> str:
        """The hash that names the tree."""
        text = json.dumps([asdict(self), _FILES], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def ensure(say: Callable[[str], None]) -> Path:
    """Returns the base tree, after making it when it is not there.

    Args:
        say: takes the one line that says it is being made.

    Raises:
        LabFault: no room on the disk, or Debian could not be fetched.
    """
    recipe = Recipe(mirror.of_this_machine())
    cache = cache_folder()
    tree = cache / f"base-{recipe.key}"
    if tree.is_dir():
        return tree
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "base.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not tree.is_dir():
            say(f"lab: making the Debian 13 base tree in {tree} (once, about a minute)")
            _build(recipe, tree)
    return tree


def _build(recipe: Recipe, tree: Path) -> None:
    check_disk(tree.parent, NEEDED_BYTES)
    unfinished = tree.with_name("base-unfinished")
    if unfinished.exists():
        tree_files.unmount_below(unfinished)
        shutil.rmtree(unfinished)
    try:
        shell.run(
            [
                "mmdebstrap",
                "--variant=minbase",
                "--skip=cleanup/apt",
                f"--include={','.join(recipe.bare)}",
                *(f"--aptopt={line.rstrip(';')}" for line in recipe.mirror.settings),
                *(f"--customize-hook={hook}" for hook in recipe.hooks),
                recipe.suite,
                str(unfinished),
                "-",
            ],
            stdin="".join(f"{line}\n" for line in recipe.mirror.sources(recipe.suite)),
            timeout_s=BUILD_TIMEOUT_S,
        )
    except LabFault as error:
        raise LabFault(
            f"the base tree could not be made: {error.what}",
            f"see that {recipe.mirror.archive} answers from here (apt-get update), then try again",
        ) from None
    (unfinished / "etc/apt/apt.conf.d/99mmdebstrap").unlink(missing_ok=True)
    settings = "".join(f"{line}\n" for line in recipe.mirror.settings)
    for path, text in _FILES.items():
        extra = settings if path.startswith("etc/apt/") else ""
        (unfinished / path).write_text(text + extra)
    unfinished.rename(tree)


def check_disk(directory: Path, needed: int) -> None:
    """Says so when there is no room.

    Raises:
        LabFault: fewer than `needed` bytes are free where `directory` is.
    """
    free = shutil.disk_usage(directory).free
    if free < needed:
        raise LabFault(
            f"{directory} has {free / 1e9:.1f} GB free, and the lab needs {needed / 1e9:.1f} GB there",
            "make room, or set TURNAROUND_CACHE to a folder on a larger disk (for the base tree)",
        )
