"""Reads just enough of OpenPGP to tell a public key from anything else. RFC 9580, §6 and §4.2."""

from __future__ import annotations

import base64
import binascii
import re

_ARMOUR = re.compile(
    r"\s*-----BEGIN PGP (?P<what>[A-Z ]+)-----[ \t]*\r?\n"
    r"(?:[A-Za-z]+: .*\r?\n)*[ \t]*\r?\n?"
    r"(?P<body>[A-Za-z0-9+/=\s]+?)"
    r"(?:\r?\n=(?P<sum>[A-Za-z0-9+/]{4}))?\s*"
    r"-----END PGP (?P=what)-----\s*"
)
PUBLIC_KEY = 6


def refusal(text: str) -> str:
    """Return why a text is no armoured public key, "" when it is one.

    The key is not used here, so neither its algorithm nor its own signatures are checked: that it
    came whole and is no private one is.

    Args:
        text: as `gpg --armor --export` prints it; one block.

    Example:
        >>> refusal("-----BEGIN PGP PRIVATE KEY BLOCK-----…")
        'no block of OpenPGP armour from its BEGIN to its END'
    """
    found = _ARMOUR.fullmatch(text)
    if found is None:
        return "no block of OpenPGP armour from its BEGIN to its END"
    if found["what"] != "PUBLIC KEY BLOCK":
        return f"a {found['what'].lower()}, and no public key block"
    try:
        data = base64.b64decode("".join(found["body"].split()), validate=True)
    except binascii.Error:
        return "damaged: it is no base64"
    if found["sum"] and crc24(data) != int.from_bytes(base64.b64decode(found["sum"]), "big"):
        return "damaged: its checksum is another"
    # The tag is in the first byte: in its last six bits, or in older packets in the middle four.
    first = data[0]
    tag = first & 0x3F if first & 0x40 else (first & 0x3C) >> 2
    if not first & 0x80 or tag != PUBLIC_KEY:
        return "armour around something that is no public key"
    return ""


def crc24(data: bytes) -> int:
    """Return the checksum of a block of armour (RFC 9580, §6.1.1)."""
    value = 0xB704CE
    for byte in data:
        value ^= byte << 16
        for _ in range(8):
            value <<= 1
            if value & 0x1000000:
                value ^= 0x1864CFB
    return value
