"""The SSH server that other tests talk to is gone when it was closed: nothing of it answers again."""

from __future__ import annotations

import socket
import threading

import pytest

from tests.fleet.keys import new_key
from tests.fleet.server import ssh_server


def test_a_closed_server_leaves_nobody_who_could_take_anothers_connections() -> None:
    before = set(threading.enumerate())
    with ssh_server(new_key(), host_key=new_key()) as server:
        # Its thread took this one, and waits for the next.
        with socket.create_connection(("127.0.0.1", server.port), timeout=5) as near:
            assert near.recv(4) == b"SSH-"
        (accepting,) = [
            thread for thread in set(threading.enumerate()) - before if "(accept)" in thread.name
        ]
    assert not accepting.is_alive()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port), timeout=5)
