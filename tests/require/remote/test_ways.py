"""Who is connected by SSH, as the host's programs tell it, and by which interfaces they came."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from require.remote import ways
from require.remote.shell import Done

LISTENING = """\
LISTEN 0      128    0.0.0.0:22 0.0.0.0:*
LISTEN 0      511  10.0.2.2:80  0.0.0.0:*
LISTEN 0      128       [::]:22    [::]:*
"""
SSHD = 'users:(("sshd-session",pid=459,fd=7),("sshd-session",pid=452,fd=7))'
CASES = {
    "nobody": ("", []),
    "ops": (f"0 0 10.0.1.2:22 10.0.1.1:49104 {SSHD}", [("10.0.1.1", "10.0.1.2", 22)]),
    "the same from two ports": (
        f"0 0 10.0.1.2:22 10.0.1.1:49104 {SSHD}\n0 0 10.0.1.2:22 10.0.1.1:49106 {SSHD}",
        [("10.0.1.1", "10.0.1.2", 22)],
    ),
    "over IPv6": (f"0 0 [fd00::1]:22 [fd00::50]:5255 {SSHD}", [("fd00::50", "fd00::1", 22)]),
    "from a neighbour": (
        f"0 0 [fe80::1]%ramp0:22 [fe80::2]:5567 {SSHD}",
        [("fe80::2", "fe80::1", 22)],
    ),
    "one socket for both": (
        f"0 0 [::ffff:10.0.1.2]:22 [::ffff:10.0.1.1]:5 {SSHD}",
        [("10.0.1.1", "10.0.1.2", 22)],
    ),
    "what sshd forwards": (f"0 0 10.0.64.1:40112 10.0.64.11:22 {SSHD}", []),
    "another server": ('0 0 10.0.2.2:80 10.0.2.9:40000 users:(("nginx",pid=9,fd=4))', []),
}


@pytest.mark.parametrize(("connected", "expected"), CASES.values(), ids=CASES)
def test_who_is_connected(connected: str, expected: list[tuple[str, str, int]]) -> None:
    assert ways.inward(connected, LISTENING) == expected


class Host:
    """Answers as a host does that ops came to through ramp0."""

    def __init__(self, connected: str) -> None:
        self.connected = connected
        self.takes = True

    def __call__(self, argv: Sequence[str], stdin: str = "") -> Done:
        said = {
            "ss": LISTENING if argv == ways.LISTENING else self.connected,
            "ip": json.dumps([{"dev": "ramp0"}])
            if "route" in argv
            else json.dumps([{"ifname": "ramp0", "addr_info": [{"local": "10.0.1.2"}]}]),
        }
        return Done(argv, 0 if argv[0] != "nft" or self.takes else 1, said.get(argv[0], ""), "")


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> list[ways.Way]:
    found: list[ways.Way] = []

    def all_shut(rules: str, some: list[ways.Way]) -> list[ways.Way]:
        found.extend(some)
        return some

    monkeypatch.setattr(ways, "_apart", all_shut)
    return found


def test_whoever_is_in_is_tried_and_named(
    tried: list[ways.Way], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ways, "run", Host(CASES["ops"][0]))
    assert ways.shut("rules") == ["10.0.1.1, who comes to port 22 of 10.0.1.2 through ramp0"]
    assert [(way.home, way.interface) for way in tried] == [("ramp0", "ramp0")]


@pytest.mark.parametrize("connected", ["", CASES["ops"][0]], ids=["nobody in", "no rules"])
def test_with_nobody_in_or_rules_that_are_none_nothing_is_tried(
    connected: str, tried: list[ways.Way], monkeypatch: pytest.MonkeyPatch
) -> None:
    host = Host(connected)
    host.takes = not connected  # rules that it does not take are told by whoever loads them
    monkeypatch.setattr(ways, "run", host)
    assert ways.shut("rules") == []
    assert tried == []
