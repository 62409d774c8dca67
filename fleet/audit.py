"""The fleet's audit log and counters, which the hangar keeps (`fleet.aboard.ledger`), from here."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from fleet.aboard.ledger import SAID_LIMIT
from fleet.errors import FleetError, Offline, RemoteFailed
from fleet.release import ABOARD, Link
from fleet.summary import printable

ORDER_S = 60.0
SHOWN = 20
HEADINGS = ("at", "who", "what", "release", "counter", "hosts", "how it ended")
_FEW = 3


class Ledger:
    """The audit log of a fleet, for one command.

    Args:
        hangar: the way to it.
        operator: who we are.

    Example:
        >>> Ledger(connection, "eva@desk").issue("deploy", "onboard", "2026…", ["EC-TAA"])  # doctest: +SKIP
        1790000000
    """

    def __init__(self, hangar: Link, operator: str) -> None:
        self._hangar, self.operator = hangar, operator

    def issue(self, what: str, kind: str, version: str, targets: Sequence[str]) -> int:
        """Returns a new counter, after the hangar wrote down what it is for.

        Args:
            what: the command, such as `deploy`.
            kind, version: of what is about to be shipped.
            targets: the hosts.

        Raises:
            Offline: the hangar does not answer.
            FleetError: it has no counters to issue.
        """
        words = {"kind": kind, "version": version, "targets": list(targets)}
        try:
            said = self._order("issue", {"what": what, **words})
        except Offline as error:
            name = self._hangar.name
            raise Offline(
                f"{error.what}; what is shipped needs a counter, which {name} issues",
                f"nothing was shipped; run the command again when {name} answers",
            ) from error
        return int(said["counter"])

    def record(
        self, what: str, ended: str, targets: Mapping[str, str], counters: Sequence[int] = ()
    ) -> None:
        """Writes down how something ended.

        Args:
            what: the command.
            ended: in a line.
            targets: the hosts, and how it ended there.
            counters: those that were issued for it.

        Raises:
            FleetError: the hangar did not write it; off-line is `Offline`.
        """
        said = {host: _line(how) for host, how in targets.items()}
        self._order(
            "record", {"what": what, "ended": ended, "targets": said, "counters": list(counters)}
        )

    def last(self, count: int = SHOWN) -> list[dict[str, Any]]:
        """Returns the last entries, the oldest of them first.

        Raises:
            FleetError: the hangar does not tell; off-line is `Offline`.
        """
        entries: list[dict[str, Any]] = self._ask(["audit", "--last", str(count)], b"")["entries"]
        return entries

    def _order(self, word: str, order: Mapping[str, Any]) -> dict[str, Any]:
        return self._ask([word], json.dumps({"who": self.operator, **order}).encode())

    def _ask(self, words: Sequence[str], stdin: bytes) -> dict[str, Any]:
        name, what = self._hangar.name, f"aboard {words[0]}"
        done = self._hangar.run([*ABOARD, *words], stdin, timeout_s=ORDER_S)
        if done.exit:
            printed = done.stderr.decode(errors="replace").strip().splitlines()
            raise RemoteFailed(
                f"{name}: {what} ended with exit code {done.exit}: "
                f"{' '.join(printed[-3:]) or 'no output'}",
                f"if aboard is not there yet, or older: fab converge --target {name}",
            )
        try:
            said: dict[str, Any] = json.loads(done.stdout)
        except ValueError:
            raise FleetError(
                f"{name}: expected {what} to answer with JSON, found {done.stdout[:200]!r}",
                f"fab converge --target {name}",
            ) from None
        return said


def table(entries: Sequence[Mapping[str, Any]]) -> list[str]:
    """Returns entries of the log as aligned lines, headings first."""
    shipped = {one["counter"]: _release(one) for one in entries if "counter" in one}
    cells = [HEADINGS, *(_cells(each, shipped) for each in entries)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(HEADINGS))]
    return [
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    ]


def _release(issued: Mapping[str, Any]) -> str:
    # The revision names it; its time would make the line too long for a narrow terminal.
    return f"{issued.get('kind')} {str(issued.get('version')).rpartition('-')[2]}"


def _cells(entry: Mapping[str, Any], shipped: Mapping[int, str]) -> tuple[str, ...]:
    if entry.get("event") == "damaged":
        return ("damaged", *[""] * (len(HEADINGS) - 1))
    targets = list(entry.get("targets") or ())
    more = f" and {len(targets) - _FEW} more" if len(targets) > _FEW else ""
    counters = [entry["counter"]] if "counter" in entry else entry.get("counters") or ()
    return (
        str(entry.get("at", ""))[:16].replace("T", " "),
        str(entry.get("who", "")),
        str(entry.get("what", "")),
        ", ".join(shipped[each] for each in counters if each in shipped),
        " ".join(str(each) for each in counters),
        ", ".join(targets[:_FEW]) + more,
        str(entry.get("ended") or "begun"),
    )


def _line(text: str) -> str:
    """Returns a text as the log takes it: one line, and not too long."""
    return printable(text)[:SAID_LIMIT] or "-"
