"""Where this machine keeps what is costly to have again: wheels, npm's packages, base trees, films."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path


def cache_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Returns the cache of this machine, outside of every checkout; it need not be there yet.

    Args:
        environment: TURNAROUND_CACHE names it; else it is in XDG_CACHE_HOME, or in ~/.cache.

    >>> cache_folder({"TURNAROUND_CACHE": "/var/cache/t"})
    PosixPath('/var/cache/t')
    """
    if given := environment.get("TURNAROUND_CACHE"):
        return Path(given)
    caches = environment.get("XDG_CACHE_HOME") or Path(environment.get("HOME", "/root"), ".cache")
    return Path(caches) / "turnaround"
