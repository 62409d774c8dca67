"""What ops say of rows in quarantine: `python -m sync.quarantine_orders`, over their SSH.

Standard input is one line of JSON, as `Order` has it:

    {"do": "drop", "operator": "eva@desk", "ids": [7], "why": "test data of the lab"}

The answer is one line of JSON, {"rows": […], "more": 0, "held": {…}} with the rows that the order was about,
or {"refused": why, "remedy": what to do}; then nothing was changed.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, BinaryIO, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy import Connection, Row, insert, text

from common.clock import utc_now
from common.database import engine_for
from common.schema import Audit
from common.settings import Settings
from common.uuid7 import uuid7
from sync import held, users
from sync.load import Unsettled
from sync.retry import retry_in
from sync.user_lock import alone

__all__ = ["Order", "Refused", "carry_out", "main"]

LINE_LIMIT = 65_536  # bytes
BAD_ORDER = 65
SHOWN = 200
HIDDEN = "(not shown)"

_COLUMNS = (
    "id, peer, stream, seq, tbl as table, key, op, sqlstate, error, attempts, state, at, tried_at, "
    "decided_at, decided_by, reason"
)


class Order(BaseModel):
    """What ops ask for; without `ids`, of the rows of `peer`, or of all; `every` those decided as well."""

    model_config = ConfigDict(extra="forbid")

    do: Literal["list", "show", "retry", "drop"]
    operator: Annotated[str, Field(min_length=1, max_length=200)]
    ids: Annotated[list[Annotated[int, Field(ge=1, lt=2**63)]], Field(max_length=1000)] = []
    peer: Annotated[str, Field(pattern=r"^([A-Za-z0-9][A-Za-z0-9-]{0,30})?$")] = ""
    why: Annotated[str, Field(max_length=500)] = ""
    every: bool = False


class Refused(Exception):
    """An order that cannot be carried out as things stand; nothing was changed."""

    def __init__(self, what: str, remedy: str = "") -> None:
        super().__init__(what)
        self.remedy = remedy


def carry_out(connection: Connection, order: Order, role: str, now: datetime) -> dict[str, Any]:
    """Do what an order says and return the rows that it was about; the caller commits.

    Raises `Refused` when it cannot be done.
    """
    found = _rows(connection, order)
    if order.do == "list":
        return {"rows": [_told(row) for row in found[:SHOWN]], "more": len(found[SHOWN:])}
    _must_be_there(order, found)
    if order.do == "show":
        return {"rows": [_told(row) | {"row": _shown(row)} for row in found], "more": 0}
    if order.do == "drop":
        _drop(connection, order, found, now)
    else:
        _must_be_open(found)
        folds = users.folds(utc_now) if role == "hangar" else {}
        ids = [row.id for row in found]
        try:
            retry_in(connection, role, folds, ids, order.operator, order.why)
        except Unsettled as error:
            raise Refused(
                str(error), "it has to be mended in the code; nothing was changed"
            ) from error
    _audit(connection, order, found, now)
    after = _of(connection, "id = any(:ids)", ids=[row.id for row in found])
    return {"rows": [_told(row) for row in after[:SHOWN]], "more": len(after[SHOWN:])}


def _rows(connection: Connection, order: Order) -> list[Row[Any]]:
    """Return the rows that an order is about, locked where it decides of them."""
    lock = ""
    if order.do in ("retry", "drop"):
        alone(connection)
        lock = "for update"
    if order.ids:
        return _of(connection, "id = any(:ids)", lock, ids=order.ids)
    which = "peer = coalesce(nullif(:peer, ''), peer) and (:every or state = 'open')"
    return _of(connection, which, lock, peer=order.peer, every=order.every)


def _of(connection: Connection, which: str, lock: str = "", **words: Any) -> list[Row[Any]]:
    query = f"select {_COLUMNS}, row from sync.quarantine where {which} order by id {lock}"  # noqa: S608
    return list(connection.execute(text(query), words))


def _must_be_there(order: Order, found: list[Row[Any]]) -> None:
    if order.do in ("show", "drop") and not order.ids:
        raise Refused(f"{order.do}: expected the numbers of rows, found none")
    missing = sorted(set(order.ids) - {row.id for row in found})
    if missing:
        numbers = ", ".join(str(id) for id in missing)
        raise Refused(f"no row {numbers} is in quarantine here", "quarantine.list shows all")


def _must_be_open(found: list[Row[Any]]) -> None:
    for row in found:
        if row.state != "open":
            raise Refused(
                f"row {row.id} is {row.state} (by {row.decided_by}): expected an open one",
                "nothing was changed; leave it out",
            )


def _drop(connection: Connection, order: Order, found: list[Row[Any]], now: datetime) -> None:
    _must_be_open(found)
    if not order.why.strip():
        raise Refused("a row is dropped for a reason", "--why says it, for the audit log")
    connection.execute(
        text(
            "update sync.quarantine set state = 'dropped', decided_at = :now, decided_by = :who, "
            "reason = :why where id = any(:ids)"
        ),
        {"ids": order.ids, "now": now, "who": order.operator, "why": order.why},
    )


def _audit(connection: Connection, order: Order, found: list[Row[Any]], now: datetime) -> None:
    verb = "dropped" if order.do == "drop" else "retried"
    rows = [{"id": row.id, "table": row.table, "key": row.key} for row in found]
    connection.execute(
        insert(Audit).values(
            id=uuid7(),
            at=now,
            who=order.operator,
            what=f"{verb} rows in quarantine",
            detail={"rows": rows, "why": order.why},
        )
    )


def _told(row: Row[Any]) -> dict[str, Any]:
    told = {name: value for name, value in row._mapping.items() if name != "row"}
    return {
        name: value.isoformat(timespec="seconds") if isinstance(value, datetime) else value
        for name, value in told.items()
    }


def _shown(row: Row[Any]) -> dict[str, str | None]:
    """Return the row without what nobody needs to see to decide of it."""
    values: dict[str, str | None] = dict(row.row)
    for name in values:
        if "password" in name or (name == "value" and "password" in (values.get("field") or "")):
            values[name] = HIDDEN
    return values


def main(source: BinaryIO | None = None) -> int:
    """Carry out one order; 0 when an answer was given, 65 when what was sent is not as agreed."""
    settings = Settings.load()
    engine = engine_for(settings)
    try:
        order = Order.model_validate_json((source or sys.stdin.buffer).readline(LINE_LIMIT))
        with engine.begin() as connection:
            said: Mapping[str, Any] = carry_out(connection, order, settings.role, utc_now())
        said = {**said, "held": held.held(engine)}
    except Refused as refused:
        said = {"refused": str(refused), "remedy": refused.remedy}
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the line"
        sys.stderr.write(f"sync.quarantine_orders: {where}: {first['msg']}\n")
        return BAD_ORDER
    sys.stdout.write(json.dumps(said, ensure_ascii=False) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
