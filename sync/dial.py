"""Connects for ssh, which waits less then: `python dial.py HOST PORT`, its ProxyCommand with ProxyUseFdpass.

Until somebody is let in, ssh leaves it to the kernel to gather small packets, and each of its own then
waits for the answer to the one before: three round trips of a landing. Standard library only.
"""

from __future__ import annotations

import socket
import sys

__all__ = ["main"]

CONNECT_S = 20.0


def main(host: str, port: str) -> int:
    """Connect, and pass the connection through standard output; 1 when nobody answers."""
    try:
        way = socket.create_connection((host, int(port)), CONNECT_S)
    except OSError as error:
        sys.stderr.write(f"connect to host {host} port {port}: {error.strerror or error}\n")
        return 1
    way.settimeout(None)
    way.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with socket.socket(fileno=1) as shell:
        socket.send_fds(shell, [b"\0"], [way.fileno()])
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
