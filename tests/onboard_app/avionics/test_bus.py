"""A real flight through the whole chain: encoded by the lab, read as on the aircraft."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path

import pytest
import serial

from ci.lab import arinc, feed
from onboard_app.avionics.__main__ import Reader, open_port
from onboard_app.avionics.bus import Bus
from onboard_app.avionics.phase import Phase
from onboard_app.avionics.snapshot import snapshot
from onboard_app.avionics.state import State
from onboard_app.avionics.store import STATE_KEY, TRACK_KEY, UNKNOWN, read_state, read_track

FLIGHT = Path(feed.__file__).parent / "flights" / "AFR34ZG.csv"
NOON = datetime(2026, 11, 23, 12, 0, 5, tzinfo=UTC)


def frames_at(row):
    """Every label once, as the bus says it within a second."""
    return feed.frames(row, 0, "AFR34ZG", NOON)


@pytest.fixture(scope="module")
def flown():
    """The whole flight, looked at once a second: (row, phase) and the bus at the end."""
    bus, seen = Bus(), []
    for row in feed.load(FLIGHT):
        bus.receive(frames_at(row), row.t)
        bus.look(row.t)
        seen.append((row, bus.memory.phase.value))
    return bus, seen


def test_the_phases_of_the_flight(flown):
    _, seen = flown
    phases = [phase for phase, _ in groupby(phase for _, phase in seen)]
    assert phases == ["unknown", "ground", "climb", "cruise", "descent", "ground"]


def test_it_never_reads_ground_while_the_recording_is_airborne(flown):
    assert not [row.t for row, phase in flown[1] if phase == "ground" and not row.on_ground]


def test_it_reads_ground_soon_after_landing(flown):
    landed = next(row.t for row, _ in flown[1][2000:] if row.on_ground)
    ground = next(row.t for row, phase in flown[1][2000:] if phase == "ground")
    assert 10 <= ground - landed <= 60


def test_the_track_leads_from_paris_to_toulouse(flown):
    track = flown[0].track
    assert track[0] == pytest.approx((49.0, 2.57), abs=0.05)
    assert track[-1] == pytest.approx((43.63, 1.37), abs=0.05)
    assert 100 < len(track) < 250


def test_a_snapshot_is_what_the_recording_says(store):
    bus = Bus()
    row = feed.load(FLIGHT, "2800:2800")[0]
    bus.receive(frames_at(row), 50.0)
    bus.look(50.0)
    bus.publish(store, 50.0, NOON)
    state = read_state(store)
    assert state["position"] == {
        "lat": pytest.approx(row.lat, abs=2e-4),
        "lon": pytest.approx(row.lon, abs=2e-4),
    }
    assert state["altitude_ft"] == row.altitude_ft
    assert state["ground_speed_kt"] == pytest.approx(row.ground_speed_kt, abs=0.1)
    assert state["heading_deg"] == pytest.approx(row.heading_deg, abs=0.1)
    assert state["mach"] == pytest.approx(row.mach, abs=0.001)
    assert state["outside_temperature_c"] == pytest.approx(row.sat_c, abs=0.2)
    assert state["flight"] == "AFR34ZG"
    assert state["valid"]["altitude"]
    assert not state["valid"]["pitch"], "the recording has none"
    assert state["discretes"]["SYSENSIG"]
    assert state["at"].startswith("2026-11-23T12:00:05")


def test_unknown_has_every_field_that_a_snapshot_has():
    assert set(UNKNOWN) == set(snapshot(State(), Phase.UNKNOWN, 0.0, NOON))


YESTERDAY = ((51.47, -0.45), (49.0, 2.6))


def test_a_speed_that_is_missing_in_the_take_off_roll_does_not_join_two_flights():
    bus, phases = Bus(track=YESTERDAY), []
    for row in feed.load(FLIGHT, "840:1140"):
        rolling = row.on_ground and row.ground_speed_kt > 45
        bus.receive(frames_at(replace(row, ground_speed_kt=None) if rolling else row), row.t)
        bus.look(row.t)
        phases.append(bus.memory.phase.value)
        if phases[-1] == "ground":
            assert bus.track == YESTERDAY, "at the gate the last flight is still shown"
    assert [phase for phase, _ in groupby(phases)] == ["unknown", "ground", "unknown", "climb"]
    assert bus.track[0] == pytest.approx((49.0, 2.57), abs=0.2)


def test_a_restart_aloft_goes_on_with_the_track(store):
    cruise = frames_at(feed.load(FLIGHT, "2800:2800")[0])
    store.put(TRACK_KEY, json.dumps([(49.0, 2.57), (48.9, 2.5)]), 1000)
    reader = Reader(lambda: ScriptedPort(*[cruise] * 500), store, clock=Steps(), utc=lambda: NOON)
    for _ in range(100):
        reader.turn()
    assert reader.bus.memory.phase is Phase.CRUISE
    assert read_track(store)[:2] == [(49.0, 2.57), (48.9, 2.5)]
    assert len(read_track(store)) == 3


def test_a_dead_process_reads_as_unknown(store):
    bus = Bus()
    bus.publish(store, 0.0, NOON)
    assert read_state(store)["at"]
    store.now_ms = 3_000
    assert read_state(store) == UNKNOWN


@pytest.mark.parametrize("text", ["", "[]", "{", "null"])
def test_rubbish_in_the_store_reads_as_unknown(text, store):
    store.put(STATE_KEY, text, 1000)
    store.put("flight:track", text, 1000)
    assert read_state(store) == UNKNOWN
    assert read_track(store) == []


def test_a_store_that_is_away_reads_as_unknown(store):
    store.away = True
    assert read_state(store) == UNKNOWN


class ScriptedPort:
    """A port that gives what it was told to, then breaks."""

    def __init__(self, *pieces):
        self.pieces = list(pieces)

    def read(self, size):
        if not self.pieces:
            raise serial.SerialException("device disconnected")
        return self.pieces.pop(0)

    def close(self):
        pass


class Steps:
    """A clock that moves a tenth of a second at each look."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        self.now += 0.1
        return self.now


def test_a_lost_port_is_opened_again_and_the_state_goes_on(store):
    ground = frames_at(feed.load(FLIGHT, "0:0")[0])
    ports = iter([ScriptedPort(ground), ScriptedPort(*[ground] * 500)])
    reader = Reader(lambda: next(ports), store, clock=Steps(), utc=lambda: NOON)
    for _ in range(200):
        reader.turn()
    assert read_state(store)["phase"] == "ground"


def test_without_a_port_it_says_unknown_and_stays_alive(store):
    def absent():
        raise serial.SerialException("no such device")

    reader = Reader(absent, store, clock=Steps(), utc=lambda: NOON)
    assert not any(reader.turn() for _ in range(50))
    state = read_state(store)
    assert state["at"]
    assert state["phase"] == "unknown"
    assert not any(state["valid"].values())


def test_a_port_that_our_start_did_not_allow_is_met_with_a_new_start(store):
    def another():
        raise serial.SerialException(errno.EPERM, "could not open port")

    reader = Reader(another, store, clock=Steps(), utc=lambda: NOON)
    with pytest.raises(SystemExit, match="another serial port is there now, starting anew"):
        reader.turn()


def test_it_publishes_at_least_twice_a_second(store):
    puts = []
    store.put = lambda key, value, lives_ms: puts.append(key)
    clock = Steps()
    reader = Reader(lambda: ScriptedPort(*[b""] * 500), store, clock=clock, utc=lambda: NOON)
    while clock.now < 10:
        reader.turn()
    assert puts.count(STATE_KEY) >= 20


def test_a_store_that_went_away_does_not_stop_the_reading(caplog, store):
    ground = frames_at(feed.load(FLIGHT, "0:0")[0])
    store.away = True
    reader = Reader(lambda: ScriptedPort(*[ground] * 500), store, clock=Steps(), utc=lambda: NOON)
    for _ in range(100):
        reader.turn()
    assert len([r for r in caplog.records if "unknown until it is back" in r.message]) == 1
    store.away = False
    for _ in range(10):
        reader.turn()
    assert read_state(store)["phase"] == "ground"


@pytest.mark.parametrize(
    ("piece", "said"),
    [
        (arinc.words_frame(0, [0x7FE0C0C1]), None),
        (arinc.words_frame(1, [0x7FE0C0C1]), None),
        (b"noise", "bytes outside of frames"),
        (arinc.words_frame(0, [0x7FE0C0C1])[:-1] + b"x", "frames with a wrong CRC"),
        (arinc.words_frame(0, [0x7FE0C0C0]), "bad words"),
    ],
    ids=["clean", "another's label", "noise", "broken frame", "even parity"],
)
def test_a_noisy_bus_is_said_once_a_minute_and_a_clean_one_is_not(store, caplog, piece, said):
    clock = Steps()
    port = ScriptedPort(*[piece] * 1000)
    reader = Reader(lambda: port, store, clock=clock, utc=lambda: NOON)
    while clock.now < 130:
        reader.turn()
    noisy = [record.message for record in caplog.records if "noisy" in record.message]
    assert len(noisy) == (2 if said else 0)
    assert all(said in line for line in noisy)


@pytest.fixture
def terminal() -> Iterator[str]:
    """The name of a serial port."""
    ends = os.openpty()
    yield os.ttyname(ends[1])
    for end in ends:
        os.close(end)


def test_a_port_that_somebody_reads_already_is_refused(new_settings, terminal):
    settings = new_settings(serial_port=terminal)
    port = open_port(settings)
    with pytest.raises(serial.SerialException, match="exclusively lock"):
        open_port(settings)
    port.close()
    open_port(settings).close()


def test_a_stream_with_every_tenth_byte_flipped_gives_no_wrong_value():
    row = feed.load(FLIGHT, "2800:2800")[0]
    bus = Bus()
    for n in range(200):
        data = bytearray(frames_at(row))
        for at in range(n % 10, len(data), 10):
            data[at] ^= 1 << n % 8
        bus.receive(bytes(data), 1.0)
    bus.receive(b"\0" * 300, 1.0)
    assert bus.state.number("altitude", 1.0) is None
    assert bus.framer.bad > 100
    bus.receive(arinc.words_frame(0, [0x7FE0C0C1]), 1.0)
    assert bus.state.number("altitude", 1.0) == -1000
