"""Phones that ask without a pause, and hold each answer to be of one release: `phones.py URL STOP PHONES`.

Run in a cabin's network, with nothing but the standard library. Every phone opens a page, then what belongs
to it, then the API, and now and then asks for what belongs to a page that it opened a while ago; every second
one does all of it on one connection, the others on a new one each time. They end when the file STOP appears,
and one line of JSON says what they saw.
"""

from __future__ import annotations

import http.client
import json
import re
import sys
import threading
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

ANSWER_S = 20.0
OPEN_S = 5.0  # for so long a page is looked at
SHOWN = 20
MARK = re.compile(r"edition-(\w+)")
ADDRESS = re.compile(r"/static/([^/\"]+)/[^\"]+\.css")


@dataclass
class Seen:
    """What the phones saw.

    Args:
        requests: answers that came whole.
        failed: those that did not come, or not with the status that was expected.
        mixed: those of which a part is of another release than its header says.
        slowest_ms: the longest that anybody waited.
        releases: how many answers were of each `X-Release`.
    """

    requests: int = 0
    failed: list[str] = field(default_factory=list)
    mixed: list[str] = field(default_factory=list)
    slowest_ms: float = 0.0
    releases: dict[str, int] = field(default_factory=dict)


class Phone(threading.Thread):
    """One phone."""

    def __init__(self, base: str, stop: Path, keeps: bool, seen: Seen, lock: threading.Lock):
        super().__init__(daemon=True)
        self.host, self.stop, self.keeps = urlsplit(base).netloc, stop, keeps
        self.seen, self.lock = seen, lock
        self.connection: http.client.HTTPConnection | None = None
        self.opened: tuple[float, str] | None = None

    def run(self) -> None:
        while not self.stop.exists():
            self._page()
            self._health()
            self._ask("/api/v1/content")

    def _page(self) -> None:
        got = self._ask("/join")
        if got is None:
            return
        release, page = got
        bundle = release.partition(", ")[2]
        sheets = set(ADDRESS.findall(page))
        if sheets != {bundle}:
            self._mixed(f"/join of {release} asks for files of {sheets}")
        address = ADDRESS.search(page)
        sheet = self._ask(address[0], of_app=False) if address else None
        marks = MARK.findall(page), MARK.findall(sheet[1]) if sheet else []
        if sheet and marks[0] != marks[1]:
            self._mixed(f"/join of {release} is edition {marks[0]}, its style is {marks[1]}")
        if address:
            self._turn_back(address[0])

    def _turn_back(self, address: str) -> None:
        """Asks for what belongs to the page that has been open for a while, then opens this one."""
        now = time.monotonic()
        at, opened = self.opened or (now - OPEN_S, address)
        if now - at >= OPEN_S:
            self._ask(opened, of_app=False)
            self.opened = now, address

    def _health(self) -> None:
        got = self._ask("/health")
        if got and json.loads(got[1])["revision"][:12] != got[0].partition(", ")[0]:
            self._mixed(f"/health of {got[0]} says {got[1][:120]}")

    def _ask(self, path: str, of_app: bool = True) -> tuple[str, str] | None:
        """Returns `X-Release` and the text of an answer; None when it failed."""
        began = time.monotonic()
        try:
            if self.connection is None:
                self.connection = http.client.HTTPConnection(self.host, timeout=ANSWER_S)
            self.connection.request("GET", path)
            answer = self.connection.getresponse()
            text = answer.read().decode()
        except (OSError, http.client.HTTPException) as error:
            self._close()
            self._failed(f"{path}: {type(error).__name__}: {error}")
            return None
        if not self.keeps:
            self._close()
        release = answer.headers.get("X-Release", "")
        if answer.status != 200 or (of_app and not release):
            self._failed(f"{path}: {answer.status} {text[:120]}")
            return None
        with self.lock:
            self.seen.requests += 1
            waited = (time.monotonic() - began) * 1000
            self.seen.slowest_ms = max(self.seen.slowest_ms, round(waited, 1))
            if of_app:
                self.seen.releases[release] = self.seen.releases.get(release, 0) + 1
        return release, text

    def _close(self) -> None:
        if self.connection is not None:
            self.connection.close()
        self.connection = None

    def _failed(self, what: str) -> None:
        with self.lock:
            self.seen.failed.append(what)

    def _mixed(self, what: str) -> None:
        with self.lock:
            self.seen.mixed.append(what)


def main(base: str, stop: str, phones: str) -> None:
    """Lets so many phones ask until the file is there."""
    seen, lock = Seen(), threading.Lock()
    asking = [Phone(base, Path(stop), bool(n % 2), seen, lock) for n in range(int(phones))]
    for phone in asking:
        phone.start()
    for phone in asking:
        phone.join()
    told = asdict(seen)
    told |= {"failures": len(seen.failed), "mixtures": len(seen.mixed)}
    told |= {"failed": seen.failed[:SHOWN], "mixed": seen.mixed[:SHOWN]}
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
