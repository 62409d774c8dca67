"""What can go wrong between a declaration and a host, each error with what to do about it."""

from __future__ import annotations


class RequireError(Exception):
    """Anything the engine raises on purpose; its text is meant for people."""


class DeclarationError(RequireError):
    """A declaration that cannot be right, found before any host is touched."""


class TransportError(RequireError):
    """The other side could not be asked, or did not answer.

    Args:
        host: name of the host.
        reason: what was seen, and what to do.
    """

    def __init__(self, host: str, reason: str) -> None:
        super().__init__(f"{host}: {reason}")
        self.host = host
        self.reason = reason


class Unreachable(TransportError):
    """Nothing ran on the host: it is off-line, or refused us."""


class LinkLost(TransportError):
    """The connection broke while a command ran; what it did is not known from here."""


class DeadlinePassed(TransportError):
    """The host did not finish in time; what it did is not known from here."""


class CommandFailed(TransportError):
    """A command ended with an exit code other than 0.

    Args:
        host: name of the host.
        code: the exit code.
        stderr: what it said, shortened to its last lines.
    """

    def __init__(self, host: str, code: int, stderr: str) -> None:
        said = "\n".join(stderr.strip().splitlines()[-12:]) or "it said nothing"
        super().__init__(host, f"the remote command ended with exit code {code}: {said}")
        self.code = code
        self.stderr = stderr


class ProtocolError(TransportError):
    """The answer is not one of ours: something else wrote to the channel, or it was cut."""
