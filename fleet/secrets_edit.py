"""What `inv secrets.*` does: set and remove secrets, encrypt them anew, make the key that opens them.

A value is in memory only: what reaches the disk is encrypted. Setting one needs no private key, so
whoever may write to the inventory can give a host a secret that they cannot read again.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fleet.aboard import disk
from fleet.age import new_identity
from fleet.errors import FleetError, UsageError, did_you_mean
from fleet.inventory import Inventory
from fleet.secrets import NAME, RECIPIENTS, Level, Secrets, close, read_level

# Anything shorter is not masked in what a host says: it would mask half of any text.
SHORTEST = 4
MAX_BYTES = 64 * 1024


@dataclass(frozen=True)
class Row:
    """One secret for `inv secrets.list`.

    Args:
        level: as `--level` takes it.
        name: its own.
        readers: names of those it is encrypted to.
        stale: recipients.yml says otherwise, so it is to be encrypted anew.
    """

    level: str
    name: str
    readers: tuple[str, ...]
    stale: bool


def check_place(inventory: Inventory, level: str, name: str) -> None:
    """Sees that a secret can be set there, before anybody is asked for it.

    Raises:
        UsageError: there is no such level, the name is none or a variable's, nobody may read the
            level, or it waits to be encrypted to other readers.
    """
    secrets = inventory.secrets
    if level not in secrets.known:
        raise UsageError(
            f"--level: expected all, group-NAME or host-NAME of {inventory.path}, found {level!r}"
            f"{did_you_mean(level, secrets.known)}"
        )
    if not re.fullmatch(NAME, name):
        raise UsageError(f"--name: expected letters, digits and _, found {name!r}")
    if name in inventory.variables:
        raise UsageError(
            f"--name: expected a name that no variable has, found {name}, a variable of "
            f"{inventory.variables[name]}",
            "take it out of the inventory first; a value that was in clear should be replaced",
        )
    if not secrets.readers(level):
        raise UsageError(
            f"{secrets.recipients_path}: nobody may read {level}",
            './inv secrets.keygen makes a key; then write a line NAME: { key: age1…, reads: ["*"] }',
        )
    _current(secrets, level, secrets.levels.get(level))


def put(inventory: Inventory, level: str, name: str, value: str) -> str:
    """Sets a secret, or removes it when the value is empty; returns what was done.

    Args:
        inventory: as it was loaded before the value was asked for.
        level: `all`, `group-NAME` or `host-NAME`.
        name: letters, digits and `_`.
        value: the text itself.

    Raises:
        UsageError: it cannot be set there, there is nothing to remove, or the value is too short to
            be masked or too long.
        FleetError: somebody else changed this very secret in the meantime.
    """
    check_place(inventory, level, name)
    if value and not SHORTEST <= len(value.encode()) <= MAX_BYTES:
        raise UsageError(
            f"{name}: expected a value of {SHORTEST} to {MAX_BYTES} bytes, found "
            f"{len(value.encode())}",
            "a shorter one could not be masked in what hosts say",
        )
    secrets = inventory.secrets
    path = secrets.path(level)
    with _alone(secrets.folder):
        now = _read(path)
        _current(secrets, level, now)
        before = secrets.levels.get(level)
        messages = dict(now.messages) if now else {}
        if messages.get(name) != (before.messages.get(name) if before else None):
            raise FleetError(
                f"{path}: {name} was changed by somebody else meanwhile; nothing was written",
                "look at what they did, then run the command again if it is still wanted",
            )
        if value:
            readers = secrets.readers(level)
            messages[name] = close(level, name, value, readers.values())
            said = f"{name} of {level} is set; {', '.join(readers)} can read it"
        elif name in messages:
            del messages[name]
            said = f"{name} of {level} is removed; who could read it has it in git's history"
        else:
            hint = did_you_mean(name, messages)
            raise UsageError(f"{path}: there is no {name} to remove{hint}")
        _write(path, Level(secrets.readers(level), messages))
    return said


def rekey(inventory: Inventory) -> list[str]:
    """Encrypts each level anew whose readers are no longer those of recipients.yml.

    Everything is opened before anything is written, so a key that cannot read one of them changes none.

    Returns:
        A line for each level that was changed; empty when there was none.

    Raises:
        UsageError: nobody may read a level, or our key cannot.
    """
    secrets = inventory.secrets
    lines, made = [], {}
    with _alone(secrets.folder):
        for level in secrets.levels:
            wanted = secrets.readers(level)
            before = _read(secrets.path(level))
            if before is None or before.readers == wanted:
                continue
            if not wanted:
                raise UsageError(
                    f"{secrets.recipients_path}: nobody may read {level} any more",
                    f"let somebody, or remove {secrets.path(level)}",
                )
            values = {
                name: inventory.opener.open(name, origin)
                for name, origin in Secrets(secrets.folder, levels={level: before})
                .at(level)
                .items()
            }
            messages = {
                name: close(level, name, value.reveal(), wanted.values())
                for name, value in values.items()
            }
            made[level] = Level(wanted, messages)
            lines.append(f"{level}: {_changed(before.readers, wanted)}")
        for level, after in made.items():
            _write(secrets.path(level), after)
    return lines


def keygen(inventory: Inventory) -> tuple[Path, str]:
    """Makes the key that opens secrets, where the other keys of ops are.

    Returns:
        Its file, and its public half.

    Raises:
        UsageError: there is one already.
    """
    path = inventory.opener.path
    text, public = new_identity()
    with _alone(path.parent, 0o700):
        if os.path.lexists(path):
            raise UsageError(
                f"there is a key at {path} already, and secrets may be encrypted to it",
                "move it away first if it is to be replaced",
            )
        disk.write(path, [text.encode()], 0o600)
    return path, public


def listing(inventory: Inventory) -> list[Row]:
    """Returns every secret with its readers, level by level; opens none."""
    secrets = inventory.secrets
    return [
        Row(level, name, tuple(found.readers), found.readers != secrets.readers(level))
        for level, found in secrets.levels.items()
        for name in found.messages
    ]


def _changed(before: Mapping[str, str], after: Mapping[str, str]) -> str:
    """Says who can read a level now, and who no longer."""
    gone = [
        f"{name}'s former key" if name in after else name
        for name, key in before.items()
        if key not in after.values()
    ]
    said = f"{', '.join(after)} can read it now"
    if not gone:
        return said
    return (
        f"{said}, {', '.join(gone)} no longer; but git's history still opens to that: give its secrets "
        "new values"
    )


def _current(secrets: Secrets, level: str, found: Level | None) -> None:
    """Refuses to mix values that some can read with values that others can."""
    if found and found.readers != secrets.readers(level):
        raise UsageError(
            f"{secrets.path(level)} is encrypted to {', '.join(found.readers)}, and by "
            f"{RECIPIENTS} {', '.join(secrets.readers(level)) or 'nobody'} may read {level}",
            "./inv secrets.rekey first",
        )


@contextmanager
def _alone(folder: Path, mode: int = 0o755) -> Iterator[None]:
    """Lets one command at a time read and write there; nobody is waited for who still types."""
    try:
        disk.make_folder(folder, mode)
        held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(held, fcntl.LOCK_EX)
            yield
        finally:
            os.close(held)
    except OSError as error:
        place = error.filename or folder
        raise FleetError(f"{place}: cannot be written: {error.strerror}") from None


def _read(path: Path) -> Level | None:
    if not path.is_file():
        return None
    level, faults = read_level(path)
    faults.stop()
    return level


def _write(path: Path, level: Level) -> None:
    """Writes the file of a level durably; a level without secrets has none."""
    if level.messages:
        disk.write(path, [level.text().encode()])
    else:
        path.unlink(missing_ok=True)
        disk.sync_folder(path.parent)
