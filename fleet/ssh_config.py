"""Bastions that are nobody's to provision: what an OpenSSH configuration says of them.

The inventory names the file; no other is read. Of it only those hosts count that a `via` names and the
inventory does not describe, each by a `Host` line with its own name, and of those only HostName, Port,
User, IdentityFile, UserKnownHostsFile and ProxyJump (one name). Whose key is not pinned is never called.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import paramiko

from fleet import hostkeys
from fleet.errors import UsageError
from fleet.inventory import Host

# The best kind of key that is pinned is the one that must be shown.
_KINDS = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "ssh-rsa",
)


def bastions(path: Path, wanted: Iterable[str], hosts: Collection[str]) -> dict[str, Host]:
    """Returns the bastions of these names, and those that they are reached through.

    Args:
        path: the configuration.
        wanted: names that some `via` has; those without a `Host` line are left out.
        hosts: names that the inventory describes: a ProxyJump to one is its business.

    Raises:
        UsageError: the file cannot be read, or does not say enough of a bastion.
    """
    try:
        config = paramiko.SSHConfig.from_path(str(path))
    except (OSError, paramiko.SSHException) as error:
        raise UsageError(f"{path}: expected an OpenSSH configuration: {error}") from None
    described = config.get_hostnames()
    found: dict[str, Host] = {}
    waiting = [name for name in wanted if name in described]
    while waiting:
        name = waiting.pop()
        if name not in found and name not in hosts:
            found[name] = _bastion(path, config, name, {*described, *hosts})
            waiting += [found[name].via or name]
    return found


def _bastion(path: Path, config: paramiko.SSHConfig, name: str, known: Collection[str]) -> Host:
    said: Mapping[str, Any] = config.lookup(name)

    def wrong(expected: str, found: str) -> UsageError:
        return UsageError(
            f"{path}: Host {name}: expected {expected}, found {found}",
            "nothing was touched; correct the file",
        )

    if "proxycommand" in said:
        raise wrong("ProxyJump", "ProxyCommand")
    if not said.get("user"):
        raise wrong("User", "none")
    if not said.get("port", "22").isdecimal():
        raise wrong("a port", repr(said["port"]))
    jump = None if said.get("proxyjump") == "none" else said.get("proxyjump")
    if jump is not None and jump not in known:
        raise wrong("ProxyJump to be one Host of this file, or a host of the inventory", repr(jump))
    if not said.get("userknownhostsfile"):
        raise wrong("UserKnownHostsFile, with the key that it must show", "none")
    port = int(said.get("port", "22"))
    known_as = said["hostname"] if port == 22 else f"[{said['hostname']}]:{port}"
    files = [_beside(path, each) for each in said["userknownhostsfile"].split()]
    pinned = _pinned(files, known_as)
    if pinned is None:
        raise wrong(f"a key for {known_as} in {', '.join(map(str, files))}", "none")
    return Host(
        name=name,
        groups=(),
        roles=(),
        address=said["hostname"],
        port=port,
        user=said["user"],
        via=jump,
        facts={"host_key": pinned},
        identity=next((_beside(path, each) for each in said.get("identityfile", ())), None),
    )


def _pinned(files: Iterable[Path], known_as: str) -> str | None:
    keys = paramiko.HostKeys()
    for file in files:
        try:
            keys.load(str(file))
        except OSError as error:
            raise UsageError(f"{file}: cannot be read: {error.strerror}") from None
    found: Mapping[str, paramiko.PKey] = keys.lookup(known_as) or {}
    for kind in _KINDS:
        if kind in found:
            return hostkeys.line_of(found[kind])
    return None


def _beside(path: Path, name: str) -> Path:
    return path.parent / Path(name.strip('"')).expanduser()
