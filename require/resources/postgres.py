"""PostgreSQL on the host: the server and its settings, its roles, databases, extensions and rights."""

from __future__ import annotations

from require.resources.postgres_database import Database, Extension, database, extension
from require.resources.postgres_grants import Grants, grants
from require.resources.postgres_hba import Hba, hba
from require.resources.postgres_role import User, user
from require.resources.postgres_server import Server, server
from require.resources.postgres_settings import Settings, settings

__all__ = [
    "Database",
    "Extension",
    "Grants",
    "Hba",
    "Server",
    "Settings",
    "User",
    "database",
    "extension",
    "grants",
    "hba",
    "server",
    "settings",
    "user",
]
