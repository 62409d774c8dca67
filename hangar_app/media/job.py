"""What an editor asked for when importing, and the folder where the upload waits for its turn."""

from __future__ import annotations

import shutil
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

MediaKind = Literal["film", "newspaper"]
UPLOAD = "upload"  # the file in the folder of its import
ARRIVING = "arriving"  # the folder of what is still being uploaded
LEFT_S = 2 * 24 * 3600
TIMES = ("valid_from", "valid_to")


@dataclass(frozen=True)
class Request:
    """An import as it was asked for; empty lists mean all, a small priority travels early.

    Example:
        >>> Request("newspaper", {"en": "The Courier"}, language="en").detail()["kind"]
        'newspaper'
    """

    kind: MediaKind
    title: dict[str, str]
    language: str
    summary: dict[str, str] = field(default_factory=dict)
    airlines: list[str] = field(default_factory=list)
    destinations: list[str] = field(default_factory=list)
    priority: int = 100
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    file_name: str = ""
    who: str = ""

    def detail(self) -> dict[str, Any]:
        """As it is kept in the row of `work`: times in ISO 8601."""
        told = asdict(self)
        for name in TIMES:
            told[name] = told[name].isoformat() if told[name] else None
        return told

    @classmethod
    def of(cls, detail: dict[str, Any]) -> Request:
        """Reads what `detail` wrote; what workers noted beside it is left out."""
        told = {name: detail[name] for name in cls.__dataclass_fields__ if name in detail}
        for name in TIMES:
            told[name] = datetime.fromisoformat(told[name]) if told.get(name) else None
        return cls(**told)


def folder(state_dir: Path, work_id: UUID) -> Path:
    """The folder of one import: the upload in it, and what is rendered from it."""
    return state_dir / "imports" / str(work_id)


def sweep(state_dir: Path, now: datetime) -> None:
    """Removes what imports left whose worker was killed; none runs, waits or arrives for two days."""
    imports = state_dir / "imports"
    for left in (*imports.glob("*"), *imports.glob(f"{ARRIVING}/*")):
        # Another import that ends at this moment may remove it first.
        with suppress(FileNotFoundError):
            if left.name == ARRIVING or now.timestamp() - left.stat().st_mtime <= LEFT_S:
                continue
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
            else:
                left.unlink()
