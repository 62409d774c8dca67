"""`fab usage`: the table of commands."""

from __future__ import annotations

from invoke.context import Context
from invoke.tasks import task


@task
def usage(c: Context) -> None:
    """Show every command with its flags."""
    from shutil import get_terminal_size

    from fabfile import namespace
    from fleet.usage import table

    # Longer lines than this are hard to read, and a pipe has no width.
    print(table("fab", namespace, min(100, get_terminal_size((100, 24)).columns)))
