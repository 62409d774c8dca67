"""The engine's way to a host, over one of our connections."""

from __future__ import annotations

import re
from collections.abc import Callable

import require.errors
from fleet.channel import Completed, DeadlinePassed, TooMuchOutput
from fleet.errors import AccessRefused, FleetError, LinkLost
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
            self._check_root(said.strip().splitlines()[-1:])
            raise require.errors.CommandFailed(self.host, done.exit, said)
        return done.stdout

    def _check_root(self, last: list[str]) -> None:
        """Raises when sudo had the last word: then nothing ran, and who may mend it is not the engine."""
        if not last or not re.search(r"(^|\bexec: )sudo: ", last[0]):
            return
        user = self._connection.endpoint.user
        raise require.errors.Unreachable(self.host, last[0]) from AccessRefused(
            f"{self.host}: {user} cannot become root ({last[0]})",
            f"the host needs sudo, and this line in /etc/sudoers.d/{user}: {user} ALL=(ALL:ALL) "
            "NOPASSWD: ALL; fab init-machine makes an account for ops that has it",
        )

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
