"""`inv lab.*`: the lab's commands. They read arguments, call `Lab`, and print."""

from __future__ import annotations

import json
import os
from typing import Any

from invoke.collection import Collection
from invoke.context import Context
from invoke.tasks import task

from ci.lab.errors import LabMisuse
from ci.lab.lab import Lab


def _number(flag: str, text: str | None) -> float | None:
    if text is None:
        return None
    try:
        return float(text)
    except ValueError:
        raise LabMisuse(f"--{flag} needs a number, and found {text}") from None


def _either(one: tuple[str, bool], other: tuple[str, bool]) -> bool | None:
    """Returns True for the first flag, False for the second, None for neither."""
    if one[1] and other[1]:
        raise LabMisuse(f"--{one[0]} and --{other[0]} exclude each other")
    return one[1] if one[1] or other[1] else None


def _required(one: tuple[str, bool], other: tuple[str, bool]) -> bool:
    chosen = _either(one, other)
    if chosen is None:
        raise LabMisuse(f"expected --{one[0]} or --{other[0]}")
    return chosen


@task(help={"aircraft": "how many aircraft stand beside the hangar (default 2)"})
def up(_: Context, aircraft: int = 2) -> None:
    """Boot the lab's hosts, bare; what runs already stays."""
    Lab.load().up(aircraft)


@task
def down(_: Context) -> None:
    """Take the lab away: hosts with their files, networks, keys."""
    Lab.load().down()


@task(help={"json": "one object on standard output"})
def status(_: Context, json: bool = False) -> None:
    """Show the lab's hosts, addresses and links."""
    _show(Lab.load().status(), as_json=json)


def _show(seen: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps(seen, indent=2))
        return
    if not seen["hosts"]:
        print(f"lab {seen['lab']}: not up; ./inv lab.up starts it")
    for host in seen["hosts"]:
        ports = dict(host["addresses"])
        if host.get("ramp") == "unplugged":
            ports["ramp"] = "unplugged"
        addresses = "  ".join(f"{name} {ip}" for name, ip in ports.items())
        print(f"{host['name']:8} {host['state']:8} {addresses}")
        if link := host.get("link"):
            print(f"{'':17} {_link(link)}")


def _link(link: dict[str, Any]) -> str:
    if not link["up"]:
        return "link cut"
    rate = f"{link['kbit'] / 1000:g} Mbit/s" if link["kbit"] else "no limit"
    moved = (
        f"{link['sent']['bytes'] / 1e6:.1f} MB up, {link['received']['bytes'] / 1e6:.1f} MB down"
    )
    return f"link {link['rtt_ms']:g} ms ±{link['jitter_ms']:g}, {rate}, {link['loss']:g} % loss; {moved}"


@task(positional=["host"], help={"host": "a host of the lab", "command": "run this, and come back"})
def ssh(_: Context, host: str, command: str = "") -> None:
    """Get a shell on a host."""
    lab = Lab.load()
    name = lab.host(host).name
    argv = ["ssh", "-F", str(lab.ssh_config()), name, *([command] if command else [])]
    os.execvp("ssh", argv)


@task(positional=["host"], help={"on": "boot it", "off": "cut the power, at once"})
def power(_: Context, host: str, on: bool = False, off: bool = False) -> None:
    """Cut a host's power, or switch it on."""
    Lab.load().power(host, _required(("on", on), ("off", off)))


@task(
    positional=["host"],
    help={
        "up": "mend it",
        "down": "cut it",
        "rtt_ms": "added round-trip time in ms",
        "jitter_ms": "up to so many ms more, each way",
        "loss": "per cent of packets lost, each way",
        "kbit": "rate each way in kbit/s; 0 sets no limit",
    },
)
def link(
    _: Context,
    host: str,
    up: bool = False,
    down: bool = False,
    rtt_ms: str | None = None,
    jitter_ms: str | None = None,
    loss: str | None = None,
    kbit: str | None = None,
) -> None:
    """Change an aircraft's cellular link, and show it."""
    now = Lab.load().link(
        host,
        up=_either(("up", up), ("down", down)),
        rtt_ms=_number("rtt-ms", rtt_ms),
        jitter_ms=_number("jitter-ms", jitter_ms),
        loss=_number("loss", loss),
        kbit=_number("kbit", kbit),
    )
    print(f"{host}  {_link(now)}")


@task(
    positional=["host"],
    help={
        "flight": "a recording, or the name of one in ci/lab/flights",
        "speed": "seconds of flight per second",
        "window": "FROM:TO in seconds from its start",
    },
)
def fly(_: Context, host: str, flight: str, speed: float = 1.0, window: str = "") -> None:
    """Play a recorded flight into an aircraft's avionics."""
    now = Lab.load().fly(host, flight, window or None, speed)
    print(f"{host}: flies {now['flight']}, {now['seconds']:.0f} s")


@task(positional=["host"], help={"up": "plug the cable in", "down": "pull it"})
def ramp(_: Context, host: str, up: bool = False, down: bool = False) -> None:
    """Plug an aircraft's ramp cable in, or pull it."""
    Lab.load().ramp(host, _required(("up", up), ("down", down)))


namespace = Collection("lab", up, down, status, ssh, power, link, fly, ramp)
