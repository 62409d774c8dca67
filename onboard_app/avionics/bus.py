"""The bus as one object: bytes in, snapshots out. What `__main__` runs, without port and clock."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

from onboard_app.avionics import discretes, framing
from onboard_app.avionics.framing import Framer
from onboard_app.avionics.phase import Memory, Phase, step
from onboard_app.avionics.snapshot import Track, extend_track, facts, position, snapshot
from onboard_app.avionics.state import State
from onboard_app.avionics.store import (
    STATE_KEY,
    STATE_LIVES_MS,
    TRACK_KEY,
    TRACK_LIVES_MS,
    Store,
    read_track,
)
from onboard_app.avionics.words import Decoder

NOT_OURS = "words of labels that are not ours"


@dataclass
class Bus:
    """Holds what arrived; `now` is monotonic seconds everywhere."""

    framer: Framer = field(default_factory=Framer)
    decoder: Decoder = field(default_factory=Decoder)
    state: State = field(default_factory=State)
    memory: Memory = field(default_factory=Memory)
    track: Track = ()
    landed: bool = False  # on the ground, or was there and has not been seen aloft since

    @classmethod
    def resumed(cls, store: Store) -> Bus:
        """A bus that goes on with the track in the store: the process may start anew aloft."""
        return cls(track=tuple(read_track(store)))

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
        """Judges the phase and extends the track, which begins anew at each take-off.

        A take-off may be hidden: where a sign was missing on the runway the phase goes from the ground
        through unknown into the air.
        """
        self.memory = step(self.memory, facts(self.state, now))
        phase = self.memory.phase
        if phase is Phase.GROUND:
            self.landed = True
        elif self.landed and phase is not Phase.UNKNOWN:
            self.landed, self.track = False, ()
        self.track = extend_track(self.track, phase, position(self.state, now))

    def lost(self) -> Counter[str]:
        """What came since the start and gave no reading."""
        return Counter(
            {
                "frames with a wrong CRC": self.framer.bad,
                "bytes outside of frames": self.framer.skipped,
                "bad words": self.decoder.bad,
                NOT_OURS: self.decoder.unknown,
            }
        )

    def publish(self, store: Store, now: float, at: datetime) -> None:
        """Writes the snapshot and the track.

        Raises:
            Unreachable: the store did not take them.
        """
        text = json.dumps(snapshot(self.state, self.memory.phase, now, at))
        store.put(STATE_KEY, text, STATE_LIVES_MS)
        store.put(TRACK_KEY, json.dumps(self.track), TRACK_LIVES_MS)
