"""Where the snapshot is kept: a key that expires, so that a dead process reads as *unknown*."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Protocol, cast

import redis

STATE_KEY = "flight:state"
TRACK_KEY = "flight:track"
STATE_LIVES_MS = 3_000
TRACK_LIVES_MS = 24 * 3_600_000

UNKNOWN: Mapping[str, Any] = {
    "at": None,
    "phase": "unknown",
    "position": None,
    "altitude_ft": None,
    "ground_speed_kt": None,
    "heading_deg": None,
    "mach": None,
    "outside_temperature_c": None,
    "pitch_deg": None,
    "roll_deg": None,
    "wind_speed_kt": None,
    "wind_direction_deg": None,
    "flight": None,
    "valid": {},
    "discretes": None,
}


class Unreachable(Exception):
    """The store did not answer; the message says which and why."""


class Store(Protocol):
    """Text by key, each value with a time to live."""

    def get(self, key: str) -> str | None:
        """The value, or None when it is absent or has expired."""

    def put(self, key: str, value: str, lives_ms: int) -> None:
        """Keeps the value for so many milliseconds."""


class RedisStore:
    """The store on the box.

    Every call ends within the time-out; what goes wrong is raised as `Unreachable`.
    """

    def __init__(self, url: str, timeout_s: float = 0.5) -> None:
        self._url = url
        self._redis = redis.Redis.from_url(
            url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s, decode_responses=True
        )

    def get(self, key: str) -> str | None:
        try:
            return cast("str | None", self._redis.get(key))
        except redis.RedisError as error:
            raise Unreachable(f"Redis at {self._url} does not answer: {error}") from error

    def put(self, key: str, value: str, lives_ms: int) -> None:
        try:
            self._redis.set(key, value, px=lives_ms)
        except redis.RedisError as error:
            raise Unreachable(f"Redis at {self._url} does not answer: {error}") from error


def read_state(store: Store) -> Mapping[str, Any]:
    """The last snapshot; UNKNOWN when there is none, when it is no object, or the store is away."""
    try:
        text = store.get(STATE_KEY)
    except Unreachable:
        return UNKNOWN
    try:
        state = json.loads(text) if text else None
    except ValueError:
        return UNKNOWN
    return {**UNKNOWN, **state} if isinstance(state, dict) else UNKNOWN


def read_track(store: Store) -> list[tuple[float, float]]:
    """The track flown so far as (latitude, longitude); empty when there is none."""
    try:
        text = store.get(TRACK_KEY)
        return [(float(lat), float(lon)) for lat, lon in json.loads(text or "[]")]
    except (Unreachable, ValueError, TypeError):
        return []
