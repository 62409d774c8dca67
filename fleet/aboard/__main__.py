"""Starts aboard: Python was given its folder (`python3 /opt/turnaround/aboard`) or its name."""

from __future__ import annotations

import os
import signal
import sys
from importlib import import_module
from pathlib import Path

if __name__ == "__main__":
    package = __package__
    if not package:
        folder = Path(__file__).resolve().parent
        package = folder.name
        sys.path.insert(0, str(folder.parent))
    # Whoever sent the order may be gone by now; a release that was begun is brought to its end.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    os.umask(0o022)
    sys.exit(import_module(f"{package}.program").main())
