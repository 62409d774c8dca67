"""`inv secrets.*`: encrypted in the inventory. A value comes from a terminal or a pipe, never a flag."""

from __future__ import annotations

import getpass
import json as encoder
import sys
from dataclasses import asdict

from invoke.collection import Collection
from invoke.context import Context
from invoke.tasks import task

from fleet.errors import UsageError

_INVENTORY = "inventory file; else FLEET_INVENTORY, else the running lab's"


@task(
    help={
        "level": "who it is for: all, group-NAME or host-NAME",
        "name": "as roles ask for it: host.vars.secret(NAME)",
        "inventory": _INVENTORY,
    }
)
def edit(c: Context, level: str, name: str, inventory: str = "") -> None:
    """Set a secret: asked for twice on a terminal, else read from standard input; empty removes it."""
    from fleet.secrets_edit import check_place, put
    from fleet.session import fleet_of

    fleet = fleet_of(inventory)
    check_place(fleet, level, name)
    print(put(fleet, level, name, _value(f"{name} of {level}")))


def _value(what: str) -> str:
    """Returns what is typed without echo, or all of standard input but for its last line's end."""
    if sys.stdin.isatty():
        try:
            value = getpass.getpass(f"{what}, empty to remove it: ")
            again = getpass.getpass(f"{what}, again: ")
        except EOFError:
            raise UsageError(f"{what}: the terminal was closed; nothing was written") from None
        if again != value:
            raise UsageError(f"{what}: the two are not the same; nothing was written")
        return value
    try:
        return sys.stdin.buffer.read().decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise UsageError(
            f"{what}: expected UTF-8 text on standard input, found other bytes"
        ) from None


@task(
    name="list",
    help={"inventory": _INVENTORY, "json": "one JSON object per secret on standard output"},
)
def show(c: Context, inventory: str = "", json: bool = False) -> None:
    """Show which secrets there are and who can read them; never what they are."""
    from fleet.secrets_edit import listing
    from fleet.session import fleet_of

    for row in listing(fleet_of(inventory)):
        if json:
            print(encoder.dumps(asdict(row)))
        else:
            stale = "; recipients.yml says otherwise: ./inv secrets.rekey" if row.stale else ""
            print(f"{row.level}: {row.name}, for {', '.join(row.readers)}{stale}")


@task(help={"inventory": _INVENTORY})
def rekey(c: Context, inventory: str = "") -> None:
    """Encrypt anew what recipients.yml says others may read; needs a key that can read it now."""
    from fleet.secrets_edit import rekey as encrypt_anew
    from fleet.session import fleet_of

    lines = encrypt_anew(fleet_of(inventory))
    print("\n".join(lines) or "no change: everything is encrypted to those who may read it")


@task(help={"inventory": _INVENTORY})
def keygen(c: Context, inventory: str = "") -> None:
    """Make the key that opens secrets, and print its public half for recipients.yml."""
    from fleet.secrets_edit import keygen as make
    from fleet.session import fleet_of

    fleet = fleet_of(inventory)
    path, public = make(fleet)
    print(f"the private key is at {path}: keep a copy off this machine, and never in git")
    print(
        f'its public half, for a line NAME: {{ key: …, reads: ["*"] }} in {fleet.secrets.recipients_path}:'
    )
    print(public)


namespace = Collection("secrets", edit, show, rekey, keygen)
