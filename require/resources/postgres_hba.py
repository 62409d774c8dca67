"""Who may connect to a PostgreSQL server, from where, and how they prove who they are."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from require.catalog import declared
from require.diff import unified
from require.errors import DeclarationError
from require.resource import Change, Handler, NoChange, Plan, Resource, Spec, State, Unknown, keys
from require.resources.postgres_settings import RELOADED
from require.resources.postgres_sql import CUT, Asked, content_columns, text_there

KEY = "postgres.hba"
ENGINE = "local all postgres peer"
_TYPES = ("local", "host", "hostssl", "hostnossl", "hostgssenc", "hostnogssenc")


@dataclass(frozen=True, kw_only=True)
class Hba(Asked):
    """The whole pg_hba.conf.

    Args:
        rules: its lines, the first that matches decides.
    """

    rules: tuple[str, ...]

    @property
    def key(self) -> str:
        return KEY

    def query(self) -> str:
        return f"""WITH c AS MATERIALIZED (SELECT current_setting('hba_file') AS path,
pg_read_binary_file(current_setting('hba_file'), 0, 65536, true) AS content)
SELECT jsonb_build_object('path', path, {content_columns(self._sha())},
'wrong', (SELECT string_agg('line ' || line_number || ': ' || error, '; ' ORDER BY line_number) FROM
pg_hba_file_rules WHERE error <> '')) FROM c"""

    def order(self) -> Spec:
        return {"verb": "hba", "content": self._text().encode()}

    def plan(self, state: State) -> Plan:
        if unknown := self.not_yet(state):
            return unknown
        if state["sha"] != self._sha():
            diff = unified(text_there(state), self._text(), state["path"])
            return Change("who may connect", diff)
        if state["wrong"]:
            return Unknown(f"PostgreSQL does not understand it: {state['wrong']}", blocked=True)
        return Change(CUT) if state["cut"] else NoChange()

    def _text(self) -> str:
        return "".join(f"{line}\n" for line in ("# Written by turnaround.", *self.rules))

    def _sha(self) -> str:
        return hashlib.sha256(self._text().encode()).hexdigest()


def hba(
    rules: Sequence[str],
    *,
    needs: Sequence[Resource] = (),
    notify: Sequence[Handler] = (),
) -> Hba:
    """Declare who may connect: all of pg_hba.conf. The server reads it again after a change.

    The server itself is asked whether it understands the new file before it reads it again; when
    it does not, the former one is put back.

    Args:
        rules: lines as in pg_hba.conf; the first that matches a connection decides. The account
            postgres must get in by the local socket, as itself: it is who changes the server for us.
        needs: resources that must be right first (a declared server is known).
        notify: handlers to run after a change.

    Raises:
        DeclarationError: a line that is no rule, or that includes others, or none that lets in the
            account postgres before one that could keep it out.

    Example:
        >>> require.postgres.hba([
        ...     "local all postgres peer",
        ...     "local all all peer",
        ...     "hostssl ife ife 10.100.64.0/24 scram-sha-256",
        ... ])
    """
    fields = [_fields(rule) for rule in rules]
    _lets_us_in(fields, rules)
    return declared(Hba(rules=tuple(rules), needs=keys(needs), notify=(RELOADED, *notify)))


def _fields(rule: str) -> list[str]:
    """Return the words of a rule: type, databases, users, address unless local, method, options."""
    lists = re.sub(r"\s*,\s*", ",", rule.partition("#")[0])
    words = re.findall(r'(?:"[^"]*"|[^\s"])+', lists)
    least = 4 if words[:1] == ["local"] else 5
    if not rule.isprintable() or len(words) < least or words[0] not in _TYPES:
        raise DeclarationError(
            f"{KEY}: {rule!r}: wanted TYPE DATABASE USER [ADDRESS] METHOD [OPTIONS] in one line, the "
            f"type one of {', '.join(_TYPES)}"
        )
    return words


def _lets_us_in(fields: Sequence[Sequence[str]], rules: Sequence[str]) -> None:
    for (kind, databases, users, *rest), rule in zip(fields, rules, strict=True):
        names = users.split(",")
        if kind != "local" or not any(_could_be_us(name) for name in names):
            continue
        surely = "all" in names or "postgres" in names
        if surely and "all" in databases.split(",") and rest == ["peer"]:
            return
        raise DeclarationError(
            f"{KEY}: {rule!r} could keep the account postgres out, who changes the server for us: "
            f"put {ENGINE!r} before it"
        )
    raise DeclarationError(
        f"{KEY}: nothing lets the account postgres in, who changes the server for us: begin with "
        f"{ENGINE!r}"
    )


def _could_be_us(name: str) -> bool:
    # Members of a group, a pattern or another file's names: who that is is not known here.
    plain = name.strip('"')
    return plain in ("all", "postgres") or plain.startswith(("+", "/", "@"))
