"""Secrets: encrypted in the inventory with age, their names in clear, opened when a role asks for one.

Beside the inventory, `secrets/LEVEL.yml` holds the values of a level, `all`, `group-NAME` or
`host-NAME`, with the same precedence as variables. Each value is an age message of its own, so what
exists is known, checked and compared without any key, and only what is asked for is ever opened.
Level and name are in the message too: one that was moved elsewhere is refused.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from fleet.age import decrypt, encrypt, is_message, public_keys, read_identities
from fleet.errors import UsageError, did_you_mean
from fleet.inventory_yaml import Faults, Value, read
from fleet.origin import Origin, Origins, laid_over
from fleet.recipients import Recipient, public_key, read_recipients
from require import Secret

NAME = r"[A-Za-z_][A-Za-z0-9_]{0,62}"
RECIPIENTS = "recipients.yml"
_HEAD = "# Written by ./inv secrets.edit: each value is an age message that these can read.\n"


@dataclass(frozen=True)
class Sealed:
    """An encrypted value.

    Args:
        level: as the file is named, `group-aircraft`.
        message: armored age message of level, name and value.
        readers: public keys that it is encrypted to, by name.
    """

    level: str
    message: str = field(repr=False)
    readers: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True)
class Level:
    """The secrets of one level as its file has them.

    Args:
        readers: public keys that all of them are encrypted to, by name.
        messages: armored age messages by the secret's name.
        lines: where each stands.
    """

    readers: Mapping[str, str]
    messages: Mapping[str, str] = field(repr=False)
    lines: Mapping[str, int] = field(default_factory=dict, compare=False)

    def text(self) -> str:
        """Returns what its file holds."""
        lines = ["readers:", *(f"  {name}: {key}" for name, key in self.readers.items())]
        lines.append("secrets:")
        for name, message in self.messages.items():
            lines += [f"  {name}: |", *(f"    {line}" for line in message.splitlines())]
        return _HEAD + "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Secrets:
    """All secrets of a fleet, closed, and who may read which.

    Args:
        folder: where they are, beside the inventory.
        known: the levels that there can be, in order.
        recipients: by name.
        levels: those that hold any secret.
    """

    folder: Path = Path("secrets")
    known: tuple[str, ...] = ()
    recipients: Mapping[str, Recipient] = field(default_factory=dict)
    levels: Mapping[str, Level] = field(default_factory=dict)

    @property
    def recipients_path(self) -> Path:
        """Returns the file that says who may read which level."""
        return self.folder / RECIPIENTS

    def path(self, level: str) -> Path:
        """Returns the file of a level."""
        return self.folder / f"{level}.yml"

    def readers(self, level: str) -> dict[str, str]:
        """Returns the public keys of those who may read a level, by name."""
        return {name: each.key for name, each in self.recipients.items() if each.may_read(level)}

    def at(self, level: str) -> Origins:
        """Returns the secrets of a level by name, closed (`Sealed`), with where each stands."""
        found = self.levels.get(level, Level({}, {}))
        return {
            name: Origin(
                level.replace("-", " ", 1),
                self.path(level),
                found.lines[name],
                Sealed(level, message, found.readers),
            )
            for name, message in found.messages.items()
        }

    def of(self, host: str, groups: Collection[str]) -> Origins:
        """Returns the secrets of a host by name: its own over its groups' over those of all.

        Args:
            host: its name.
            groups: the weakest first.
        """
        origins: Origins = {}
        for level in ("all", *(f"group-{group}" for group in groups), f"host-{host}"):
            origins = laid_over(origins, self.at(level))
        return origins


def read_secrets(
    folder: Path, groups: Collection[str], hosts: Collection[str], faults: Faults
) -> Secrets:
    """Reads what is in clear: who may read which level, and which secrets there are. Opens nothing.

    Args:
        folder: need not exist.
        groups: all that there are.
        hosts: all that there are.
        faults: takes those of every file.

    Raises:
        UsageError: a file is no YAML at all.
    """
    known = ("all", *(f"group-{name}" for name in groups), *(f"host-{name}" for name in hosts))
    recipients, wrong = read_recipients(folder / RECIPIENTS, known)
    faults.found += wrong.found
    levels = {}
    for path in sorted(folder.glob("*.yml")):
        level = path.stem
        if path.name == RECIPIENTS:
            continue
        if level not in known:
            wrong = Faults(path)
            expected = "a level of this inventory: all, group-NAME or host-NAME"
            wrong.add(1, expected, repr(level), did_you_mean(level, known))
        else:
            levels[level], wrong = read_level(path)
        faults.found += wrong.found
    return Secrets(folder, known, recipients, levels)


def read_level(path: Path) -> tuple[Level, Faults]:
    """Returns the secrets of a level, closed, and the file's faults; no value is ever shown.

    Raises:
        UsageError: it is no YAML at all.
    """
    root, faults = read(path, hidden=True)  # somebody may have written one in clear
    parts = dict(root.items("readers and secrets", ("readers", "secrets"))) if root else {}
    for needed in ("readers", "secrets"):
        if needed not in parts:
            faults.add(1, f"a key {needed}", "none")
    keys = dict(parts["readers"].items("readers by name")) if "readers" in parts else {}
    values = dict(parts["secrets"].items("secrets by name")) if "secrets" in parts else {}
    messages = {name: _message(name, value) for name, value in values.items()}
    return (
        Level(
            {name: public_key(value) for name, value in keys.items()},
            messages,
            {name: value.line for name, value in values.items()},
        ),
        faults,
    )


def _message(name: str, value: Value) -> str:
    if not re.fullmatch(NAME, name):
        value.faults.add(value.line, "a name of letters, digits and _", repr(name))
    text = value.text(f"an age message for {name}", r"(?s).+")
    if text and not is_message(text):
        value.fault(f"an age message for {name}")
    return text


def close(level: str, name: str, value: str, keys: Collection[str]) -> str:
    """Returns the message that holds a value in its place, encrypted to these public keys."""
    return encrypt(f"{level} {name}\n{value}", keys)


class Opener:
    """Opens secrets with the private keys of one file, which is read when the first is asked for.

    Args:
        path: the file of the keys.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @cached_property
    def _identities(self) -> tuple[Any, ...]:
        return read_identities(self.path)

    def open(self, name: str, origin: Origin) -> Secret:
        """Returns the value of a secret.

        Args:
            name: the secret's.
            origin: where it stands; its value is `Sealed`.

        Raises:
            UsageError: there is no key here, it may not read this level, or the message was
                changed; nothing was touched.
        """
        sealed: Sealed = origin.value
        place = f"{origin.path}:{origin.line}: {name} of {origin.level}"
        anew = f"./inv secrets.edit --level {sealed.level} --name {name} sets it anew"
        mine = public_keys(self._identities)
        if not set(mine) & set(sealed.readers.values()):
            raise UsageError(
                f"{place} cannot be read with {self.path} ({', '.join(mine)}): it is encrypted to "
                f"{', '.join(sealed.readers)} only",
                f"let the key read {sealed.level} in {origin.path.with_name(RECIPIENTS)}, and one of "
                "those who can read it run ./inv secrets.rekey",
            )
        try:
            text = decrypt(sealed.message, self._identities)
        except ValueError as error:
            raise UsageError(
                f"{place} cannot be opened, it was changed or damaged: {error}",
                f"take the file from git again; {anew}",
            ) from None
        head, _, value = text.partition("\n")
        if head != f"{sealed.level} {name}":
            raise UsageError(
                f"{place} was written for another place and moved or copied here",
                f"take the file from git again; {anew}",
            )
        return Secret(value)
