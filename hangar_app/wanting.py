"""Takes orders of ops for aircraft out of reach: `python -m hangar_app.wanting`, over their SSH.

Standard input is one line of JSON and, where something is to wait, `size` bytes of archive:

    {"operator": "ops@desk", "revision": "4bb5594…", "want": ["EC-TAB"],
     "digest": "<SHA-256 of the archive>", "size": 151234, "drop": {"EC-TAA": "<SHA-256 of another>"}}

An archive that is here already need not be sent again: `size` is 0 then. `drop` says for each aircraft
what waited for it when it was begun, so that what came since stays. The answer is
{"queued": [names], "dropped": [names]}, and both are one transaction.
"""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any, BinaryIO

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy.orm import Session

from common.clock import utc_now
from common.database import engine_for
from common.database import session as database_session
from common.settings import Settings
from hangar_app import wanted
from hangar_app.wanted import Package

LINE_LIMIT = 1_048_576  # bytes
ARCHIVE_LIMIT = 16 * 1024 * 1024

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9-]{0,30}$")]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class OrderError(Exception):
    """An order that is not as agreed; the message says where."""


class Order(BaseModel):
    """What ops ask for."""

    model_config = ConfigDict(extra="forbid")

    operator: Annotated[str, Field(min_length=1, max_length=200)]
    revision: Annotated[str, Field(pattern=r"^([0-9a-f]{40})?$")] = ""
    digest: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")] = ""
    size: Annotated[int, Field(ge=0, le=ARCHIVE_LIMIT)] = 0
    want: Annotated[list[Name], Field(max_length=5000)] = Field(default_factory=list)
    drop: Annotated[dict[Name, Digest], Field(max_length=5000)] = Field(default_factory=dict)


def read(source: BinaryIO) -> tuple[Order, Package | None]:
    """Reads one order and the archive behind it.

    Raises:
        OrderError: it is malformed, cut short, or not the archive that its hash promises.
    """
    line = source.readline(LINE_LIMIT)
    try:
        order = Order.model_validate_json(line)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the line"
        raise OrderError(f"the order is not as agreed: {where}: {first['msg']}") from error
    if not order.size:
        return order, None
    package = Package(order.revision, source.read(order.size))
    if not order.revision or package.digest != order.digest:
        raise OrderError(
            f"expected an archive of {order.size} bytes with sha256 {order.digest[:12]}…, found "
            f"{len(package.archive)} bytes with {package.digest[:12]}…: send it again"
        )
    return order, package


def carry_out(session: Session, order: Order, package: Package | None) -> dict[str, Any]:
    """Does what an order says; the caller commits."""
    dropped = wanted.drop(session, order.drop) if order.drop else []
    now = utc_now()
    if package is not None:
        wanted.keep(session, package, now)
    queued = []
    if order.want:
        queued = wanted.want(session, order.digest, order.want, order.operator, now)
    return {"queued": queued, "dropped": dropped}


def main(source: BinaryIO | None = None) -> int:
    """The command; 0 when it was done, 65 when the order is not as agreed."""
    try:
        order, package = read(source or sys.stdin.buffer)
    except OrderError as error:
        sys.stderr.write(f"hangar_app.wanting: {error}\n")
        return 65
    with database_session(engine_for(Settings.load())) as session:
        said = carry_out(session, order, package)
    sys.stdout.write(json.dumps(said) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
