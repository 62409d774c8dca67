"""Host keys: pinned at first contact, and never anything else accepted afterwards."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable

import paramiko

from fleet.errors import AccessRefused, FleetError, HostKeyChanged


def parse(line: str) -> paramiko.PKey:
    """Returns the public key of `ssh-ed25519 AAAA… [comment]`.

    Raises:
        FleetError: the text is no public key.
    """
    try:
        kind, data, *_ = line.split()
        return paramiko.PKey.from_type_string(kind, base64.b64decode(data, validate=True))
    except (ValueError, binascii.Error, paramiko.SSHException, IndexError) as error:
        raise FleetError(
            f"expected a public key such as `ssh-ed25519 AAAA…`, found {line!r}"
        ) from error


def line_of(key: paramiko.PKey) -> str:
    """Returns the key as it is pinned: `ssh-ed25519 AAAA…`."""
    return f"{key.get_name()} {key.get_base64()}"


def changed(
    name: str, address: str, expected: paramiko.PKey, found: paramiko.PKey, bastion: bool = False
) -> HostKeyChanged:
    """Returns the error for a host that shows another key than the pinned one."""
    pinned = "in its UserKnownHostsFile" if bastion else "at first contact"
    anew = (
        "write its new key there"
        if bastion
        else f"remove its file from enrolled/ and run: fab init-machine --host root@ADDRESS:22 "
        f"--as {name} --fingerprint {found.fingerprint}"
    )
    return HostKeyChanged(
        f"{name}: the host at {address} shows another key than the one pinned {pinned}: "
        f"expected {expected.fingerprint}, found {found.fingerprint}",
        f"nothing was sent to it. If somebody really set this host up anew, {anew}; "
        "if nobody did, another machine answers there",
    )


class Pinned(paramiko.MissingHostKeyPolicy):
    """Rejects a host that shows a key of another kind than the pinned one."""

    def __init__(self, name: str, address: str, expected: paramiko.PKey, bastion: bool) -> None:
        self._name, self._address, self._expected = name, address, expected
        self._bastion = bastion

    def missing_host_key(
        self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey
    ) -> None:
        raise changed(self._name, self._address, self._expected, key, self._bastion)


class FirstContact(paramiko.MissingHostKeyPolicy):
    """Accepts a key that nobody has pinned yet when its fingerprint is expected or confirmed.

    Args:
        name: the host's name in the inventory.
        expected: `SHA256:…`, or None to ask.
        confirm: shown the fingerprint, says whether it is the host's.

    The key that was accepted is in `accepted` afterwards.
    """

    def __init__(self, name: str, expected: str | None, confirm: Callable[[str], bool]) -> None:
        self._name, self._expected, self._confirm = name, expected, confirm
        self.accepted: paramiko.PKey | None = None

    def missing_host_key(
        self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey
    ) -> None:
        if self._expected is not None and self._expected != key.fingerprint:
            raise HostKeyChanged(
                f"{self._name}: expected the fingerprint {self._expected}, found {key.fingerprint}",
                "nothing was sent to it; read the fingerprint on the host itself with: "
                "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub",
            )
        if self._expected is None and not self._confirm(key.fingerprint):
            raise AccessRefused(
                f"{self._name}: its fingerprint {key.fingerprint} was not confirmed",
                "give the right one with --fingerprint SHA256:…",
            )
        self.accepted = key
