"""Signs of life, received as systemd receives them."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.watchdog import Watchdog


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
        bound.bind(str(tmp_path / "notify"))
        bound.setblocking(False)
        yield bound


def heard(systemd: socket.socket) -> list[str]:
    said = []
    while True:
        try:
            said.append(systemd.recv(4096).decode())
        except BlockingIOError:
            return said


def test_it_asks_to_be_watched_and_is_fed_four_times_in_its_time(systemd: socket.socket) -> None:
    now = 0.0
    watchdog = Watchdog(10, str(systemd.getsockname()), clock=lambda: now)
    assert heard(systemd) == ["WATCHDOG_USEC=10000000\nWATCHDOG=1"]
    for tenth in range(1, 101):
        now = tenth / 10
        watchdog.feed()
    assert heard(systemd) == ["WATCHDOG=1"] * 4


def test_an_abstract_socket_is_one_that_begins_with_an_at() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
        bound.bind("")  # the kernel gives it a name
        bound.setblocking(False)
        Watchdog(10, bound.getsockname().decode().replace("\0", "@"))
        assert heard(bound) == ["WATCHDOG_USEC=10000000\nWATCHDOG=1"]


@pytest.mark.parametrize("address", ["", "/nowhere/notify"], ids=["none", "gone"])
def test_where_nobody_listens_it_is_silent(address: str) -> None:
    Watchdog(10, address).feed()
