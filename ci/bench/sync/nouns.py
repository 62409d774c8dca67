"""What `inv bench.sync` measures: each module here that has `rows(full) -> list[Row]` is a noun of it."""

from __future__ import annotations

import importlib
import pkgutil
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import ci.bench.sync
from ci.bench.table import Row

Rows = Callable[[bool], Sequence[Row]]


def found() -> dict[str, Rows]:
    """Returns the nouns by name.

    >>> "loss" in found()
    True
    """
    modules = (
        importlib.import_module(f"ci.bench.sync.{module.name}")
        for module in pkgutil.iter_modules(ci.bench.sync.__path__)
    )
    return {
        module.__name__.rpartition(".")[2]: module.rows
        for module in modules
        if hasattr(module, "rows")
    }


def run(nouns: Mapping[str, Rows], say: Callable[[str], None]) -> list[Row]:
    """Measures one noun after the other and returns their rows; one that fails is a goal not met.

    Args:
        nouns: what measures, by name.
        say: takes lines of progress.
    """
    told: list[Row] = []
    for noun, rows in nouns.items():
        say(f"bench: {noun}")
        began = time.monotonic()
        try:
            told += [replace(row, name=f"{noun}: {row.name}") for row in rows(True)]
        except Exception:
            # The others took half an hour, and are told all the same.
            say(traceback.format_exc())
            told.append(Row(f"{noun}: could not be measured", 1, "", 0))
        say(f"bench: {noun} took {time.monotonic() - began:.0f} s")
    return told
