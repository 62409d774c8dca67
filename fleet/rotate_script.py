"""What changing a key does on the host whose key it is: make the next one, take it. Plain shell.

As in `fleet.enrol_script`, each does only what is not done yet, prints `changed …` and `fact NAME VALUE`,
and the private keys never leave the host. What a host says it has is on its disk with its name: who is
told of a key that a power cut takes away would never hear of that host again.
"""

from __future__ import annotations

import shlex

from fleet.enrol_script import COMMON

NOT_YET = 75  # EX_TEMPFAIL of sysexits.h

_COMMON = r"""
cd /etc/turnaround/keys
kept() { sync "$1.new"; mv "$1.new" "$1"; sync .; did "key $PWD/$1"; }
said() { echo "fact $fact $1"; }
"""

_MAKE = {
    "tower": r"""
main() {
    if [ ! -s tower.key.next ]; then
        now=$(wg pubkey <tower.key)
        if [ "$now" = "$coming" ]; then said "$now"; return; fi
        (umask 077; wg genkey >tower.key.next.new)
        kept tower.key.next
    fi
    if [ "$is_hangar" = no ]; then systemctl start turnaround-tower-follow; fi
    said "$(wg pubkey <tower.key.next)"
}
""",
    "ssh": r"""
main() {
    if [ ! -s "$file.next" ]; then
        now=$(ssh-keygen -y -f "$file" </dev/null)
        if [ "$now" = "$coming" ]; then said "$now"; return; fi
        rm -f "$file.next.new" "$file.next.new.pub"
        ssh-keygen -q -t ed25519 -N '' -C "$name" -f "$file.next.new" </dev/null
        rm "$file.next.new.pub"
        chown --reference="$file" "$file.next.new"
        kept "$file.next"
    fi
    said "$(ssh-keygen -y -f "$file.next" </dev/null)"
}
""",
}

_TAKE = {
    "tower": r"""
main() {
    if [ "$is_hangar" = no ] && [ -s tower.key.next ]; then
        # What it came in with is what the hangar takes.
        next=$(wg pubkey <tower.key.next)
        if [ "$(wg show wg0 public-key)" != "$next" ]; then exit 75; fi
    fi
    if [ -s tower.key.next ]; then
        mv tower.key.next tower.key
        sync .
        did "key $PWD/tower.key"
    fi
    now=$(wg pubkey <tower.key)
    if [ "$(wg show wg0 public-key)" != "$now" ]; then wg set wg0 private-key tower.key; fi
    said "$now"
}
""",
    "ssh": r"""
main() {
    if [ -s "$file.next" ]; then
        if [ "$is_hangar" = no ]; then
            . /etc/turnaround/app.env
            answer=0
            # The gate says no to a shell; that the key was refused ends with ssh's own 255.
            words=$(sudo -n -u turnaround ssh -F /dev/null -n -i "$PWD/$file.next" -o BatchMode=yes \
                -o IdentitiesOnly=yes -o ConnectTimeout=20 -o StrictHostKeyChecking=yes \
                -o UserKnownHostsFile="$PWD/known_hosts" -o GlobalKnownHostsFile=/dev/null \
                "$TURNAROUND_HANGAR_SSH" 2>&1 </dev/null) || answer=$?
            if [ "$answer" = 255 ]; then
                echo "the hangar does not take the new key: $words" >&2
                exit 1
            fi
        fi
        mv "$file.next" "$file"
        sync .
        did "key $PWD/$file"
    fi
    # What aircraft come for is signed anew, before they forget the old key; a second run does it again.
    if [ "$is_hangar" = yes ] && [ "$fact" = ssh_key ]; then systemctl start turnaround-fleet-import; fi
    ssh-keygen -y -f "$file" </dev/null >"$file.pub.new"
    if cmp -s "$file.pub.new" "$file.pub"; then rm "$file.pub.new"; else kept "$file.pub"; fi
    said "$(cat "$file.pub")"
}
""",
}


def make(name: str, file: str, fact: str, coming: str, *, is_hangar: bool) -> bytes:
    """Returns the script that makes the next key beside the present one.

    Args:
        name: of the host; the comment of an SSH key.
        file: `tower.key`, or an SSH key's name.
        fact: its name in `enrolled/HOST.yml`.
        coming: the public key that others were told of already; one that is in use stays. May be empty.
        is_hangar: whether it is the hangar's.
    """
    return _script(_MAKE, name, file, fact, coming, is_hangar)


def take(name: str, file: str, fact: str, *, is_hangar: bool) -> bytes:
    """Returns the script that puts the next key in the place of the present one.

    It ends with `NOT_YET` while an aircraft is in the tower by its old key. Arguments as of `make`.
    """
    return _script(_TAKE, name, file, fact, "", is_hangar)


def _script(
    scripts: dict[str, str], name: str, file: str, fact: str, coming: str, is_hangar: bool
) -> bytes:
    values = {"name": name, "file": file, "fact": fact, "coming": coming}
    head = "".join(f"{key}={shlex.quote(value)}\n" for key, value in values.items())
    head += f"is_hangar={'yes' if is_hangar else 'no'}\n"
    body = scripts["tower" if file == "tower.key" else "ssh"]
    return (COMMON + head + _COMMON + body + "main\n").encode()
