"""What units are declared to be: what follows from each thing that systemd may say of one, and the
texts of the files that are made from a few words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import require
from require.errors import DeclarationError
from require.resource import Change, NoChange, Plan, Resource, Unknown

Case = tuple[Callable[[], Resource], dict[str, Any], Plan]


def api() -> Resource:
    return require.systemd.service("api")


def off() -> Resource:
    return require.systemd.service("apt-daily.timer", enabled=False, running=False)


def masked() -> Resource:
    return require.systemd.masked("api")


def unmasked() -> Resource:
    return require.systemd.unmasked("api")


def unit(**more: Any) -> dict[str, Any]:
    state = {"systemd": True, "load": "loaded", "active": True, "enabled": "enabled"}
    return state | {"own": False, "stale": False, "waits_for": []} | more


GONE = unit(load="not-found", active=False, enabled="")
MASKED = unit(load="masked", active=False, enabled="masked")
NO_SYSTEMD = Unknown("systemd does not run on this host", blocked=True)

SERVICE: dict[str, Case] = {
    "as declared": (api, unit(), NoChange()),
    "stopped and disabled": (api, unit(active=False, enabled="disabled"), Change("enable, start")),
    "waits for its condition": (api, unit(active=False, waits_for=["/opt/x"]), NoChange()),
    "not there yet": (api, GONE, Unknown("until there is a unit api.service")),
    "no systemd": (api, {"systemd": False}, NO_SYSTEMD),
    "masked": (api, MASKED, Unknown("until api.service is no longer masked")),
    "masked until the next boot": (
        api,
        MASKED | {"enabled": "masked-runtime"},
        Unknown("until api.service is no longer masked"),
    ),
    "masked, and runs still": (
        api,
        MASKED | {"active": True},
        Unknown("until api.service is no longer masked"),
    ),
    "a bad setting": (
        api,
        unit(load="bad-setting", enabled="static"),
        Unknown("until systemd can load api.service, which has a bad setting"),
    ),
    "no unit file at all": (
        api,
        unit(load="error", enabled="bad", active=False),
        Unknown("until systemd can load api.service, which has a bad setting"),
    ),
    "other files than systemd has read": (
        api,
        unit(stale=True, active=False),
        Change("have its files read again, start"),
    ),
    "declared off, runs": (off, unit(), Change("disable, stop")),
    "declared off, not there": (off, GONE, NoChange()),
    "declared off, runs without its file": (off, GONE | {"active": True}, Change("stop")),
    "declared off, masked": (off, MASKED, NoChange()),
    "running is left": (
        lambda: require.systemd.service("api", running=None),
        unit(active=False),
        NoChange(),
    ),
    "a socket": (
        lambda: require.systemd.service("api.socket"),
        unit(active=False, enabled="disabled"),
        Change("enable, start"),
    ),
    "a path": (
        lambda: require.systemd.service("spool.path"),
        unit(active=False),
        Change("start"),
    ),
    "to be masked": (masked, unit(), Change("mask, stop")),
    "to be masked, not there": (masked, GONE, Change("mask")),
    "masked as declared": (masked, MASKED, NoChange()),
    "masked, but it runs": (masked, MASKED | {"active": True}, Change("stop")),
    "to be masked for good": (masked, MASKED | {"enabled": "masked-runtime"}, Change("mask")),
    "a file in the mask's place": (
        masked,
        unit(own=True),
        Unknown("/etc/systemd/system/api.service is where the mask would be: remove it", True),
    ),
    "mask without systemd": (masked, {"systemd": False}, NO_SYSTEMD),
    "to be unmasked": (unmasked, MASKED, Change("unmask")),
    "to be unmasked now": (unmasked, MASKED | {"enabled": "masked-runtime"}, Change("unmask")),
    "unmasked as declared": (unmasked, unit(own=True), NoChange()),
    "unmasked, not there": (unmasked, GONE, NoChange()),
}


@pytest.mark.parametrize(("make", "state", "expected"), SERVICE.values(), ids=SERVICE)
def test_plan(make: Callable[[], Resource], state: dict[str, Any], expected: Plan) -> None:
    with require.declare():
        assert make().plan(state) == expected


NOTHING = NoChange()
ENABLED_STATES: dict[str, tuple[Plan, Plan]] = {
    "enabled": (NOTHING, Change("disable")),
    "enabled-runtime": (Change("enable"), Change("disable")),
    "disabled": (Change("enable"), NOTHING),
    "linked": (Change("enable"), NOTHING),
    "linked-runtime": (Change("enable"), NOTHING),
    "static": (NOTHING, NOTHING),
    "indirect": (NOTHING, NOTHING),
    "generated": (NOTHING, NOTHING),
    "transient": (NOTHING, NOTHING),
    "alias": (NOTHING, NOTHING),
    "": (NOTHING, NOTHING),
}


@pytest.mark.parametrize(("said", "plans"), ENABLED_STATES.items(), ids=ENABLED_STATES)
def test_what_can_be_enabled_is_and_what_cannot_is_left(
    said: str, plans: tuple[Plan, Plan]
) -> None:
    for enabled, expected in zip((True, False), plans, strict=True):
        with require.declare():
            resource = require.systemd.service("api", enabled=enabled, running=None)
        assert resource.plan(unit(enabled=said)) == expected
    with require.declare():
        left = require.systemd.service("api", enabled=None, running=None)
    assert left.plan(unit(enabled=said)) == NOTHING


def content(catalog: require.Catalog, name: str) -> str:
    resource: Any = catalog[f"file:/etc/systemd/system/{name}"]
    return str(resource.content.decode())


def test_a_timer_brings_its_service() -> None:
    with require.declare() as catalog:
        timer = require.systemd.timer(
            "tidy",
            command=["/opt/tidy", "50 %", 'of "$HOME"', "a\\b", "--days=3"],
            on_calendar="Mon..Fri 04:00",
            persistent=True,
            randomized_delay="1h",
            user="turnaround",
            description="Tidy 100%",
        )
    assert [each.key for each in catalog.ordered()] == [
        "file:/etc/systemd/system/tidy.service",
        "file:/etc/systemd/system/tidy.timer",
        "systemd.service:tidy.timer",
    ]
    assert content(catalog, "tidy.service") == (
        "[Unit]\nDescription=Tidy 100%%\n\n[Service]\nType=oneshot\nUser=turnaround\n"
        'ExecStart=/opt/tidy "50 %%" "of \\"$$HOME\\"" "a\\\\b" --days=3\n'
    )
    assert content(catalog, "tidy.timer") == (
        "[Unit]\nDescription=Tidy 100%%\n\n[Timer]\nOnCalendar=Mon..Fri 04:00\nPersistent=yes\n"
        "RandomizedDelaySec=1h\n\n[Install]\nWantedBy=timers.target\n"
    )
    assert (timer.enabled, timer.running) == (True, True)
    assert timer.needs == ("file:/etc/systemd/system/tidy.service",)
    assert [each.key for each in catalog["file:/etc/systemd/system/tidy.timer"].notify] == [
        "systemd.daemon-reload",
        "systemd.restarted:tidy.timer",
    ]
    # The service is not interrupted: its next time is early enough.
    assert [each.key for each in catalog["file:/etc/systemd/system/tidy.service"].notify] == [
        "systemd.daemon-reload"
    ]


@pytest.mark.parametrize(
    ("given", "lines"),
    [
        ({"every": "1h"}, "OnActiveSec=1h\nOnUnitActiveSec=1h\n"),
        ({"every": "1h", "on_boot": "1min"}, "OnBootSec=1min\nOnUnitActiveSec=1h\n"),
        ({"on_boot": "1min"}, "OnBootSec=1min\n"),
        ({"every": "1h", "on_calendar": "daily"}, "OnCalendar=daily\nOnUnitActiveSec=1h\n"),
    ],
)
def test_a_timer_of_another_unit_has_always_a_first_time(given: dict[str, str], lines: str) -> None:
    with require.declare() as catalog:
        require.systemd.timer("tidy", unit="tidy-all", **given)  # type: ignore[arg-type]
    assert f"[Timer]\n{lines}Unit=tidy-all.service\n" in content(catalog, "tidy.timer")
    assert "file:/etc/systemd/system/tidy.service" not in catalog


def test_a_command_of_one_line_is_the_shells() -> None:
    with require.declare() as catalog:
        require.systemd.timer("tidy", command="date; true", every="1h")
    assert 'ExecStart=/bin/sh -c "date; true"\n' in content(catalog, "tidy.service")


def test_drop_ins_of_one_unit_share_their_folder() -> None:
    with require.declare() as catalog:
        restart = [require.systemd.restarted("nginx")]
        require.systemd.drop_in("nginx", "limits", content="[Service]\n", notify=restart)
        require.systemd.drop_in("nginx", "order", content="[Unit]\n")
        require.systemd.drop_in("wg-quick@.service", "reload", content="[Service]\n")
    folder = "file:/etc/systemd/system/nginx.service.d"
    assert [each.key for each in catalog] == [
        folder,
        f"{folder}/limits.conf",
        f"{folder}/order.conf",
        "file:/etc/systemd/system/wg-quick@.service.d",
        "file:/etc/systemd/system/wg-quick@.service.d/reload.conf",
    ]
    limits = catalog[f"{folder}/limits.conf"]
    assert [each.key for each in limits.notify] == [
        "systemd.daemon-reload",
        "systemd.restarted:nginx.service",
    ]


def test_a_service_comes_after_what_unmasks_it() -> None:
    with require.declare() as catalog:
        service = require.systemd.service("api")
        mask = require.systemd.unmasked("api")
    assert list(catalog.ordered()) == [mask, service]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: require.systemd.timer("t", every="1h"), "wanted command="),
        (lambda: require.systemd.timer("t", every="1h", unit="u", command="x"), "wanted command="),
        (lambda: require.systemd.timer("t", every="1h", unit="u", user="x"), "wanted command="),
        (lambda: require.systemd.timer("t", unit="u"), "nothing says when"),
        (lambda: require.systemd.timer("t", unit="u", every="1h", persistent=True), "persistent"),
        (lambda: require.systemd.timer("t", unit="u", every="1h\nx=y"), "wanted one line"),
        (lambda: require.systemd.timer("t", unit="u", every="1h\\"), "wanted one line"),
        (lambda: require.systemd.timer("t /", unit="u", every="1h"), "name of a unit"),
        (lambda: require.systemd.drop_in("nginx", "a/b", content=""), "name of a file"),
        (lambda: require.systemd.drop_in("nginx", "", content=""), "name of a file"),
        (lambda: require.systemd.drop_in("nginx", "a"), "one of them"),
        (lambda: require.systemd.unit("nginx.service.d/a.conf", content=""), "name of a unit"),
        (lambda: require.systemd.masked("a b"), "name of a unit"),
        (lambda: require.systemd.masked("getty@"), r"getty@\.service is a template"),
        (lambda: require.systemd.service("x@.socket"), r"x@\.socket is a template"),
    ],
)
def test_a_declaration_that_cannot_hold_is_refused(make: Callable[[], Resource], said: str) -> None:
    with pytest.raises(DeclarationError, match=said), require.declare():
        make()


@pytest.mark.parametrize(
    "kind", ["automount", "mount", "path", "scope", "socket", "swap", "target"]
)
def test_a_unit_of_any_kind_has_its_own_name(kind: str) -> None:
    with require.declare():
        assert require.systemd.service(f"srv.{kind}").key == f"systemd.service:srv.{kind}"
