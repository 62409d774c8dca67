"""The flight's state over HTTP, and the map."""

from __future__ import annotations

import json
import re

import pytest

from onboard_app.avionics.store import TRACK_KEY
from onboard_app.flightinfo import map as worldmap

PARIS, TOULOUSE = (49.0, 2.5), (43.6, 1.4)


@pytest.mark.postgres
def test_the_state_is_what_avionics_wrote(client, fly):
    fly(phase="cruise", position={"lat": 45.0, "lon": 2.0}, altitude_ft=35000)
    answer = client.get("/api/v1/flightinfo")
    assert answer.json["phase"] == "cruise"
    assert answer.json["position"] == {"lat": 45.0, "lon": 2.0}
    assert answer.headers["Cache-Control"] == "public, max-age=1"


@pytest.mark.postgres
def test_a_dead_avionics_reads_as_unknown(client, fly, store):
    fly(phase="ground")
    store.now_ms = 3000
    answer = client.get("/api/v1/flightinfo")
    assert answer.status_code == 200
    assert (answer.json["phase"], answer.json["position"]) == ("unknown", None)


@pytest.mark.postgres
def test_the_fields_are_the_same_whatever_is_known_and_none_of_them_is_the_boxs(client, fly):
    nothing = client.get("/api/v1/flightinfo").json
    assert nothing.pop("phase") == "unknown"
    assert len(nothing) == 12
    assert set(nothing.values()) == {None}
    fly(phase="cruise", pitch_deg=2.0, discretes={"ALERT": True}, valid={"pitch": True})
    known = client.get("/api/v1/flightinfo").json
    assert set(known) == {"phase", *nothing}
    assert known["pitch_deg"] == 2.0
    assert not {"discretes", "valid"} & set(known)


@pytest.mark.postgres
def test_a_store_that_is_away_reads_as_unknown(client, store):
    store.away = True
    assert client.get("/api/v1/flightinfo").json["phase"] == "unknown"
    assert client.get("/api/v1/flightinfo/track").json == {"track": []}


@pytest.mark.postgres
def test_the_track_is_given_oldest_first(client, store):
    store.put(TRACK_KEY, json.dumps([PARIS, TOULOUSE]), 1000)
    assert client.get("/api/v1/flightinfo/track").json == {"track": [[49.0, 2.5], [43.6, 1.4]]}


def numbers(path):
    return [float(text) for text in re.findall(r"-?[\d.]+", path)]


def test_the_map_shows_aircraft_and_track_inside_its_frame():
    drawing = worldmap.draw(TOULOUSE, 190, [PARIS])
    xs, ys = numbers(drawing.track)[::2], numbers(drawing.track)[1::2]
    assert all(0 < x < drawing.width for x in xs)
    assert all(0 < y < drawing.height for y in ys)
    assert drawing.plane[:2] == (xs[-1], ys[-1])
    assert ys[0] < ys[1], "Paris is north of Toulouse: higher up"
    names = {name for name, _, _ in drawing.cities}
    assert "Paris" in names
    assert "Toulouse" not in names, "the aircraft stands on it"


def test_land_is_cut_off_near_the_frame():
    drawing = worldmap.draw(PARIS, 0, [])
    assert numbers(drawing.land)
    assert all(-100 < value < 900 for value in numbers(drawing.land))


def test_over_the_ocean_there_is_sea_and_no_error():
    assert worldmap.draw((40.0, -40.0), None, []).land == ""


def test_across_the_date_line_the_track_does_not_jump():
    xs = numbers(worldmap.draw((20.0, -179.0), 90, [(20.0, 179.0)]).track)[::2]
    assert 0 < xs[1] - xs[0] < 400


def test_nothing_known_means_no_map():
    assert worldmap.draw(None, None, []) is None


def test_the_track_alone_is_shown_without_an_aircraft():
    assert worldmap.draw(None, None, [PARIS, TOULOUSE]).plane is None
