"""PostgreSQL on the host: the server, its roles and its databases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from require import scram
from require.catalog import declared
from require.errors import DeclarationError
from require.resource import Change, Handler, NoChange, Plan, Resource, Spec, State, Unknown, keys
from require.secret import Secret

SERVER = "postgres.server"


@dataclass(frozen=True, kw_only=True)
class Server(Resource):
    """The distribution's server, installed and answering on its local socket.

    Args:
        packages: what is installed for it.
    """

    noun: ClassVar[str] = "postgres"

    packages: tuple[str, ...] = ("postgresql",)

    @property
    def key(self) -> str:
        return SERVER

    def question(self) -> Spec:
        return {"verb": "server", "names": list(self.packages)}

    def plan(self, state: State) -> Plan:
        if state["missing"]:
            return Change(f"install {' '.join(state['missing'])} and start it")
        return NoChange() if state["answers"] else Change("start the server")


@dataclass(frozen=True, kw_only=True)
class User(Resource):
    """A role that can log in.

    Args:
        name: role name.
        password: its password, or None for one that the socket's peer check lets in.
        createdb, createrole, superuser: what it may do.
    """

    noun: ClassVar[str] = "postgres"

    name: str
    password: Secret | None = field(default=None, repr=False)
    createdb: bool = False
    createrole: bool = False
    superuser: bool = False

    @property
    def key(self) -> str:
        return f"postgres.user:{self.name}"

    def natural_needs(self) -> tuple[str, ...]:
        return (SERVER,)

    def question(self) -> Spec:
        return {"verb": "user", "name": self.name, "password": self.password is not None}

    def order(self) -> Spec:
        # The host gets the verifier only; the password itself never leaves this machine.
        verifier = None if self.password is None else Secret(scram.verifier(self.password))
        return {"verifier": verifier, "may": self._may()}

    def plan(self, state: State) -> Plan:
        if not state["answers"]:
            return Unknown("until PostgreSQL answers")
        if not state["exists"]:
            return Change("create the role")
        differs = [
            f"{name} {'yes' if wanted else 'no'}"
            for name, wanted in self._may().items()
            if state["may"][name] != wanted
        ]
        if self.password is not None and not scram.matches(self.password, state["verifier"] or ""):
            differs.append("password")
        return Change(", ".join(differs)) if differs else NoChange()

    def _may(self) -> dict[str, bool]:
        return {
            "login": True,
            "createdb": self.createdb,
            "createrole": self.createrole,
            "superuser": self.superuser,
        }


@dataclass(frozen=True, kw_only=True)
class Database(Resource):
    """A database.

    Args:
        name: database name.
        owner: role that owns it.
        encoding: character encoding; fixed when it is made.
        locale: collation and character classes; fixed when it is made.
    """

    noun: ClassVar[str] = "postgres"

    name: str
    owner: str
    encoding: str = "UTF8"
    locale: str = "C.UTF-8"

    @property
    def key(self) -> str:
        return f"postgres.database:{self.name}"

    def natural_needs(self) -> tuple[str, ...]:
        return (SERVER, f"postgres.user:{self.owner}")

    def question(self) -> Spec:
        return {"verb": "database", "name": self.name}

    def order(self) -> Spec:
        return {"owner": self.owner, "encoding": self.encoding, "locale": self.locale}

    def plan(self, state: State) -> Plan:
        if not state["answers"]:
            return Unknown("until PostgreSQL answers")
        if not state["exists"]:
            return Change(f"create the database, owned by {self.owner}")
        if state["encoding"] != self.encoding:
            return Unknown(
                f"its encoding is {state['encoding']}, not {self.encoding}, and cannot be changed: "
                "dump it, drop it, converge, restore it",
                blocked=True,
            )
        if state["owner"] != self.owner:
            return Change(f"owner {state['owner']} → {self.owner}")
        return NoChange()


def server(
    *,
    packages: Sequence[str] = ("postgresql",),
    needs: Sequence[Resource] = (),
    notify: Sequence[Handler] = (),
) -> Server:
    """Declare the distribution's PostgreSQL server: installed, started, answering.

    Args:
        packages: Debian packages that make it, for instance ("postgresql-17",).
        needs: resources that must be right first.
        notify: handlers to run after a change.

    Example:
        >>> require.postgres.server()
    """
    return declared(Server(packages=tuple(packages), needs=keys(needs), notify=tuple(notify)))


def user(
    name: str,
    *,
    password: str | Secret | None = None,
    createdb: bool = False,
    createrole: bool = False,
    superuser: bool = False,
    needs: Sequence[Resource] = (),
    notify: Sequence[Handler] = (),
) -> User:
    """Declare a role that can log in.

    Args:
        name: role name.
        password: kept on the host as a SCRAM verifier made here; the password itself does not
            travel. None leaves what is there (peer authentication needs none).
        createdb: may make databases.
        createrole: may make roles.
        superuser: may do anything.
        needs: resources that must be right first (a declared server is known).
        notify: handlers to run after a change.

    Raises:
        DeclarationError: an empty name or password.

    Example:
        >>> require.postgres.user(name="cms", password=Secret("s3cret"), createdb=True)
    """
    secret = Secret(password) if isinstance(password, str) else password
    _check_name(name)
    if secret is not None and not secret.reveal():
        raise DeclarationError(f"postgres.user({name!r}): the password is empty")
    return declared(
        User(
            name=name,
            password=secret,
            createdb=createdb,
            createrole=createrole,
            superuser=superuser,
            needs=keys(needs),
            notify=tuple(notify),
        )
    )


def database(
    name: str,
    *,
    owner: str,
    encoding: str = "UTF8",
    locale: str = "C.UTF-8",
    needs: Sequence[Resource] = (),
    notify: Sequence[Handler] = (),
) -> Database:
    """Declare a database. It is never dropped.

    Args:
        name: database name.
        owner: role that owns it.
        encoding: as PostgreSQL spells it; cannot be changed later.
        locale: as the host spells it; used only when it is made.
        needs: resources that must be right first (a declared server and owner are known).
        notify: handlers to run after a change.

    Raises:
        DeclarationError: an empty name.

    Example:
        >>> require.postgres.database(name="cms", owner="cms")
    """
    _check_name(name)
    _check_name(owner)
    return declared(
        Database(
            name=name,
            owner=owner,
            encoding=encoding,
            locale=locale,
            needs=keys(needs),
            notify=tuple(notify),
        )
    )


def _check_name(name: str) -> None:
    if not name or "\0" in name or len(name.encode()) > 63:
        raise DeclarationError(f"{name!r} cannot be a name in PostgreSQL: 1 to 63 bytes")
