"""An aircraft box: passengers on the cabin side, the tower on the other, avionics on a serial port."""

from __future__ import annotations

import json
import shlex

import require
from require.program import BOOTSTRAP
from roles import cabin, cache, certificate, firewall, services, signers
from roles.context import Context, keys_of
from roles.firewall import Side

GUNICORN = (
    "gunicorn --workers 2 --threads 8 --worker-class gthread --umask 007 --no-control-socket"
    " --graceful-timeout 30 --bind unix:/run/turnaround/api-%i.sock onboard_app:create_app()"
)


def apply(host: Context) -> None:
    """Declares an aircraft."""
    hangar = host.hangar
    cabin_address = host.vars.address("cabin_address")
    name = certificate.apply(host)
    firewall.apply(
        host,
        [
            Side(
                host.vars.interface("cabin_interface", "cabin0"),
                tcp=(80, 443) if name else (80,),
                udp=(53,),
                strangers=True,
            ),
            Side(host.vars.interface("ramp_interface", "ramp0"), tcp=(22,), ipv6=True),
            Side("wg0", tcp=(22,)),
        ],
    )
    portal = f"https://{name}" if name else f"http://{cabin_address}"
    cabin.apply(host, cabin_address, name)
    services.apply(
        host,
        site="nginx/aircraft.conf.j2",
        cabin_address=cabin_address,
        name=name,
        portal=portal,
        certificate=certificate.PATH,
        probe_paths=cabin.PROBE_PATHS,
        folders=["content", "sync"],
        # Of a rule for a link nobody would think of deploying a release.
        reads=["turnaround-agent"],
        settings={
            "role": "aircraft",
            "airline": host.vars.text("airline"),
            "airline_name": host.vars.text("airline_name"),
            "hangar_url": f"http://{hangar.tower_address}",
            "hangar_ssh": f"fleet@{hangar.tower_address}",
            "redis_url": f"unix://{cache.SOCKET}",
            "portal_url": portal,
            "cabin_address": cabin_address,
            "tower_endpoint": host.vars.endpoint("tower_endpoint"),
            "links": json.dumps(host.vars.links("links"), sort_keys=True),
        },
    )
    certificate.ends(name)

    # Its own way to the hangar, and the hangar's way here.
    require.file.file(
        "/etc/turnaround/keys/known_hosts",
        content=f"{hangar.tower_address} {hangar.facts.get('host_key', '')}\n",
    )
    services.key("sync_ed25519")
    signers.apply({"hangar": keys_of(hangar, "ssh_key")})
    services.script(
        host,
        "sync-now",
        kind="onboard",
        module="onboard_app.agent sync-now",
        purpose="Synchronises this aircraft with the hangar now; says on each line how far it is.",
    )
    services.quarantine(host, kind="onboard")
    # With this the hangar is root here: the inventory must say so.
    converge = host.vars.flag("converge_by_hangar", False)
    if converge:
        require.file.template(
            "/opt/turnaround/bin/converge",
            template="bin/converge.sh.j2",
            mode=0o755,
            bootstrap=shlex.quote(BOOTSTRAP),
        )
    else:
        require.file.absent("/opt/turnaround/bin/converge")
    require.file.template(
        "/opt/turnaround/bin/dispatch",
        template="bin/dispatch.sh.j2",
        mode=0o755,
        converge=converge,
    )
    require.file.template(
        "/etc/sudoers.d/turnaround-dispatch",
        template="ssh/dispatch.sudoers.j2",
        converge=converge,
        mode=0o440,
        validate=["visudo", "-c", "-f", "{}"],
    )
    require.user.user(
        "dispatch",
        shell="/bin/sh",
        locked=True,
        authorized_keys=[
            f'command="/opt/turnaround/bin/dispatch",restrict {key}'
            for key in keys_of(hangar, "dispatch_key")
        ],
    )

    services.unit(
        "turnaround-avionics",
        kind="onboard",
        description="Avionics: ARINC 429 from the serial port",
        command="onboard_app.avionics",
        groups=["dialout", "tty", "redis"],
        memory="128M",
        cpu="50%",
        tasks=16,
        devices=["/dev/ttyAVIONICS"],
        writes=[],
        hidden=["/etc/turnaround/keys", "/var/lib/turnaround"],
    )
    services.beside(
        "turnaround-api",
        kind="onboard",
        description="The passengers' API and portal",
        command=GUNICORN,
        finish_s=40,
        groups=["redis"],
        memory="512M",
        chown=True,
        hidden=["/etc/turnaround/keys/sync_ed25519"],
    )
    services.unit(
        "turnaround-agent",
        kind="onboard",
        description="The agent: heartbeats and synchronisation",
        command="onboard_app.agent run",
        groups=["redis"],
        memory="256M",
        cpu="150%",
        network=[f"{hangar.tower_address}/32"],
        # The name of this boot is in /proc/sys.
        all_proc=True,
    )
