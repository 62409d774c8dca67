"""The state of the fleet as JSON, for `fab status`: `python -m hangar_app.status`."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

from common.clock import utc_now
from common.database import engine_for
from common.database import session as database_session
from common.settings import Settings
from hangar_app import fleet_state


def main() -> int:
    """Prints {"now", "aircraft": [one object per aircraft]}."""
    now = utc_now()
    with database_session(engine_for(Settings.load())) as session:
        rows = [asdict(one) for one in fleet_state.fleet(session, now)]
    sys.stdout.write(json.dumps({"now": now.isoformat(), "aircraft": rows}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
