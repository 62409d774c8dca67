"""What ops decide of rows in quarantine, and that it is written down."""

from __future__ import annotations

import io
import json
from typing import Any
from uuid import uuid4

import pytest

from common.settings import Settings
from sync import apply, quarantine_orders
from tests.sync.ends import End, ids, run, scalar, scalar_list
from tests.sync.packed import Packer, Rows

pytestmark = pytest.mark.postgres

NO_KIND = ("id", "kind", "aircraft")
EVENT = ("id", "user_id", "field", "value", "hlc", "aircraft")


@pytest.fixture
def rows(hangar: End, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Three rows in quarantine, two of EC-TAA and one of EC-TAB; gives orders and returns the answer."""
    monkeypatch.setattr(Settings, "load", lambda: hangar.settings)
    monkeypatch.setattr(quarantine_orders, "engine_for", lambda settings: hangar.engine)
    for peer, count in (("EC-TAA", 2), ("EC-TAB", 1)):
        Packer(hangar, peer, "use").send(
            Rows("usage_event", NO_KIND, [(uuid4(), None, peer) for _ in range(count)])
        )
        ingest(hangar, peer)

    def give(do: str, status: int = 0, **words: Any) -> Any:
        line = json.dumps({"do": do, "operator": "eva@desk", **words}).encode() + b"\n"
        assert quarantine_orders.main(io.BytesIO(line)) == status
        said = capsys.readouterr()
        return json.loads(said.out) if status == 0 else said.err

    return give


def ingest(end: End, peer: str) -> None:
    apply.apply_all(end.engine, end.settings, peer)


def numbers(end: End) -> list[int]:
    return [int(id) for id in scalar_list(end, "select id from sync.quarantine order by id")]


def test_all_are_listed_or_those_of_one_sender(hangar: End, rows: Any) -> None:
    said = rows("list")
    assert [row["id"] for row in said["rows"]] == numbers(hangar)
    assert said["held"]["EC-TAA"]["use"] == {"rows": 2, "why": ""}
    assert "row" not in said["rows"][0]
    (row,) = rows("list", peer="EC-TAB")["rows"]
    assert (row["peer"], row["state"], row["table"]) == ("EC-TAB", "open", "usage_event")


def test_a_row_is_shown_whole(hangar: End, rows: Any) -> None:
    (shown,) = rows("show", ids=numbers(hangar)[:1])["rows"]
    assert shown["row"] == {"id": shown["key"], "kind": None, "aircraft": "EC-TAA"}
    assert shown["sqlstate"] == "23502"


def test_nobody_sees_a_password(hangar: End, rows: Any) -> None:
    event = (uuid4(), uuid4(), "password_hash", '"scrypt:…"', "x", "EC-TAA")
    Packer(hangar, "EC-TAA", "usr").send(Rows("user_event", EVENT, [event]))
    ingest(hangar, "EC-TAA")
    (shown,) = rows("show", ids=numbers(hangar)[-1:])["rows"]
    assert shown["row"]["value"] == "(not shown)"
    assert "scrypt" not in json.dumps(shown)


def test_a_dropped_row_is_never_applied_and_the_audit_says_who_and_why(
    hangar: End, rows: Any
) -> None:
    first, *_ = numbers(hangar)
    (row,) = rows("drop", ids=[first], why="made by a test")["rows"]
    assert (row["state"], row["decided_by"], row["reason"]) == (
        "dropped",
        "eva@desk",
        "made by a test",
    )
    assert row["decided_at"]
    query = "select who || ': ' || what || ': ' || (detail->>'why') from audit"
    assert scalar(hangar, query) == "eva@desk: dropped rows in quarantine: made by a test"
    run(hangar, 'update sync.quarantine set row = row || \'{"kind": "play"}\'')
    assert len(rows("retry")["rows"]) == 2
    assert len(ids(hangar)) == 2
    refused = rows("drop", ids=[first], why="again")
    assert "is dropped (by eva@desk): expected an open one" in refused["refused"]


def test_what_is_retried_says_what_came_of_it(hangar: End, rows: Any) -> None:
    first, second, _ = numbers(hangar)
    run(hangar, f'update sync.quarantine set row = row || \'{{"kind": "a"}}\' where id = {first}')
    said = rows("retry", peer="EC-TAA", why="mended")["rows"]
    assert [(row["id"], row["state"], row["decided_by"]) for row in said] == [
        (first, "resolved", "eva@desk"),
        (second, "open", ""),
    ]
    assert said[1]["attempts"] > 1
    assert scalar(hangar, "select what from audit") == "retried rows in quarantine"
    assert [row["id"] for row in rows("list")["rows"]] == numbers(hangar)[1:]
    assert len(rows("list", every=True)["rows"]) == 3


def test_of_a_sender_that_has_none_nothing_is_told(rows: Any) -> None:
    assert rows("retry", peer="EC-TAC")["rows"] == []


def test_as_many_as_there_are_can_be_retried_at_once(hangar: End, rows: Any) -> None:
    """An order names a thousand; each sender's stream may have a thousand."""
    run(
        hangar,
        "insert into sync.quarantine (peer, stream, epoch, seq, tbl, key, op, row, sqlstate, error) "
        "select 'EC-TAC', 'use', gen_random_uuid(), 1, 'usage_event', '', 'U', jsonb_build_object("
        "'id', gen_random_uuid(), 'kind', 'play', 'aircraft', 'EC-TAC'), '23502', '' "
        "from generate_series(1, 1001)",
    )
    said = rows("retry")
    assert (len(said["rows"]), said["more"]) == (200, 804)
    assert len(ids(hangar)) == 1001


@pytest.mark.parametrize(
    ("do", "words", "reason"),
    [
        ("drop", {"ids": [10**9], "why": "x"}, "no row 1000000000 is in quarantine here"),
        ("drop", {"ids": [], "why": "x"}, "expected the numbers of rows"),
        ("drop", {"why": " "}, "a row is dropped for a reason"),
        ("show", {"ids": []}, "expected the numbers of rows"),
    ],
)
def test_what_cannot_be_done_is_refused(
    hangar: End, rows: Any, do: str, words: dict[str, Any], reason: str
) -> None:
    said = rows(do, **({"ids": numbers(hangar)} | words))
    assert reason in said["refused"]
    assert len(rows("list")["rows"]) == 3
    assert scalar(hangar, "select count(*) from audit") == 0


@pytest.mark.parametrize("words", [{"ids": ["x"]}, {"peer": "a b"}, {"mood": 1}])
def test_an_order_that_is_not_as_agreed_is_not_read(rows: Any, words: dict[str, Any]) -> None:
    assert next(iter(words)) in rows("list", status=65, **words)
