"""A host whose clock is wrong: it wakes up without a battery, or with someone else's idea of now."""

from __future__ import annotations

from ci.faults.under_test import UnderTest

LIBRARY = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"


def install(host: UnderTest) -> None:
    """Installs what gives programs another time; a host of the lab cannot set its clock."""
    host.shell(
        f"test -e {LIBRARY} || apt-get -qq -y install --no-install-recommends libfaketime >/dev/null",
        timeout_s=120,
    )


def wrapper(python: str, offset: str, arguments: str) -> str:
    """Returns a script that starts a Python in another time.

    What it starts lives in the present: systemd's own programs hang with the library in them.

    Args:
        python: the program itself, no link.
        offset: such as -365d.
        arguments: as bash takes them.
    """
    return f"""\
#!/bin/bash
export FAKETIME={offset} DONT_FAKE_MONOTONIC=1
exec /lib64/ld-linux-x86-64.so.2 --preload {LIBRARY} --argv0 /usr/bin/python3 {python} {arguments}
"""
