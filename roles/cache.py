"""Redis: state by the second aboard, the broker of Celery at the hangar; nothing that must survive."""

from __future__ import annotations

import require
from roles.context import Context

SOCKET = "/run/redis/redis-server.sock"
_OURS = "/etc/redis/turnaround-socket.conf"


def apply(host: Context) -> None:
    """Declares Redis, bounded, on this host only, and with nothing on the disk.

    What is kept here may be lost: the flight's state is old after seconds, and at the hangar a row of
    the table `work` is the truth about each piece of work, its message only wakes a worker, and workers
    look for what waits. A snapshot would bring back what is long over, and a full disk would stop writes.
    Nothing is evicted either: a store that is full refuses, which is seen and told, where an evicted key
    would read as a state that nobody knows, or as work that nobody was woken for.
    """
    server = require.redis.server(
        max_memory=host.vars.text("redis_memory", "64mb"),
        policy="noeviction",
        persistence="none",
    )
    # For those who need no network beside it, and so have none. The server makes it at its start.
    restarted = [require.systemd.restarted("redis-server")]
    socket = require.file.file(
        _OURS,
        content=f"unixsocket {SOCKET}\nunixsocketperm 770\n",
        group="redis",
        mode=0o640,
        needs=[server],
        notify=restarted,
    )
    require.line.line("/etc/redis/redis.conf", f"include {_OURS}", needs=[socket], notify=restarted)
