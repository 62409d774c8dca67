"""The SSH server's settings: what is planned, and what is refused."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

import require
from require.errors import DeclarationError
from require.resource import Change, NoChange, Plan, Unknown
from require.resources.ssh import Server, Value

SETTINGS: dict[str, Value] = {
    "MaxSessions": 30,
    "MaxStartups": "60:30:120",
    "PerSourcePenalties": False,
    "AllowUsers": ["ops", "fleet"],
}
TEXT = """# Written by turnaround.
MaxSessions 30
MaxStartups 60:30:120
PerSourcePenalties no
AllowUsers ops fleet
"""
SHA = hashlib.sha256(TEXT.encode()).hexdigest()
HEEDS = (
    "sshd heeds what it reads first: {}. Remove it there, or give this drop-in a name before it in "
    "/etc/ssh/sshd_config.d"
)


def seen(**more: Any) -> dict[str, Any]:
    file = {"kind": "file", "mode": 0o644, "owner": "root", "group": "root", "sha": SHA, "size": 9}
    return file | {"broken": "", "shadowed": {}} | more


CASES: dict[str, tuple[dict[str, Any], Plan]] = {
    "as declared": (seen(), NoChange()),
    "as declared, and sshd was never started": (
        {key: value for key, value in seen().items() if key not in ("broken", "shadowed")},
        NoChange(),
    ),
    "wrong mode": (seen(mode=0o600), Change("mode 0600 → 0644")),
    "shadowed": (
        seen(
            shadowed={
                "maxsessions": ["5", "30", "/etc/ssh/sshd_config.d/10-x.conf:1"],
                "allowusers": ["", "ops fleet", ""],
            }
        ),
        Unknown(
            HEEDS.format(
                "MaxSessions is 5 instead of 30 (/etc/ssh/sshd_config.d/10-x.conf:1); "
                "AllowUsers is not set instead of ops fleet (set in none of its files: does sshd_config "
                "include /etc/ssh/sshd_config.d/*.conf?)"
            ),
            blocked=True,
        ),
    ),
    "a name that sshd passes over": (
        seen(shadowed={"maxsessions": ["5", "30", "x:1"], "persourcepenalties": ["", "", ""]}),
        Unknown(
            "sshd does not tell what it makes of PerSourcePenalties: it has another name by now, or no "
            "effect; see sshd_config(5)",
            blocked=True,
        ),
    ),
    "somebody broke another file": (
        seen(broken="10-x.conf: line 1: Bad configuration option: Foo"),
        Unknown(
            "sshd runs on, and would not start again, for it does not take its configuration: "
            "10-x.conf: line 1: Bad configuration option: Foo",
            blocked=True,
        ),
    ),
}


def server(settings: dict[str, Value] = SETTINGS, **more: Any) -> Server:
    with require.declare():
        return require.ssh.server(settings, **more)


def test_settings_are_a_drop_in_that_is_judged_in_its_place() -> None:
    with require.declare() as catalog:
        made = require.ssh.server(SETTINGS, name="20-limits")
    assert made.path == "/etc/ssh/sshd_config.d/20-limits.conf"
    assert made.content.decode() == TEXT
    assert made.validate == ("sshd", "-t")
    assert catalog.handlers() == (require.systemd.reloaded("ssh"),)
    assert catalog.needs_of(catalog["systemd.service:ssh.service"]) == (made.key,)


def test_a_drop_in_that_is_not_there_is_made() -> None:
    plan = server().plan({"kind": "absent"})
    assert isinstance(plan, Change)
    assert plan.summary == "create the file"


@pytest.mark.parametrize(("state", "plan"), CASES.values(), ids=CASES)
def test_plan(state: dict[str, Any], plan: Plan) -> None:
    assert server().plan(state) == plan


@pytest.mark.parametrize(
    ("settings", "more", "said"),
    [
        ({}, {}, "wanted settings"),
        ({"MaxSessions": 1, "maxsessions": 2}, {}, "each of them once"),
        (SETTINGS, {"name": "../x"}, "wanted a name such as"),
        ({"Banner": "a\nb"}, {}, "in one line"),
        ({"Max Sessions": 1}, {}, "wanted a keyword"),
        ({"Banner": ""}, {}, "wanted a keyword and its value"),
        ({"Match": "User ops"}, {}, "Match: its end cannot be seen"),
        ({"include": "/x"}, {}, "include: what it includes"),
        ({"Port": 2022}, {}, "would leave the host without sshd"),
        ({"ListenAddress": "10.0.0.1"}, {}, "is for the firewall"),
    ],
)
def test_what_could_shut_sshd_is_refused(
    settings: dict[str, Value], more: dict[str, str], said: str
) -> None:
    with pytest.raises(DeclarationError, match=said):
        server(settings, **more)
