"""Chapters four and five: aloft and off-line, then landed, and everything meets."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import requests

from ci.story.publish import FILM, QUESTION, editor, find
from ci.story.teller import NotSo, Step, eventually
from ci.story.world import TOP, World

RECORDING = TOP / "ci" / "lab" / "flights" / "AFR34ZG.csv"
# Seconds of the recording: taxi and take-off, a piece of cruise, landing; see its README.
TAKE_OFF, CRUISE, LANDING = "840:1140", "2700:2880", "4200:4680"
SPEED = 30
HIGH_FT = 30_000
# Before the file that a segment is a part of: its size, and where it begins (RFC 8216, 4.3.2.2).
PART = "#EXT-X-BYTERANGE:"
PHASE_S, MEET_S = 90, 120


def steps(world: World) -> list[Step]:
    """One flight of the first aircraft, while the second stays at its gate."""
    away, up, back = world.aircraft[0], "In the air", "Landed"
    passenger = Passenger(world)
    return [
        Step(up, f"{away} takes off", lambda: take_off(world)),
        Step(up, "its link is gone", lambda: off_line(world)),
        Step(up, "a passenger registers", passenger.register),
        Step(up, "and watches the film", passenger.watch),
        Step(up, "and answers the question", passenger.answer),
        Step(up, "meanwhile an editor changes the catalogue", lambda: change(world)),
        Step(up, "aboard nothing has changed yet", lambda: unchanged(world)),
        Step(back, f"{away} lands, and its link comes up", lambda: land(world)),
        Step(back, "the hangar hears it and takes in what it brings", lambda: taken_in(world)),
        Step(back, "what was watched and answered is at the hangar", passenger.usage_is_home),
        Step(back, "the other aircraft knows the passenger", passenger.known_elsewhere),
        Step(back, "the changed catalogue is visible aboard", lambda: changed(world)),
    ]


class Passenger:
    """A passenger with a phone, new at each telling."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.name = f"passenger-{secrets.token_hex(4)}"
        self.email = f"{self.name}@example.com"
        self.password = secrets.token_urlsafe(12)
        self.headers: dict[str, str] = {}
        self.plays = self.answers = 0

    @property
    def api(self) -> str:
        return f"{self.world.portal(self.world.aircraft[0])}/api/v1"

    def register(self) -> str:
        """Makes an account on the aircraft."""
        body = {
            "email": self.email,
            "name": "Ada",
            "language": "en",
            "password": self.password,
        }
        answer = _answered(requests.post(f"{self.api}/users", json=body, timeout=20), 201)
        self.headers = {"Authorization": f"Token {answer['token']}"}
        me = _answered(requests.get(f"{self.api}/users/me", headers=self.headers, timeout=20), 200)
        return str(me["email"])

    def watch(self) -> str:
        """Plays the film from its master playlist to its last segment, and says so to the API."""
        item = find(self.world, self.world.aircraft[0], FILM)
        if item is None:
            raise NotSo(f"{FILM} is not offered aboard")
        segments = _play(self.world.portal(self.world.aircraft[0]), item["id"])
        for kind in ("play", "finish"):
            body = {"kind": kind, "item_id": item["id"], "data": {"segments": segments}}
            _answered(
                requests.post(f"{self.api}/stats", json=body, headers=self.headers, timeout=20), 202
            )
            self.plays += 1
        return f"{segments} segments"

    def answer(self) -> str:
        """Answers the survey."""
        surveys = _answered(requests.get(f"{self.api}/surveys", timeout=20), 200)["surveys"]
        survey = next((one for one in surveys if one["question"] == QUESTION), None)
        if survey is None:
            raise NotSo(f"expected the survey {QUESTION!r} aboard, found {surveys}")
        url = f"{self.api}/surveys/{survey['id']}/answers"
        _answered(requests.post(url, json={"choice": 0}, headers=self.headers, timeout=20), 201)
        self.answers += 1
        return f"{QUESTION} – Quick"

    def usage_is_home(self) -> str:
        """Waits until the hangar has each event exactly once."""
        query = (
            "select (select count(*) from usage_event e where e.user_id = u.id and e.kind in"
            " ('play', 'finish')), (select count(*) from survey_answer a where a.user_id = u.id)"
            f" from app_user u where u.email = '{self.email}'"
        )
        expected = [[str(self.plays), str(self.answers)]]
        eventually(
            f"{self.plays} events and {self.answers} answer of {self.email} at the hangar",
            lambda: (seen := self.world.sql("hangar", query)) == expected or _not_yet(seen),
            within_s=MEET_S,
        )
        return f"{self.plays} events, {self.answers} answer, once each"

    def known_elsewhere(self) -> str:
        """Signs in on the second aircraft."""
        other = self.world.aircraft[1]
        body = {"email": self.email, "password": self.password}
        url = f"{self.world.portal(other)}/api/v1/tokens"
        eventually(
            f"{self.email} can sign in aboard {other}",
            lambda: requests.post(url, json=body, timeout=20).status_code == 201,
            within_s=MEET_S,
        )
        return f"signed in aboard {other}"


def take_off(world: World) -> str:
    """Flies the recording's take-off and a piece of its cruise."""
    name = world.aircraft[0]
    world.lab.fly(name, RECORDING, window=TAKE_OFF, speed=SPEED)
    _flight(world, "it climbs", lambda seen: seen["phase"] == "climb")
    world.lab.fly(name, RECORDING, window=CRUISE)
    seen = _flight(
        world,
        f"it is above {HIGH_FT} ft",
        lambda seen: seen["phase"] != "ground" and (seen["altitude_ft"] or 0) > HIGH_FT,
    )
    return _where(seen)


def off_line(world: World) -> str:
    """Takes the cellular link away: ops must be told off-line, not failed."""
    name = world.aircraft[0]
    world.lab.link(name, up=False)
    world.fab("sync", "--target", name, expect=3)
    return "fab sync says off-line (exit 3)"


def change(world: World) -> str:
    """Changes the film's summary through the CMS."""
    item = world.sql("hangar", f"select id from item where title->>'en' = '{FILM}'")[0][0]
    summary = f"A rabbit, seen again ({secrets.token_hex(3)})"
    world.remember(summary=summary)
    editor(world).submit(f"/cms/item/edit/?id={item}", {"summary-en": summary})
    return summary


def unchanged(world: World) -> str:
    """The aircraft is off-line: it must still offer the film as it was."""
    item = find(world, world.aircraft[0], FILM)
    if item is None or item["summary"] == world.memory["summary"]:
        raise NotSo(f"expected {FILM} aboard as it was, found {item}")
    return f"summary {item['summary']!r}"


def land(world: World) -> str:
    """Flies the recording's landing, then brings the link up."""
    name = world.aircraft[0]
    [[now]] = world.sql("hangar", "select now()")
    world.remember(landed=now)
    world.lab.fly(name, RECORDING, window=LANDING, speed=SPEED)
    seen = _flight(world, "it is on the ground", lambda seen: seen["phase"] == "ground")
    world.lab.link(name, up=True)
    return _where(seen)


def taken_in(world: World) -> str:
    """Waits until the hangar has taken in what this aircraft, by itself, sent since it landed."""
    name = world.aircraft[0]
    query = (
        "select state, reason from work where kind = 'ingest' and aircraft ="
        f" '{name}' and queued_at > '{world.memory['landed']}' order by queued_at desc limit 1"
    )

    def look() -> bool:
        seen = world.sql("hangar", query)
        return bool(seen and seen[0][0] == "done") or _not_yet(seen)

    eventually(f"the hangar takes in what {name} sent", look, within_s=MEET_S)
    return f"{name} called by itself"


def changed(world: World) -> str:
    """Waits until the aircraft offers the film as the editor changed it."""
    name, wanted = world.aircraft[0], world.memory["summary"]

    def look() -> bool:
        item = find(world, name, FILM)
        return bool(item and item["summary"] == wanted) or _not_yet(item)

    eventually(f"{FILM} aboard {name} says {wanted!r}", look, within_s=MEET_S)
    return str(wanted)


def _flight(world: World, what: str, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """What the API aboard says of the flight, as soon as `holds` is true of it."""
    url = f"{world.portal(world.aircraft[0])}/api/v1/flightinfo"

    def look() -> dict[str, Any] | bool:
        seen: dict[str, Any] = requests.get(url, timeout=20).json()
        return seen if holds(seen) else _not_yet(_where(seen))

    found: Any = eventually(what, look, within_s=PHASE_S)
    return dict(found)


def _where(seen: dict[str, Any]) -> str:
    names = ("altitude_ft", "ground_speed_kt")
    altitude, speed = ("–" if seen[name] is None else f"{seen[name]:,.0f}" for name in names)
    return f"{altitude} ft, {speed} kt, {seen['phase']}"


def _play(portal: str, item: str) -> int:
    """Fetches a master playlist, its first rung and all its segments; returns how many."""
    folder = f"{portal}/media/{item}/hls"
    rung = next(line for line in _lines(f"{folder}/master.m3u8") if not line.startswith("#"))
    base = f"{folder}/{rung}".rsplit("/", 1)[0]
    lines = _lines(f"{folder}/{rung}")
    segments = [(line, file) for line, file in pairwise(lines) if line.startswith(PART)]
    for part, file in segments:
        size, start = (int(number) for number in part.removeprefix(PART).split("@"))
        wanted = {"Range": f"bytes={start}-{start + size - 1}"}
        answer = requests.get(f"{base}/{file}", headers=wanted, timeout=60)
        if (answer.status_code, len(answer.content)) != (206, size):
            found = f"{answer.status_code} with {len(answer.content)} bytes"
            raise NotSo(f"{base}/{file} answered {found}, expected 206 with {size}")
    if not segments:
        raise NotSo(f"{folder}/{rung} names no part of a film: {lines}")
    return len(segments)


def _lines(playlist: str) -> list[str]:
    answer = requests.get(playlist, timeout=20)
    lines = [line for line in answer.text.splitlines() if line]
    if answer.status_code != 200 or not lines or lines[0] != "#EXTM3U":
        raise NotSo(f"{playlist} is no playlist ({answer.status_code})")
    return lines


def _answered(answer: requests.Response, expected: int) -> dict[str, Any]:
    if answer.status_code != expected:
        raise NotSo(
            f"{answer.request.method} {answer.url} answered {answer.status_code}, expected "
            f"{expected}: {answer.text[:300]}"
        )
    body: dict[str, Any] = answer.json() if answer.content else {}
    return body


def _not_yet(seen: object) -> bool:
    raise NotSo(f"{seen}")
