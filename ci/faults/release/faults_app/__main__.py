"""Answers `/health` with which release each part of it is of: its manifest, its code, its pages."""

from __future__ import annotations

import itertools
import json
import os
import socket
import socketserver
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path

from .number import BEHAVIOUR, NUMBER

SERVES = Path("/run/turnaround/api.sock")
LOOK_S = 0.1
RELEASE = Path.cwd()  # of this process for ever, whatever becomes current meanwhile
REVISION = json.loads((RELEASE / "manifest.json").read_text())["revision"]
asked = itertools.count(1)


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        healthy = BEHAVIOUR != "ill" and not (BEHAVIOUR == "flaps" and next(asked) % 2)
        page = (RELEASE / "pages/number.txt").read_text()
        body = json.dumps(
            {"healthy": healthy, "revision": REVISION, "code": NUMBER, "page": int(page)}
        ).encode()
        self.send_response(200 if healthy else 503)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing: the log is for what goes wrong."""

    def address_string(self) -> str:
        return "unix"


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


def ready() -> None:
    """Says that it listens, as units of ours are expected to."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"].replace("@", "\0", 1))


def die() -> None:
    """Ends as soon as it is the one that serves."""
    while SERVES.readlink().name != Path(sys.argv[1]).name:
        time.sleep(LOOK_S)
    print("RuntimeError: the flight data recorder is full", file=sys.stderr, flush=True)
    os._exit(1)


if __name__ == "__main__":
    if BEHAVIOUR == "dies":
        threading.Thread(target=die).start()
    Path(sys.argv[1]).unlink(missing_ok=True)
    server = Server(sys.argv[1], Handler)
    ready()
    server.serve_forever()
