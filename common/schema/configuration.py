"""What hosts should be, as it was at one commit."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import LargeBinary, func
from sqlalchemy.orm import Mapped, mapped_column

from common.schema.base import Base

__all__ = ["Configuration"]


class Configuration(Base):
    """Roles, templates, engine and inventory in one archive, known by the SHA-256 of its bytes."""

    __tablename__ = "configuration"

    digest: Mapped[str] = mapped_column(primary_key=True)
    revision: Mapped[str]
    archive: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
