"""Collects what roles declare: an ordered list of resources with unique keys."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from require.errors import DeclarationError
from require.resource import Handler, Resource, Where

_ENGINE = os.path.dirname(os.path.abspath(__file__)) + os.sep
R = TypeVar("R", bound=Resource)


@dataclass
class Catalog:
    """Everything one host should be, in the order it was declared.

    Args:
        templates: folder of the Jinja2 templates, or None when there are none.
    """

    templates: Path | None = None
    _resources: dict[str, Resource] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._resources)

    def __iter__(self) -> Iterator[Resource]:
        return iter(self._resources.values())

    def __getitem__(self, key: str) -> Resource:
        return self._resources[key]

    def __contains__(self, key: object) -> bool:
        return key in self._resources

    def add(self, resource: R) -> R:
        """Add one resource.

        Raises:
            DeclarationError: its key is taken; both places are named.
        """
        other = self._resources.get(resource.key)
        if other is not None:
            raise DeclarationError(
                f"{resource.key} is declared twice, at {other.where} and at {resource.where}: "
                "keep one of them"
            )
        self._resources[resource.key] = resource
        return resource

    def needs_of(self, resource: Resource) -> tuple[str, ...]:
        """Return the keys that a resource waits for: those it names, and the natural ones that
        are declared here.

        Raises:
            DeclarationError: it names one that is not declared here.
        """
        for key in resource.needs:
            if key not in self._resources:
                raise DeclarationError(
                    f"{resource.key} ({resource.where}) needs {key}, which is not declared for "
                    "this host"
                )
        natural = (key for key in resource.natural_needs() if key in self._resources)
        return tuple(dict.fromkeys((*resource.needs, *natural)))

    def chosen(self, tags: Collection[str]) -> Catalog:
        """Return a catalog of some of this one, and of all that those need, in the same order.

        Args:
            tags: names of roles, and nouns such as "systemd".

        Raises:
            DeclarationError: one that is chosen needs another that is not declared.
        """
        wanted: dict[str, None] = {}

        def take(key: str) -> None:
            if key not in wanted:
                wanted[key] = None
                for need in self.needs_of(self[key]):
                    take(need)

        for each in self:
            if each.role in tags or each.noun in tags:
                take(each.key)
        return Catalog(self.templates, {each.key: each for each in self if each.key in wanted})

    def handlers(self) -> tuple[Handler, ...]:
        """Return every handler that some resource notifies, in the order first named.

        Raises:
            DeclarationError: two that differ have one key.
        """
        found: dict[str, Handler] = {}
        for each in self:
            for handler in each.notify:
                if found.setdefault(handler.key, handler) != handler:
                    raise DeclarationError(
                        f"{each.key} ({each.where}) notifies {handler.key}, which does something "
                        "else where it is named before: give one of them another name"
                    )
        return tuple(found.values())

    def ordered(self) -> tuple[Resource, ...]:
        """Return the resources so that each comes after what it needs, otherwise as declared.

        What a handler must run before comes after all that notify it, so that it runs once: systemd
        reads its units again when the last of them is written, not between any two of them. One that
        needs more than files stays where it is, for what it needs may have been declared there for
        a reason.

        Raises:
            DeclarationError: they need each other in a circle, which is named.
        """
        order: dict[str, Resource] = {}
        path: list[str] = []
        early = [
            (handler.before, [each.key for each in self if handler in each.notify])
            for handler in self.handlers()
            if handler.before
        ]
        needs = {each.key: self.needs_of(each) for each in self}

        def place(key: str) -> None:
            if key in order:
                return
            if key in path:
                circle = [*path[path.index(key) :], key]
                named = " → ".join(f"{each} ({self[each].where})" for each in circle)
                raise DeclarationError(f"these need each other in a circle: {named}")
            path.append(key)
            for need in needs[key]:
                place(need)
            for before, notifying in early:
                left = (each for each in notifying if each not in order)
                for each in left if key.startswith(before) else ():
                    ahead = _all_needs(each, needs) - order.keys()
                    if ahead.isdisjoint(path) and not any(self[one].wide for one in ahead):
                        place(each)
            path.pop()
            order[key] = self[key]

        for key in self._resources:
            place(key)
        return tuple(order.values())


def _all_needs(key: str, needs: Mapping[str, Sequence[str]]) -> set[str]:
    """Return a key, what it needs, and what those need."""
    found: set[str] = set()
    waiting = [key]
    while waiting:
        each = waiting.pop()
        if each not in found:
            found.add(each)
            waiting += needs[each]
    return found


_current: ContextVar[tuple[Catalog, str] | None] = ContextVar("require_catalog", default=None)


@contextmanager
def declare(role: str = "", *, templates: Path | None = None) -> Iterator[Catalog]:
    """Collect everything that is declared inside the block.

    Inside another `declare` it is the same catalog under another role's name, so that a host's
    roles can be functions that know nothing of each other.

    Args:
        role: name of the role, shown beside each resource.
        templates: folder that `template=` is looked up in; inherited from the outer block.

    Raises:
        DeclarationError: by the calls inside: a key taken, a template that does not render.

    Example:
        >>> with require.declare(role="motd") as catalog:
        ...     require.file.file("/etc/motd", content="Welcome aboard\\n")
        >>> [resource.key for resource in catalog]
        ['file:/etc/motd']
    """
    outer = _current.get()
    if outer is None:
        catalog, before = Catalog(templates), None
    else:
        catalog, before = outer[0], outer[0].templates
        catalog.templates = templates or before
    token = _current.set((catalog, role or (outer[1] if outer else "")))
    try:
        yield catalog
    finally:
        _current.reset(token)
        if outer is not None:
            catalog.templates = before


def declared(resource: R) -> R:
    """Add a resource to the catalog of the block we are in, and note who declared it and where.

    Raises:
        DeclarationError: there is no such block, or the key is taken.
    """
    current = _current.get()
    where = caller()
    if current is None:
        raise DeclarationError(
            f"{resource.key} ({where}) is declared outside of any `with require.declare():` block"
        )
    catalog, role = current
    return catalog.add(replace(resource, role=role, where=where))


def is_declared(key: str) -> bool:
    """Tell whether the block we are in has such a resource already."""
    current = _current.get()
    return current is not None and key in current[0]


def template_folder() -> Path | None:
    """Return the folder of templates of the block we are in."""
    current = _current.get()
    return current[0].templates if current else None


def caller() -> Where:
    """Return the nearest place on the call stack that is not the engine's own."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_ENGINE):
        frame = frame.f_back
    name = frame.f_code.co_filename
    with_cwd = os.path.relpath(name) if name.startswith(os.getcwd() + os.sep) else name
    return Where(with_cwd, frame.f_lineno)
