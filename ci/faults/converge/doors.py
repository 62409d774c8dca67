"""Hosts that are not the ones they should be, or do not let us be root."""

from __future__ import annotations

from random import Random

from ci.faults.case import Case
from ci.faults.converge.aftermath import ends_well
from ci.faults.converge.stand import Stand
from ci.story.teller import NotSo

CLERK = "clerk"
SUDO = "/usr/bin/sudo"
_ACCOUNT = f"""
id {CLERK} >/dev/null 2>&1 || useradd --create-home --shell /bin/sh {CLERK}
usermod -p '*' {CLERK}
install -d -m 0700 -o {CLERK} /home/{CLERK}/.ssh
install -m 0600 -o {CLERK} /root/.ssh/authorized_keys /home/{CLERK}/.ssh/authorized_keys
"""


def wrong_key(stand: Stand, chance: Random) -> str:
    """Another host answers at the address."""
    generation, declared = stand.next()
    accepted = "journalctl --quiet --unit=ssh --grep='Accepted publickey' | wc -l"
    before = stand.shell(accepted)
    with stand.way() as way:
        said = stand.operate(declared, way, host_key=stand.lab.host("hangar").tree.host_key)
    said.expect("SHA256:", code=4)
    if stand.shell(accepted) != before:
        raise NotSo("we logged in to a host that is not the one it should be")
    return ends_well(stand, generation)


def no_sudo(stand: Stand, chance: Random) -> str:
    """The account is no root's, and the host has no sudo."""
    stand.shell(f"{_ACCOUNT}test ! -e {SUDO} || mv {SUDO} {SUDO}.away")
    try:
        return _refused(stand, "there is no sudo", "apt-get install sudo")
    finally:
        stand.shell(f"test ! -e {SUDO}.away || mv {SUDO}.away {SUDO}")


def password(stand: Stand, chance: Random) -> str:
    """The account may not sudo without a password."""
    stand.shell(f"{_ACCOUNT}apt-get -qq -y install sudo >/dev/null; usermod -aG sudo {CLERK}")
    return _refused(stand, "a password is required", "NOPASSWD", CLERK)


def _refused(stand: Stand, *words: str) -> str:
    generation, declared = stand.next()
    said = stand.operate(declared, user=CLERK)
    said.expect(*words, code=4)
    return ends_well(stand, generation)


CASES = [
    Case(
        "wrong host key",
        "the host shows another key than the pinned one",
        "exit 4 with both fingerprints; nobody logs in, nothing is sent",
        wrong_key,
        seeds=False,
    ),
    Case(
        "no sudo",
        "an account that is not root, on a host without sudo",
        "exit 4 at once: what is missing and what to do",
        no_sudo,
        seeds=False,
    ),
    Case(
        "sudo wants a password",
        "an account that may sudo with a password only",
        "exit 4 at once, no question: what is missing and what to do",
        password,
        seeds=False,
    ),
]
