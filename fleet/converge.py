"""Converging: each host made what its roles say, many at once, and what came of it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, Protocol

import require
from fleet.away import Away
from fleet.connections import Connections
from fleet.context import catalog
from fleet.errors import Exit, FleetError, Offline, UsageError, did_you_mean
from fleet.inventory import Host, Inventory
from fleet.report import Outcome, Reporter
from fleet.slots import SLOTS, check_slots, most_failed, on_each
from fleet.ssh import Connection
from fleet.transport import SshTransport
from require.result import Event, LastRun, Result
from require.run import converge as engine

SHORT_DIFF = 30
Say = Callable[[str], None]


class Engine(Protocol):
    """What `require.run.converge` is to us."""

    def __call__(
        self,
        transport: require.Transport,
        catalog: require.Catalog,
        *,
        check: bool,
        progress: Callable[[Event], None] | None,
    ) -> Result: ...


def converge(
    inventory: Inventory,
    hosts: Sequence[Host],
    connections: Connections,
    reporter: Callable[[], Reporter],
    *,
    check: bool = False,
    diff: bool = False,
    slots: int = SLOTS,
    tags: str = "",
    max_failed: str = "",
    away: Callable[[], Away | None] = lambda: None,
) -> list[Outcome]:
    """Makes hosts what their roles say; with `check` only looks.

    Everything is declared before any host is touched, so that a fault in the inventory or in a role
    stops all of it and not the half.

    Args:
        inventory: the fleet.
        hosts: which of it.
        connections: the ways there.
        reporter: makes what shows how it goes, once nothing can be wrong any more.
        check: change nothing.
        diff: show unified diffs whole; `check` shows their beginnings anyway.
        slots: how many hosts at once.
        tags: roles and nouns with commas: only these resources, and what they need; empty takes all.
        max_failed: how many hosts may fail, as a number or in per cent, before none is begun any
            more; empty sets no bound.
        away: makes what to do about hosts that are off-line, and may queue some of them at once, so
            it is called when nothing can be wrong any more; None only says that they are.

    Raises:
        FleetError: the hosts are done, but the hangar did not forget what waited for them.
        UsageError: the inventory and the roles do not fit, or no host has such a tag; nothing was
            touched.
    """
    declared = {host.name: catalog(inventory, host) for host in hosts}
    if tags:
        declared = _tagged(declared, tags)
    bound = most_failed(max_failed, len(hosts))
    check_slots(slots)
    gone = away()

    def work(host: Host, say: Say) -> Outcome:
        if tags and not len(declared[host.name]):
            return Outcome(host.name, Exit.DONE, "no change", f"nothing of it is tagged {tags}")
        if gone and (silent := gone.instead(host.name)):
            return silent
        try:
            connection = connections.to(host)
            outcome = on_host(connection, declared[host.name], say, check=check, diff=diff)
        except Offline as error:
            outcome = Outcome.of(host.name, error)
        return gone.put([outcome])[0] if gone and outcome.code == Exit.OFFLINE else outcome

    outcomes = on_each(hosts, work, reporter(), slots, bound, connections.hang_up)
    if gone:
        gone.settle(outcomes)
    return outcomes


def _tagged(declared: Mapping[str, require.Catalog], tags: str) -> dict[str, require.Catalog]:
    """Returns what is left of each host's declarations; a tag that no host has is wrong usage."""
    wanted = {tag.strip() for tag in tags.split(",")} - {""}
    known = {name for each in declared.values() for one in each for name in (one.role, one.noun)}
    for tag in sorted(wanted - known) or ([] if wanted else [tags]):
        raise UsageError(
            f"--tags: expected roles or nouns of these hosts, found {tag!r}{did_you_mean(tag, known)}",
            f"they have {', '.join(sorted(known))}",
        )
    return {name: each.chosen(wanted) for name, each in declared.items()}


def step(connection: Connection, host: Host, declared: require.Catalog) -> list[str]:
    """Makes a host what is declared, as a step of something else; returns what was changed.

    Args:
        connection: the way to it.
        host: for what is said of it.
        declared: what it is to be.

    Raises:
        Offline: the link broke.
        FleetError: it did not become that, with the reasons in lines of their own.
    """
    done = on_host(connection, declared, lambda text: None)
    if done.code == Exit.OFFLINE:
        raise Offline(f"{host.name}: {done.detail}", done.remedy)
    if done.code != Exit.DONE:
        raise FleetError("\n".join([f"{host.name}: {done.detail}", *done.lines]), done.remedy)
    return [change["key"] for change in done.data["changes"]]


def on_host(
    connection: Connection,
    declared: require.Catalog,
    say: Say,
    *,
    check: bool = False,
    diff: bool = False,
    run: Engine = engine,
    word: str = "",
) -> Outcome:
    """Converges one host over this connection.

    Args:
        connection: what it costs is counted here.
        declared: what the host's roles say.
        say: is told each stage.
        check: change nothing.
        diff: show unified diffs whole.
        run: the engine.
        word: what is said in the place of the engine's command (`SshTransport`).

    Raises:
        FleetError: the host could not be asked; off-line is `Offline`.
    """
    return asked(
        connection,
        say,
        lambda transport, progress: run(transport, declared, check=check, progress=progress),
        diff=diff,
        word=word,
    )


def asked(
    connection: Connection,
    say: Say,
    ask: Callable[[require.Transport, Callable[[Event], None]], Result],
    *,
    diff: bool = False,
    word: str = "",
) -> Outcome:
    """Asks one host something of the engine, and says what came of it and what it cost.

    Args:
        connection: the way there.
        say: is told how it goes.
        ask: the engine's function; gets the transport and what to call with each event.
        diff: show unified diffs whole.
        word: what is said in the place of the engine's command (`SshTransport`).

    Raises:
        FleetError: the host could not be asked; off-line is `Offline`.
    """
    trips, traffic = connection.trips, connection.traffic_bytes
    transport = SshTransport(connection, word)
    try:
        result = ask(transport, lambda event: say(_stage(event)))
    except require.TransportError as error:
        if isinstance(error.__cause__, FleetError):
            raise error.__cause__ from None
        raise FleetError(str(error)) from error
    cost = {"trips": connection.trips - trips, "bytes": connection.traffic_bytes - traffic}
    if result.link_lost and not isinstance(transport.fault, Offline):
        # The host is there and its answer was no answer: that is a failure, not an absence.
        result = replace(result, link_lost=False)
    return outcome(result, diff=diff, cost=cost)


def _stage(event: Event) -> str:
    counted = f" {event.done}/{event.total}" if event.total else ""
    run = f", run {event.run}" if event.run else ""
    return f"{event.stage}{counted} {event.key}".rstrip() + run


def outcome(result: Result, *, diff: bool, cost: dict[str, Any]) -> Outcome:
    """Returns what the engine's result means for people and for the exit code.

    Args:
        result: the engine's.
        diff: show unified diffs whole; with `check` their beginnings are shown anyway.
        cost: trips and bytes of the connection, its handshake included.
    """
    code, status, detail, remedy = _judge(result)
    most = sys.maxsize if diff else SHORT_DIFF if result.check else 0
    return Outcome(
        result.host,
        code,
        status,
        f"{detail}; {cost['trips']} trips, {cost['bytes'] / 1000:.1f} kB, {result.seconds:.1f} s",
        remedy,
        _said(result, most),
        {
            "changes": [_as_json(each) for each in result.changes],
            "unknown": [_as_json(each) for each in result.unknowns],
            "errors": list(result.errors),
            "notes": list(result.notes),
            "resources": len(result.outcomes),
            "run": result.run,
            "held": result.held,
            "last_run": asdict(result.last_run) if result.last_run else None,
            "engine_trips": result.trips,
            "seconds": round(result.seconds, 3),
            **cost,
        },
        _said(result, sys.maxsize),
    )


def _said(result: Result, most: int) -> tuple[str, ...]:
    lines = [line for each in (*result.changes, *result.unknowns) for line in _lines(each, most)]
    notes = [f"note: {note}" for note in result.notes]
    errors = [f"error: {error}" for error in result.errors]
    return (*_before(result.last_run), *lines, *notes, *errors)


def _judge(result: Result) -> tuple[Exit, str, str, str]:
    resources = f"{len(result.outcomes)} resources"
    touched = f"{len(result.changes)} of {resources}"
    if result.link_lost:
        return (
            Exit.OFFLINE,
            "off-line",
            f"the link broke while the host was applying run {result.run}; it goes on by itself",
            f"{_resume(result.host, result.run)} says what became of it",
        )
    if result.failed:
        remedy = f"{_resume(result.host, result.held)} waits for its end" if result.held else ""
        return Exit.FAILED, "failed", result.errors[0].removeprefix(f"{result.host}: "), remedy
    if result.check and result.differs:
        unknown = f", {len(result.unknowns)} not known" if result.unknowns else ""
        return Exit.CHANGES, "would change", touched + unknown, ""
    if result.changes:
        return Exit.DONE, "changed", touched, ""
    return Exit.DONE, "no change", resources, ""


def _resume(host: str, run: str) -> str:
    return f"fab resume --target {host} --run {run}"


def _before(last: LastRun | None) -> list[str]:
    """Returns what must be known of the run before this one: nothing when it went well."""
    if last is None or (last.finished and not last.running and not last.failed):
        return []
    ended = "goes on" if last.running else "came to its end" if last.finished else "was cut short"
    failed = f", failed: {', '.join(last.failed)}" if last.failed else ""
    begun = f"{last.operator or 'someone'} at {last.at or 'a time that was not noted'}"
    return [f"run before this one: {last.run} by {begun} {ended}{failed}"]


def _lines(each: Any, most: int) -> list[str]:
    said = each.summary or each.reason
    first = f"{each.status}: {each.key}{f' ({each.role})' if each.role else ''}: {said}"
    return [first.rstrip(": "), *shortened(each.diff.splitlines(), most)]


def shortened(lines: Sequence[str], most: int) -> list[str]:
    """Returns the first lines, and how many there would be more."""
    if len(lines) <= most:
        return list(lines)
    more = [f"… {len(lines) - most} more lines; --diff shows them"] if most else []
    return [*lines[:most], *more]


def _as_json(each: Any) -> dict[str, Any]:
    keys = ("key", "status", "summary", "reason", "diff", "role", "where")
    return {key: value for key in keys if (value := getattr(each, key))}
