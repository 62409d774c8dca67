"""Verifiers are what PostgreSQL itself makes of a password."""

from __future__ import annotations

import base64
import hmac

from require import scram
from require.secret import Secret

# The salt of the exchange in RFC 7677 §3: user "user", password "pencil".
SALT = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")


def test_a_verifier_matches_its_password_only() -> None:
    kept = scram.verifier(Secret("pencil"), SALT)
    assert scram.matches(Secret("pencil"), kept)
    assert not scram.matches(Secret("pen"), kept)


def test_the_server_signature_of_rfc_7677_follows_from_the_verifier() -> None:
    server_key = base64.b64decode(scram.verifier(Secret("pencil"), SALT).rpartition(":")[2])
    message = (
        "n=user,r=rOprNGfwEbeRWgbNEkqO,"
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,"
        "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
    )
    signature = hmac.digest(server_key, message.encode(), "sha256")
    assert base64.b64encode(signature) == b"6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


def test_what_is_no_verifier_matches_nothing() -> None:
    assert not scram.matches(Secret("x"), "")
    assert not scram.matches(Secret("x"), "md5" + "0" * 32)
