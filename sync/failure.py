"""Why rsync failed, by what it and its shell said: which end is to be mended, or the link between them."""

from __future__ import annotations

import re

__all__ = [
    "NO_SSH",
    "LinkLost",
    "NoRoom",
    "Refused",
    "TransferError",
    "first_line",
    "full_here",
    "why",
]

# ssh(1), "EXIT STATUS": of its own, not of what it ran.
NO_SSH = 255
# rsync(1), "EXIT VALUES". Those that the other end or the way to it causes:
_LINK_CODES = {10, 12, 30, 35, NO_SSH}
_FILE_CODE = 11
_NO_ROOM = re.compile(r"No space left on device|Disk quota exceeded")
# The gate's words say what to do. ssh names what it was denied, rsync the number of an error.
_GATE = "turnaround: refused: "
_KEY = re.compile(r"Host key verification failed|Permission denied \([a-z]")
_SENDER = re.compile(r"rsync: \[sender\]")
# What a file met has the file's name; what a connection met has none.
_FILE = re.compile(r'rsync: .*".*\(\d+\)$')


class TransferError(Exception):
    """rsync failed; the message says with whom, what was seen and what to do."""


class LinkLost(TransferError):
    """The way to the hangar is gone or slow; what arrived is kept and the next run goes on."""


class Refused(TransferError):
    """The hangar answered and said no: a key, a host key or a command is not what it expects."""


class NoRoom(TransferError):
    """The disk here took no more; what arrived is kept."""


def first_line(said: str) -> str:
    """Return what was said first.

    >>> first_line("")
    'it said nothing'
    """
    return said.splitlines()[0] if said else "it said nothing"


def full_here(said: str, push: bool) -> str:
    """Return the line that tells of a full disk at this end, '' for none.

    >>> full_here('rsync: [receiver] write failed on "a": No space left on device (28)', push=True)
    ''
    """
    full = _line(_NO_ROOM, said)
    return "" if _is_there(full, push) else full


def why(host: str, code: int, said: str, push: bool) -> TransferError:
    """Return what a run came to that ended with a code of which nothing good is known.

    Arguments: `said` is what it and its shell wrote to standard error; `push`: it sent to the host.

    >>> str(why("hangar", 12, "turnaround: refused: the inbox is full", push=True))
    'hangar refused: the inbox is full'
    """
    for line in said.splitlines():
        if line.startswith(_GATE):
            return Refused(f"{host} refused: {line.removeprefix(_GATE)}")
        if _KEY.search(line):
            return Refused(
                f"{host} refused: {line.strip().rstrip('.')}. Is this aircraft enrolled, "
                "with the key it has now? Converging the hangar and this aircraft renews "
                "keys and host keys"
            )
    # With which code this end ends when the other one does depends on which was faster.
    if full := _line(_NO_ROOM, said):
        return TransferError(
            f"{host}: the disk there takes no more: {full}. `df` at the hangar shows how full it is"
        )
    if code == _FILE_CODE or f"(code {_FILE_CODE})" in said:
        line = _line(_FILE, said) or first_line(said)
        end = "there" if _is_there(line, push) else "here"
        return TransferError(f"{host}: a file {end} could not be read or written: {line}")
    if code in _LINK_CODES:
        return LinkLost(
            f"{host}: the link was lost (rsync {code}: {first_line(said)}). What arrived is kept; "
            "run sync-now again when the tower answers"
        )
    return TransferError(
        f"{host}: rsync failed with {code}: {first_line(said)}. See rsync(1), EXIT VALUES"
    )


def _line(wanted: re.Pattern[str], said: str) -> str:
    return next((line for line in said.splitlines() if wanted.search(line)), "")


def _is_there(line: str, push: bool) -> bool:
    """Whether the other end met what a line tells: one of the two ends sends, the other writes."""
    return push != bool(_SENDER.match(line))
