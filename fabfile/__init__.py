"""Work on the fleet: `./fab usage` shows every command.

Thin on purpose: a command here reads its arguments, calls `fleet/` and prints through
`fleet.report`. Each module is a page of commands and is found by itself: its tasks become top-level
commands, and a module that defines `namespace` becomes a group of dotted ones (`campaign.start`).
What flags of many commands mean is in `words`. Nothing else may live here. Commands import what
they need when they run, so that `./fab usage` does not wait for an SSH library.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module

from invoke.collection import Collection
from invoke.tasks import Task


def _collect() -> Collection:
    commands = Collection()
    for page in sorted(found.name for found in pkgutil.iter_modules(__path__)):
        module = import_module(f"{__name__}.{page}")
        group = getattr(module, "namespace", None)
        if isinstance(group, Collection):
            commands.add_collection(group)
            continue
        for task in vars(module).values():
            if isinstance(task, Task):
                commands.add_task(task)
    return commands


namespace = _collect()
