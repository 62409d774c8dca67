"""`fab audit`: who did what to the fleet, as its hangar wrote it down."""

from __future__ import annotations

from invoke.context import Context
from invoke.tasks import task

from fabfile.words import INVENTORY


@task(
    help={
        "last": "how many of the last entries",
        "inventory": INVENTORY,
        "json": "one JSON object per entry on standard output",
    }
)
def audit(c: Context, last: int = 20, inventory: str = "", json: bool = False) -> None:
    """Show who shipped or changed what, when, where to, and how it ended."""
    import json as encoder

    from fleet.audit import table
    from fleet.session import session
    from fleet.shipping import ledger_at_hangar

    with session(inventory, "all") as fleet:
        entries = ledger_at_hangar(fleet).last(last)
    lines = [encoder.dumps(each, ensure_ascii=False) for each in entries]
    print("\n".join(lines if json else table(entries)))
