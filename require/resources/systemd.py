"""Units of systemd: their files, whether they run, and restarts as handlers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from require.catalog import declared, template_folder
from require.errors import DeclarationError
from require.resource import Change, Handler, NoChange, Plan, Resource, Spec, State, Unknown, keys
from require.resources import file
from require.templates import render

UNITS = "/etc/systemd/system"
_NAME = re.compile(r"[A-Za-z0-9_.@\\:-]+")
_SUFFIX = re.compile(r".*\.(service|socket|timer|path|mount|target|slice)")

DAEMON_RELOAD = Handler("systemd", {"verb": "daemon-reload"}, before=("systemd.", "command:"))


@dataclass(frozen=True, kw_only=True)
class Service(Resource):
    """Whether a unit starts at boot, and whether it runs now.

    Args:
        name: unit name with its suffix.
        enabled: starts at boot, or None to leave it.
        running: is active now, or None to leave it.
    """

    noun: ClassVar[str] = "systemd"

    name: str
    enabled: bool | None = True
    running: bool | None = True

    @property
    def key(self) -> str:
        return f"systemd.service:{self.name}"

    def natural_needs(self) -> tuple[str, ...]:
        generic = re.sub(r"@.*\.", "@.", self.name)
        return (f"file:{UNITS}/{self.name}", f"file:{UNITS}/{generic}")

    def question(self) -> Spec:
        return {"name": self.name}

    def order(self) -> Spec:
        return {"enabled": self.enabled, "running": self.running}

    def plan(self, state: State) -> Plan:
        if not state["systemd"]:
            return Unknown("systemd does not run on this host", blocked=True)
        if state["load"] == "not-found":
            if self.enabled or self.running:
                return Unknown(f"until there is a unit {self.name}")
            return NoChange()
        if state["load"] == "masked" and (self.enabled or self.running):
            return Unknown(f"{self.name} is masked: systemctl unmask {self.name}", blocked=True)
        differs = []
        # A static or generated unit has no [Install] section: nothing can enable or disable it.
        if self.enabled is True and state["enabled"] == "disabled":
            differs.append("enable")
        if self.enabled is False and state["enabled"] == "enabled":
            differs.append("disable")
        if self.running is True and not state["active"] and not state["waits_for"]:
            differs.append("start")
        if self.running is False and state["active"]:
            differs.append("stop")
        return Change(", ".join(differs)) if differs else NoChange()


def unit(
    name: str,
    /,
    *,
    content: str | None = None,
    template: str | None = None,
    needs: Sequence[Resource] = (),
    notify: Sequence[Handler] = (),
    **variables: Any,
) -> file.File:
    """Declare a unit file in /etc/systemd/system; systemd reads its units again once, after the
    last of them has changed and before any service is touched.

    Args:
        name: "turnaround-api.service", or a drop-in "nginx.service.d/limits.conf" (its directory
            is declared by you).
        content: text of the unit; or
        template: path of a template below the folder of templates, rendered with `variables`.
        needs: resources that must be right first.
        notify: handlers to run after a change, such as `restarted(name)`.

    Raises:
        DeclarationError: neither or both of content and template; a template that does not render.

    Example:
        >>> require.systemd.unit("turnaround-api.service", template="systemd/app.service.j2",
        ...     module="onboard_app", notify=[require.systemd.restarted("turnaround-api")])
    """
    if (content is None) == (template is None):
        raise DeclarationError(f"systemd.unit({name!r}): wanted content= or template=, one of them")
    text = content or ""
    what = render(template_folder(), template, variables) if template is not None else text
    return file.file(f"{UNITS}/{name}", content=what, needs=needs, notify=(DAEMON_RELOAD, *notify))


def service(
    name: str,
    *,
    enabled: bool | None = True,
    running: bool | None = True,
    needs: Sequence[Resource] = (),
    notify: Sequence[Handler] = (),
) -> Service:
    """Declare that a unit starts at boot and runs now.

    A unit whose `ConditionPathExists=` is not met is as declared although it does not run: it
    waits for that path.

    Args:
        name: unit name; ".service" may be left out.
        enabled: starts at boot; False: does not; None leaves it.
        running: runs now; False: does not; None leaves it.
        needs: resources that must be right first (a unit file declared here is known).
        notify: handlers to run after a change.

    Raises:
        DeclarationError: a name that no unit can have.

    Example:
        >>> require.systemd.service("nginx")
        >>> require.systemd.service("apt-daily.timer", enabled=False, running=False)
    """
    return declared(
        Service(
            name=_unit(name),
            enabled=enabled,
            running=running,
            needs=keys(needs),
            notify=tuple(notify),
        )
    )


def restarted(name: str) -> Handler:
    """Return the handler that restarts a unit, for `notify=[…]`.

    It runs once, after all changes, however many resources notify it; if the run breaks before,
    the next run does it.

    Example:
        >>> require.file.template("/etc/redis/redis.conf", template="redis/redis.conf.j2",
        ...     notify=[require.systemd.restarted("redis-server")])
    """
    return Handler("systemd", {"verb": "restarted", "name": _unit(name)})


def reloaded(name: str) -> Handler:
    """Return the handler that reloads a unit, or restarts it when it cannot reload.

    A unit that is restarted in the same run is not reloaded as well.
    """
    return Handler("systemd", {"verb": "reloaded", "name": _unit(name)})


def _unit(name: str) -> str:
    full = name if _SUFFIX.fullmatch(name) else f"{name}.service"
    if not _NAME.fullmatch(full):
        raise DeclarationError(f"{name!r} cannot be the name of a unit")
    return full
