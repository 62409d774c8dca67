"""What every model shares: names of constraints, types of columns, what travels and where to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, MetaData, Text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.dialects.postgresql import UUID as PgUUID
from sqlalchemy.orm import DeclarativeBase

__all__ = ["Base", "Direction", "Mode", "Retention", "Sync", "added"]

Direction = Literal["up", "down"]
Mode = Literal["state", "append"]
Retention = Literal["payment", "record", "statistic"]


@dataclass(frozen=True)
class Sync:
    """How a model travels: it is declared once, and triggers, batches and guards follow from it.

    Arguments: `stream`, an order guarantee shared by its models; `direction`, `up` to the hangar or
    `down` to the aircraft; `mode`, `state` (the current row is what counts) or `append` (rows are
    only added, because their history matters); `rank`, parents before children within a stream;
    `retention`, what a full disk may cost: of `statistic` the oldest rows that were not sent, of `record`
    none that were not acknowledged, of `payment` none.
    """

    stream: str
    direction: Direction
    mode: Mode
    rank: int
    retention: Retention


def added(fill: str = "") -> dict[str, Any]:
    """Return what a column says that a travelling model got later, as its `info`.

    It says that a row without it is still right: a receiver whose schema lacks the column takes the
    rest of the row and asks for the column later. One that says nothing makes such a receiver wait.

    Arguments: `fill`, an expression of SQL over the model's other columns, is its value in rows of a
    sender that lacks it; else that is the column's default.

    >>> mapped_column(info=added(fill="runtime_min * 60"))  # doctest: +SKIP
    """
    return {"added": True, "fill": fill}


class Base(DeclarativeBase):
    """The declarative base; a model that travels has `__sync__` and the key `id` (a UUIDv7)."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012  # SQLAlchemy reads it from the class
        datetime: DateTime(timezone=True),
        UUID: PgUUID(as_uuid=True),
        str: Text(),
        int: BigInteger(),
        dict[str, str]: JSONB(),
        dict[str, Any]: JSONB(),
        list[dict[str, str]]: JSONB(),
        list[str]: ARRAY(Text()),
        Any: JSONB(),
    }

    __sync__: Sync | None = None
