"""Real Debian 13 hosts on one machine: a hangar and some aircraft, their networks, links and faults.

Each host is an overlay over one cached base tree, booted by systemd-nspawn with its own systemd, network and
sshd, and it comes up *bare*: what makes it a hangar or an aircraft belongs in `roles`. What a host looks like
to the outside world (cables, cellular link, power, avionics bus, a phone in the cabin) lives here; what runs
on the host does not.
"""

from __future__ import annotations

from ci.lab.lab import Lab

__all__ = ["Lab"]
