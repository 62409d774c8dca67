"""The hangar: editors and ops on the public side, aircraft through the tower."""

from __future__ import annotations

from dataclasses import dataclass

import require
from roles import certificate, clock, firewall, packages, services, signers
from roles.context import Context, in_group, keys_of
from roles.firewall import Side
from roles.tower import LISTEN_PORT

GUNICORN = (
    "gunicorn --workers 2 --threads 8 --worker-class gthread --umask 007 --timeout 120 --no-control-socket"
    " --graceful-timeout 30 --bind unix:/run/turnaround/web-%i.sock hangar_app:create_app()"
)
AGE_KEY = "/etc/turnaround/keys/age.key"
DISPATCH_KEY = "/etc/turnaround/keys/dispatch_ed25519"
SYNC_KEY = "/etc/turnaround/keys/sync_ed25519"
# Of this host alone: what Prometheus reads.
METRICS_PORT = 9464
GATE = "/opt/turnaround/current/hangar/bin/python -m sync.gate"


@dataclass(frozen=True)
class Worker:
    """The one unit that serves a queue: its pool, how many at once, and how long it may finish.

    `uses` are the keys that it needs: to call aircraft, or to sign what they come for. Who calls none
    reaches this host only.
    """

    queue: str
    pool: str
    at_once: int
    memory: str
    finish_s: int
    uses: tuple[str, ...] = ()


# A release waits for what is short; a call and a film are cut, and done again.
WORKERS = (
    # As many as may land at once, and more: all it does is wait for SSH.
    Worker("dispatch", "threads", 64, "1G", 15, (DISPATCH_KEY,)),
    Worker("sync", "prefork", 2, "1G", 45, (SYNC_KEY,)),
    Worker("publish", "prefork", 1, "1G", 45, (SYNC_KEY,)),
    Worker("media", "prefork", 1, "2G", 15),
    # What it cuts goes on aboard, and the next heartbeat sees to it.
    Worker("converge", "threads", 16, "2G", 15, (DISPATCH_KEY, AGE_KEY)),
    Worker("campaign", "threads", 16, "1G", 15, (DISPATCH_KEY,)),
)


def apply(host: Context) -> None:
    """Declares the hangar."""
    aircraft = in_group(host, "aircraft")
    name = certificate.apply(host)
    public = host.vars.interface("public_interface", "cell0")
    firewall.apply(
        host,
        [
            Side(
                public,
                tcp=(22, 80, 443) if name else (22, 80),
                udp=(LISTEN_PORT,),
                ipv6=True,
            ),
            Side("wg0", tcp=(22, 80, packages.PORT), udp=(clock.PORT,)),
        ],
    )
    require.apt.packages(["age", "ffmpeg"])
    services.apply(
        host,
        site="nginx/hangar.conf.j2",
        public_address=host.vars.address("public_address"),
        tower_address=host.tower_address,
        metrics_port=METRICS_PORT,
        name=name,
        certificate=certificate.PATH,
        folders=["content", "imports", "artifacts"],
        settings={
            "role": "hangar",
            "airline": host.vars.text("airline"),
            "airline_name": host.vars.text("airline_name"),
        },
    )
    certificate.ends(name)
    imported = "turnaround-fleet-import"
    require.systemd.unit(f"{imported}.service", template="systemd/fleet-import.service.j2")
    require.file.template(
        "/etc/turnaround/fleet.json",
        template="app/fleet.json.j2",
        notify=[require.systemd.restarted(imported)],
        aircraft=[
            {
                "name": name,
                "tower": other.tower,
                "airline": other.vars.text("airline"),
                "destinations": other.vars.words("destinations", []),
                "languages": other.vars.words("languages", []),
            }
            for name, other in aircraft.items()
        ],
    )

    # The aircraft's way in: one account, a key each, a command that sees only that aircraft's folders. Only
    # over the tower: whoever is in goes on when a key is taken away, but not without a place there.
    require.user.user(
        "fleet",
        home="/var/lib/turnaround/fleet",
        shell="/bin/sh",
        locked=True,
        authorized_keys=[
            f'from="{other.tower}",command="{GATE} {name}",restrict {key}'
            for name, other in aircraft.items()
            for key in keys_of(other, "ssh_key")
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
    # What aircraft come for is signed with its own key, and what they bring with theirs.
    services.key("sync_ed25519")
    signers.apply({name: keys_of(other, "ssh_key") for name, other in aircraft.items()})
    # What opens the secrets that waiting configurations need: it is made here and stays here.
    require.command.command(
        "age key of the hangar",
        # It writes over nothing, not over what a power cut left of itself either.
        f"umask 077; rm -f {AGE_KEY}.new && age-keygen --output {AGE_KEY}.new && sync {AGE_KEY}.new"
        f" && mv {AGE_KEY}.new {AGE_KEY}",
        creates=AGE_KEY,
    )
    services.key("age.key")
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

    services.script(
        host,
        "wanting",
        kind="hangar",
        module="hangar_app.wanting",
        purpose="Takes what is to wait here for aircraft out of reach, from standard input.",
    )

    services.script(
        host,
        "campaign",
        kind="hangar",
        module="hangar_app.campaign_orders",
        purpose="Campaigns: takes artifacts and orders of ops from standard input.",
    )

    services.quarantine(host, kind="hangar")

    services.beside(
        "turnaround-web",
        kind="hangar",
        description="The hangar's pages and the heartbeats",
        command=GUNICORN,
        finish_s=40,
        memory="512M",
        chown=True,
        network=["localhost"],
        hidden=(AGE_KEY, DISPATCH_KEY, SYNC_KEY),
    )
    tower = str(host.vars.network("tower_network"))
    for worker in WORKERS:
        services.unit(
            f"turnaround-worker-{worker.queue}",
            kind="hangar",
            description=f"The hangar's tasks: {worker.queue}",
            command=f"celery -A hangar_app.worker worker -Q {worker.queue} -n {worker.queue}@{host.name}"
            f" --pool {worker.pool} --concurrency {worker.at_once}",
            memory=worker.memory,
            finish_s=worker.finish_s,
            cpu="400%",
            tasks=512,
            network=["localhost", tower] if DISPATCH_KEY in worker.uses else ["localhost"],
            hidden=[key for key in (AGE_KEY, DISPATCH_KEY, SYNC_KEY) if key not in worker.uses],
        )
