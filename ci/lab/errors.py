"""What can go wrong with the lab itself, said for people, with the remedy."""

from __future__ import annotations

from fleet.errors import FleetError, UsageError


class LabFault(FleetError):
    """The machine cannot give the lab what it needs, or the lab is not as it was left."""


class LabMisuse(UsageError):
    """The command asks for something that this lab does not have; nothing was touched."""
