"""What a role is given: one host and its neighbours, as the inventory says (`roles.context.Context`)."""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import require
from fleet.errors import UsageError, did_you_mean
from fleet.inventory import TOP, Host, Inventory

TEMPLATES = TOP / "templates"


class Vars(dict[str, Any]):
    """Variables that say which one is missing, for whom, and which there are."""

    def __init__(self, host: str, values: Mapping[str, Any]) -> None:
        super().__init__(values)
        self._host = host

    def __missing__(self, key: str) -> Any:
        raise UsageError(
            f"{self._host}: a role needs the variable {key}, which the inventory does not give"
            f"{did_you_mean(key, self)}",
            f"add {key} to the vars of {self._host}, of one of its groups, or of all",
        )


@dataclass(frozen=True)
class RoleContext:
    """The host that a role is applied to, and all hosts by name (itself included)."""

    name: str
    groups: tuple[str, ...]
    tower: str | None
    vars: Mapping[str, Any]
    facts: Mapping[str, str]
    hosts: Mapping[str, Host]


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
        UsageError: a role does not exist, needs a variable that is missing, or declares nonsense.

    >>> len(catalog(inventory, inventory.hosts["hangar"], ("base",)))  # doctest: +SKIP
    14
    """
    context = RoleContext(
        name=host.name,
        groups=host.groups,
        tower=host.tower,
        vars=Vars(host.name, host.vars),
        facts=host.facts,
        hosts=inventory.hosts,
    )
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
