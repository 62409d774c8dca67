"""Units of systemd: their files, timers and masks, whether they run, and restarts as handlers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from require import templates, units
from require.catalog import declared, is_declared
from require.errors import DeclarationError
from require.remote.systemd import BROKEN, MASKED, OFF, ON, UNITS
from require.resource import Change, Handler, NoChange, Plan, Resource, Spec, State, Unknown, keys
from require.resources import file
from require.resources.command import words
from require.units import DAEMON_RELOAD


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
        files = (f"file:{UNITS}/{self.name}", f"file:{UNITS}/{generic}")
        return (*files, f"systemd.mask:{self.name}")

    def question(self) -> Spec:
        return {"name": self.name}

    def order(self) -> Spec:
        return {"enabled": self.enabled, "running": self.running}

    def plan(self, state: State) -> Plan:
        if not state["systemd"]:
            return Unknown("systemd does not run on this host", blocked=True)
        if self.enabled or self.running:
            if state["load"] == "not-found":
                return Unknown(f"until there is a unit {self.name}")
            if state["load"] == "masked":
                return Unknown(f"until {self.name} is no longer masked")
            if state["load"] in BROKEN:
                return Unknown(f"until systemd can load {self.name}, which has a bad setting")
        differs = ["have its files read again"] if state["stale"] else []
        if self.enabled is True and state["enabled"] in OFF:
            differs.append("enable")
        if self.enabled is False and state["enabled"] in ON:
            differs.append("disable")
        if self.running is True and not state["active"] and not state["waits_for"]:
            differs.append("start")
        if self.running is False and state["active"]:
            differs.append("stop")
        return Change(", ".join(differs)) if differs else NoChange()


@dataclass(frozen=True, kw_only=True)
class Mask(Resource):
    """Whether anything can start a unit.

    Args:
        name: unit name with its suffix.
        masked: nothing can, and it does not run.
    """

    noun: ClassVar[str] = "systemd"

    name: str
    masked: bool

    @property
    def key(self) -> str:
        return f"systemd.mask:{self.name}"

    def question(self) -> Spec:
        return {"name": self.name}

    def order(self) -> Spec:
        return {"masked": self.masked}

    def plan(self, state: State) -> Plan:
        if not state["systemd"]:
            return Unknown("systemd does not run on this host", blocked=True)
        if not self.masked:
            return Change("unmask") if state["enabled"] in MASKED else NoChange()
        if state["own"]:
            return Unknown(
                f"{UNITS}/{self.name} is where the mask would be: remove it", blocked=True
            )
        differs = [] if state["enabled"] == "masked" else ["mask"]
        differs += ["stop"] if state["active"] else []
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
    """Declare a unit file in /etc/systemd/system. It comes before all services and commands, unless
    it needs more than files, so that systemd reads its units again once.

    A file that systemd would not load, or of which it would pass over a value that it cannot read,
    is refused and not put in place. What is merely not there yet (a program, another unit, an
    account) is no reason, and neither is a setting that this systemd does not know.

    Args:
        name: "turnaround-api.service", or any other kind of unit; ".service" may be left out.
        content: text of the unit; or
        template: path of a template below the folder of templates, rendered with `variables`.
        needs: resources that must be right first.
        notify: handlers to run after a change, such as `restarted(name)`.
        variables: what the template may use.

    Raises:
        DeclarationError: neither or both of content and template; a template that does not render;
            a name that no unit can have.

    Example:
        >>> require.systemd.unit("turnaround-api.service", template="systemd/app.service.j2",
        ...     module="onboard_app", notify=[require.systemd.restarted("turnaround-api")])
    """
    text = templates.given(f"systemd.unit({name!r})", content, template, variables)
    return units.put(units.full_name(name), text, needs, notify)


def drop_in(
    unit: str,
    name: str,
    /,
    *,
    content: str | None = None,
    template: str | None = None,
    needs: Sequence[Resource] = (),
    notify: Sequence[Handler] = (),
    **variables: Any,
) -> file.File:
    """Declare settings that are added to a unit which others own, in UNIT.d/NAME.conf; the folder
    is declared as well.

    Args:
        unit: name of the unit; ".service" may be left out. Of a template ("wg-quick@.service") it
            holds for all instances. The unit need not be there yet.
        name: of the file, without ".conf".
        content: text of the settings with their section; or
        template: path of a template below the folder of templates, rendered with `variables`.
        needs: resources that must be right first.
        notify: handlers to run after a change, such as `restarted(unit)`; without one, what runs
            keeps its former settings until its next start.
        variables: what the template may use.

    Raises:
        DeclarationError: neither or both of content and template; a template that does not render;
            a name that no unit or no file can have.

    Example:
        >>> require.systemd.drop_in("nginx", "limits", content="[Service]\nLimitNOFILE=65536\n",
        ...     notify=[require.systemd.restarted("nginx")])
    """
    what = f"systemd.drop_in({unit!r}, {name!r})"
    if not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*", name):
        raise DeclarationError(f"{what}: wanted the name of a file, without its folder and .conf")
    folder = f"{UNITS}/{units.full_name(unit)}.d"
    if not is_declared(f"file:{folder}"):
        file.directory(folder)
    return file.file(
        f"{folder}/{name}.conf",
        content=templates.given(what, content, template, variables),
        needs=needs,
        notify=(DAEMON_RELOAD, *notify),
    )


def timer(
    name: str,
    *,
    command: Sequence[str] | str = (),
    unit: str = "",
    on_calendar: str = "",
    on_boot: str = "",
    every: str = "",
    persistent: bool = False,
    randomized_delay: str = "",
    user: str = "",
    description: str = "",
    needs: Sequence[Resource] = (),
    notify: Sequence[Handler] = (),
) -> Service:
    """Declare a timer that is enabled and runs, and the service that it starts.

    A timer whose times change begins anew; a service that runs just then is left alone.

    Args:
        name: of the timer, without ".timer".
        command: what to run, as NAME.service of type oneshot; program and arguments, of which
            systemd expands nothing, or a line for /bin/sh. Or
        unit: an existing unit to start instead; ".service" may be left out.
        on_calendar: when, as systemd.time(7) writes it, such as "Mon..Fri 04:00" or "hourly".
        on_boot: how long after boot, such as "1min".
        every: how long after the last time; the first is so long after the timer began, if nothing
            else says when.
        persistent: a time of `on_calendar` that passed while the host was off is made up for.
        randomized_delay: up to so much later, each time anew: a fleet does not call all at once.
        user: account that the command runs as; root if left out.
        description: one line for people.
        needs: resources that must be right before it starts.
        notify: handlers to run after the timer or its service has changed.

    Raises:
        DeclarationError: neither or both of command and unit; nothing says when; `persistent`
            without `on_calendar`; `user` without `command`; a line break.

    Example:
        >>> require.systemd.timer("turnaround-tidy", on_calendar="daily", persistent=True,
        ...     randomized_delay="1h", command=["/opt/turnaround/bin/tidy", "--older-than", "30"])
    """
    what = f"systemd.timer({name!r})"
    if bool(command) == bool(unit) or (user and unit):
        raise DeclarationError(f"{what}: wanted command= (which may have user=) or unit=")
    about = description or f"Start {unit or name} when it is time"
    if command:
        does = units.oneshot(words(command), user=user, description=about)
        needs = (units.put(f"{name}.service", does, notify=notify), *needs)
    full = units.full_name(f"{name}.timer")
    times = units.timer(
        what,
        unit=unit and units.full_name(unit),
        on_calendar=on_calendar,
        on_boot=on_boot,
        every=every,
        persistent=persistent,
        randomized_delay=randomized_delay,
        description=about,
    )
    # When its file is read again, what counts from its own start may never come: it must start anew.
    units.put(full, times, notify=(restarted(full), *notify))
    return service(full, needs=needs)


def service(
    name: str,
    *,
    enabled: bool | None = True,
    running: bool | None = True,
    needs: Sequence[Resource] = (),
    notify: Sequence[Handler] = (),
) -> Service:
    """Declare that a unit of any kind starts at boot and runs now.

    A unit whose `ConditionPathExists=` is not met is as declared although it does not run: it
    waits for that path. One that has nothing to enable (static, indirect, generated) is as declared
    whatever `enabled` says; enabled until the next boot only is not enabled. One that is masked is
    not started: somebody forbade it, and `unmasked` is the way to allow it.

    When the unit's files are not those that systemd has read, it reads them again.

    Args:
        name: unit name, such as "api.socket" or "spool.path"; ".service" may be left out.
        enabled: starts at boot; False: does not; None leaves it.
        running: runs now; False: does not; None leaves it, as for what a socket, a path or a timer
            starts.
        needs: resources that must be right first (a unit file declared here is known).
        notify: handlers to run after a change.

    Raises:
        DeclarationError: a name that no unit can have, or that of a template.

    Example:
        >>> require.systemd.service("nginx")
        >>> require.systemd.service("apt-daily.timer", enabled=False, running=False)
    """
    return declared(
        Service(
            name=units.started_name(name),
            enabled=enabled,
            running=running,
            needs=keys(needs),
            notify=tuple(notify),
        )
    )


def masked(name: str, *, needs: Sequence[Resource] = (), notify: Sequence[Handler] = ()) -> Mask:
    """Declare that nothing can start a unit, not even what needs it, and that it does not run.

    It need not be there yet: before its package it keeps that from starting it. A unit whose file is
    in /etc/systemd/system cannot be masked, for the mask would be there.

    Args:
        name: unit name; ".service" may be left out.
        needs: resources that must be right first.
        notify: handlers to run after a change.

    Raises:
        DeclarationError: a name that no unit can have, or that of a template.

    Example:
        >>> require.systemd.masked("systemd-networkd-wait-online")
    """
    return declared(
        Mask(name=units.started_name(name), masked=True, needs=keys(needs), notify=tuple(notify))
    )


def unmasked(name: str, *, needs: Sequence[Resource] = (), notify: Sequence[Handler] = ()) -> Mask:
    """Declare that a unit is not masked, neither for good nor until the next boot; a `service` of
    that name comes after it.

    Args:
        name: unit name; ".service" may be left out.
        needs: resources that must be right first.
        notify: handlers to run after a change.

    Raises:
        DeclarationError: a name that no unit can have, or that of a template.

    Example:
        >>> require.systemd.unmasked("nftables")
        >>> require.systemd.service("nftables")
    """
    return declared(
        Mask(name=units.started_name(name), masked=False, needs=keys(needs), notify=tuple(notify))
    )


def restarted(name: str) -> Handler:
    """Return the handler that restarts a unit, for `notify=[…]`.

    It runs once, after all changes, however many resources notify it; if the run breaks before,
    the next run does it. What a socket is handed to stops while the socket is restarted.

    Args:
        name: unit name; ".service" may be left out.

    Raises:
        DeclarationError: a name that no unit can have, or that of a template.

    Example:
        >>> require.file.template("/etc/redis/redis.conf", template="redis/redis.conf.j2",
        ...     notify=[require.systemd.restarted("redis-server")])
    """
    return Handler("systemd", {"verb": "restarted", "name": units.started_name(name)})


def reloaded(name: str) -> Handler:
    """Return the handler that reloads a unit, or restarts it when it cannot reload.

    A unit that is restarted in the same run is not reloaded as well.

    Args:
        name: unit name; ".service" may be left out.

    Raises:
        DeclarationError: a name that no unit can have, or that of a template.

    Example:
        >>> require.file.template("/etc/nftables.conf", template="firewall/nftables.conf.j2",
        ...     notify=[require.systemd.reloaded("nftables")])
    """
    return Handler("systemd", {"verb": "reloaded", "name": units.started_name(name)})
