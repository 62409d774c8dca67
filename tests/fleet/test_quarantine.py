"""`fab quarantine.…`: whom it asks, what it shows, and what it refuses before anything is touched."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pytest

from fleet import quarantine
from fleet.channel import Completed
from fleet.errors import FleetError, UsageError
from fleet.inventory import Host, Inventory, load
from fleet.ssh import Connection

ROW: dict[str, Any] = {
    "id": 7,
    "peer": "EC-TAA",
    "stream": "use",
    "seq": 3,
    "table": "usage_event",
    "key": "0193-aa",
    "op": "U",
    "sqlstate": "23502",
    "error": "null value in\x1b[2J column",
    "attempts": 2,
    "state": "open",
    "at": "2026-11-26T08:00:00+00:00",
    "tried_at": "2026-11-26T09:00:00+00:00",
    "decided_at": None,
    "decided_by": "",
    "reason": "",
}


class Link:
    """A host that answers one thing and keeps what it was asked."""

    name = "hangar"

    def __init__(self, answer: object, status: int = 0) -> None:
        self.answer, self.status = answer, status
        self.asked: dict[str, Any] = {}

    def run(self, argv: Any, stdin: bytes, *, timeout_s: float) -> Completed:
        assert list(argv)[-1] == "/opt/turnaround/bin/quarantine"
        self.asked = json.loads(stdin)
        text = self.answer if isinstance(self.answer, str) else json.dumps(self.answer)
        return Completed(self.status, text.encode(), b"no release is here yet")


@pytest.fixture
def inventory(tmp_path: Path) -> Inventory:
    path = tmp_path / "inventory.yml"
    path.write_text(
        "fleet: test\ngroups: {aircraft: {roles: []}, hangar: {roles: []}}\nhosts:\n"
        "  hangar: {groups: [hangar], address: 127.0.0.1}\n"
        "  EC-TAA: {groups: [aircraft], address: 127.0.0.2}\n"
        "  EC-TAB: {groups: [aircraft], address: 127.0.0.3}\n"
    )
    return load(path, roles=frozenset())


def order(link: Link, do: str, inventory: Inventory, **words: Any) -> Any:
    host: Host = inventory.hosts["hangar"]
    return quarantine.order(cast(Connection, link), host, do, **words)


def test_the_hangar_is_asked_unless_a_target_says_otherwise(inventory: Inventory) -> None:
    def names(*words: Any) -> list[str]:
        return [host.name for host in quarantine.hosts_of(inventory, *words)]

    assert names("", (7,)) == ["hangar"]
    assert names("EC-TAA", (7,)) == ["EC-TAA"]
    assert names("aircraft", ()) == ["EC-TAA", "EC-TAB"]
    with pytest.raises(UsageError, match="one host's own, and 'aircraft' means 2"):
        names("aircraft", (7,))


@pytest.mark.parametrize("text", ["x", "7,", "-1", "7 12", "9" * 19, "²"])
def test_numbers_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--ids"):
        quarantine.ids_of(text)


def test_a_list_is_a_table_and_says_what_stands_still(inventory: Inventory) -> None:
    held = {"EC-TAA": {"pay": {"rows": 0, "why": "the database refused the row x"}}}
    link = Link({"rows": [ROW], "more": 4, "held": held})
    outcome = order(link, "list", inventory, peer="EC-TAA", every=False)
    assert link.asked["do"] == "list"
    assert link.asked["peer"] == "EC-TAA"
    assert "@" in link.asked["operator"]
    head, row, more, standing = outcome.lines
    assert head.split()[:4] == ["id", "from", "stream", "table"]
    assert row.split()[:4] == ["7", "EC-TAA", "use", "3"]
    assert "\x1b" not in row
    assert "4 more rows" in more
    assert standing == "EC-TAA/pay stands still: the database refused the row x"
    assert (outcome.code, outcome.detail) == (0, "1 open, 4 more")
    assert outcome.as_json()["rows"] == [ROW]


@pytest.mark.parametrize(
    ("sqlstate", "to_do"),
    [("23503", "it goes in by itself"), ("23514", "mend that, then retry"), ("P0001", "mend")],
)
def test_a_row_is_shown_with_what_to_do(inventory: Inventory, sqlstate: str, to_do: str) -> None:
    row = ROW | {"sqlstate": sqlstate, "row": {"kind": None, "id": "0193-aa"}}
    text = "\n".join(order(Link({"rows": [row]}), "show", inventory, ids=[7]).lines)
    assert "  kind = null" in text
    assert to_do in text
    assert "fab quarantine.retry --ids 7" in text


def test_a_decided_row_says_who_and_why(inventory: Inventory) -> None:
    row = ROW | {"state": "dropped", "decided_by": "eva@desk", "reason": "a test", "row": {}}
    text = "\n".join(order(Link({"rows": [row]}), "show", inventory, ids=[7]).lines)
    assert "decided by eva@desk" in text
    assert ": a test" in text
    assert "→" not in text


@pytest.mark.parametrize(
    ("answer", "status", "error", "said"),
    [
        ({"refused": "no row 7 is here", "remedy": "r"}, 0, UsageError, "hangar: no row 7 is here"),
        ("", 4, FleetError, "no release is here yet"),
        ("[]", 0, FleetError, "expected rows in quarantine"),
        ({"rows": 7}, 0, FleetError, "expected rows in quarantine"),
    ],
)
def test_what_goes_wrong_is_said(
    inventory: Inventory, answer: object, status: int, error: type[FleetError], said: str
) -> None:
    with pytest.raises(error, match=said):
        order(Link(answer, status), "retry", inventory)
