"""Databases of a PostgreSQL server, and the extensions in them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from require.catalog import declared
from require.resource import Change, Handler, NoChange, Plan, Resource, Spec, State, Unknown, keys
from require.resources.postgres_sql import SERVER, Asked, checked, identifier, literal


@dataclass(frozen=True, kw_only=True)
class Database(Asked):
    """A database.

    Args:
        name: database name.
        owner: role that owns it.
        encoding: character encoding; fixed when it is made.
        locale: collation and character classes; fixed when it is made.
        template: database that it is a copy of when it is made.
    """

    name: str
    owner: str
    encoding: str = "UTF8"
    locale: str = "C.UTF-8"
    template: str = "template0"

    @property
    def key(self) -> str:
        return f"postgres.database:{self.name}"

    def natural_needs(self) -> tuple[str, ...]:
        return (SERVER, f"postgres.user:{self.owner}", f"postgres.database:{self.template}")

    def query(self) -> str:
        return f"""SELECT coalesce((SELECT jsonb_build_object('exists', true, 'owner',
pg_get_userbyid(datdba), 'encoding', pg_encoding_to_char(encoding), 'collate', datcollate, 'ctype',
datctype) FROM pg_database WHERE datname = {literal(self.name)}), '{{"exists": false}}')"""

    def order(self) -> Spec:
        options = f"ENCODING {literal(self.encoding)} LOCALE {literal(self.locale)} "
        return {
            "verb": "database",
            "name": self.name,
            "owner": self.owner,
            "options": f"{options}TEMPLATE {identifier(self.template)}",
        }

    def plan(self, state: State) -> Plan:
        if unknown := self.not_yet(state):
            return unknown
        if not state["exists"]:
            return Change(f"create the database, owned by {self.owner}")
        for what, found, wanted in (
            ("encoding", state["encoding"], self.encoding),
            ("collation", state["collate"], self.locale),
            ("character class", state["ctype"], self.locale),
        ):
            if _plain(found) != _plain(wanted):
                return Unknown(
                    f"its {what} is {found}, not {wanted}, and cannot be changed: "
                    "dump it, drop it, converge, restore it",
                    blocked=True,
                )
        if state["owner"] != self.owner:
            return Change(f"owner {state['owner']} → {self.owner}")
        return NoChange()


def _plain(name: str) -> str:
    """Return the name of an encoding or locale without what spellings of one differ in."""
    return re.sub(r"[-_]", "", name.lower())


@dataclass(frozen=True, kw_only=True)
class Extension(Asked):
    """An extension in a database.

    Args:
        name: extension name.
        database: name of the database.
        version: its version there, None for any.
        schema: where it is made.
    """

    name: str
    database: str
    version: str | None = None
    schema: str = "public"

    @property
    def key(self) -> str:
        return f"postgres.extension:{self.database}:{self.name}"

    @property
    def asked_in(self) -> str:
        return self.database

    def natural_needs(self) -> tuple[str, ...]:
        return (SERVER, "postgres.settings", f"postgres.database:{self.database}")

    def query(self) -> str:
        name = literal(self.name)
        version = "" if self.version is None else f" AND version = {literal(self.version)}"
        return f"""SELECT jsonb_build_object('waits', CASE WHEN NOT EXISTS (SELECT FROM
pg_available_extension_versions WHERE name = {name}{version}) THEN 'package that has it' END,
'version', (SELECT extversion FROM pg_extension WHERE extname = {name}))"""

    def order(self) -> Spec:
        name, schema = identifier(self.name), identifier(self.schema)
        script = f"SET search_path = {schema};\nCREATE EXTENSION IF NOT EXISTS {name}"
        if self.version is not None:
            version = literal(self.version)
            script += f" VERSION {version};\nALTER EXTENSION {name} UPDATE TO {version}"
        return {"verb": "sql", "script": f"{script};"}

    def plan(self, state: State) -> Plan:
        found = state.get("version")
        if found is not None and self.version in (None, found):
            return NoChange()
        if unknown := self.not_yet(state):
            return unknown
        if found is None:
            return Change(f"create the extension{f' {self.version}' if self.version else ''}")
        return Change(f"update {found} → {self.version}")


def database(
    name: str,
    *,
    owner: str,
    encoding: str = "UTF8",
    locale: str = "C.UTF-8",
    template: str = "template0",
    extensions: Sequence[str] = (),
    needs: Sequence[Resource] = (),
    notify: Sequence[Handler] = (),
) -> Database:
    """Declare a database. It is never dropped.

    Args:
        name: database name.
        owner: role that owns it.
        encoding: as PostgreSQL spells it; another one there is an error that says what to do.
        locale: as the host spells it, for collation and character classes; the same.
        template: database that it is a copy of when it is made; one other than template0 must have
            this encoding and locale.
        extensions: extensions in it, each as `extension` declares it.
        needs: resources that must be right first (a declared server and owner are known).
        notify: handlers to run after a change.

    Raises:
        DeclarationError: an empty name.

    Example:
        >>> require.postgres.database(name="cms", owner="cms")
        >>> require.postgres.database("ife", owner="ife", extensions=["pg_trgm"])
    """
    for each in (name, owner, template):
        checked(each)
    made = declared(
        Database(
            name=name,
            owner=owner,
            encoding=encoding,
            locale=locale,
            template=template,
            needs=keys(needs),
            notify=tuple(notify),
        )
    )
    for each in extensions:
        extension(each, database=name, notify=notify)
    return made


def extension(
    name: str,
    *,
    database: str,
    version: str | None = None,
    schema: str = "public",
    needs: Sequence[Resource] = (),
    notify: Sequence[Handler] = (),
) -> Extension:
    """Declare an extension in a database.

    Args:
        name: extension name, such as "pg_trgm".
        database: name of the database.
        version: such as "1.6"; another one that is there is updated. None leaves it.
        schema: schema that it is made in; one that is there is not moved.
        needs: resources that must be right first, such as the package that has it (a declared
            server, its settings and the database are known).
        notify: handlers to run after a change.

    Raises:
        DeclarationError: an empty name.

    Example:
        >>> contrib = require.apt.packages(["postgresql-17-cron"])
        >>> require.postgres.extension("pg_cron", database="postgres", needs=[contrib])
    """
    for each in (name, database, schema):
        checked(each)
    return declared(
        Extension(
            name=name,
            database=database,
            version=version,
            schema=schema,
            needs=keys(needs),
            notify=tuple(notify),
        )
    )
