"""The release's preparations, as a migration would be."""

from __future__ import annotations

import sys

from .number import BEHAVIOUR

if BEHAVIOUR == "setup-fails":
    print("ERROR: column tail_number exists already")
    sys.exit(1)
