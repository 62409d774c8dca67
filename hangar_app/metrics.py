"""GET /metrics: how far behind each aircraft is, as gauges in the text format of Prometheus.

Labels are names of aircraft, streams and standings that are known here: what an aircraft says adds none.
Only this host may ask (nginx listens on the loopback for it): names and movements of a fleet are nobody
else's business, not an aircraft's either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import get_args

from flask import Blueprint, Flask, Response, abort, request
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

from hangar_app import backup, fleet_state
from hangar_app.backup import Backup
from hangar_app.behind import Backlog
from hangar_app.context import hangar
from hangar_app.fleet_view import DOWN, UP, AircraftRow, Standing

LOOPBACK = "127.0.0.1"
# What a name ends in is its unit (prometheus.io/docs/practices/naming).
BACKLOG: tuple[tuple[str, str, Callable[[Backlog], float]], ...] = (
    ("change_sets", "in change-sets", lambda one: one.change_sets),
    ("rows", "in rows", lambda one: one.rows),
    ("bytes", "in bytes", lambda one: one.bytes),
    ("oldest_age_seconds", "and how old the oldest is, 0 for none", lambda one: one.oldest_s or 0),
)
Values = Iterable[tuple[tuple[str, ...], float | None]]

blueprint = Blueprint("metrics", __name__)


def init_app(app: Flask) -> None:
    """Adds /metrics."""
    app.register_blueprint(blueprint)


@blueprint.get("/metrics")
def show() -> Response:
    """What Prometheus reads; 404 for whoever does not ask from this host."""
    if request.headers.get("X-Real-IP") != LOOPBACK:
        abort(404)
    here = hangar()
    now, session = here.clock(), here.session()
    kept = backup.look(session, here.settings.state_dir, now)
    told = text(fleet_state.fleet(session, now), kept)
    return Response(told, content_type=CONTENT_TYPE_PLAIN_0_0_4)


def text(fleet: Sequence[AircraftRow], kept: Backup | None) -> bytes:
    """The gauges of a fleet in Prometheus' text format 0.0.4.

    Args:
        fleet: every aircraft.
        kept: how old the hangar's backup is; None where it has none.

    Example:
        >>> text([], None).decode().splitlines()[1]
        '# TYPE turnaround_aircraft_standing gauge'
    """

    class Fleet(Collector):
        def collect(self) -> Iterator[GaugeMetricFamily]:
            yield from (*_aircraft(fleet), *_streams(fleet), *_backup(kept))

    registry = CollectorRegistry()
    registry.register(Fleet())
    return generate_latest(registry)


def _aircraft(fleet: Sequence[AircraftRow]) -> Iterator[GaugeMetricFamily]:
    standings = (
        ((one.name, standing), float(one.standing == standing))
        for one in fleet
        for standing in get_args(Standing)
    )
    yield _gauge(
        "aircraft_standing",
        "1 for how the aircraft stands, 0 for the rest.",
        standings,
        ("aircraft", "standing"),
    )
    own: tuple[tuple[str, str, Callable[[AircraftRow], float | None]], ...] = (
        (
            "aircraft_last_heard_age_seconds",
            "Time since its last heartbeat, +Inf for never.",
            lambda one: _age(one.seen_s_ago),
        ),
        ("aircraft_syncing", "1 while it synchronises.", lambda one: one.syncing),
        (
            "aircraft_disk_free_ratio",
            "Free share of the disk aboard, 0 to 1.",
            lambda one: one.disk_free_share,
        ),
        (
            "content_missing_files",
            "Content that it should have and has not, in files.",
            lambda one: one.content_missing["files"],
        ),
        (
            "content_missing_bytes",
            "Content that it should have and has not, in bytes.",
            lambda one: one.content_missing["bytes"],
        ),
    )
    for name, meaning, value in own:
        yield _gauge(name, meaning, (((one.name,), value(one)) for one in fleet), ("aircraft",))


def _streams(fleet: Sequence[AircraftRow]) -> Iterator[GaugeMetricFamily]:
    labels = ("aircraft", "stream")
    ways: tuple[tuple[str, str, Callable[[AircraftRow], dict[str, Backlog]]], ...] = (
        ("up", "Aboard and not acknowledged by the hangar", lambda one: one.up),
        ("down", "At the hangar and not aboard", lambda one: one.down),
    )
    for way, where, backlogs in ways:
        for unit, what, value in BACKLOG:
            values = (
                ((one.name, stream), value(backlog))
                for one in fleet
                for stream, backlog in backlogs(one).items()
            )
            yield _gauge(f"sync_{way}_{unit}", f"{where}, {what}.", values, labels)
    held = (
        ((one.name, stream), one.held_rows.get(stream, 0))
        for one in fleet
        for stream in sorted({*UP, *DOWN})
    )
    yield _gauge("sync_held_rows", "Rows in quarantine at either end.", held, labels)


def _backup(kept: Backup | None) -> Iterator[GaugeMetricFamily]:
    if kept:
        ages = (((name.removesuffix("_s"),), _age(age)) for name, age in asdict(kept).items())
        meaning = (
            "Age of each part of the hangar's backup, +Inf for never; of wal, how long it waits."
        )
        yield _gauge("backup_age_seconds", meaning, ages, ("part",))


def _age(seconds: int | None) -> float:
    return float("inf") if seconds is None else seconds


def _gauge(name: str, meaning: str, values: Values, labels: Sequence[str]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"turnaround_{name}", meaning, labels=labels)
    for of, value in values:
        if value is not None:
            family.add_metric(of, value)
    return family
