"""`fab restore`: the hangar back from its backup."""

from __future__ import annotations

from invoke.context import Context
from invoke.tasks import task

from fabfile.words import INVENTORY, JSON


@task(
    name="restore",
    positional=["host"],
    help={
        "host": "where the bare machine answers: user@host:port (root and 22 when left out)",
        "as": "the hangar's name in the inventory",
        "fingerprint": "SHA256:… of the machine's host key; else it is shown and asked for",
        "yes": "accept whatever fingerprint it shows",
        "rev": "the release to ship: a branch, a tag or a commit",
        "inventory": INVENTORY,
        "json": JSON,
    },
)
def restore(
    c: Context,
    host: str,
    as_: str = "hangar",
    fingerprint: str = "",
    yes: bool = False,
    rev: str = "HEAD",
    inventory: str = "",
    json: bool = False,
) -> None:
    """Make a destroyed hangar anew on a bare Debian 13: keys, roles, database, content, release."""
    from fleet.restore_command import restore as bring_back
    from fleet.session import finish

    finish(bring_back(inventory, host, as_, fingerprint, rev, yes=yes, as_json=json))
