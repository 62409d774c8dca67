"""Texts encrypted with age to named public keys, and the file with the private ones that opens them.

What is written is what the program `age` writes with `--armor`: https://age-encryption.org/v1.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pyrage
from pyrage import x25519

from fleet.errors import UsageError

_BEGIN, _END = "-----BEGIN AGE ENCRYPTED FILE-----", "-----END AGE ENCRYPTED FILE-----"
_MESSAGE = re.compile(rf"{_BEGIN}\n([A-Za-z0-9+/=]{{1,64}}\n)+{_END}\n?")


def is_public_key(text: str) -> bool:
    """Whether this is a public key, its checksum included.

    >>> is_public_key("age1lggyhqrw2nlhcxprm67z43rta597azn8gknawjehu9d9dl0jq3yqqvfafg")
    True
    """
    try:
        x25519.Recipient.from_str(text)
    except pyrage.RecipientError:
        return False
    return True


def is_message(text: str) -> bool:
    """Whether this has the form of an encrypted text."""
    return _MESSAGE.fullmatch(text) is not None


def encrypt(text: str, keys: Iterable[str]) -> str:
    """Returns the text encrypted to each of these public keys, at least one."""
    recipients = [x25519.Recipient.from_str(key) for key in keys]
    message: bytes = pyrage.encrypt(text.encode(), recipients, armored=True)
    return message.decode()


def decrypt(message: str, identities: Sequence[Any]) -> str:
    """Returns the text of a message.

    Raises:
        ValueError: it was changed, or is encrypted to none of these.
    """
    try:
        text: bytes = pyrage.decrypt(message.encode(), list(identities))
    except pyrage.DecryptError as error:
        raise ValueError(str(error).partition("\n")[0]) from None
    return text.decode()


def new_identity() -> tuple[str, str]:
    """Returns a private key as it stands in its file, and its public half."""
    made = x25519.Identity.generate()
    public = str(made.to_public())
    return f"# public key: {public}\n{made}\n", public


def read_identities(path: Path) -> tuple[Any, ...]:
    """Returns the private keys of a file, one on each line beside comments, as `age-keygen` writes it.

    Raises:
        UsageError: there is none, others may read it, or a line is no key; no line is ever shown.
    """
    try:
        mode = path.stat().st_mode & 0o777
        lines = path.read_text().splitlines()
    except FileNotFoundError:
        raise UsageError(
            f"there is no key to open secrets with at {path}",
            "./inv secrets.keygen makes one and shows what is to be done with its public half",
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise UsageError(f"{path}: cannot be read: {reason}") from None
    if mode & 0o077:
        raise UsageError(
            f"{path}: expected a file that nobody but its owner may read, found mode {mode:04o}",
            f"chmod 600 {path}; and if others are on this machine, replace the key",
        )
    found = []
    for number, line in enumerate(lines, 1):
        if line.strip() and not line.startswith("#"):
            try:
                found.append(x25519.Identity.from_str(line.strip()))
            except pyrage.IdentityError:
                raise UsageError(
                    f"{path}:{number}: expected a private key (AGE-SECRET-KEY-1…) or a comment, "
                    "found something else"
                ) from None
    if not found:
        raise UsageError(f"{path}: expected a private key (AGE-SECRET-KEY-1…), found none")
    return tuple(found)


def public_keys(identities: Iterable[Any]) -> tuple[str, ...]:
    """Returns the public halves."""
    return tuple(str(each.to_public()) for each in identities)
