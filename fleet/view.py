"""The inventory as people and scripts see it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from fleet.inventory import Host


def listing(hosts: Sequence[Host], as_json: bool) -> list[str]:
    """Returns one line per host: name, groups, address, route, whether it is enrolled."""
    if as_json:
        return [
            json.dumps(
                {
                    "host": host.name,
                    "groups": host.groups,
                    "roles": host.roles,
                    "address": host.address,
                    "port": host.port,
                    "tower": host.tower,
                    "via": host.via,
                    "enrolled": host.enrolled,
                    "retired": host.retired or None,
                    "vars": dict(host.vars),
                    "secrets": {name: each.level for name, each in host.secrets.items()},
                    "facts": dict(host.facts),
                },
                ensure_ascii=False,
            )
            for host in hosts
        ]
    rows = [
        (
            host.name,
            ",".join(host.groups),
            f"{host.address}{f' via {host.via}' if host.via else ''}",
            "enrolled" if host.enrolled else "not enrolled yet",
        )
        for host in hosts
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return ["  ".join(map(str.ljust, row, [*widths, 0])) for row in rows]


def describe(host: Host, explain: bool) -> list[str]:
    """Returns what the inventory says of a host; with `explain` also where each variable is from,
    and what it stands over."""
    lines = [
        f"{host.name} (groups: {', '.join(host.groups)}; roles: {', '.join(host.roles)})",
        f"  reached at {host.user}@{host.address}:{host.port}"
        f"{f' via {host.via}' if host.via else ''}; tower {host.tower or 'none'}",
    ]
    for name, value in sorted(host.vars.items()):
        lines.append(f"  {name} = {_json(value)}")
        if explain:
            origin = host.origins[name]
            lines[-1] += f"    # {origin}"
            lines += [f"    over {_json(each.value)}    # {each}" for each in origin.overridden()]
    for name, origin in sorted(host.secrets.items()):
        lines.append(f"  {name} is a secret" + (f"    # {origin}" if explain else ""))
        lines += [f"    over    # {each}" for each in origin.overridden() if explain]
    lines += [f"  {name}: {value}" for name, value in host.facts.items()]
    return lines


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
