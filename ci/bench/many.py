"""A hundred hosts with nothing to change, twenty at once: ours and pyinfra's.

The hundred are names for two hosts; all that a tool does for a host it does for each name.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from itertools import cycle, islice

from ci.bench.rivals import Measured, Rivals, Target, timed
from ci.bench.table import Row
from fleet.errors import FleetError

HOSTS = 100
AT_ONCE = 20


def compare(
    rivals: Rivals, ways: Sequence[tuple[int, str]], say: Callable[[str], None]
) -> list[Row]:
    """Measures ours, pyinfra and ours again, and returns the table's rows; of ours the slower one counts.

    Args:
        rivals: the peers.
        ways: port and host key of each real host; it is as the reference role says, to both.
        say: takes lines of progress.

    Raises:
        FleetError: a host was not reached, or something changed.
    """
    ports = list(islice(cycle(port for port, _ in ways), HOSTS))
    targets = [Target(f"reference-{number:03d}", port) for number, port in enumerate(ports)]
    keys = [word for port, key in ways for word in (str(port), key)]
    what = f"{HOSTS} hosts, {AT_ONCE} at once"

    def look() -> Measured:
        say(f"bench: {what}, ours")
        argv = [sys.executable, "-m", "ci.bench.contenders", "many", str(HOSTS), str(AT_ONCE)]
        done = timed([*argv, str(rivals.key), *keys])
        found = json.loads(done.output)
        if found != {"no change": HOSTS}:
            raise FleetError(f"expected {HOSTS} times no change, found {found}")
        return done

    first = look()
    say(f"bench: {what}, pyinfra's")
    pyinfra = rivals.pyinfra(targets, AT_ONCE)
    ours = max(first, look(), key=lambda done: done.seconds)
    return [
        Row(f"{what}, ours", ours.seconds, "s"),
        Row(f"{what}, pyinfra", pyinfra.seconds, "s"),
        Row(f"{what}, faster than pyinfra", pyinfra.seconds / ours.seconds, "×", 5, at_least=True),
        Row("processor time here for each host, ours", ours.cpu_s / HOSTS * 1000, "ms"),
        Row("processor time here for each host, pyinfra", pyinfra.cpu_s / HOSTS * 1000, "ms"),
    ]
