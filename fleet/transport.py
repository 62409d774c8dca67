"""The engine's way to a host, over one of our connections."""

from __future__ import annotations

from collections.abc import Callable

import require.errors
from fleet.channel import Completed, DeadlinePassed, TooMuchOutput
from fleet.errors import FleetError, LinkLost
from fleet.ssh import Connection


class SshTransport:
    """The engine's way to a host (`require.transport.Transport`), over one of our connections.

    Our own errors stay the cause of the engine's, so that off-line, a changed key and a refusal are
    still told apart by whoever asked for the converge. `fault` is the one of the last call, or None.

    Args:
        connection: to the host.
        word: what is said in the place of the engine's command, where the host's end runs that very
            command whatever is said (`command=` in authorized_keys).
    """

    def __init__(self, connection: Connection, word: str = "") -> None:
        self._connection, self._word = connection, word
        self.fault: FleetError | None = None

    @property
    def host(self) -> str:
        return self._connection.name

    def call(
        self,
        command: str,
        payload: bytes,
        *,
        timeout_s: float,
        on_output: Callable[[bytes], None] | None = None,
    ) -> bytes:
        try:
            done = self._shell(command, payload, timeout_s, on_output)
        except LinkLost as error:
            raise require.errors.LinkLost(self.host, _reason(self.host, error)) from error
        except DeadlinePassed as error:
            raise require.errors.DeadlinePassed(self.host, _reason(self.host, error)) from error
        except TooMuchOutput as error:
            raise require.errors.ProtocolError(self.host, _reason(self.host, error)) from error
        except FleetError as error:
            raise require.errors.Unreachable(self.host, _reason(self.host, error)) from error
        if done.exit != 0:
            said = done.stderr.decode(errors="replace")
            raise require.errors.CommandFailed(self.host, done.exit, said)
        return done.stdout

    def _shell(
        self,
        command: str,
        payload: bytes,
        timeout_s: float,
        on_output: Callable[[bytes], None] | None,
    ) -> Completed:
        self.fault = None
        try:
            return self._connection.shell(
                self._word or command,
                payload,
                timeout_s=timeout_s,
                what="the engine",
                on_output=on_output,
            )
        except FleetError as error:
            self.fault = error
            raise


def _reason(host: str, error: FleetError) -> str:
    return str(error).removeprefix(f"{host}: ")
