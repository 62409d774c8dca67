"""The second unit of a release: it comes to its end at once, well or not."""

from __future__ import annotations

import sys

from .number import BEHAVIOUR

if BEHAVIOUR == "agent-fails":
    sys.exit("no such serial port")
