"""What gives a bare machine the keys that the hangar had: plain shell, as at first contact."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from roles.backup import FOLDER

STATE = "/var/lib/turnaround/backup"
MARK = f"{STATE}/restoring"

_IDENTITY = r"""
apt_get() { apt-get -qq -y -o DPkg::Lock::Timeout=120 "$@" </dev/null >&2; }
main() {
    if [ -d /etc/turnaround ] && [ ! -e "$mark" ]; then
        echo "this is no bare machine: it has /etc/turnaround. Nothing was changed" >&2
        exit 1
    fi
    if ! command -v restic >/dev/null || ! command -v ssh >/dev/null; then
        apt_get update
        apt_get install --no-install-recommends restic openssh-client
    fi
    install -d -m 0755 /etc/turnaround /var/lib/turnaround
    install -d -m 0750 "$folder"
    install -d -m 0775 "$state"
    touch "$mark"
    credentials
    . "$folder/restic.env"
    install -d -m 0700 "$RESTIC_CACHE_DIR"
    # Its account has the numbers that it had, or its files would be somebody else's.
    account=$(restic dump latest --host "$name" "$state/account" </dev/null)
    uid=$(echo "$account" | cut -d: -f3)
    gid=$(echo "$account" | cut -d: -f4)
    getent group turnaround >/dev/null || groupadd --system --gid "$gid" turnaround
    getent passwd turnaround >/dev/null || useradd --system --uid "$uid" --gid turnaround \
        --home-dir /var/lib/turnaround --no-create-home --shell /usr/sbin/nologin turnaround
    restic restore latest --quiet --host "$name" --target / \
        --include /etc/turnaround/keys --include /etc/ssh </dev/null
    sync
    systemctl try-reload-or-restart ssh.service
}
main
"""


def identity(name: str, files: Mapping[str, bytes]) -> bytes:
    """Returns the script that fetches keys and account from the other place, and takes them on.

    It is for standard input: what opens the backup stands in it.

    Args:
        name: the hangar's, under which its backup was kept.
        files: what reaches the other place, by the names that the role gives them.
    """
    lines = ["set -eu", "umask 077", "export DEBIAN_FRONTEND=noninteractive LC_ALL=C"]
    lines += [f"name={shlex.quote(name)} folder={FOLDER} state={STATE} mark={MARK}"]
    lines += ["credentials() {"]
    for file, content in files.items():
        lines.append(f"printf %s {shlex.quote(content.decode())} >{FOLDER}/{file}")
    return ("\n".join([*lines, "}"]) + _IDENTITY).encode()
