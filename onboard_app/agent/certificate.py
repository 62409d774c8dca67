"""How long the portal's certificate holds, as the web server shows it to phones."""

from __future__ import annotations

import logging
import socket
import ssl
import time
from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import urlsplit

from common.settings import Settings

LOOK_EVERY_S = 3600.0
ANSWER_S = 3.0
SEQUENCE, UTC_TIME = 0x30, 0x17

log = logging.getLogger(__name__)


class Certificates:
    """Looks once in a while at what is shown, and says in heartbeats for how many days it holds.

    Args:
        settings: where the portal is.
        show: returns the certificate for a name at an address, as DER; raises OSError.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        settings: Settings,
        show: Callable[[str, str], bytes] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        portal = urlsplit(settings.portal_url)
        self._name = portal.hostname if portal.scheme == "https" else None
        self._address, self._show, self._clock = settings.cabin_address, show or shown, clock
        self._ends: datetime | None = None
        self._look_at = clock()

    def told(self, now: datetime) -> dict[str, dict[str, int]]:
        """The heartbeat's part, `{"certificates": {name: whole days left}}`, negative when it is over.

        Empty where the portal has no certificate, and while none can be seen.
        """
        if self._name is None:
            return {}
        if self._clock() >= self._look_at:
            try:
                self._ends = not_after(self._show(self._name, self._address))
                self._look_at = self._clock() + LOOK_EVERY_S
            except (OSError, LookupError, ValueError) as error:
                if self._ends:
                    log.error("the certificate of %s cannot be seen: %s", self._name, error)
                self._ends = None
        return {"certificates": {self._name: (self._ends - now).days}} if self._ends else {}


def shown(name: str, address: str) -> bytes:
    """The certificate that is shown to whoever asks for a name at an address, as DER; it is not judged.

    Raises:
        OSError: nobody answers there, or not with TLS.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection((address, 443), ANSWER_S) as plain,
        context.wrap_socket(plain, server_hostname=name) as secure,
    ):
        return secure.getpeercert(binary_form=True) or b""


def not_after(der: bytes) -> datetime:
    """When a certificate ends (RFC 5280, section 4.1).

    Raises:
        LookupError, ValueError: it is none.
    """
    to_be_signed = _elements(_elements(_elements(der)[0][1])[0][1])
    # The sequences of it are signature, issuer, validity, subject, key.
    validity = [content for tag, content in to_be_signed if tag == SEQUENCE][2]
    tag, text = _elements(validity)[1]
    form = "%y%m%d%H%M%SZ" if tag == UTC_TIME else "%Y%m%d%H%M%SZ"
    return datetime.strptime(text.decode("ascii"), form).replace(tzinfo=UTC)


def _elements(der: bytes) -> list[tuple[int, bytes]]:
    """The elements that stand in a row, as tag and content."""
    found, at = [], 0
    while at < len(der):
        tag, length, at = der[at], der[at + 1], at + 2
        if length & 0x80:
            more = length & 0x7F
            length, at = int.from_bytes(der[at : at + more], "big"), at + more
        found.append((tag, der[at : at + length]))
        at += length
    return found
