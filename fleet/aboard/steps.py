"""The steps of a release on a host, in the order in which they happen."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum, auto, unique


@unique
class Step(IntEnum):
    """One step; each is announced before it is done, so `at(step)` names what a cut there
    interrupts.

    A release that becomes current passes RECEIVE … CLEAN in this order and none of the RETURN
    steps; one that fails its trial leaves that path after TRIAL and passes the RETURN steps
    instead.
    """

    RECEIVE = auto()
    """Each file goes to a temporary name, is hashed meanwhile, and is renamed into the store."""
    UNPACK = auto()
    """The release directory is made beside its final name."""
    COMPILE = auto()
    """Byte code is made: the first request does not wait for it and no process writes it."""
    FLUSH = auto()
    """All of it reaches the disk before its name says that it is whole."""
    PLACE = auto()
    """The directory gets its final name."""
    STAGE = auto()
    """The state file says: staged."""
    SETUP = auto()
    """The release's own preparations run, for instance the expanding half of a migration."""
    TRIAL = auto()
    """The state file says: on trial, from which release, until when, in which boot."""
    BESIDE = auto()
    """It starts beside the release before, on sockets of its own, and is asked whether it is well."""
    SWITCH = auto()
    """`current/<kind>` is renamed to the new release."""
    LINK = auto()
    """The links that nginx goes by are renamed to the new sockets: from here on it serves."""
    RESTART = auto()
    """Its other units start with the new release."""
    HEALTH = auto()
    """The new release is asked whether it is well, several times."""
    CONFIRM = auto()
    """The state file says: confirmed."""
    DRAIN = auto()
    """What ran beside it of the release before finishes its requests and stops."""
    CLEAN = auto()
    """Releases that are no longer kept go, and then the files that no release names."""
    RETURN_SWITCH = auto()
    """`current/<kind>` is renamed back."""
    RETURN_LINK = auto()
    """The links that nginx goes by are renamed back; what ran of the bad release stops."""
    RETURN_RESTART = auto()
    """The other units start with the former release."""
    RETURN_RECORD = auto()
    """The state file says: rolled back, and why."""

    @property
    def label(self) -> str:
        """The step as people read it, for instance 'return-switch'."""
        return self.name.lower().replace("_", "-")


At = Callable[[Step], None]
"""Called before each step; tests raise in it, the program reports the step from it."""
