"""What each family of phones asks, and what it expects where the internet is; and whose owner was here."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from onboard_app.avionics.store import Store, Unreachable

SEEN_LIVES_MS = 8 * 3_600_000

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Probe:
    """A path that phones ask for, and the answer that contents them."""

    path: str
    body: str = ""
    mimetype: str = "text/plain"

    @property
    def status(self) -> int:
        """200, or 204 where nothing is expected."""
        return 200 if self.body else 204


APPLE = "<HTML><HEAD><TITLE>Success</TITLE></HEAD><BODY>Success</BODY></HTML>\n"
KINDLE = (
    "<html><head><title>Kindle Reachability Probe Page</title></head>"
    "<body>81ce4465-7167-4dcb-835b-dcc9e44c112a</body></html>\n"
)
FIREFOX = (
    '<meta http-equiv="refresh" content="0;url=https://support.mozilla.org/kb/captive-portal"/>'
)
PROBES = (
    Probe("/generate_204"),  # Android, Chrome
    Probe("/gen_204"),
    Probe("/hotspot-detect.html", APPLE, "text/html"),
    Probe("/connecttest.txt", "Microsoft Connect Test"),
    Probe("/ncsi.txt", "Microsoft NCSI"),
    Probe("/kindle-wifi/wifistub.html", KINDLE, "text/html"),
    Probe("/canonical.html", FIREFOX, "text/html"),
    Probe("/success.txt", "success\n"),
)


def has_seen(store: Store, address: str) -> bool:
    """Whether the owner of the phone with that address pressed the button.

    While the store is away nobody has: a sheet that opens once more is better than none.
    """
    try:
        return bool(address) and store.get(_key(address)) is not None
    except Unreachable:
        return False


def saw(store: Store, address: str) -> None:
    """Keeps that the owner of the phone with that address pressed the button."""
    if address:
        try:
            store.put(_key(address), "seen", SEEN_LIVES_MS)
        except Unreachable as error:
            log.error("a phone's sheet will open once more: %s", error)


def _key(address: str) -> str:
    return f"captive:{address}"
