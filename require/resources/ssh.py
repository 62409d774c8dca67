"""The SSH server: settings that sshd heeds."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from require.catalog import declared
from require.errors import DeclarationError
from require.resource import Handler, Plan, Resource, Spec, State, Unknown, keys
from require.resources import file, systemd

FOLDER = "/etc/ssh/sshd_config.d"
Value = str | int | bool | Sequence[str]

_REFUSED = {
    "match": "its end cannot be seen from here",
    "include": "what it includes cannot be seen from here",
    "port": "a port that is taken would leave the host without sshd",
    "listenaddress": "an address that is not there at boot would leave the host without sshd; which "
    "side is answered is for the firewall",
}


@dataclass(frozen=True, kw_only=True)
class Server(file.File):
    """A drop-in of sshd's configuration, and what sshd makes of it.

    Args:
        names: settings that are in it.
    """

    noun: ClassVar[str] = "ssh"

    names: tuple[str, ...]

    def question(self) -> Spec:
        return super().question() | {"names": [name.lower() for name in self.names]}

    def plan(self, state: State) -> Plan:
        found = super().plan(state)
        if isinstance(found, Unknown):
            return found
        if state.get("broken"):
            return Unknown(
                "sshd runs on, and would not start again, for it does not take its configuration: "
                f"{state['broken']}",
                blocked=True,
            )
        if untold := [
            name for name, (_, wanted, _) in state.get("shadowed", {}).items() if not wanted
        ]:
            return Unknown(
                f"sshd does not tell what it makes of {', '.join(map(self._named, untold))}: it has "
                "another name by now, or no effect; see sshd_config(5)",
                blocked=True,
            )
        if state.get("shadowed"):
            return Unknown(
                "sshd heeds what it reads first: "
                + "; ".join(self._shadowed(*each) for each in state["shadowed"].items())
                + f". Remove it there, or give this drop-in a name before it in {FOLDER}",
                blocked=True,
            )
        return found

    def _named(self, lower: str) -> str:
        return next(name for name in self.names if name.lower() == lower)

    def _shadowed(self, lower: str, found: Sequence[str]) -> str:
        now, wanted, places = found
        nowhere = f"set in none of its files: does sshd_config include {FOLDER}/*.conf?"
        return (
            f"{self._named(lower)} is {now or 'not set'} instead of {wanted} ({places or nowhere})"
        )


def server(
    settings: Mapping[str, Value],
    *,
    name: str = "20-turnaround",
    needs: Sequence[Resource] = (),
    notify: Sequence[Handler] = (),
) -> Server:
    """Declare settings of the SSH server, which runs and starts at boot.

    They are a drop-in in /etc/ssh/sshd_config.d, put in place only when `sshd -t` accepts the whole
    configuration with it; then sshd reloads, and connections go on. sshd heeds the first value that
    it reads, so a look asks it (`sshd -T`) what holds, and a setting that an earlier file shadows is
    an error that names that file. Nothing asks whether you can still come in: whoever declares
    AllowUsers does.

    Args:
        settings: values by keyword of sshd_config(5): a number, a text, True for "yes", False for
            "no", or several words. What counts only inside a Match block cannot be set.
        name: of the drop-in; it is read in the order of names, before sshd_config itself.
        needs: resources that must be right first.
        notify: handlers to run after a change, besides the reload.

    Raises:
        DeclarationError: there are none; a keyword or value that no line could hold, or one that
            could leave the host without sshd.

    Example:
        >>> require.ssh.server({"MaxSessions": 30, "PasswordAuthentication": False,
        ...     "AllowUsers": ["ops", "fleet"]})
    """
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", name):
        raise DeclarationError(f"ssh.server(): {name!r}: wanted a name such as 20-turnaround")
    if not settings or len({keyword.lower() for keyword in settings}) < len(settings):
        raise DeclarationError("ssh.server(): wanted settings, each of them once")
    lines = "".join(_line(keyword, value) for keyword, value in settings.items())
    made = declared(
        Server(
            path=f"{FOLDER}/{name}.conf",
            kind="file",
            content=f"# Written by turnaround.\n{lines}".encode(),
            mode=0o644,
            owner="root",
            group="root",
            validate=("sshd", "-t"),
            names=tuple(settings),
            needs=keys(needs),
            notify=(systemd.reloaded("ssh"), *notify),
        )
    )
    systemd.service("ssh", needs=[made])
    return made


def _line(keyword: str, value: Value) -> str:
    what = f"ssh.server(): {keyword}"
    if why := _REFUSED.get(keyword.lower()):
        raise DeclarationError(f"{what}: {why}")
    if isinstance(value, bool):
        text = "yes" if value else "no"
    else:
        text = str(value) if isinstance(value, str | int) else " ".join(value)
    if not re.fullmatch(r"[A-Za-z0-9]+", keyword) or not text.strip() or not text.isprintable():
        raise DeclarationError(
            f"{what}: wanted a keyword and its value in one line, found {text!r}"
        )
    return f"{keyword} {text}\n"
