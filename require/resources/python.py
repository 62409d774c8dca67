"""Python virtual environments."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from require.catalog import declared
from require.errors import DeclarationError
from require.resource import Change, Handler, NoChange, Plan, Resource, Spec, State, Unknown, keys

_PIN = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)(?:==([A-Za-z0-9.!+_-]+))?")


@dataclass(frozen=True, kw_only=True)
class Environment(Resource):
    """A virtual environment with packages from a folder of wheels.

    Args:
        path: where it is.
        wheelhouse: folder on the host that holds the wheels.
        requirements: pairs of (normalised name, version or "").
        owner: account that owns it.
    """

    noun: ClassVar[str] = "python"

    path: str
    wheelhouse: str
    requirements: tuple[tuple[str, str], ...]
    owner: str = "root"

    @property
    def key(self) -> str:
        return f"python.environment:{self.path}"

    def natural_needs(self) -> tuple[str, ...]:
        parent = self.path.rpartition("/")[0]
        return (f"user:{self.owner}", f"file:{parent}", f"file:{self.wheelhouse}")

    def question(self) -> Spec:
        return {"path": self.path, "names": [name for name, _ in self.requirements]}

    def order(self) -> Spec:
        pins = [f"{name}=={version}" if version else name for name, version in self.requirements]
        return {"wheelhouse": self.wheelhouse, "pins": pins, "owner": self.owner}

    def plan(self, state: State) -> Plan:
        if not state["made"] and not state["ensurepip"]:
            return Unknown("until the package python3-venv is installed")
        installed = state["installed"]
        wrong = [
            f"{name} {installed.get(name, 'absent')} → {version or 'any'}"
            for name, version in self.requirements
            if name not in installed or (version and installed[name] != version)
        ]
        if not state["made"]:
            return Change(f"make the environment with {len(self.requirements)} packages")
        return Change(f"install {', '.join(wrong)}") if wrong else NoChange()


def environment(
    path: str,
    *,
    wheelhouse: str,
    requirements: Sequence[str],
    owner: str = "root",
    needs: Sequence[Resource] = (),
    notify: Sequence[Handler] = (),
) -> Environment:
    """Declare a virtual environment whose packages come from a folder of wheels on the host; no
    index is ever asked.

    Args:
        path: absolute path of the environment.
        wheelhouse: absolute path of the folder of wheels on the host.
        requirements: "name==version" or "name"; what is installed beside them is left.
        owner: account that owns it and makes it.
        needs: resources that must be right first.
        notify: handlers to run after a change.

    Raises:
        DeclarationError: a requirement in any other form.

    Example:
        >>> require.python.environment("/opt/tools", wheelhouse="/var/cache/wheels",
        ...     requirements=["flask==3.1.2"])
    """
    pairs = []
    for requirement in requirements:
        match = _PIN.fullmatch(requirement.strip())
        if match is None:
            raise DeclarationError(
                f'python.environment({path!r}): {requirement!r}: wanted "name==version" or "name"'
            )
        name = re.sub(r"[-_.]+", "-", match[1]).lower()
        pairs.append((name, match[2] or ""))
    return declared(
        Environment(
            path=path,
            wheelhouse=wheelhouse,
            requirements=tuple(pairs),
            owner=owner,
            needs=keys(needs),
            notify=tuple(notify),
        )
    )
