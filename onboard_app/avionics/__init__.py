"""The avionics bus, from serial bytes to what the aircraft is doing.

One file per step: bytes (framing) become words (words, labels) and discretes, words become
readings that grow old (state), readings become a phase (phase) and a snapshot (snapshot) that is
kept where others find it (store). All of it is pure except `store` and `__main__`, which owns the
port and the clock. Nothing here knows HTTP, and whoever reads the snapshot must take its absence
for "airborne".
"""
