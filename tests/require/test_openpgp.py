"""A public key is told from everything that looks like one."""

from __future__ import annotations

import base64

import pytest

from require import openpgp
from tests.require.armoured import KEY

SIGNATURE = base64.b64encode(b"\x88\x10" + b"x" * 16).decode()


@pytest.mark.parametrize(
    "key",
    [
        KEY,
        KEY.replace("\n", "\r\n"),
        KEY.replace("BLOCK-----\n\n", "BLOCK-----\nVersion: GnuPG v2\n\n", 1),
        KEY.replace("=39MJ\n", ""),
    ],
    ids=["as gpg prints it", "from Windows", "with a header", "without a checksum"],
)
def test_a_public_key_is_taken(key: str) -> None:
    assert openpgp.refusal(key) == ""


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no block"),
        ("mQINBFit2ioBEADhWpZ8/wvZ6hUTiXOwQHXMAlaFHcPH9hAtr4F1y2+OYdbtMuth", "no block"),
        (KEY[:300], "no block"),
        (KEY.replace("PUBLIC KEY BLOCK", "PRIVATE KEY BLOCK"), "a private key block"),
        (KEY.replace("PUBLIC KEY BLOCK", "SIGNATURE"), "a signature"),
        (KEY.replace("iz/J", "iz/K"), "checksum"),
        (KEY.replace("iz/J", "iz/"), "base64"),
        (f"{KEY[:37]}\n{SIGNATURE}\n-----END PGP PUBLIC KEY BLOCK-----\n", "no public key"),
    ],
    ids=[
        "nothing",
        "not armoured",
        "cut",
        "private",
        "signature",
        "one letter",
        "one letter less",
        "something else in it",
    ],
)
def test_what_is_none_is_told(text: str, why: str) -> None:
    assert why in openpgp.refusal(text)
