"""What first contact does on a bare host: plain shell, because nothing else can be counted on there.

Both scripts come on standard input, do only what is not done yet, and print one line for each
change (`changed …`) and each public key (`fact NAME VALUE`). The private keys are made on the host
and never leave it. Everything is inside one function, so that the shell has read all of it before it
starts anything that might read from standard input too.
"""

from __future__ import annotations

import shlex

COMMON = r"""
set -eu
umask 022
export DEBIAN_FRONTEND=noninteractive LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin
did() { echo "changed $*"; }
place() {  # place FILE MODE: standard input becomes FILE when it differs; true when it did
    cat >"$1.new"
    chmod "$2" "$1.new"
    if cmp -s "$1.new" "$1"; then rm "$1.new"; return 1; fi
    sync "$1.new"
    mv "$1.new" "$1"
}
"""

_PREPARE = r"""
apt_get() {  # a bare host may still be installing its own updates, which is waited for
    apt-get -qq -y -o DPkg::Lock::Timeout=120 "$@" </dev/null >&2
}
install_package() {
    apt_get install --no-install-recommends "$1" || {
        # Power that went in the middle leaves dpkg half way, and this is what it asks for then.
        dpkg --configure -a </dev/null >&2
        apt_get update
        apt_get install --no-install-recommends "$1"
    }
    did "package $1"
}
need() { command -v "$1" >/dev/null || install_package "$2"; }
make_ssh_key() {  # make_ssh_key FILE FACT
    if [ ! -s "$1" ]; then
        rm -f "$1.new" "$1.new.pub"
        ssh-keygen -q -t ed25519 -N '' -C "$name" -f "$1.new"
        sync "$1.new"
        mv "$1.new" "$1"
        rm "$1.new.pub"
        did "key $1"
    fi
    public=$(ssh-keygen -y -f "$1" </dev/null)
    if echo "$public" | place "$1.pub" 0644; then did "key $1.pub"; fi
    echo "fact $2 $public"
}
main() {
    need python3 python3
    need sudo sudo
    need ssh-keygen openssh-client
    need wg wireguard-tools

    if ! id ops >/dev/null 2>&1; then
        useradd --create-home --shell /bin/bash ops
        did "account ops"
    fi
    # A password that cannot be typed; unlike a locked account, its keys are good everywhere.
    if [ "$(getent shadow ops | cut -d: -f2)" != '*' ]; then
        usermod -p '*' ops
        did "no password for ops"
    fi
    home=$(getent passwd ops | cut -d: -f6)
    [ -d "$home/.ssh" ] || install -d -m 0700 -o ops -g ops "$home/.ssh"
    allowed=$home/.ssh/authorized_keys
    if ! grep -qxF "$ops_key" "$allowed" 2>/dev/null; then
        { cat "$allowed" 2>/dev/null || true; echo "$ops_key"; } >"$allowed.new"
        chmod 0600 "$allowed.new"
        chown ops:ops "$allowed.new"
        sync "$allowed.new"
        mv "$allowed.new" "$allowed"
        did "key of ops"
    fi
    echo 'ops ALL=(ALL:ALL) NOPASSWD: ALL' >/etc/sudoers.d/.ops.check
    visudo -cqf /etc/sudoers.d/.ops.check
    if place /etc/sudoers.d/ops 0440 </etc/sudoers.d/.ops.check; then did "sudo for ops"; fi
    rm /etc/sudoers.d/.ops.check

    [ -d /etc/turnaround ] || install -d -m 0755 /etc/turnaround
    keys=/etc/turnaround/keys
    [ -d $keys ] || install -d -m 0700 $keys
    make_ssh_key $keys/sync_ed25519 ssh_key
    if [ "$is_hangar" = yes ]; then make_ssh_key $keys/dispatch_ed25519 dispatch_key; fi
    if [ ! -s $keys/tower.key ]; then
        (umask 077; wg genkey >$keys/tower.key.new)
        sync $keys/tower.key.new
        mv $keys/tower.key.new $keys/tower.key
        did "key $keys/tower.key"
    fi
    echo "fact tower_key $(wg pubkey <$keys/tower.key)"
}
main
"""

_CLOSE = r"""
main() {
    case "$(passwd -S root | cut -d' ' -f2)" in
        L*) ;;
        *) passwd -q -l root; did "root's password is locked" ;;
    esac
    dropin=/etc/ssh/sshd_config.d/10-turnaround-access.conf
    if place "$dropin" 0644 <<'END'
# Written by fab init-machine: only keys, and nobody as root.
PermitRootLogin no
PasswordAuthentication no
KbdInteractiveAuthentication no
END
    then
        if ! sshd -t </dev/null; then
            rm -f "$dropin"
            echo "sshd does not take $dropin; it was removed again and root login is still open" >&2
            exit 1
        fi
        systemctl try-reload-or-restart ssh.service
        did "root and passwords are shut out"
    fi
    if ! sshd -T </dev/null | grep -qx 'permitrootlogin no'; then
        echo "sshd does not heed $dropin: expected an Include of sshd_config.d in sshd_config" >&2
        exit 1
    fi
}
main
"""


def prepare(name: str, ops_key: str, is_hangar: bool) -> bytes:
    """Returns the script that makes the ops account and the host's own keys.

    Args:
        name: the host's name; the comment of its keys.
        ops_key: the public key of ops, `ssh-ed25519 AAAA…`.
        is_hangar: make the key for dispatch too.
    """
    head = (
        f"name={shlex.quote(name)}\nops_key={shlex.quote(ops_key)}\n"
        f"is_hangar={'yes' if is_hangar else 'no'}\n"
    )
    return (COMMON + head + _PREPARE).encode()


def close() -> bytes:
    """Returns the script that shuts out root and passwords, after sshd said it takes that."""
    return (COMMON + _CLOSE).encode()
