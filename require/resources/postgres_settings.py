"""Settings of a PostgreSQL server."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from require.catalog import declared
from require.diff import unified
from require.errors import DeclarationError
from require.resource import Change, Handler, NoChange, Plan, Resource, Spec, State, Unknown, keys
from require.resources import systemd
from require.resources.postgres_sql import CUT, Asked, content_columns, literal, text_there

FILE = "conf.d/turnaround.conf"
KEY = "postgres.settings"
RELOADED = systemd.reloaded("postgresql")
_NAME = re.compile(r"[a-z_]\w*(\.[a-z_]\w*)?", re.ASCII)
# Where the server is and what it reads: moved under a running server, nobody finds it again.
_FIXED = (
    "config_file",
    "data_directory",
    "external_pid_file",
    "hba_file",
    "ident_file",
    "include",
    "include_dir",
    "include_if_exists",
    "port",
    "unix_socket_directories",
)
_STRONGER = {"command line": "the server's command line", "environment variable": "its environment"}
_OF_SESSION = ("client", "database", "database user", "global", "session", "user")
Value = str | int | float | bool | Sequence[str]

# Both sides in the unit of the setting, by PostgreSQL's own reading of sizes and intervals; NULL for
# what only the server's own check could compare.
_SAME = """CASE WHEN s.vartype = 'string' THEN d.value = s.setting
WHEN s.vartype = 'enum' THEN lower(d.value) = lower(s.setting)
WHEN s.vartype = 'bool' AND d.value ~* '^(on|off?|t|true|f|false|y|yes|no?|[01])$'
THEN d.value::bool = s.setting::bool
WHEN s.vartype IN ('integer', 'real') THEN round(CASE
WHEN d.value ~ '^-?[0-9]+([.][0-9]+)?$' THEN d.value::numeric
WHEN s.unit ~ 'B$' AND d.value ~ '^[0-9]+([.][0-9]+)? *([kMGT]?B)$'
THEN pg_size_bytes(regexp_replace(d.value, '([0-9 ])B$', '\\1 bytes')) / pg_size_bytes(k.unit)::numeric
WHEN s.unit !~ 'B$' AND d.value ~ '^[0-9]+([.][0-9]+)? *(us|ms|s|min|h|d)$'
THEN extract(epoch FROM d.value::interval) / extract(epoch FROM k.unit::interval) END,
k.digits) = round(s.setting::numeric, k.digits) END"""


@dataclass(frozen=True, kw_only=True)
class Settings(Asked):
    """Settings of the server, in a file of ours that it reads, and in force.

    Args:
        values: (name, value) pairs in the order declared, values as the file has them.
    """

    values: tuple[tuple[str, str], ...]

    @property
    def key(self) -> str:
        return KEY

    def query(self) -> str:
        wanted = literal(json.dumps(dict(self.values), ensure_ascii=False))
        libraries = dict(self.values).get("shared_preload_libraries", "")
        waits = "NULL"
        if libraries:
            waits = f"""(SELECT 'library ' || l FROM
regexp_split_to_table({literal(libraries)}, '[\\s,]+') l WHERE l <> '' AND l !~ '/' AND pg_stat_file((
SELECT setting FROM pg_config WHERE name = 'PKGLIBDIR') || '/' || l || '.so', true) IS NULL LIMIT 1)"""
        return f"""WITH f AS MATERIALIZED (SELECT DISTINCT ON (1) lower(name) AS name, sourcefile,
sourceline FROM pg_file_settings WHERE name IS NOT NULL ORDER BY 1, seqno DESC),
p AS MATERIALIZED (SELECT regexp_replace(current_setting('config_file'), '[^/]*$', {literal(FILE)}) AS path),
c AS MATERIALIZED (SELECT path, pg_read_binary_file(path, 0, 65536, true) AS content FROM p)
SELECT jsonb_build_object('path', path, 'config', current_setting('config_file'),
'data', current_setting('data_directory'), 'programs', (SELECT setting FROM pg_config WHERE
name = 'BINDIR'), 'waits', {waits}, {content_columns(self._sha())},
'read', EXISTS (SELECT FROM pg_file_settings WHERE sourcefile = path),
'settings', (SELECT jsonb_object_agg(d.name, jsonb_build_object('known', s.name IS NOT NULL,
'shown', current_setting(d.name, true), 'context', s.context, 'type', s.vartype, 'source', s.source,
'ours', s.sourcefile = path, 'pending', s.pending_restart, 'same', {_SAME},
'last', f.sourcefile || ':' || f.sourceline, 'auto', f.sourcefile LIKE '%/postgresql.auto.conf'))
FROM jsonb_each_text({wanted}::jsonb) d(name, value) LEFT JOIN pg_settings s ON lower(s.name) = d.name
LEFT JOIN f ON f.name = d.name
CROSS JOIN LATERAL (SELECT CASE s.vartype WHEN 'integer' THEN 0 ELSE 6 END AS digits,
CASE WHEN s.unit = 'B' THEN '1 bytes' ELSE regexp_replace(s.unit, '^([^0-9])', '1\\1') END AS unit
) k)) FROM c"""

    def order(self) -> Spec:
        return {"verb": "settings", "content": self._text().encode(), "sha": self._sha()}

    def plan(self, state: State) -> Plan:
        if unknown := self.not_yet(state):
            return unknown
        if state["sha"] == self._sha() and not state["read"]:
            return Unknown(
                f"{state['config']} does not read {state['path']}: it needs the line "
                "include_dir = 'conf.d'",
                blocked=True,
            )
        differs = []
        for name, value in self.values:
            seen = state["settings"][name]
            if wrong := _cannot(name, seen, state):
                return Unknown(wrong, blocked=True)
            if not _in_force(value, seen):
                differs.append(_difference(name, value, seen))
        if state["sha"] == self._sha():
            differs += [CUT] if state["cut"] else []
            return Change(", ".join(differs)) if differs else NoChange()
        differs = differs or [f"keep in {FILE} what is in force"]
        return Change(", ".join(differs), unified(text_there(state), self._text(), state["path"]))

    def _text(self) -> str:
        lines = [f"{name} = {_quoted(value)}\n" for name, value in self.values]
        return "".join(["# Written by turnaround.\n", *lines])

    def _sha(self) -> str:
        return hashlib.sha256(self._text().encode()).hexdigest()


def _cannot(name: str, seen: Mapping[str, Any], state: State) -> str:
    """Return why this setting cannot be set by a file of ours, "" when it can."""
    if not seen["known"] and "." not in name:
        return f"this PostgreSQL has no setting {name}"
    if seen["context"] == "internal":
        return f"{name} cannot be set: it is {seen['shown']}"
    if seen["source"] in _STRONGER and not seen["same"]:
        return f"{name} is set to {seen['shown']} by {_STRONGER[seen['source']]}, which wins over a file"
    last = seen["last"] or ""
    elsewhere = last and not seen["auto"] and not last.startswith(f"{state['path']}:")
    have_it = state["sha"] and (state["text"] is None or f"\n{name} = " in state["text"])
    if elsewhere and have_it:
        return f"{name} is set again in {last}, which is read after ours: remove that line"
    return ""


def _in_force(value: str, seen: Mapping[str, Any]) -> bool:
    if not seen["known"]:
        return bool(seen["shown"] == value)
    if seen["pending"] or seen["auto"]:
        return False
    if seen["same"] or seen["source"] in _OF_SESSION:
        return True
    if seen["type"] in ("string", "enum"):
        # Spelled otherwise by the server, as "UTC" for "utc", but taken from our file.
        return bool(seen["ours"])
    # What the server finds out itself is shown as what it found.
    return seen["source"] == "override" and value in ("-1", "0")


def _difference(name: str, value: str, seen: Mapping[str, Any]) -> str:
    shown = "not set" if seen["shown"] is None else seen["shown"] or "''"
    why = " by ALTER SYSTEM" if seen["auto"] else ""
    if seen["same"]:
        return f"{name} {shown} until the next start → {value}, for good{why and ', not' + why}"
    restart = " with a restart" if seen["context"] == "postmaster" else ""
    return f"{name} {shown}{why} → {value or repr('')}{restart}"


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "''")
    return f"'{escaped}'"


def settings(
    values: Mapping[str, Value],
    *,
    needs: Sequence[Resource] = (),
    notify: Sequence[Handler] = (),
) -> Settings:
    """Declare settings of the server: kept in a file of ours, and in force.

    They are in conf.d/turnaround.conf beside postgresql.conf, not in what ALTER SYSTEM writes: a file
    has a diff, can be checked by the server before it counts, and can be mended without a server.
    What ALTER SYSTEM says of the same settings is taken back. The server reads the new file first
    (`postgres -C`) and a value that it does not take changes nothing; it loads the file; and only if
    one of these settings needs it and has another value, it is restarted, before what comes next. If
    it does not start, it gets its former settings back. What is in force is compared as well as the
    file, sizes and times in PostgreSQL's own reading of units.

    Args:
        values: value by name: texts as postgresql.conf has them, with units ("256MB", "5min");
            numbers; True and False; several texts for a list. What is not here is left.
        needs: resources that must be right first, such as the package of a library (a declared
            server is known).
        notify: handlers to run after a change.

    Raises:
        DeclarationError: a name that no setting can have, one that says where the server is, a
            value of several lines, or no settings.

    Example:
        >>> require.postgres.settings({
        ...     "shared_buffers": "256MB",
        ...     "synchronous_commit": True,
        ...     "shared_preload_libraries": ["pg_stat_statements"],
        ... })
    """
    if not values:
        raise DeclarationError(f"{KEY}: wanted one setting at least")
    pairs = {}
    for given, value in values.items():
        name = given.lower()
        if not _NAME.fullmatch(name):
            raise DeclarationError(f"{KEY}: {given!r} cannot be the name of a setting")
        if name in _FIXED:
            raise DeclarationError(
                f"{KEY}: {name} says where the server is or what it reads; it is the cluster's own"
            )
        if name in pairs:
            raise DeclarationError(f"{KEY}: {name} is there twice")
        pairs[name] = _text_of(name, value)
    return declared(
        Settings(
            values=tuple(pairs.items()),
            needs=keys(needs),
            notify=(RELOADED, *notify),
        )
    )


def _text_of(name: str, value: Value) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    text = str(value) if isinstance(value, (str, int, float)) else ", ".join(value)
    if not text.isprintable():
        raise DeclarationError(f"{KEY}: {name}: wanted a value in one line, found {text!r}")
    return text
