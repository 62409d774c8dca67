"""The firewall's rules: those in the file, and those that run."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from require import templates
from require.catalog import declared
from require.diff import unified
from require.errors import DeclarationError
from require.resource import Change, Handler, Plan, Resource, State, Unknown, keys
from require.resources import file, systemd

PATH = "/etc/nftables.conf"


@dataclass(frozen=True, kw_only=True)
class Ruleset(file.File):
    """All rules of a host, in the file that is loaded at boot and in the kernel."""

    noun: ClassVar[str] = "nftables"

    def plan(self, state: State) -> Plan:
        found = super().plan(state)
        if isinstance(found, Unknown) or state.get("sha") != self._sha():
            return found
        if not state["nft"]:
            return Unknown("until there is a program nft")
        if "running" not in state:
            return found
        summary = "load them: other rules run"
        if isinstance(found, Change):
            summary = f"{found.summary}, {summary}"
        return Change(summary, unified(state["running"], state["declared"], "nft list ruleset"))


def ruleset(
    *,
    content: str | None = None,
    template: str | None = None,
    needs: Sequence[Resource] = (),
    notify: Sequence[Handler] = (),
    **variables: Any,
) -> Ruleset:
    """Declare all rules of a host: those that run, and those of each boot.

    They are kept in /etc/nftables.conf, which Debian's nftables.service loads at boot. A change is
    one transaction of the kernel, so a packet meets all old rules or all new ones, and the file is
    put in place only after the kernel has taken it. A look compares the rules that run with what the
    kernel makes of the file, so that what somebody added, removed or flushed by hand is found;
    counters and the elements of named sets are left out of that. Rules that would not let in again
    whoever is connected by SSH just then are not loaded: before each load that is tried in a network
    apart, with the interfaces and addresses of those connections.

    Args:
        content: text for nft(8), which has a line "flush ruleset"; or
        template: path of a template below the folder of templates, rendered with `variables`.
        needs: resources that must be right first.
        notify: handlers to run after a change.
        variables: what the template may use.

    Raises:
        DeclarationError: neither or both of content and template; a template that does not render;
            it does not flush what runs, or it prints a secret.

    Example:
        >>> require.apt.packages(["nftables"])
        >>> require.nftables.ruleset(template="firewall/nftables.conf.j2", sides=sides)
    """
    given = templates.given("nftables.ruleset()", content, template, variables)
    if isinstance(given, templates.Rendered) and given.secrets:
        raise DeclarationError("nftables.ruleset(): rules hold a secret, and the kernel lists them")
    text = given if isinstance(given, str) else given.text
    if not re.search(r"^\s*flush ruleset\s*(;|$)", text, re.MULTILINE):
        raise DeclarationError(
            'nftables.ruleset(): wanted a line "flush ruleset" before the rules: without it they '
            "would be added to those that run"
        )
    rules = declared(
        Ruleset(
            path=PATH,
            kind="file",
            content=text.encode(),
            mode=0o755,
            owner="root",
            group="root",
            needs=keys(needs),
            notify=tuple(notify),
        )
    )
    systemd.service("nftables", needs=[rules])
    return rules
