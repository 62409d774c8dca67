"""The state of the fleet as JSON, for `fab status`: `python -m hangar_app.status`."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

from common.clock import utc_now
from common.database import engine_for
from common.database import session as database_session
from common.settings import Settings
from hangar_app import backup, fleet_state
from sync import held


def main() -> int:
    """Prints {"now", "aircraft": [one object per aircraft], "backup": how old, or null, "held": what stands
    still here}."""
    now, settings = utc_now(), Settings.load()
    engine = engine_for(settings)
    with database_session(engine) as session:
        rows = [asdict(one) for one in fleet_state.fleet(session, now)]
        kept = backup.look(session, settings.state_dir, now)
    told = {
        "now": now.isoformat(),
        "aircraft": rows,
        "backup": asdict(kept) if kept else None,
        "held": held.held(engine),
    }
    sys.stdout.write(json.dumps(told) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
