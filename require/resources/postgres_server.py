"""The PostgreSQL server of a host."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from require.catalog import declared
from require.errors import DeclarationError
from require.resource import Change, Handler, NoChange, Plan, Resource, Spec, State, Unknown, keys
from require.resources.postgres_sql import SERVER, Asked


@dataclass(frozen=True, kw_only=True)
class Server(Asked):
    """The distribution's server, installed and answering on its local socket.

    Args:
        packages: what is installed for it.
        version: major version that answers, None for any.
        checksums: data pages have checksums; None: those of a new cluster do.
    """

    packages: tuple[str, ...] = ("postgresql",)
    version: int | None = None
    checksums: bool | None = None

    @property
    def key(self) -> str:
        return SERVER

    def natural_needs(self) -> tuple[str, ...]:
        return ()

    def query(self) -> str:
        return (
            "SELECT jsonb_build_object('version', current_setting('server_version_num')::int / 10000, "
            "'checksums', current_setting('data_checksums')::bool, "
            "'data', current_setting('data_directory'))"
        )

    def question(self) -> Spec:
        return {**super().question(), "names": list(self.packages)}

    def order(self) -> Spec:
        return {"verb": "server", "checksums": self.checksums is not False}

    def plan(self, state: State) -> Plan:
        if state["answers"]:
            wrong = self._wrong(state)
            if wrong:
                return Unknown(wrong, blocked=True)
        if state["missing"]:
            return Change(f"install {' '.join(state['missing'])} and start it")
        return NoChange() if state["answers"] else Change("start the server")

    def _wrong(self, state: State) -> str:
        """Return what no converge may change, and who can."""
        version = state["version"]
        if self.version is not None and version != self.version:
            return (
                f"version {version} answers, not {self.version}: install postgresql-{self.version}, "
                f"then pg_upgradecluster {version} main"
            )
        if self.checksums and not state["checksums"]:
            return (
                "its data pages have no checksums, and a running cluster cannot be given them: stop "
                f"it, run pg_checksums --enable -D {state['data']} as postgres (it reads and writes "
                "all data once), start it; or declare checksums=None"
            )
        return ""


def server(
    *,
    version: int | None = None,
    packages: Sequence[str] = (),
    checksums: bool | None = None,
    needs: Sequence[Resource] = (),
    notify: Sequence[Handler] = (),
) -> Server:
    """Declare the distribution's PostgreSQL server: installed, started, answering.

    A cluster that is made now has data checksums: a page that the disk returns damaged, after
    power was lost or at any other time, is an error then and not a wrong answer.

    Args:
        version: major version, such as 17; None is the distribution's. Another one that answers is
            an error that says how to upgrade.
        packages: Debian packages that make it; empty is ("postgresql",), or that of the version.
        checksums: True: a cluster without them is an error that says how it gets them; None: one
            that is there is left as it is; False: a new one is made without asking for them.
        needs: resources that must be right first.
        notify: handlers to run after a change.

    Raises:
        DeclarationError: a version below 13.

    Example:
        >>> require.postgres.server()
        >>> require.postgres.server(version=17, checksums=True)
    """
    if version is not None and version < 13:
        raise DeclarationError(f"postgres.server: version {version}: wanted 13 or later")
    usual = "postgresql" if version is None else f"postgresql-{version}"
    return declared(
        Server(
            packages=tuple(packages) or (usual,),
            version=version,
            checksums=checksums,
            needs=keys(needs),
            notify=tuple(notify),
        )
    )
