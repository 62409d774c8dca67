"""Debian packages over the tower: the hangar fetches each once and keeps it, an aircraft asks nobody else.

Which mirror the hangar asks is what its own apt does. An aircraft has its first few packages from wherever
its bare Debian had them, on the ramp; once it is in the tower, the hangar is its only source.
"""

from __future__ import annotations

import require
from roles.context import Context

PORT = 3142
FOLDER = "/etc/turnaround/packages"
CACHE = "/var/cache/apt-cacher-ng"
CACHE_BYTES = 4 << 30
SUITE = "trixie"
COMPONENTS = ("main", "non-free-firmware")
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
SOURCES = (
    "/etc/apt/sources.list",
    "/etc/apt/sources.list.d/debian.sources",
)


def apply(host: Context) -> None:
    """Declares the hangar's proxy, or an aircraft's only source."""
    if "hangar" in host.groups:
        _proxy(host)
    else:
        _client(host)


def _proxy(host: Context) -> None:
    changed = [require.systemd.restarted("apt-cacher-ng")]
    # Or the package's first start would serve everybody on all addresses.
    require.file.directory(FOLDER)
    require.file.template(
        f"{FOLDER}/acng.conf",
        template="packages/acng.conf.j2",
        address=host.tower_address,
        port=PORT,
        cache=CACHE,
        notify=changed,
    )
    require.file.template(
        "/opt/turnaround/bin/package-mirrors",
        template="bin/package-mirrors.sh.j2",
        mode=0o755,
        folder=FOLDER,
        suite=SUITE,
        notify=changed,
    )
    require.systemd.drop_in(
        "apt-cacher-ng",
        "turnaround",
        template="systemd/packages.conf.j2",
        folder=FOLDER,
        # It asks mirrors by name, wherever they are; who may ask it is the firewall's.
        network=["any"],
        writes=[CACHE, "/var/log/apt-cacher-ng", "/run/apt-cacher-ng"],
        notify=changed,
    )
    require.apt.packages(["apt-cacher-ng"])
    require.systemd.service("apt-cacher-ng")
    require.file.template(
        "/opt/turnaround/bin/package-sweep",
        template="bin/package-sweep.sh.j2",
        mode=0o755,
        cache=CACHE,
        bytes=CACHE_BYTES,
    )
    require.systemd.unit(
        "turnaround-package-sweep.service",
        template="systemd/package-sweep.service.j2",
        writes=[CACHE],
    )
    require.systemd.timer(
        "turnaround-package-sweep",
        unit="turnaround-package-sweep",
        on_boot="10min",
        every="15min",
        description="Keep the cache of packages in bounds",
    )


def _client(host: Context) -> None:
    at = f"http://{host.hangar.tower_address}:{PORT}"
    ours = [
        require.apt.repository(
            name, uris=[f"{at}/{path}"], suites=suites, components=COMPONENTS, key=KEYRING
        )
        for name, path, suites in (
            ("turnaround", "debian", (SUITE, f"{SUITE}-updates")),
            ("turnaround-security", "debian-security", (f"{SUITE}-security",)),
        )
    ]
    for path in SOURCES:
        require.file.absent(path, needs=ours)
