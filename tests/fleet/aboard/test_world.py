"""What answers for a release is asked over a real unix socket."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fleet.aboard import world

ANSWER = b"HTTP/1.0 503 Service Unavailable\r\n\r\n"
Listen = Callable[[bytes], Path]


@pytest.fixture
def listen(memory: Path) -> Iterator[Listen]:
    """Says these bytes to the first who asks, and ends; the path leads to the socket by a link."""
    own, link = memory / "own.sock", memory / "api.sock"
    link.symlink_to(own.name)
    with socket.socket(socket.AF_UNIX) as listener:

        def answer(said: bytes) -> None:
            connection, _ = listener.accept()
            with connection:
                asked = connection.recv(1 << 16)
                assert asked.startswith(b"GET /health HTTP/1.1\r\n")
                connection.sendall(said)

        def listening(said: bytes) -> Path:
            listener.bind(str(own))
            listener.listen()
            threading.Thread(target=answer, args=(said,), daemon=True).start()
            return link

        yield listening


def test_an_answer_is_a_status_and_what_it_says(listen: Listen) -> None:
    assert world.ask(listen(ANSWER + b"{}"), "/health", 5) == (503, b"{}")


def test_of_a_long_answer_the_beginning_is_taken(listen: Listen) -> None:
    status, body = world.ask(listen(ANSWER + b"x" * (70 << 10)), "/health", 5)
    assert (status, len(body)) == (503, 64 << 10)


@pytest.mark.parametrize("said", [b"", b"I am well\r\n"])
def test_what_does_not_speak_http_is_an_error(listen: Listen, said: bytes) -> None:
    with pytest.raises((http.client.HTTPException, ConnectionError)):
        world.ask(listen(said), "/health", 5)


def test_nobody_behind_the_path_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        world.ask(tmp_path / "api.sock", "/health", 5)


def test_who_has_died_is_an_error(memory: Path) -> None:
    path = memory / "api.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
    with pytest.raises(ConnectionRefusedError):
        world.ask(path, "/health", 5)


def test_who_says_nothing_is_given_up(memory: Path) -> None:
    path = memory / "api.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        with pytest.raises(TimeoutError):
            world.ask(path, "/health", 0.05)
