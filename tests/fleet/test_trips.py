"""A converge waits for its host as often for 330 resources as for one, the handshake included."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

import require
from fleet.converge import on_host
from fleet.report import Outcome
from fleet.ssh import Connection, Endpoint
from require.run import converge as engine
from tests.fleet.keys import new_key
from tests.fleet.server import ssh_server

NO_OP, WITH_CHANGES = 10, 12


@pytest.mark.parametrize("count", [1, 33, pytest.param(330, marks=pytest.mark.slow)])
def test_trips_do_not_grow_with_the_number_of_resources(memory: Path, count: int) -> None:
    with require.declare() as declared:
        for number in range(count):
            require.file.file(f"{memory}/{number}", content="x", owner=None)
    key = new_key()
    with ssh_server(key, host_key=new_key()) as server:

        def converge() -> Outcome:
            end = Endpoint("EC-TAA", "127.0.0.1", server.port, "ops", key, server.host_key_line)
            connection = Connection(end)
            run = partial(engine, state_dir=f"{memory}/state")
            try:
                return on_host(connection, declared, lambda text: None, run=run)
            finally:
                connection.close()

        first, second = converge(), converge()
    assert (first.status, len(first.data["changes"])) == ("changed", count)
    assert first.data["trips"] <= WITH_CHANGES
    assert second.status == "no change"
    assert second.data["trips"] <= NO_OP
