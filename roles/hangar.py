"""The hangar: editors and ops on the public side, aircraft through the tower."""

from __future__ import annotations

import require
from roles import firewall, services
from roles.context import Context, in_group
from roles.firewall import Side
from roles.tower import LISTEN_PORT

GUNICORN = (
    "gunicorn --workers 2 --threads 8 --worker-class gthread --umask 007 --timeout 120 --no-control-socket"
    " --bind unix:/run/turnaround/web.sock hangar_app:create_app()"
)
GATE = "/opt/turnaround/current/hangar/bin/python -m sync.gate"


def apply(host: Context) -> None:
    """Declares the hangar."""
    aircraft = in_group(host, "aircraft")
    public = host.vars.get("public_interface", "cell0")
    firewall.apply(
        host,
        [Side(public, tcp=(22, 80), udp=(LISTEN_PORT,)), Side("wg0", tcp=(22, 80))],
    )
    require.apt.packages(["ffmpeg"])
    services.apply(
        host,
        site="nginx/hangar.conf.j2",
        public_address=host.vars["public_address"],
        tower_address=host.tower,
        folders=["content", "imports"],
        settings={
            "role": "hangar",
            "airline": host.vars["airline"],
            "airline_name": host.vars["airline_name"],
        },
    )
    require.file.template(
        "/etc/turnaround/fleet.json",
        template="app/fleet.json.j2",
        aircraft=[
            {"name": name, "tower": other.tower, "airline": other.vars["airline"]}
            for name, other in aircraft.items()
        ],
    )

    # The aircraft's way in: one account, a key each, a command that sees only that aircraft's folders.
    require.user.user(
        "fleet",
        home="/var/lib/turnaround/fleet",
        shell="/bin/sh",
        locked=True,
        authorized_keys=[
            f'command="{GATE} {name}",restrict {other.facts["ssh_key"]}'
            for name, other in aircraft.items()
            if other.facts.get("ssh_key")
        ],
    )
    for folder in ("sync", "sync/inbox", "sync/outbox"):
        require.file.directory(
            f"/var/lib/turnaround/{folder}", owner="turnaround", group="fleet", mode=0o750
        )
    for name in aircraft:
        require.file.directory(
            f"/var/lib/turnaround/sync/inbox/{name}", owner="fleet", group="turnaround", mode=0o2770
        )
        require.file.directory(
            f"/var/lib/turnaround/sync/outbox/{name}", owner="turnaround", group="fleet", mode=0o750
        )

    # The hangar's way to the aircraft.
    require.file.file(
        "/etc/turnaround/keys/known_hosts",
        content="".join(
            f"{other.tower} {other.facts['host_key']}\n"
            for other in aircraft.values()
            if other.facts.get("host_key")
        ),
    )
    services.key("dispatch_ed25519")
    services.script(
        host,
        "fleet-status",
        kind="hangar",
        module="hangar_app.status",
        purpose="What the hangar knows of the fleet, as JSON.",
    )
    services.script(
        host,
        "staff",
        kind="hangar",
        module="hangar_app.staff",
        purpose="Who may use the hangar's pages: staff add EMAIL, the password on standard input.",
    )

    services.unit(
        "turnaround-web",
        kind="hangar",
        description="The hangar's pages and the heartbeats",
        command=GUNICORN,
        umask="0007",
    )
    services.unit(
        "turnaround-worker",
        kind="hangar",
        description="The hangar's tasks: dispatch, sync, media",
        command="celery -A hangar_app.worker worker -Q dispatch,sync,media --concurrency 4",
        memory="2G",
    )
