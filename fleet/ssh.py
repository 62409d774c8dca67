"""A connection to one host: Fabric's, with a pinned host key and a deadline on every wait.

Fabric alone accepts any host key, waits an hour for a channel and reads `~/.ssh/config`; none of
that may happen to a fleet. A connection is opened at its first use and kept for the whole command.
"""

from __future__ import annotations

import contextlib
import shlex
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import paramiko

from fleet import hostkeys, sudo
from fleet.channel import Completed, DeadlinePassed, Input, Lines, execute
from fleet.errors import AccessRefused, FleetError, LinkLost, Offline
from fleet.wire import Stream, Wire

KEEPALIVE_S = 15
# A gateway that did not answer, or refused us, is not asked again at once for each of the hosts
# behind it: an sshd shuts out (PerSourcePenalties) who comes in vain again and again.
GATEWAY_REST_S = 30.0
# What paramiko calls a failed authentication, though nobody refused us.
_CUT_SHORT = (
    "Authentication failed: transport shut down or saw EOF",
    "Authentication timeout.",
)
# An sshd gives ten sessions to a connection (MaxSessions); what it forwards does not count.
SESSIONS = 8


@dataclass(frozen=True)
class Deadlines:
    """Seconds each wait of a connection may take; a round trip over a modem is 0.3 to 2 s."""

    connect_s: float = 15.0
    banner_s: float = 15.0
    auth_s: float = 20.0
    channel_s: float = 15.0


DEADLINES = Deadlines()


@dataclass(frozen=True)
class Endpoint:
    """Where and as whom a host is reached, and which key it must show.

    `policy` decides about a key that is not pinned; at first contact only. A `bastion` is not the
    inventory's: its key was pinned elsewhere.
    """

    name: str
    address: str
    port: int
    user: str
    key: paramiko.PKey
    host_key: str | None
    policy: paramiko.MissingHostKeyPolicy | None = None
    bastion: bool = False

    @property
    def place(self) -> str:
        return self.address if self.port == 22 else f"{self.address}:{self.port}"


@dataclass
class Traffic:
    """What a connection cost: waits for the other side, and bytes both ways."""

    trips: int = 0
    closed_bytes: int = field(default=0, repr=False)


class Connection:
    """One host's SSH connection.

    Args:
        endpoint: where the host is and what it must show.
        gateway: the connection to go through, or None.
        deadlines: seconds per wait.

    >>> connection.run(["uname", "-r"], timeout_s=10).stdout  # doctest: +SKIP
    b'6.12.0\\n'
    """

    def __init__(
        self,
        endpoint: Endpoint,
        gateway: Connection | None = None,
        deadlines: Deadlines = Deadlines(),
    ) -> None:
        self.endpoint = endpoint
        self.gateway = gateway
        self.deadlines = deadlines
        self._lock = threading.RLock()
        self._fabric: Any = None
        self._wire: Wire | None = None
        self._traffic = Traffic()
        self._carried: list[Wire] = []
        self._refused: tuple[float, FleetError] | None = None
        self._sessions = threading.BoundedSemaphore(SESSIONS)

    @property
    def name(self) -> str:
        return self.endpoint.name

    @property
    def host_key(self) -> paramiko.PKey:
        """The key that the host showed when it was reached."""
        self.open()
        return self._transport().get_remote_server_key()

    @property
    def trips(self) -> int:
        """How often something waited for the host, the handshake included."""
        return self._traffic.trips

    @property
    def traffic_bytes(self) -> int:
        """Bytes sent and received so far, without those carried on for hosts behind this one."""
        wires = [self._wire] if self._wire else []
        own = self._traffic.closed_bytes + sum(wire.sent + wire.received for wire in wires)
        return own - sum(wire.sent + wire.received for wire in self._carried)

    def open(self) -> None:
        """Connects, checks the host's key and logs in; does nothing when that was done.

        Raises:
            Offline: the host does not answer in time.
            HostKeyChanged: it shows another key than the pinned one.
            AccessRefused: it does not accept the key of ops.
        """
        with self._lock:
            if self._fabric is not None and self._fabric.is_connected:
                return
            self._drop()
            wire = Wire(self._dial())
            if self.gateway is not None:
                self.gateway._carried.append(wire)
            try:
                self._fabric = self._handshake(wire)
            except BaseException:
                wire.close()
                raise
            self._wire = wire
            self._traffic.trips += wire.turns + 1  # one more for the TCP connection

    def _dial(self) -> Stream:
        place = (self.endpoint.address, self.endpoint.port)
        if self.gateway is not None:
            return self.gateway.forward(place, self.name)
        try:
            raw = socket.create_connection(place, timeout=self.deadlines.connect_s)
        except TimeoutError:
            raise self._offline(f"no answer within {self.deadlines.connect_s:g} s") from None
        except OSError as error:
            raise self._offline(error.strerror or str(error)) from None
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return raw

    def _handshake(self, wire: Wire) -> Any:
        import fabric

        end = self.endpoint
        connection = fabric.Connection(
            end.address,
            user=end.user,
            port=end.port,
            # Only the inventory says how hosts are reached; nobody's ~/.ssh/config does.
            config=fabric.Config(overrides={"load_ssh_configs": False}),
            connect_timeout=max(1, round(self.deadlines.banner_s)),
            connect_kwargs={
                "sock": wire,
                "pkey": end.key,
                "allow_agent": False,
                "look_for_keys": False,
                "banner_timeout": self.deadlines.banner_s,
                "auth_timeout": self.deadlines.auth_s,
                "channel_timeout": self.deadlines.channel_s,
            },
        )
        self._pin(connection.client)
        try:
            connection.open()
        except paramiko.BadHostKeyException as error:
            raise hostkeys.changed(
                self.name, end.place, error.expected_key, error.key, end.bastion
            ) from None
        except paramiko.AuthenticationException as error:
            if str(error) in _CUT_SHORT:
                raise self._offline(f"the link broke while it let us in ({error})") from None
            raise AccessRefused(
                f"{self.name}: {end.user}@{end.place} does not accept the key of ops",
                f"the host was reached and its key is right; {end.user} needs this line in "
                f"authorized_keys: {hostkeys.line_of(end.key)}",
            ) from None
        except (paramiko.SSHException, EOFError, OSError) as error:
            reason = str(error) or "it closed the connection"
            raise self._offline(
                f"it answers, but not as an SSH server in time ({reason})"
            ) from None
        connection.transport.set_keepalive(KEEPALIVE_S)
        return connection

    def _pin(self, client: paramiko.SSHClient) -> None:
        end = self.endpoint
        if end.host_key is None:
            client.set_missing_host_key_policy(end.policy or paramiko.RejectPolicy())
            return
        pinned = hostkeys.parse(end.host_key)
        known_as = end.address if end.port == 22 else f"[{end.address}]:{end.port}"
        client.get_host_keys().add(known_as, pinned.get_name(), pinned)
        client.set_missing_host_key_policy(
            hostkeys.Pinned(self.name, end.place, pinned, end.bastion)
        )

    def forward(self, place: tuple[str, int], name: str) -> Stream:
        """Opens a way through this host to another one (ProxyJump).

        Args:
            place: address and port as this host sees them.
            name: whom it is for, for errors.

        Raises:
            Offline: this host cannot be reached, or cannot reach the other.
            HostKeyChanged, AccessRefused: of this host, which is on the way.
        """
        with self._lock:
            self._rest(name)
            try:
                self.open()
            except FleetError as error:
                self._refused = (time.monotonic(), error)
                self._rest(name)
        try:
            return self._transport().open_channel(
                "direct-tcpip", dest_addr=place, src_addr=("", 0), timeout=self.deadlines.channel_s
            )
        except paramiko.ChannelException as error:
            raise Offline(
                f"{name}: {self.name} cannot reach it at {place[0]} ({error.text})"
            ) from None
        except (paramiko.SSHException, EOFError, OSError) as error:
            if self._wire is not None and self._wire.silent_s >= self.deadlines.channel_s:
                # Not a word for anybody: it is this host's own link, and the next one calls anew.
                self._drop()
            raise Offline(f"{name}: no answer through {self.name} ({error})") from None

    def _rest(self, name: str) -> None:
        if self._refused and time.monotonic() - self._refused[0] < GATEWAY_REST_S:
            error = self._refused[1]
            how = "is off-line" if isinstance(error, Offline) else "is barred"
            raise type(error)(f"{name}: the way to it {how}: {error.what}", error.remedy)

    def _transport(self) -> paramiko.Transport:
        transport = self._fabric.transport
        assert isinstance(transport, paramiko.Transport)
        return transport

    def run(
        self,
        argv: Sequence[str],
        stdin: Input = None,
        *,
        timeout_s: float,
        on_line: Callable[[str], None] | None = None,
    ) -> Completed:
        """Runs a command on the host and waits for its end.

        Args:
            argv: the command, which is quoted for the host's shell; no secrets, others see it.
            stdin: what it reads: bytes, an open file, or an iterable of blocks.
            timeout_s: seconds until it is given up.
            on_line: called with each line of standard output as it arrives.

        Raises:
            Offline: the host cannot be reached, or the link broke (LinkLost).
            AccessRefused: it does not let us in, or its sudo does not let us be root.
            fleet.channel.DeadlinePassed: it took longer.
        """
        command = shlex.join(argv)
        what = _word(argv)
        if on_line is None:
            return self.shell(command, stdin, timeout_s=timeout_s, what=what)
        with Lines(on_line) as lines:
            return self.shell(command, stdin, timeout_s=timeout_s, what=what, on_output=lines.feed)

    def shell(
        self,
        command: str,
        stdin: Input = None,
        *,
        timeout_s: float,
        what: str,
        on_output: Callable[[bytes], None] | None = None,
    ) -> Completed:
        """Runs a line of the host's shell, called `what` in errors; output is handed on as it comes."""
        started = time.monotonic()
        self.open()
        with self._turn(what, timeout_s), self._session() as channel:
            self._traffic.trips += 2  # the channel, and the answer
            assert self._wire is not None
            done = execute(
                self.name,
                channel,
                self._wire,
                command,
                stdin,
                timeout_s=timeout_s,
                what=what,
                started=started,
                on_output=on_output,
            )
        if "sudo -n" in command and done.exit:
            refused = sudo.refusal(done, self.name, self.endpoint.user, self.endpoint.place)
            if refused is not None:
                raise refused
        return done

    @contextlib.contextmanager
    def _turn(self, what: str, timeout_s: float) -> Iterator[None]:
        if not self._sessions.acquire(timeout=timeout_s):
            raise DeadlinePassed(
                f"{self.name}: {what} had no turn within {timeout_s:g} s: "
                f"{SESSIONS} other commands use the connection"
            )
        try:
            yield
        finally:
            self._sessions.release()

    @contextlib.contextmanager
    def _session(self) -> Iterator[paramiko.Channel]:
        try:
            channel = self._transport().open_session(timeout=self.deadlines.channel_s)
        except (paramiko.SSHException, EOFError, OSError) as error:
            self._drop()
            # Nothing was sent yet, so nothing can be running there.
            raise Offline(f"{self.name}: the connection broke ({str(error) or 'closed'})") from None
        try:
            yield channel
        except (paramiko.SSHException, EOFError, OSError) as error:
            raise LinkLost(f"{self.name}: the link broke ({str(error) or 'closed'})") from None
        finally:
            channel.close()

    def _offline(self, reason: str) -> Offline:
        return Offline(f"{self.name}: {self.endpoint.place}: {reason}")

    def _drop(self) -> None:
        with self._lock:
            if self._fabric is not None:
                with contextlib.suppress(Exception):  # it is gone already; nothing to tell
                    self._fabric.close()
            if self._wire is not None:
                self._traffic.closed_bytes += self._wire.sent + self._wire.received
            self._fabric, self._wire = None, None

    def close(self) -> None:
        """Closes the connection; it opens again at the next use.

        One that another thread is opening just now is left to that thread: nobody waits for it.
        """
        if self._lock.acquire(blocking=False):
            try:
                self._drop()
            finally:
                self._lock.release()


def _word(argv: Sequence[str]) -> str:
    """Returns the command in a word, for errors: what is run, not the sudo before it."""
    words = list(argv)
    if words[0] == "sudo":
        words.pop(0)
        while words and words[0].startswith("-"):
            del words[: 2 if words[0] == "-u" else 1]
    return Path(words[0]).name if words else "sudo"
