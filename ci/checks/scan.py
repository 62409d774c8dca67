"""Which ports of an address answer, of all TCP ports and the usual UDP ones: run where the asker stands.

    python3 scan.py 10.20.0.1
    python3 scan.py fe80::1%wifi0

Prints `{"tcp": [80], "udp": [53]}`. A port that refuses has answered, too. Each is asked twice, because a
packet may be lost; what is dropped says nothing, so all are asked before anything is waited for.
"""

from __future__ import annotations

import json
import os
import select
import socket
import struct
import sys
import time
from typing import Any

AT_ONCE = 256
PAUSE_S = 0.003
LAST_ANSWERS_S = 1.0
SYN, ACK, RST = 0x02, 0x10, 0x04
# fmt: off
USUAL_UDP = (
    53, 67, 68, 69, 80, 111, 123, 137, 138, 161, 162, 443, 500, 514, 520, 546, 547, 623, 1194, 1434,
    1701, 1812, 1900, 2049, 3478, 4500, 4789, 5004, 5060, 5353, 5355, 11211, 33434, 51820,
)
# fmt: on
# Whoever answers names at all answers this: the addresses of localhost.
QUESTION = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x09localhost\x00\x00\x01\x00\x01"

Place = tuple[int, tuple[Any, ...]]
"""A family of addresses, and a socket's address in it."""


def tcp(there: Place) -> list[int]:
    """The TCP ports that answer a SYN of our own making."""
    family, target = there
    with socket.socket(family, socket.SOCK_DGRAM) as plain:
        plain.connect(_at(target, 9))
        own = plain.getsockname()[0].partition("%")[0]
    from_port = 20000 + os.getpid() % 10000
    ends = socket.inet_pton(family, own) + socket.inet_pton(family, target[0].partition("%")[0])
    syns = _syns(ends, from_port)
    found: set[int] = set()
    with socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_TCP) as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        for _ in "12":
            for first in range(0, len(syns), AT_ONCE):
                for syn in syns[first : first + AT_ONCE]:
                    raw.sendto(syn, _at(target, 0))
                found |= _answers(raw, from_port, PAUSE_S)
        found |= _answers(raw, from_port, LAST_ANSWERS_S)
    return sorted(found)


def _at(target: tuple[Any, ...], port: int) -> tuple[Any, ...]:
    return (target[0], port, *target[2:])


def _syns(ends: bytes, from_port: int) -> list[bytes]:
    """A SYN to each port, with the checksum that RFC 9293 asks for."""
    header = struct.Struct("!HHIIBBHHH")
    over = ends + struct.pack("!HH", socket.IPPROTO_TCP, header.size)
    over += header.pack(from_port, 0, 1, 0, 5 << 4, SYN, 1024, 0, 0)
    rest = sum(struct.unpack(f"!{len(over) // 2}H", over))
    syns = []
    for port in range(1, 65536):
        total = rest + port
        total = (total & 0xFFFF) + (total >> 16)
        check = ~(total + (total >> 16)) & 0xFFFF
        syns.append(header.pack(from_port, port, 1, 0, 5 << 4, SYN, 1024, check, 0))
    return syns


def _answers(raw: socket.socket, to_port: int, wait_s: float) -> set[int]:
    found = set()
    end = time.monotonic() + wait_s
    while select.select([raw], [], [], max(0, end - time.monotonic()))[0]:
        packet = raw.recv(2048)
        if raw.family == socket.AF_INET:
            packet = packet[(packet[0] & 0xF) * 4 :]
        port, to = struct.unpack("!HH", packet[:4])
        if to == to_port and packet[13] & (ACK | RST):
            found.add(port)
    return found


def udp(there: Place) -> list[int]:
    """The usual UDP ports that answer, or refuse."""
    family, target = there
    doors = {}
    for port in USUAL_UDP:
        door = socket.socket(family, socket.SOCK_DGRAM)
        door.connect(_at(target, port))
        door.setblocking(False)
        doors[port] = door
    found = set()
    for _ in "12":
        for port, door in doors.items():
            try:
                door.send(QUESTION)
            except ConnectionRefusedError:
                found.add(port)
        time.sleep(LAST_ANSWERS_S / 2)
    for port, door in doors.items():
        try:
            door.recv(2048)
            found.add(port)
        except BlockingIOError:
            pass
        except ConnectionRefusedError:
            found.add(port)
        door.close()
    return sorted(found)


def main(address: str) -> None:
    """Scans and prints."""
    info = socket.getaddrinfo(address, 0, type=socket.SOCK_DGRAM)[0]
    there = info[0], info[4]
    sys.stdout.write(json.dumps({"tcp": tcp(there), "udp": udp(there)}) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
