"""What a role may do in a database of a PostgreSQL server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from require.catalog import declared
from require.errors import DeclarationError
from require.resource import Change, Handler, NoChange, Plan, Resource, Spec, State, keys
from require.resources.postgres_sql import SERVER, Asked, array, checked, identifier, literal

On = Literal["database", "schema", "tables", "sequences", "functions"]
PUBLIC = "public"


@dataclass(frozen=True)
class _Kind:
    """What can be granted on one kind of object, and where PostgreSQL keeps it.

    Args:
        privileges: their names.
        acl: the kind's letter for acldefault(), and in pg_default_acl.
        objects: SQL for ref (as GRANT names it), name, owner and acl; {schema} is its literal.
        plural: as GRANT and ALTER DEFAULT PRIVILEGES name what is in a schema.
    """

    privileges: tuple[str, ...]
    acl: str
    objects: str
    plural: str = ""


def _relations(word: str, kinds: str) -> str:
    return (
        f"SELECT format('{word} %I.%I', n.nspname, c.relname) AS ref, c.relname AS name, "
        "c.relowner AS owner, c.relacl AS acl FROM pg_class c JOIN pg_namespace n ON n.oid = "
        f"c.relnamespace WHERE n.nspname = {{schema}} AND c.relkind IN ({kinds})"
    )


_TABLE = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER", "MAINTAIN")
_KINDS: Mapping[str, _Kind] = {
    "database": _Kind(
        ("CONNECT", "CREATE", "TEMPORARY"),
        "d",
        "SELECT format('DATABASE %I', datname) AS ref, datname AS name, datdba AS owner, "
        "datacl AS acl FROM pg_database WHERE datname = current_database()",
    ),
    "schema": _Kind(
        ("USAGE", "CREATE"),
        "n",
        "SELECT format('SCHEMA %I', nspname) AS ref, nspname AS name, nspowner AS owner, "
        "nspacl AS acl FROM pg_namespace WHERE nspname = {schema}",
    ),
    "tables": _Kind(_TABLE, "r", _relations("TABLE", "'r', 'p', 'v', 'm', 'f'"), "TABLES"),
    "sequences": _Kind(
        ("USAGE", "SELECT", "UPDATE"), "S", _relations("SEQUENCE", "'S'"), "SEQUENCES"
    ),
    "functions": _Kind(
        ("EXECUTE",),
        "f",
        "SELECT 'ROUTINE ' || p.oid::regprocedure AS ref, p.proname AS name, p.proowner AS owner, "
        "p.proacl AS acl FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace "
        "WHERE n.nspname = {schema}",
        "ROUTINES",
    ),
}


@dataclass(frozen=True, kw_only=True)
class Grants(Asked):
    """What a role may do with objects of one kind in a database.

    Args:
        grantee: role name, or "public" for everybody.
        privileges: what it may do with each of them.
        database: name of the database.
        on: the kind.
        schema: where they are; "" for the database itself.
        names: those of them that are meant; none: all.
        future_by: roles whose objects of this kind, made later in this schema, get the same.
        exact: what it was granted beyond these privileges is taken back.
    """

    grantee: str
    privileges: tuple[str, ...]
    database: str
    on: str
    schema: str = ""
    names: tuple[str, ...] = ()
    future_by: tuple[str, ...] = ()
    exact: bool = False

    @property
    def key(self) -> str:
        what = self.on if self.on == "database" else f"{self.schema}:{self.on}"
        some = f"({','.join(self.names)})" if self.names else ""
        return f"postgres.grants:{self.database}:{what}{some}:{self.grantee}"

    @property
    def asked_in(self) -> str:
        return self.database

    def natural_needs(self) -> tuple[str, ...]:
        roles = (f"postgres.user:{role}" for role in (self.grantee, *self.future_by))
        return (SERVER, f"postgres.database:{self.database}", *roles)

    def query(self) -> str:
        role, schema = literal(self.grantee), literal(self.schema)
        waits = (
            f"WHEN {role} <> '{PUBLIC}' AND NOT EXISTS (SELECT FROM pg_roles WHERE rolname = {role}) "
            f"THEN 'role ' || {role} "
        )
        if self.schema:
            waits += (
                f"WHEN NOT EXISTS (SELECT FROM pg_namespace WHERE nspname = {schema}) "
                f"THEN 'schema ' || {schema} "
            )
        if self.names:
            waits += (
                f"WHEN EXISTS (SELECT FROM unnest({array(self.names)}) t WHERE t NOT IN "
                f"(SELECT name FROM o)) THEN '{self.on[:-1]} ' || (SELECT min(t) FROM "
                f"unnest({array(self.names)}) t WHERE t NOT IN (SELECT name FROM o)) "
            )
        future = ""
        if self.future_by:
            future = f""", 'future', (SELECT jsonb_object_agg(b, (SELECT coalesce(jsonb_agg(DISTINCT
x.privilege_type ORDER BY x.privilege_type), '[]') FROM pg_default_acl a, pg_namespace n, pg_roles r,
aclexplode(a.defaclacl) x WHERE r.rolname = b AND a.defaclrole = r.oid AND n.oid = a.defaclnamespace AND
n.nspname = {schema} AND a.defaclobjtype = '{self._kind.acl}' AND x.grantee = (SELECT oid FROM g)))
FROM unnest({array(self.future_by)}) b)"""
        return f"""{self._with()} SELECT jsonb_build_object('waits', CASE {waits}END,
'lacking', (SELECT jsonb_object_agg(w, n) FROM (SELECT w, count(*) AS n FROM lacking GROUP BY w) l),
'beyond', (SELECT jsonb_object_agg(w, n) FROM (SELECT w, count(*) AS n FROM beyond GROUP BY w) l)
{future})"""

    def _with(self) -> str:
        """SQL for g (the role), o (the objects), lacking and beyond (ref and privilege, as w)."""
        kind = self._kind
        some = f" WHERE name = ANY ({array(self.names)})" if self.names else ""
        role = literal(self.grantee)
        letter = kind.acl.lower() if self.on == "sequences" else kind.acl
        return f"""WITH g AS (SELECT 0::oid AS oid WHERE {role} = '{PUBLIC}' UNION ALL SELECT oid FROM
pg_roles WHERE rolname = {role}), o AS (SELECT * FROM ({kind.objects.format(schema=literal(self.schema))})
every{some}), has AS (SELECT ref, x.privilege_type AS w, owner = x.grantee AS own FROM o, aclexplode(
coalesce(acl, acldefault('{letter}', owner))) x WHERE x.grantee = (SELECT oid FROM g)), wanted AS (SELECT
unnest({array(self.privileges)}) AS w), lacking AS (SELECT ref, w FROM o, wanted WHERE (ref, w) NOT IN
(SELECT ref, w FROM has)), beyond AS (SELECT ref, w FROM has WHERE {self.exact} AND NOT own AND w NOT IN
(SELECT w FROM wanted))"""

    def order(self) -> Spec:
        role = identifier(self.grantee) if self.grantee != PUBLIC else "PUBLIC"
        steps = []
        for verb, way, what in (("REVOKE", "FROM", "beyond"), ("GRANT", "TO", "lacking")):
            form = literal(f"{verb} %s ON %s {way} {role.replace('%', '%%')}")
            # psql runs what the query before \gexec returns.
            steps.append(
                f"{self._with()} SELECT format({form}, string_agg(w, ', '), ref) FROM {what} "
                "GROUP BY ref ORDER BY ref \\gexec"
            )
        for by in self.future_by:
            place = f"ALTER DEFAULT PRIVILEGES FOR ROLE {identifier(by)} IN SCHEMA {identifier(self.schema)}"
            if self.exact:
                steps.append(f"{place} REVOKE ALL ON {self._kind.plural} FROM {role};")
            if self.privileges:
                what = ", ".join(self.privileges)
                steps.append(f"{place} GRANT {what} ON {self._kind.plural} TO {role};")
        return {"verb": "sql", "script": "\n".join(["BEGIN;", *steps, "COMMIT;"])}

    def plan(self, state: State) -> Plan:
        if unknown := self.not_yet(state):
            return unknown
        differs = []
        for verb, found in (("grant", state["lacking"]), ("revoke", state["beyond"])):
            for privilege, count in sorted((found or {}).items()):
                many = "" if self.on in ("database", "schema") else f" on {count} {self.on}"
                differs.append(f"{verb} {privilege}{many}")
        for by, had in sorted((state.get("future") or {}).items()):
            lacking = [each for each in self.privileges if each not in had]
            beyond = [each for each in had if self.exact and each not in self.privileges]
            for verb, several in (("grant", lacking), ("revoke", beyond)):
                if several:
                    differs.append(f"{verb} {', '.join(several)} on future {self.on} of {by}")
        return Change("; ".join(differs)) if differs else NoChange()

    @property
    def _kind(self) -> _Kind:
        return _KINDS[self.on]


def grants(
    role: str,
    privileges: Sequence[str],
    *,
    database: str,
    on: On = "database",
    schema: str = PUBLIC,
    names: Sequence[str] = (),
    future_by: Sequence[str] = (),
    exact: bool = False,
    needs: Sequence[Resource] = (),
    notify: Sequence[Handler] = (),
) -> Grants:
    """Declare what a role may do with the database, a schema, or what is in the schema.

    What counts is what was granted to the role itself, not what it has through others; an owner's
    rights are never taken back.

    Args:
        role: role name; "public" is everybody.
        privileges: such as ["SELECT", "INSERT"], each by its name.
        database: name of the database.
        on: "database", "schema", or in that schema all "tables" (views too), "sequences" or
            "functions" (procedures too).
        schema: the schema; for "database" it says nothing.
        names: only the tables, sequences or functions of these names; they must be there.
        future_by: roles whose tables (sequences, functions), made later in the schema, get the same:
            what a migration makes after this converge.
        exact: True takes back what the role was granted beyond these; with no privileges at all,
            everything.
        needs: resources that must be right first (declared roles and the database are known).
        notify: handlers to run after a change.

    Raises:
        DeclarationError: a privilege that there is not for this kind, or nothing to grant or revoke.

    Example:
        >>> require.postgres.grants("reports", ["CONNECT"], database="ife")
        >>> require.postgres.grants("reports", ["USAGE"], database="ife", on="schema")
        >>> require.postgres.grants("reports", ["SELECT"], database="ife", on="tables",
        ...     future_by=["ife"], exact=True)
        >>> require.postgres.grants("public", [], database="ife", exact=True)
    """
    inside = on not in ("database", "schema")
    for each in (role, database, schema, *names, *future_by):
        checked(each)
    possible = _KINDS[on].privileges
    asked = tuple(privilege.upper() for privilege in privileges)
    place = f"postgres.grants({role!r}, database={database!r}, on={on!r})"
    for privilege in asked:
        if privilege not in possible:
            raise DeclarationError(f"{place}: {privilege}: wanted some of {', '.join(possible)}")
    if not asked and not exact:
        raise DeclarationError(f"{place}: nothing to grant, and exact=True is not said")
    if (names or future_by) and not inside:
        raise DeclarationError(f"{place}: names and future_by are for what is in a schema")
    if names and future_by:
        raise DeclarationError(f"{place}: what is made later has no names yet: declare them apart")
    if role == PUBLIC and on == "functions" and future_by and exact:
        raise DeclarationError(
            f"{place}: that everybody may execute new functions is PostgreSQL's default for all "
            "schemas, which nothing said of one takes back"
        )
    return declared(
        Grants(
            grantee=role,
            privileges=asked,
            database=database,
            on=on,
            schema="" if on == "database" else schema,
            names=tuple(names),
            future_by=tuple(future_by),
            exact=exact,
            needs=keys(needs),
            notify=tuple(notify),
        )
    )
