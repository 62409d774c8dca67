"""A command with a guard: the way out when no noun fits."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from require.catalog import declared
from require.errors import DeclarationError
from require.resource import Change, Handler, NoChange, Plan, Resource, Spec, State, keys
from require.secret import Secret


@dataclass(frozen=True, kw_only=True)
class Command(Resource):
    """A command that runs when its guard says so.

    Args:
        name: what it is for; unique on the host.
        argv: the command.
        unless: a command that ends with 0 when there is nothing to do.
        creates: a path that exists when there is nothing to do.
        user: account it runs as.
        cwd: directory it runs in.
        stdin: text for its standard input.
        timeout_s: seconds until it is stopped.
    """

    noun: ClassVar[str] = "command"

    name: str
    argv: tuple[str, ...]
    unless: tuple[str, ...] = ()
    creates: str = ""
    user: str = "root"
    cwd: str = "/"
    stdin: str | Secret = field(default="", repr=False)
    timeout_s: float = 300.0

    @property
    def key(self) -> str:
        return f"command:{self.name}"

    def natural_needs(self) -> tuple[str, ...]:
        return (f"user:{self.user}", f"file:{self.cwd}")

    def question(self) -> Spec:
        spec: Spec = {"user": self.user, "cwd": self.cwd}
        if self.unless:
            spec["unless"] = list(self.unless)
        if self.creates:
            spec["creates"] = self.creates
        return spec

    def order(self) -> Spec:
        return {"argv": list(self.argv), "stdin": self.stdin, "timeout_s": self.timeout_s}

    def plan(self, state: State) -> Plan:
        return NoChange() if state["done"] else Change(f"run {shlex.join(self.argv)}")


def command(
    name: str,
    argv: Sequence[str] | str,
    *,
    unless: Sequence[str] | str = (),
    creates: str = "",
    user: str = "root",
    cwd: str = "/",
    stdin: str | Secret = "",
    timeout_s: float = 300.0,
    needs: Sequence[Resource] = (),
    notify: Sequence[Handler] = (),
) -> Command:
    """Declare a command that runs unless its guard is met; at least one guard is required. After
    it ran the guard is asked again, and it must be met then.

    Args:
        name: what it is for, in words; unique on the host.
        argv: program and arguments; a string is a line for /bin/sh. No secrets: they are visible
            to everyone on the host.
        unless: command (as argv) that ends with 0 when there is nothing to do; it must not change
            anything, it runs at each probe.
        creates: path that exists when there is nothing to do.
        user: account that both run as.
        cwd: directory that both run in.
        stdin: text for its standard input; the place for a `Secret`.
        timeout_s: seconds until it is stopped and counts as failed.
        needs: resources that must be right first.
        notify: handlers to run after it ran.

    Raises:
        DeclarationError: there is no guard, or no command.

    Example:
        >>> require.command.command("host keys", ["ssh-keygen", "-A"],
        ...     creates="/etc/ssh/ssh_host_ed25519_key")
    """
    if not unless and not creates:
        raise DeclarationError(
            f"command.command({name!r}): needs a guard, unless=… or creates=…, "
            "or it would run every time"
        )
    if not argv:
        raise DeclarationError(f"command.command({name!r}): there is nothing to run")
    return declared(
        Command(
            name=name,
            argv=words(argv),
            unless=words(unless),
            creates=creates,
            user=user,
            cwd=cwd,
            stdin=stdin,
            timeout_s=timeout_s,
            needs=keys(needs),
            notify=tuple(notify),
        )
    )


def handler(name: str, argv: Sequence[str] | str) -> Handler:
    """Return a handler that runs a command, for `notify=[…]`. As any handler it runs once, after
    all changes, and if the run breaks before, the next run does it.

    Args:
        name: what it is for; unique on the host.
        argv: program and arguments; a string is a line for /bin/sh. No secrets: a marker with it
            is kept on the host until it has run.

    Raises:
        DeclarationError: there is no command.

    Example:
        >>> require.file.template("/etc/nftables.conf", template="firewall/nftables.conf.j2",
        ...     notify=[require.command.handler("firewall", ["nft", "-f", "/etc/nftables.conf"])])
    """
    if not argv:
        raise DeclarationError(f"command.handler({name!r}): there is nothing to run")
    return Handler("command", {"verb": "handler", "name": name, "argv": list(words(argv))})


def words(command: Sequence[str] | str) -> tuple[str, ...]:
    """Return program and arguments of a command; a string is a line for /bin/sh."""
    if isinstance(command, str):
        return ("/bin/sh", "-c", command) if command else ()
    return tuple(command)
