"""The heartbeat over a real HTTP connection to a server of this test's own."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from onboard_app.agent import hangar
from onboard_app.agent.hangar import Hangar, Unheard

REPLY = {
    "now": "2026-11-23T12:00:00Z",
    "interval_s": 7,
    "due": ["up", "cat"],
    "acks": {"use": {"epoch": "e", "seq": 4, "sha256": "f" * 64}},
}


@dataclass
class Server:
    """Answers every POST with what it was told to; remembers what came."""

    url: str
    status: int = 200
    text: bytes = json.dumps(REPLY).encode()
    headers: dict[str, str] = field(default_factory=dict)
    cut_after: int | None = None
    came: list[tuple[str, dict[str, object]]] = field(default_factory=list)


@pytest.fixture
def server() -> Iterator[Server]:
    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            told.came.append((self.path, body))
            self.send_response(told.status)
            self.send_header("Content-Length", str(len(told.text)))
            for name, value in told.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(told.text[: told.cut_after])

        def log_message(self, *_: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    told = Server(f"http://127.0.0.1:{http.server_port}")
    threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
    yield told
    http.shutdown()
    http.server_close()


def test_it_is_posted_where_the_hangar_listens_and_the_reply_is_read(server):
    reply = Hangar(server.url).beat({"node": "EC-TAA"})
    assert server.came == [("/tower/v1/heartbeat", {"node": "EC-TAA"})]
    assert (reply.interval_s, reply.due) == (7, ["up", "cat"])
    assert reply.acks["use"].seq == 4


def test_a_newer_hangar_may_say_more(server):
    server.text = json.dumps({**REPLY, "weather": "sunny"}).encode()
    assert Hangar(server.url).beat({}).due == ["up", "cat"]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        (b"", "JSON"),
        (b"<html>", "JSON"),
        (b"[]", "the answer"),
        (b'{"interval_s": 0}', "interval_s"),
        (b'{"interval_s": 1e9}', "interval_s"),
        (b'{"due": "cat"}', "due"),
        (b'{"due": ["' + b"x" * 99 + b'"]}', "due"),
        (b'{"acks": {"use": {"seq": -1}}}', "acks.use"),
        (b'{"x": "' + b"y" * 70_000 + b'"}', "more than 65536 bytes"),
    ],
)
def test_what_no_hangar_says_is_not_believed(server, text, word):
    server.text = text
    with pytest.raises(Unheard, match=word):
        Hangar(server.url).beat({})


def test_a_refusal_tells_the_hangars_own_words(server):
    server.status, server.text = 403, b'{"error": {"message": "10.1.64.9 is no aircraft"}}'
    with pytest.raises(Unheard, match=r"403: .*10.1.64.9 is no aircraft"):
        Hangar(server.url).beat({})


def test_it_does_not_follow_to_another_host(server):
    server.status, server.headers = 302, {"Location": "http://127.0.0.1:1/"}
    with pytest.raises(Unheard, match="302"):
        Hangar(server.url).beat({})


def test_a_link_that_drops_inside_the_answer_is_silence(server):
    server.cut_after = 10
    with pytest.raises(Unheard):
        Hangar(server.url).beat({})


def test_nobody_there_is_silence():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(Unheard, match="does not answer"):
            Hangar(f"http://127.0.0.1:{unused.getsockname()[1]}").beat({})


def test_an_answer_that_does_not_come_is_silence(monkeypatch):
    monkeypatch.setattr(hangar, "ANSWER_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(Unheard, match="does not answer"):
            Hangar(address).beat({})


def test_the_proxy_of_the_environment_is_not_asked(server, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert Hangar(server.url).beat({}).due == ["up", "cat"]


URGENT = {"version": "5f0c", "priority": 10, "valid_to": "2026-11-23T23:00:00Z"}


@pytest.mark.parametrize("end", ["2026-11-23T23:00:00Z", None])
def test_what_is_urgent_is_heard(end):
    reply = hangar.parse(json.dumps(REPLY | {"urgent": URGENT | {"valid_to": end}}).encode(), "")
    assert reply.urgent.model_dump(mode="json") == URGENT | {"valid_to": end}


@pytest.mark.parametrize(
    "urgent",
    [None, 7, [], {}, URGENT | {"priority": "high"}, URGENT | {"version": "x" * 65},
     URGENT | {"valid_to": "2026-11-23T23:00:00"}, {"priority": 10}],
)  # fmt: skip
def test_a_hint_that_is_malformed_is_none_and_the_rest_is_heard(urgent):
    reply = hangar.parse(json.dumps(REPLY | {"urgent": urgent}).encode(), "")
    assert (reply.urgent, reply.due) == (None, ["up", "cat"])
