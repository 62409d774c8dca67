"""What a role is given: one host and its neighbours, as the inventory says (`roles.context.Context`)."""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import require
from fleet.errors import UsageError, did_you_mean
from fleet.inventory import TOP, Host, Inventory
from fleet.variables import Vars

TEMPLATES = TOP / "templates"


@dataclass(frozen=True)
class RoleContext:
    """A host as roles see it, and all hosts by name (itself included).

    What a role needs and the inventory does not give is a UsageError with file and line.
    """

    fleet: str
    name: str
    groups: tuple[str, ...]
    tower: str | None
    vars: Vars
    facts: Mapping[str, str]
    path: Path
    line: int
    hosts: Mapping[str, RoleContext] = field(repr=False)

    @property
    def tower_address(self) -> str:
        """The host's place in the tower, where a role cannot do without."""
        if self.tower is None:
            raise UsageError(
                f"{self.path}:{self.line}: expected tower for {self.name}, its address in the "
                "tower, which a role needs, found none",
                "nothing was touched; correct the file",
            )
        return self.tower

    @property
    def hangar(self) -> RoleContext:
        """The host that every aircraft calls, through the tower."""
        for other in self.hosts.values():
            if "hangar" in other.groups and other.tower is not None:
                return other
        raise UsageError(
            f"{self.path}:{self.line}: expected a host in the group hangar with a tower address, "
            f"for {self.name} to call, found none",
            "nothing was touched; correct the file",
        )


def contexts(inventory: Inventory) -> dict[str, RoleContext]:
    """Returns every host of a fleet as roles see it, by name; those that are retired no role sees."""
    hosts: dict[str, RoleContext] = {}
    for host in inventory.hosts.values():
        if host.retired:
            continue
        variables = Vars(host, inventory.path, inventory.opener)
        hosts[host.name] = RoleContext(
            inventory.fleet,
            host.name,
            host.groups,
            host.tower,
            variables,
            host.facts,
            inventory.path,
            host.line,
            hosts,
        )
    return hosts


def role_names() -> frozenset[str]:
    """Returns the modules of `roles/`, without importing them."""
    import roles

    return frozenset(found.name for found in pkgutil.iter_modules(roles.__path__))


def catalog(inventory: Inventory, host: Host, only: tuple[str, ...] = ()) -> require.Catalog:
    """Returns everything the host's roles declare; asks no host.

    Args:
        inventory: the fleet.
        host: whose roles.
        only: the roles to take, of those the host has; empty takes all.

    Raises:
        UsageError: a role does not exist, needs what the inventory does not give, or declares
            nonsense.

    >>> len(catalog(inventory, inventory.hosts["hangar"], ("base",)))  # doctest: +SKIP
    14
    """
    context = contexts(inventory)[host.name]
    with require.declare(templates=TEMPLATES) as declared:
        for role in host.roles:
            if only and role not in only:
                continue
            apply = _apply_of(host, role)
            try:
                with require.declare(role=role):
                    apply(context)
            except require.DeclarationError as error:
                raise UsageError(f"{host.name}: role {role}: {error}") from error
    return declared


def _apply_of(host: Host, role: str) -> Any:
    if role in role_names():
        apply = getattr(import_module(f"roles.{role}"), "apply", None)
        if apply is not None:
            return apply
    raise UsageError(
        f"{host.name}: there is no role {role}{did_you_mean(role, role_names())}",
        "the roles are the modules of roles/ with a function apply(host)",
    )
