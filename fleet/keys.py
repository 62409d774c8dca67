"""The private keys of ops: in a file, behind a passphrase, or held by their SSH agent.

An agent is asked for one very key. Offered all that it holds, a host counts each as a failed login and
refuses us before the right one's turn (MaxAuthTries).
"""

from __future__ import annotations

import getpass
import sys
import threading
from pathlib import Path
from typing import Any

import paramiko

from fleet import hostkeys
from fleet.errors import AccessRefused, FleetError, UsageError

NAMES = ("ops_ed25519", "ops_ecdsa", "ops_rsa")


def of_ops(folder: Path) -> paramiko.PKey:
    """Returns the key of ops: the first of `NAMES` that the folder has, or has the public half of.

    Args:
        folder: the inventory's keys.

    Raises:
        UsageError: there is none, it cannot be read, or the agent does not hold it.

    >>> of_ops(Path("/home/ops/.config/turnaround/lab")).get_name()  # doctest: +SKIP
    'ssh-ed25519'
    """
    paths = [folder / name for name in NAMES]
    found = next((path for path in paths if path.exists() or _public(path).exists()), None)
    if found is not None:
        return load(found)
    raise UsageError(
        f"there is no key of ops at {paths[0]}",
        f"set TURNAROUND_KEYS to the folder with {NAMES[0]}, or with {NAMES[0]}.pub when an SSH agent "
        f"holds it; or make one: ssh-keygen -t ed25519 -f {paths[0]}",
    )


def load(path: Path) -> paramiko.PKey:
    """Returns a private key, from the agent where only its public half is here.

    One with a passphrase is taken from the agent when that holds it, else the passphrase is asked for.

    Args:
        path: the private key; its public half is beside it, with `.pub` after its name.

    Raises:
        UsageError: there is none, or nobody to ask for its passphrase, or the agent does not hold it.
    """
    try:
        return _read(path)
    except FileNotFoundError:
        if _public(path).exists():
            return _from_agent(path)
        raise UsageError(f"there is no private key at {path}, nor its public half") from None
    except TypeError:  # what cryptography says where a passphrase is needed
        held = _held(_public(path)) if _public(path).exists() else None
        return held or _unlock(path)


def _read(path: Path, passphrase: bytes | None = None) -> paramiko.PKey:
    try:
        # Its stubs say text; what reads the file below them takes bytes only.
        return paramiko.PKey.from_path(path, passphrase)  # type: ignore[arg-type]
    except FileNotFoundError:
        raise
    except (paramiko.SSHException, OSError, ValueError) as error:
        expected = "another passphrase" if passphrase else "a private key"
        raise UsageError(f"{path}: expected {expected}: {error}") from None


def _unlock(path: Path) -> paramiko.PKey:
    if not sys.stdin.isatty():
        raise UsageError(
            f"{path} has a passphrase, and there is no terminal to ask for it",
            f"let an SSH agent hold it: ssh-add {path}",
        )
    return _read(path, getpass.getpass(f"passphrase of {path}: ").encode())


def _from_agent(path: Path) -> paramiko.PKey:
    if (held := _held(_public(path))) is not None:
        return held
    raise UsageError(
        f"there is no {path}, and no SSH agent holds the key of {_public(path).name}",
        f"start one (eval $(ssh-agent)) and give it the key (ssh-add), or put the key at {path}",
    )


def _held(public: Path) -> Held | None:
    """Returns the agent's key of this public half; None when no agent holds it."""
    try:
        wanted = hostkeys.parse(public.read_text()).asbytes()
        agent = paramiko.Agent()
    except FleetError as error:
        raise UsageError(f"{public}: {error.what}") from None
    except (paramiko.SSHException, OSError) as error:
        raise UsageError(f"{public}: the SSH agent cannot be asked: {error}") from None
    for key in agent.get_keys():
        if key.asbytes() == wanted:
            return Held(agent, key.blob, key.comment)
    agent.close()
    return None


class Held(paramiko.AgentKey):
    """A key that an agent holds; threads let it sign one after the other.

    paramiko has one socket to the agent for all of them, and reads there whoever's answer comes.
    """

    def __init__(self, agent: paramiko.Agent, blob: bytes, comment: str) -> None:
        super().__init__(agent, blob, comment)
        self._turn = threading.Lock()

    def sign_ssh_data(self, data: Any, algorithm: str | None = None) -> Any:
        with self._turn:
            try:
                return super().sign_ssh_data(data, algorithm)
            except (paramiko.SSHException, OSError) as error:
                raise AccessRefused(
                    f"the SSH agent does not sign with {self.fingerprint}: {error}",
                    "see what it says: ssh-add -l",
                ) from error


def _public(path: Path) -> Path:
    return path.with_name(f"{path.name}.pub")
