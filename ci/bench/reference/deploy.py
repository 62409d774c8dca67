"""The reference role as pyinfra's deploys are written; runs in the peers' environment."""

from __future__ import annotations

import sys
from pathlib import Path

from pyinfra.operations import apt, files, server, systemd

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
import wanted  # noqa: E402  # a neighbour here: our packages are not in the peers' environment

apt.packages(packages=wanted.PACKAGES, _sudo=False)
for name in wanted.USERS:
    server.user(user=name, home=f"/home/{name}", shell="/bin/bash", ensure_home=True)
for path in (wanted.TOP, *wanted.DIRECTORIES):
    files.directory(path=path, user="root", group="root", mode="755")
for path in wanted.TEMPLATES:
    files.template(
        src=str(HERE / "templates/service.conf.j2"),
        dest=path,
        user="root",
        group="root",
        mode="644",
        jinja_env_kwargs={"trim_blocks": True},
        **wanted.variables(path),
    )
for path, target in wanted.LINKS:
    files.link(path=path, target=target)
for path, match, text in wanted.LINES:
    files.line(path=path, line=match + ".*", replace=text)
for name in wanted.SERVICES:
    systemd.service(service=f"{name}.service", running=True, enabled=True)
