"""What both kinds of host run our apps with: PostgreSQL, Redis, nginx, settings and units."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import require
from roles import cache, database
from roles.context import Context


def apply(
    host: Context,
    *,
    site: str,
    settings: Mapping[str, object],
    folders: Sequence[str],
    reads: Sequence[str] = (),
    **site_vars: Any,
) -> None:
    """Declares database, cache, web server, and the settings and folders of our processes.

    `site` is the nginx template, rendered with `site_vars`; `settings` are those of
    `common/settings.py` without their prefix, for which the units `reads` begin anew; `folders` lie in
    /var/lib/turnaround.
    """
    database.apply(host)
    cache.apply(host)
    require.apt.packages(["nginx"])
    require.user.user("www-data", groups=["turnaround"])
    # It comes with the package, and would listen on all addresses.
    require.nginx.absent_site("default")
    require.nginx.site("turnaround", template=site, **site_vars)
    require.systemd.service("nginx")

    for folder in folders:
        require.file.directory(f"/var/lib/turnaround/{folder}", owner="turnaround", mode=0o750)
    require.command.command(
        "secret key of our apps",
        "umask 027; head -c 48 /dev/urandom | base64 -w0 > /etc/turnaround/keys/secret_key.new"
        " && chgrp turnaround /etc/turnaround/keys/secret_key.new"
        " && sync /etc/turnaround/keys/secret_key.new"
        " && mv /etc/turnaround/keys/secret_key.new /etc/turnaround/keys/secret_key",
        unless="test -s /etc/turnaround/keys/secret_key",
    )
    require.file.template(
        "/etc/turnaround/app.env",
        template="app/app.env.j2",
        notify=[require.systemd.restarted(unit) for unit in reads],
        mode=0o640,
        group="turnaround",
        name=host.name,
        settings=sorted(
            (key, quoted(value)) for key, value in {"node": host.name, **settings}.items()
        ),
    )


def quoted(value: object) -> str:
    """Returns a setting's value as it stands between double quotes, for systemd and for the shell.

    Raises `require.DeclarationError` when it holds a line break, which neither could read.

    Example: `quoted("$HOME")` is `"\\\\$HOME"`.
    """
    text = str(value)
    if "\n" in text:
        raise require.DeclarationError(
            f"the setting {text!r} holds a line break; write it in one line"
        )
    return re.sub(r'([\\"$`])', r"\\\1", text)


def key(name: str) -> None:
    """Declares that a key which was made here belongs to our account."""
    path = f"/etc/turnaround/keys/{name}"
    require.command.command(
        f"{name} belongs to our account",
        ["chown", "turnaround:turnaround", path],
        unless=f'test "$(stat -c %U {path})" = turnaround',
    )


def script(host: Context, name: str, *, kind: str, module: str, purpose: str) -> None:
    """Declares /opt/turnaround/bin/NAME, which runs a module of the current release of a kind."""
    command = "deploy-hangar" if kind == "hangar" else "deploy-aircraft"
    require.file.template(
        f"/opt/turnaround/bin/{name}",
        template="bin/in-release.sh.j2",
        mode=0o755,
        kind=kind,
        purpose=purpose,
        deploy=f"{command} --target {host.name}",
        module=module,
    )


def quarantine(host: Context, *, kind: str) -> None:
    """Declares /opt/turnaround/bin/quarantine, which both ends have."""
    script(
        host,
        "quarantine",
        kind=kind,
        module="sync.quarantine_orders",
        purpose="Rows that the database refused: takes orders of ops from standard input.",
    )


def unit(
    name: str,
    *,
    kind: str,
    description: str,
    command: str,
    groups: Sequence[str] = (),
    umask: str | None = None,
    memory: str = "512M",
    finish_s: int | None = None,
    **walls: Any,
) -> None:
    """Declares one of our processes as a unit that waits for the first release of its kind.

    `finish_s` is for a process that ends what it has begun when it is stopped: it gets so many seconds,
    and what it started is left alone until then. `walls` are the variables of
    `templates/systemd/sandbox.j2`: what it needs beyond its walls.
    """
    settings_changed = [require.systemd.restarted(name)]
    require.systemd.unit(
        f"{name}.service",
        template="systemd/app.service.j2",
        kind=kind,
        description=description,
        command=command,
        groups=groups,
        umask=umask,
        memory=memory,
        finish_s=finish_s,
        notify=settings_changed,
        **walls,
    )
    require.systemd.service(name)


def beside(
    name: str,
    *,
    kind: str,
    description: str,
    command: str,
    finish_s: int,
    groups: Sequence[str] = (),
    **walls: Any,
) -> None:
    """Declares a process that serves people: each version is a unit of its own, `NAME@VERSION.service`.

    `command` may say `%i` for the version. It gets `finish_s` seconds for the requests that it has begun.
    `NAME.target` stands for whichever runs; `fleet/aboard` decides which, and starts it at boot too.
    """
    target = f"{name}.target"
    require.systemd.unit(
        target,
        content=f"[Unit]\nDescription={description}\n\n[Install]\nWantedBy=multi-user.target\n",
    )
    require.systemd.unit(
        f"{name}@.service",
        template="systemd/app@.service.j2",
        target=target,
        kind=kind,
        description=description,
        command=command,
        groups=groups,
        umask="0007",
        finish_s=finish_s,
        notify=[require.systemd.restarted(target)],
        **walls,
    )
    require.systemd.service(target)
    # Before, one unit of this name ran whatever was current. It serves on until the next deploy.
    require.systemd.service(name, enabled=False, running=None)
