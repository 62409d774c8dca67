"""An SSH server on loopback for tests: runs commands here, forwards connections, or falls silent."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import paramiko


@dataclass
class Loopback:
    """What a test knows of its server, and what it can ask of it."""

    port: int
    host_key: paramiko.PKey
    commands: list[str] = field(default_factory=list)
    forwards: list[tuple[str, int]] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)
    transports: list[paramiko.Transport] = field(default_factory=list)
    silent: threading.Event = field(default_factory=threading.Event)
    # The power goes while it lets the next one in.
    gone_at_login: threading.Event = field(default_factory=threading.Event)
    # Answers instead of this machine's shell: command and input in, exit code and output out.
    answer: Callable[[str, bytes], tuple[int, bytes, bytes]] | None = None

    @property
    def host_key_line(self) -> str:
        return f"{self.host_key.get_name()} {self.host_key.get_base64()}"


class _Session(paramiko.ServerInterface):
    def __init__(self, server: Loopback, accepted: paramiko.PKey, users: tuple[str, ...]) -> None:
        self._server, self._accepted, self._users = server, accepted, users

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        if self._server.gone_at_login.is_set():
            self._server.gone_at_login.clear()
            self._server.transports[-1].close()
        if username not in self._users or key != self._accepted:
            return paramiko.AUTH_FAILED
        self._server.logins.append(username)
        return paramiko.AUTH_SUCCESSFUL

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        self._server.commands.append(command.decode())
        if not self._server.silent.is_set():
            work = (channel, command.decode(), self._server.answer)
            threading.Thread(target=_serve, args=work, daemon=True).start()
        return True

    def check_channel_direct_tcpip_request(
        self, chanid: int, origin: tuple[str, int], destination: tuple[str, int]
    ) -> int:
        self._server.forwards.append(destination)
        try:
            far = socket.create_connection(destination, timeout=5)
        except OSError:
            return paramiko.OPEN_FAILED_CONNECT_FAILED
        self.far = far
        return paramiko.OPEN_SUCCEEDED


Answer = Callable[[str, bytes], tuple[int, bytes, bytes]]


def _serve(channel: paramiko.Channel, command: str, answer: Answer | None) -> None:
    if answer is None:
        _run(channel, command)
        return
    code, out, err = answer(command, b"".join(iter(lambda: channel.recv(65536), b"")))
    channel.sendall(out)
    channel.sendall_stderr(err)
    _end(channel, code)


def _end(channel: paramiko.Channel, code: int) -> None:
    # Whoever asked may have heard all it wanted and hung up: nobody is left to be told.
    with contextlib.suppress(OSError, EOFError):
        channel.send_exit_status(code)
        channel.shutdown_write()
        channel.close()


def _run(channel: paramiko.Channel, command: str) -> None:
    process = subprocess.Popen(
        ["/bin/sh", "-c", command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin and process.stdout and process.stderr

    def feed() -> None:
        assert process.stdin
        try:
            while block := channel.recv(65536):
                process.stdin.write(block)
            process.stdin.close()
        except OSError:
            pass

    def tell(read: int, send: object) -> None:
        try:
            while block := os.read(read, 65536):
                send(block)  # type: ignore[operator]
        except (OSError, EOFError):
            pass

    threads = [
        threading.Thread(target=tell, args=(process.stdout.fileno(), channel.sendall), daemon=True),
        threading.Thread(
            target=tell, args=(process.stderr.fileno(), channel.sendall_stderr), daemon=True
        ),
    ]
    threading.Thread(target=feed, daemon=True).start()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    _end(channel, process.wait())


def _pump(channel: paramiko.Channel, far: socket.socket) -> None:
    def there() -> None:
        try:
            while block := channel.recv(65536):
                far.sendall(block)
            far.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def back() -> None:
        try:
            while block := far.recv(65536):
                channel.sendall(block)
            channel.close()
        except (OSError, EOFError):
            pass

    threading.Thread(target=there, daemon=True).start()
    threading.Thread(target=back, daemon=True).start()


@contextmanager
def ssh_server(
    accepted: paramiko.PKey,
    users: tuple[str, ...] = ("ops",),
    host_key: paramiko.PKey | None = None,
    port: int = 0,
) -> Iterator[Loopback]:
    """Gives a server that lets one key in and runs what it is told on this machine."""
    key = host_key or paramiko.ECDSAKey.generate()
    with socket.create_server(("127.0.0.1", port)) as listener:
        server = Loopback(listener.getsockname()[1], key)

        def serve(near: socket.socket) -> None:
            transport = paramiko.Transport(near)
            server.transports.append(transport)
            transport.add_server_key(key)
            session = _Session(server, accepted, users)
            try:
                transport.start_server(server=session)
            except (paramiko.SSHException, EOFError, OSError):
                return
            while transport.is_active():
                channel = transport.accept(0.2)
                if channel is not None and hasattr(session, "far"):
                    _pump(channel, session.far)
                    del session.far

        def accept() -> None:
            while True:
                try:
                    near, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=serve, args=(near,), daemon=True).start()

        accepting = threading.Thread(target=accept, daemon=True)
        accepting.start()
        try:
            yield server
        finally:
            # Closing alone leaves the thread in accept() with the number of a file that is gone. Any
            # signal (a child's end will do) restarts the call, and then it takes a connection from
            # whichever server was given that number next, and shows it this one's key.
            listener.shutdown(socket.SHUT_RDWR)
            accepting.join()
            for transport in server.transports:
                transport.close()


@contextmanager
def mute_server() -> Iterator[int]:
    """Gives the port of a server that accepts connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]
