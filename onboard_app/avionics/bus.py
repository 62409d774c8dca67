"""The bus as one object: bytes in, snapshots out. What `__main__` runs, without port and clock."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime

from onboard_app.avionics import discretes, framing
from onboard_app.avionics.framing import Framer
from onboard_app.avionics.phase import Memory, step
from onboard_app.avionics.snapshot import Track, extend_track, facts, position, snapshot
from onboard_app.avionics.state import State
from onboard_app.avionics.store import (
    STATE_KEY,
    STATE_LIVES_MS,
    TRACK_KEY,
    TRACK_LIVES_MS,
    Store,
)
from onboard_app.avionics.words import Decoder


@dataclass
class Bus:
    """Holds what arrived; `now` is monotonic seconds everywhere."""

    framer: Framer = field(default_factory=Framer)
    decoder: Decoder = field(default_factory=Decoder)
    state: State = field(default_factory=State)
    memory: Memory = field(default_factory=Memory)
    track: Track = ()

    def receive(self, data: bytes, now: float) -> None:
        """Takes bytes as they came from the port."""
        for frame in self.framer.feed(data):
            if frame.kind == framing.WORDS:
                for reading in self.decoder.words(frame.channel, frame.payload):
                    self.state.take(reading, now)
            elif frame.kind == framing.DISCRETES:
                try:
                    self.state.take_discretes(discretes.decode(frame.payload), now)
                except ValueError:
                    self.decoder.bad += 1

    def look(self, now: float) -> None:
        """Judges the phase and extends the track."""
        before = self.memory.phase
        self.memory = step(self.memory, facts(self.state, now))
        here = position(self.state, now)
        self.track = extend_track(self.track, before, self.memory.phase, here)

    def publish(self, store: Store, now: float, at: datetime) -> None:
        """Writes the snapshot and the track.

        Raises:
            Unreachable: the store did not take them.
        """
        text = json.dumps(snapshot(self.state, self.memory.phase, now, at))
        store.put(STATE_KEY, text, STATE_LIVES_MS)
        store.put(TRACK_KEY, json.dumps(self.track), TRACK_LIVES_MS)
