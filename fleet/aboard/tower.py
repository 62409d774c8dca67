"""The way back into the control tower while a key of it is being changed: what the hangar takes is used.

WireGuard knows one private key of its own and one public key of a peer. During a change there are two of
either: here lies `tower.key.next`, or the hangar's `tower.hangar.next`, and only the hangar knows which
pair holds now. So this side tries: while the hangar answers nothing is touched, and when it is silent the
next pair is tried, for ever. Nothing is written, so a power cut begins again with what is declared; which
key stays is said over the tower, by whoever came in with the one that works.
"""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

KEYS = Path("/etc/turnaround/keys")
CONFIGURATION = Path("/etc/wireguard/wg0.conf")
# A handshake is tried again each 5 s: so often the hangar is asked before the next pair's turn.
TRIES = 4
ASK_S = 3.0
PAUSE_S = 2.0
PORT = 80


@dataclass(frozen=True)
class Pair:
    """A private key that is ours, and a public key that may be the hangar's."""

    key: Path
    hangar: str


def pairs(keys: Path, configuration: str) -> list[Pair]:
    """Return what may hold now, what is declared first; one alone when no key is being changed.

    Args:
        keys: the folder of this host's keys.
        configuration: wg-quick's, with the hangar as the only peer.
    """
    ours = [path for path in (keys / "tower.key", keys / "tower.key.next") if path.is_file()]
    hangars = [_value(configuration, "PublicKey")]
    after = keys / "tower.hangar.next"
    if after.is_file():
        hangars.append(after.read_text().strip())
    return [Pair(key, hangar) for hangar in dict.fromkeys(hangars) for key in ours]


def configured(pair: Pair, configuration: str) -> str:
    """Return what `wg syncconf` reads for a pair: the declared peer, with this pair's keys."""
    declared = _value(configuration, "PublicKey")
    peer = configuration[configuration.index("[Peer]") :].replace(declared, pair.hangar)
    return f"[Interface]\nPrivateKey = {pair.key.read_text().strip()}\n\n{peer}"


def _value(configuration: str, name: str) -> str:
    for line in configuration.splitlines():
        key, _, value = line.partition("=")
        if key.strip() == name:
            return value.strip()
    return ""


@dataclass(frozen=True)
class Ways:
    """What stands for the interface, the hangar and the time."""

    use: Callable[[str], None]
    answered: Callable[[str], bool]
    pause: Callable[[float], None] = time.sleep


def follow(ways: Ways, keys: Path = KEYS, configuration: Path = CONFIGURATION) -> None:
    """Keep the hangar in reach until no key is being changed any more.

    Args:
        ways: takes a configuration; says whether an address answers; waits so many seconds.
        keys: the folder of this host's keys.
        configuration: wg-quick's file.
    """
    at = silent = 0
    while len(found := pairs(keys, text := configuration.read_text())) > 1:
        if ways.answered(_value(text, "AllowedIPs").partition("/")[0]):
            silent = 0
        elif (silent := silent + 1) >= TRIES:
            at, silent = (at + 1) % len(found), 0
            ways.use(configured(found[at], text))
        ways.pause(PAUSE_S)


def use(configuration: str) -> None:
    """Give the running interface a key and a peer; one that is down is left so."""
    subprocess.run(
        ["wg", "syncconf", "wg0", "/dev/stdin"], input=configuration, text=True, check=False
    )


def answered(hangar: str) -> bool:
    """Whether the hangar says anything: that nothing listens there is an answer too."""
    try:
        socket.create_connection((hangar, PORT), timeout=ASK_S).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return True
