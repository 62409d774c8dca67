"""PostgreSQL on the host: the server, its roles, databases, extensions and rights."""

from __future__ import annotations

from require.resources.postgres_database import Database, Extension, database, extension
from require.resources.postgres_grants import Grants, grants
from require.resources.postgres_role import User, user
from require.resources.postgres_server import Server, server

__all__ = [
    "Database",
    "Extension",
    "Grants",
    "Server",
    "User",
    "database",
    "extension",
    "grants",
    "server",
    "user",
]
