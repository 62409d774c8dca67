"""PostgreSQL's SCRAM-SHA-256 verifiers (RFC 5802, RFC 7677), so that no password travels."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
import unicodedata

from require.secret import Secret

ITERATIONS = 4096
_FORM = re.compile(
    r"SCRAM-SHA-256\$(\d{1,7}):([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]+):([A-Za-z0-9+/=]+)"
)


def verifier(password: Secret, salt: bytes | None = None) -> str:
    """Return what PostgreSQL keeps of a password.

    Args:
        password: the password.
        salt: 16 bytes; None takes random ones.

    Example:
        >>> verifier(Secret("x"), b"0" * 16)[:14]
        'SCRAM-SHA-256$'
    """
    return _verifier(password, salt or os.urandom(16), ITERATIONS)


def matches(password: Secret, kept: str) -> bool:
    """Tell whether a verifier, as read from pg_authid, was made from this password."""
    form = _FORM.fullmatch(kept)
    if form is None:
        return False
    again = _verifier(password, base64.b64decode(form[2]), int(form[1]))
    return hmac.compare_digest(again, kept)


def _verifier(password: Secret, salt: bytes, iterations: int) -> str:
    # NFKC is the part of SASLprep that changes real passwords.
    plain = unicodedata.normalize("NFKC", password.reveal()).encode()
    salted = hashlib.pbkdf2_hmac("sha256", plain, salt, iterations)
    client = hmac.digest(salted, b"Client Key", "sha256")
    stored = hashlib.sha256(client).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    parts = [base64.b64encode(part).decode() for part in (salt, stored, server)]
    return f"SCRAM-SHA-256${iterations}:{parts[0]}${parts[1]}:{parts[2]}"
