"""What somebody would do who has no synchronisation: pg_dump and rsync, of 10⁵ rows of which 1 % changed.

Both begin with the former state at both ends, and end with the present one in the other's database. rsync
sends the difference of two plain dumps, compressed, in blocks of two rows: those that it chooses for so large
a file take twice the bytes.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from ci.bench.sync.server import Server, serving
from ci.bench.table import Row
from ci.faults.sync import nodes as made
from ci.faults.sync.nodes import Node, Nodes
from sync import apply, files, publish, rsync, seal

ROWS = 100_000
CHANGED = 0.01
BLOCK = 700  # with 300, 1400 and 4000 it sends more
TABLE = "item"
_FILL = (
    "insert into item (id, kind, title, summary, languages) select gen_random_uuid(), 'film', "
    "jsonb_build_object('en', 'Title ' || md5(n::text)), "
    "jsonb_build_object('en', repeat(md5(n::text) || ' ', 4)), array['en', 'es'] "
    "from generate_series(1, :rows) n"
)
_CHANGE = (
    "update item set priority = priority + 1, updated_at = now() where id in "
    "(select id from item order by md5(id::text) limit :rows)"
)


def rows(full: bool) -> list[Row]:
    """Ours and theirs, beside each other; a tenth of the rows unless `full`."""
    count = ROWS if full else ROWS // 10
    with serving() as server, tempfile.TemporaryDirectory() as folder:
        nodes = Nodes(server, Path(folder), "dump")
        aircraft, theirs = nodes.add("EC-TAA"), f"{nodes.prefix}_theirs"
        made.create(server, theirs, made.template(server))
        nodes.hangar.sql(_FILL, rows=count)
        _ours(nodes, aircraft)
        _theirs(server, nodes.hangar, theirs, Path(folder))
        nodes.hangar.sql(_CHANGE, rows=round(count * CHANGED))
        ours_s, ours = _timed(lambda: _ours(nodes, aircraft))
        theirs_s, dumped = _timed(lambda: _theirs(server, nodes.hangar, theirs, Path(folder)))
        _same(nodes.hangar, aircraft)
    what = f"1 % of {count:,} rows"
    return [
        Row(f"{what}, bytes, ours", ours / 1000, "kB"),
        Row(f"{what}, bytes, pg_dump and rsync", dumped / 1000, "kB"),
        Row(f"{what}, bytes, ours ÷ theirs", ours / dumped, "×", 1),
        Row(f"{what}, to the other end's rows, ours", ours_s, "s"),
        Row(f"{what}, to the other end's rows, pg_dump and rsync", theirs_s, "s"),
        Row(f"{what}, seconds, ours ÷ theirs", ours_s / theirs_s, "×", 1),
    ]


def _timed(do: Callable[[], int]) -> tuple[float, int]:
    began = time.perf_counter()
    moved = do()
    return time.perf_counter() - began, moved


def _ours(nodes: Nodes, aircraft: Node) -> int:
    """Seals, offers, pulls and applies; returns the bytes on the link."""
    hangar = nodes.hangar
    seal.seal_all(hangar.engine, hangar.settings)
    publish.offer(hangar.engine, hangar.settings, aircraft.name)
    link = rsync.Link("hangar", nodes.session(aircraft).link)
    moved = link.pull(files.inbox(aircraft.settings, files.HANGAR).parent)
    outcome = apply.apply_all(aircraft.engine, aircraft.settings, files.HANGAR)
    if outcome.problems:
        raise RuntimeError(f"what was to be measured went wrong: {outcome.problems}")
    nodes.beat(aircraft)
    return moved.sent + moved.received


def _theirs(server: Server, hangar: Node, target: str, folder: Path) -> int:
    """Dumps the table, sends what differs from the former dump, and loads it; returns the bytes."""
    sent, came = folder / "sent.sql", folder / "came.sql"
    where = ["--host", str(server.folder), "--username", "postgres"]
    dump = ["pg_dump", *where, "--data-only", f"--table={TABLE}", f"--file={sent}", hangar.database]
    subprocess.run(dump, check=True)
    command = [
        "rsync",
        "-tz",
        "--ignore-times",
        f"--block-size={BLOCK}",
        "--no-whole-file",
        "--stats",
        "--no-human-readable",
    ]
    done = subprocess.run(
        [*command, str(sent), str(came)], check=True, capture_output=True, text=True
    )
    load = (
        f"set client_min_messages = warning; begin; truncate {TABLE} cascade;\n\\i {came}\ncommit;"
    )
    psql = ["psql", *where, "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", target]
    subprocess.run(psql, input=load, check=True, text=True, stdout=subprocess.DEVNULL)
    counted = [line for line in done.stdout.splitlines() if line.startswith("Total bytes ")]
    return sum(int(line.rpartition(" ")[2]) for line in counted)


def _same(hangar: Node, aircraft: Node) -> None:
    query = f"select md5(string_agg(t::text, '' order by id)) from {TABLE} t"
    if hangar.ask(query) != aircraft.ask(query):
        raise RuntimeError(f"{TABLE} is not the same at both ends")
