"""Errors of aboard: each carries the exit code that the program ends with."""

from __future__ import annotations

FAILED = 4
BAD_ARTIFACT = 65
USAGE = 64


class AboardError(Exception):
    """Something could not be done on this host; the text says what, and what to do."""

    exit_code = FAILED


class Busy(AboardError):
    """Another order is at work on this host's releases; the text says whose and since when."""


class ManifestError(AboardError):
    """What was sent is not an artifact that may be taken in; nothing was changed."""

    exit_code = BAD_ARTIFACT


class StreamCut(AboardError):
    """The stream ended too early; what had arrived whole is kept, and nothing else was changed."""


class BadOrder(AboardError):
    """An order on standard input is not as agreed; nothing was changed."""

    exit_code = BAD_ARTIFACT
