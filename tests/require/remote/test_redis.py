"""Redis on a real disk, with a server that is a dictionary."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import require
from require.remote import redis
from require.remote.shell import Failed
from require.resource import Change, NoChange
from tests.require.remote.programs import Programs


class Server:
    """Tells and takes settings as redis-cli does; `down` ends with what it says."""

    def __init__(self, programs: Programs) -> None:
        self.settings = {"maxmemory": "0", "save": "3600 1", "appendonly": "no", "port": "6379"}
        self.down = ""
        programs.answer = self.answer

    def answer(self, argv: Sequence[str], stdin: str) -> tuple[int, str, str]:
        words = list(argv[argv.index("config") + 1 :])
        if self.down:
            return 1, "", self.down
        if words[0] == "get":
            return 0, json.dumps({name: self.settings[name] for name in words[1:]}), ""
        pairs = dict(zip(words[1::2], words[2::2], strict=True))
        if pairs.get("maxmemory") == "1":
            return 1, "", "ERR CONFIG SET failed\n"
        self.settings |= pairs
        return 0, "OK\n", ""


@pytest.fixture
def server(programs: Programs) -> Server:
    return Server(programs)


def settings(folder: Path, max_memory: int = 64) -> Any:
    with require.declare() as catalog:
        require.redis.server(max_memory=max_memory, persistence="none")
    made: Any = catalog["file:/etc/redis/turnaround.conf"]
    return replace(made, path=str(folder / "turnaround.conf"), owner=None, group=None)


def plan(made: Any) -> Any:
    return made.plan(redis.probe(made.question()))


def bring(made: Any) -> None:
    redis.apply({**made.question(), **made.order()}, redis.probe(made.question()))


def test_the_running_server_takes_what_differs_and_it_is_kept(
    tmp_path: Path, server: Server, programs: Programs
) -> None:
    made = settings(tmp_path)
    bring(made)
    assert programs.started[-1] == [
        *("redis-cli", "-e", "config", "set"),
        *("maxmemory", "64", "save", ""),
    ]
    assert 'maxmemory "64"' in (tmp_path / "turnaround.conf").read_text()
    assert plan(made) == NoChange()


def test_what_somebody_set_by_hand_is_found_and_put_back(tmp_path: Path, server: Server) -> None:
    made = settings(tmp_path)
    bring(made)
    server.settings["maxmemory"] = "0"
    assert plan(made) == Change("maxmemory 0 → 64 in the running server")
    bring(made)
    assert plan(made) == NoChange()


def test_what_the_server_does_not_take_is_not_kept(tmp_path: Path, server: Server) -> None:
    with pytest.raises(Failed, match="ERR CONFIG SET failed"):
        bring(settings(tmp_path, 1))
    assert not (tmp_path / "turnaround.conf").exists()


def test_a_server_that_is_stopped_reads_it_at_its_start(tmp_path: Path, server: Server) -> None:
    server.down = "Could not connect to Redis at 127.0.0.1:6379: Connection refused\n"
    made = settings(tmp_path)
    assert redis.probe(made.question()) == {"kind": "absent", "running": None}
    bring(made)
    assert plan(made) == NoChange()


def test_a_host_without_redis_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(argv: Sequence[str]) -> None:
        raise FileNotFoundError(argv[0])

    monkeypatch.setattr(redis, "run", missing)
    made = settings(tmp_path)
    assert redis.probe(made.question()) == {"kind": "absent", "running": None}


def test_a_server_that_does_not_tell_is_no_server_that_is_stopped(
    tmp_path: Path, server: Server
) -> None:
    server.down = "NOAUTH Authentication required.\n"
    with pytest.raises(Failed, match="does not tell its settings: NOAUTH"):
        redis.probe(settings(tmp_path).question())
