"""Change capture as database facts: which rows changed is recorded whoever writes them.

On the models that this host sends, statement-level triggers record the keys of changed rows in
`sync.dirty`, never the rows: what is sent is the row as it is when the batch is sealed. On the
models that it receives, a guard refuses every write but synchronisation's own. So "each model goes
one way" holds for any program, and nothing that was applied is captured again.
"""

from __future__ import annotations

from uuid import uuid4

from sqlalchemy import Connection, text

from common.schema import Base, Direction, Sync, travelling

__all__ = ["RECEIVES", "SENDS", "install", "known", "models_of", "record_all", "spec"]

SENDS: dict[str, Direction] = {"aircraft": "up", "hangar": "down"}
RECEIVES: dict[str, Direction] = {"aircraft": "down", "hangar": "up"}

_CAPTURE = ("sync_capture_insert", "sync_capture_update", "sync_capture_delete", "sync_no_truncate")
_GUARD = ("sync_guard",)

# PL/pgSQL plans a trigger function for each trigger apart, so these serve every table with an `id`.
_FUNCTIONS = """
create or replace function sync.capture_insert() returns trigger language plpgsql as $$
declare
    -- Looked up once, and not for each row.
    its_stream text := tg_argv[0];
    its_table text := tg_table_name;
begin
    insert into sync.dirty (stream, tbl, pk) select its_stream, its_table, id from new_rows;
    return null;
end $$;

create or replace function sync.capture_update() returns trigger language plpgsql
    set enable_nestloop = off as $$
declare
    its_stream text := tg_argv[0];
    its_table text := tg_table_name;
begin
    if exists (select from new_rows n where not exists (select from old_rows o where o.id = n.id))
    then
        raise exception '%: the key of a row that travels cannot be changed', tg_table_name
            using errcode = 'restrict_violation',
                  hint = 'Delete the row and insert another one.';
    end if;
    insert into sync.dirty (stream, tbl, pk)
        select its_stream, its_table, n.id
        from new_rows n join old_rows o on o.id = n.id where n is distinct from o;
    return null;
end $$;

create or replace function sync.capture_delete() returns trigger language plpgsql as $$
declare
    its_stream text := tg_argv[0];
    its_table text := tg_table_name;
begin
    insert into sync.dirty (stream, tbl, pk) select its_stream, its_table, id from old_rows;
    return null;
end $$;

-- The planner takes it that a match comes soon, and here there is none: row by row, 10⁵ rows took hours.
create or replace function sync.refuse_unsent_delete() returns trigger language plpgsql
set enable_nestloop = off set enable_mergejoin = off as $$
begin
    if exists (select from old_rows o join sync.dirty d
               on d.stream = tg_argv[0] and d.tbl = tg_table_name and d.pk = o.id)
    then
        raise exception '%: a row that the hangar has not acknowledged cannot be deleted',
            tg_table_name using errcode = 'restrict_violation',
            hint = 'Delete it after the synchronisation that carries it.';
    end if;
    return null;
end $$;

create or replace function sync.refuse_update() returns trigger language plpgsql as $$
begin
    if exists (select from new_rows) then
        raise exception '%: rows are only added, because their history matters', tg_table_name
            using errcode = 'restrict_violation', hint = 'Insert a new row that says what changed.';
    end if;
    return null;
end $$;

create or replace function sync.refuse_truncate() returns trigger language plpgsql as $$
begin
    raise exception '%: TRUNCATE would hide what was removed from the other end', tg_table_name
        using errcode = 'restrict_violation', hint = 'Use DELETE.';
end $$;

create or replace function sync.guard() returns trigger language plpgsql as $$
begin
    if current_setting('sync.applying', true) is distinct from 'on' then
        raise exception '% travels % and is read-only on this host', tg_table_name, tg_argv[0]
            using errcode = 'insufficient_privilege',
                  hint = 'Change it at the other end; it arrives here by synchronisation.';
    end if;
    return null;
end $$;
"""


def spec(model: type[Base]) -> Sync:
    """Return a travelling model's declaration; raises `TypeError` for one that stays."""
    if model.__sync__ is None:
        raise TypeError(f"{model.__tablename__} does not travel")
    return model.__sync__


def models_of(role: str, stream: str) -> list[type[Base]]:
    """Return the models that a stream sends from a host of this role, parents first."""
    return [model for model in travelling(SENDS[role]) if spec(model).stream == stream]


def known(role: str) -> dict[str, list[str]]:
    """Return the tables that a host of this role sends, and the stream of each, as parameters of a query.

    The triggers of a newer release stay where one went back to this one. What they record of other tables
    cannot be sealed, and waits until that release is here again.

    >>> known("aircraft")["streams"]
    ['pay', 'use', 'use', 'use', 'usr']
    """
    models = travelling(SENDS[role])
    return {
        "streams": [spec(model).stream for model in models],
        "tables": [model.__tablename__ for model in models],
    }


# In the order of words in which PostgreSQL tells of a trigger, so that the two can be compared.
def _capture(model: type[Base]) -> dict[str, str]:
    sync, table = spec(model), f"public.{model.__tablename__}"
    one = f"on {table} referencing {{rows}} for each statement execute function sync.{{function}}"
    both, new, old = (
        "old table as old_rows new table as new_rows",
        "new table as new_rows",
        "old table as old_rows",
    )
    stream = f"('{sync.stream}')"
    append = sync.mode == "append"
    on_update = "refuse_update()" if append else f"capture_update{stream}"
    on_delete = f"{'refuse_unsent_delete' if append else 'capture_delete'}{stream}"
    return {
        "sync_capture_insert": "after insert "
        + one.format(rows=new, function=f"capture_insert{stream}"),
        "sync_capture_update": "after update " + one.format(rows=both, function=on_update),
        "sync_capture_delete": "after delete " + one.format(rows=old, function=on_delete),
        "sync_no_truncate": f"before truncate on {table} "
        "for each statement execute function sync.refuse_truncate()",
    }


def _guard(model: type[Base]) -> dict[str, str]:
    return {
        "sync_guard": "before insert or delete or update or truncate "
        f"on public.{model.__tablename__} for each statement "
        f"execute function sync.guard('{spec(model).direction}')"
    }


def _triggers(connection: Connection, model: type[Base]) -> dict[str, str]:
    found = connection.execute(
        text(
            "select tgname, lower(pg_get_triggerdef(oid)) as made from pg_trigger "
            "where tgrelid = cast(:t as regclass) and not tgisinternal"
        ),
        {"t": f"public.{model.__tablename__}"},
    )
    return {row.tgname: row.made for row in found}


def install(connection: Connection, role: str) -> list[str]:
    """Make the triggers that a host of this role needs, and return the tables that were changed.

    It takes a table's lock only where a trigger is missing or differs, so it can run beside the running
    release. Rows that were there before capture began are recorded as changed; what is recorded of a model
    that was in another stream, and no batch has claimed, goes over to the one that it is in.

    Arguments: `role` is `aircraft` or `hangar`; the caller commits.

    >>> install(connection, "aircraft")  # doctest: +SKIP
    ['usage_event', 'survey_answer', 'user_event', 'asset', …]
    """
    connection.execute(text(_FUNCTIONS))
    changed = []
    for model in travelling(SENDS[role]):
        had = _triggers(connection, model)
        if _apply(connection, model, _capture(model), had, unwanted=_GUARD):
            changed.append(model.__tablename__)
            if "sync_capture_insert" not in had:
                record_all(connection, model)
    for model in travelling(RECEIVES[role]):
        had = _triggers(connection, model)
        if _apply(connection, model, _guard(model), had, unwanted=_CAPTURE):
            changed.append(model.__tablename__)
    connection.execute(
        text(
            "update sync.dirty d set stream = k.stream "
            "from unnest(cast(:streams as text[]), cast(:tables as text[])) k (stream, tbl) "
            "where d.tbl = k.tbl and d.stream <> k.stream and d.batch is null"
        ),
        known(role),
    )
    for stream in sorted({spec(model).stream for model in travelling(SENDS[role])}):
        connection.execute(
            text("insert into sync.epoch (stream, epoch) values (:s, :e) on conflict do nothing"),
            # Random, not time-ordered: its first eight digits name a folder.
            {"s": stream, "e": uuid4()},
        )
    return changed


def _apply(
    connection: Connection,
    model: type[Base],
    wanted: dict[str, str],
    had: dict[str, str],
    unwanted: tuple[str, ...],
) -> bool:
    statements = [
        f"drop trigger {name} on {model.__tablename__}" for name in unwanted if name in had
    ]
    statements += [
        f"create or replace trigger {name} {what}"
        for name, what in wanted.items()
        if had.get(name) != f"create trigger {name} {what}"
    ]
    for statement in statements:
        connection.execute(text(statement))
    return bool(statements)


def record_all(connection: Connection, model: type[Base], node: str | None = None) -> None:
    """Record every row of a model that this host sends as changed; the caller commits.

    Arguments: with `node` only the rows of that aircraft: a copied database has another one's, too.
    """
    own = " where aircraft = :node" if node and "aircraft" in model.__table__.columns else ""
    connection.execute(
        text(
            f"insert into sync.dirty (stream, tbl, pk) "  # noqa: S608  # our own table names
            f"select :stream, :tbl, id from {model.__tablename__}{own} order by id"
        ),
        {"stream": spec(model).stream, "tbl": model.__tablename__, "node": node},
    )
