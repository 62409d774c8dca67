"""Roles of a PostgreSQL server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from require import scram
from require.catalog import declared
from require.errors import DeclarationError
from require.resource import Change, Handler, NoChange, Plan, Resource, Spec, State, keys
from require.resources.postgres_sql import SERVER, Asked, checked, literal
from require.secret import Secret

ENGINE = "postgres"
_COLUMNS = {
    "login": "rolcanlogin",
    "createdb": "rolcreatedb",
    "createrole": "rolcreaterole",
    "superuser": "rolsuper",
    "replication": "rolreplication",
}


@dataclass(frozen=True, kw_only=True)
class User(Asked):
    """A role.

    Args:
        name: role name.
        password: its password, or None for one that the socket's peer check lets in.
        login, createdb, createrole, superuser, replication: what it may do.
        connection_limit: connections at a time, -1 for no limit, None to leave it.
        valid_until: when its password ends, None to leave it.
        member_of: roles whose rights it has, among others.
    """

    name: str
    password: Secret | None = field(default=None, repr=False)
    login: bool = True
    createdb: bool = False
    createrole: bool = False
    superuser: bool = False
    replication: bool = False
    connection_limit: int | None = None
    valid_until: datetime | None = None
    member_of: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        return f"postgres.user:{self.name}"

    def natural_needs(self) -> tuple[str, ...]:
        return (SERVER, *(f"postgres.user:{group}" for group in self.member_of))

    def query(self) -> str:
        may = ", ".join(f"'{name}', {column}" for name, column in _COLUMNS.items())
        more = ", 'verifier', rolpassword" if self.password is not None else ""
        if self.connection_limit is not None:
            more += ", 'limit', rolconnlimit"
        if self.valid_until is not None:
            # Infinity is no time of any form, and so none.
            more += (
                ", 'until', CASE WHEN isfinite(rolvaliduntil) THEN "
                "to_char(rolvaliduntil AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SSZ') END"
            )
        if self.member_of:
            more += (
                ", 'member_of', (SELECT coalesce(jsonb_agg(g.rolname ORDER BY g.rolname), '[]') FROM "
                "pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid WHERE m.member = a.oid)"
            )
        return f"""SELECT coalesce((SELECT jsonb_build_object('exists', true, 'may',
jsonb_build_object({may}){more}) FROM pg_authid a WHERE rolname = {literal(self.name)}),
'{{"exists": false}}')"""

    def order(self) -> Spec:
        # The host gets the verifier only; the password itself never leaves this machine.
        verifier = None if self.password is None else Secret(scram.verifier(self.password))
        words = [word.upper() if may else f"NO{word.upper()}" for word, may in self._may().items()]
        if self.connection_limit is not None:
            words.append(f"CONNECTION LIMIT {self.connection_limit}")
        if self.valid_until is not None:
            words.append(f"VALID UNTIL '{self._until()}'")
        return {
            "verb": "user",
            "name": self.name,
            "options": " ".join(words),
            "verifier": verifier,
            "member_of": list(self.member_of),
        }

    def plan(self, state: State) -> Plan:
        if unknown := self.not_yet(state):
            return unknown
        if not state["exists"]:
            return Change("create the role")
        differs = [
            f"{name} {'yes' if wanted else 'no'}"
            for name, wanted in self._may().items()
            if state["may"][name] != wanted
        ]
        if self.password is not None and not scram.matches(self.password, state["verifier"] or ""):
            differs.append("password")
        if self.connection_limit is not None and state["limit"] != self.connection_limit:
            differs.append(f"connection limit {state['limit']} → {self.connection_limit}")
        if self.valid_until is not None and state["until"] != self._until():
            differs.append(f"valid until {state['until'] or 'ever'} → {self._until()}")
        outside = [group for group in self.member_of if group not in state["member_of"]]
        if outside:
            differs.append(f"join {' '.join(outside)}")
        return Change(", ".join(differs)) if differs else NoChange()

    def _may(self) -> dict[str, bool]:
        return {name: getattr(self, name) for name in _COLUMNS}

    def _until(self) -> str:
        assert self.valid_until is not None
        return f"{self.valid_until.astimezone(UTC):%Y-%m-%d %H:%M:%SZ}"


def user(
    name: str,
    password: str | Secret | None = None,
    *,
    login: bool = True,
    createdb: bool = False,
    createrole: bool = False,
    superuser: bool = False,
    replication: bool = False,
    connection_limit: int | None = None,
    valid_until: datetime | None = None,
    member_of: Sequence[str] = (),
    needs: Sequence[Resource] = (),
    notify: Sequence[Handler] = (),
) -> User:
    """Declare a role.

    Args:
        name: role name.
        password: kept on the host as a SCRAM verifier made here; the password itself does not
            travel. None leaves what is there (peer authentication needs none).
        login: may log in; False makes a role that others are members of.
        createdb: may make databases.
        createrole: may make roles.
        superuser: may do anything.
        replication: may stream the write-ahead log.
        connection_limit: connections at a time; -1 is no limit, None leaves it.
        valid_until: when its password ends, a time with its zone, to the second; None leaves it.
        member_of: roles whose rights it has; others that it is a member of are left.
        needs: resources that must be right first (a declared server and roles are known).
        notify: handlers to run after a change.

    Raises:
        DeclarationError: an empty name or password, a time without zone, or the role "postgres"
            without the rights that this engine needs itself.

    Example:
        >>> require.postgres.user(name="cms", password=Secret("s3cret"), createdb=True)
        >>> require.postgres.user("readers", login=False)
        >>> require.postgres.user("reports", member_of=["readers"], connection_limit=4)
    """
    secret = Secret(password) if isinstance(password, str) else password
    for each in (name, *member_of):
        checked(each)
    if secret is not None and not secret.reveal():
        raise DeclarationError(f"postgres.user({name!r}): the password is empty")
    if valid_until is not None and valid_until.tzinfo is None:
        raise DeclarationError(
            f"postgres.user({name!r}): valid_until={valid_until}: wanted a time with its zone"
        )
    if connection_limit is not None and connection_limit < -1:
        raise DeclarationError(
            f"postgres.user({name!r}): connection_limit={connection_limit}: wanted -1 (none) or more"
        )
    if name == ENGINE and not (login and superuser):
        raise DeclarationError(
            f"postgres.user({name!r}): that is who changes the server for us: it keeps login=True, "
            "superuser=True"
        )
    return declared(
        User(
            name=name,
            password=secret,
            login=login,
            createdb=createdb,
            createrole=createrole,
            superuser=superuser,
            replication=replication,
            connection_limit=connection_limit,
            valid_until=valid_until,
            member_of=tuple(member_of),
            needs=keys(needs),
            notify=tuple(notify),
        )
    )
