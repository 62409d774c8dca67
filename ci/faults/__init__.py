"""Faults: what life does to a fleet, done to real hosts on purpose, row by row.

Here live the tables of `inv faults`, what breaks things (a way that can be cut, a disk that is full, a power
switch), and what looks at a host afterwards with eyes of its own. A row says what is done and what must be
seen; what it finds wrong is mended in `require/` or `fleet/`, never here.
"""
