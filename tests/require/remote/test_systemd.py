"""Units: what systemd says of them, and what it is told."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from require.remote import systemd
from require.remote.shell import Failed, Refused
from tests.require.remote.programs import Programs

SHOWN = """LoadState=loaded
ActiveState=active
UnitFileState=enabled
FragmentPath=/usr/lib/systemd/system/ssh.service
DropInPaths=
NeedDaemonReload=yes

LoadState=not-found
ActiveState=inactive
UnitFileState=
FragmentPath=
DropInPaths=
NeedDaemonReload=no
"""


@pytest.fixture
def running_systemd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os.path, "isdir", lambda path: True)
    monkeypatch.setattr(systemd, "_seen", {})


@pytest.mark.usefixtures("running_systemd")
def test_one_question_to_systemd_serves_every_unit(programs: Programs) -> None:
    programs.answer = lambda argv, stdin: (0, SHOWN, "")
    systemd.prefetch([{"name": "ssh.service"}, {"name": "none.service"}])
    assert systemd.probe({"name": "ssh.service"}) == {
        "systemd": True,
        "load": "loaded",
        "active": True,
        "enabled": "enabled",
        "own": False,
        "stale": True,
        "waits_for": [],
    }
    assert systemd.probe({"name": "none.service"})["load"] == "not-found"
    assert len(programs.started) == 1


@pytest.mark.usefixtures("running_systemd")
@pytest.mark.parametrize(
    ("make", "own"),
    [
        (lambda path: None, False),
        (lambda path: path.write_text("[Service]\n"), True),
        (lambda path: path.symlink_to("/opt/a.service"), True),
        (lambda path: path.symlink_to("/dev/null"), False),
    ],
    ids=["nothing", "a file", "a linked file", "a mask"],
)
def test_what_is_in_the_place_of_a_mask_is_seen_before_systemd_has_read_it(
    programs: Programs,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    make: Callable[[Path], object],
    own: bool,
) -> None:
    programs.answer = lambda argv, stdin: (0, "LoadState=not-found\n", "")
    monkeypatch.setattr(systemd, "UNITS", str(tmp_path))
    make(tmp_path / "a.service")
    assert systemd.probe({"name": "a.service"})["own"] is own


def test_a_unit_waits_for_the_paths_of_its_conditions(tmp_path: Path) -> None:
    there, missing = tmp_path / "there", tmp_path / "missing"
    there.touch()
    unit = tmp_path / "a.service"
    unit.write_text(
        f"[Unit]\nConditionPathExists={there}\nConditionPathExists={missing}\n"
        f"ConditionPathExists=!{there}\nConditionPathExists=!{missing}\n"
        "ConditionPathExists=/run/%i\n"
    )
    assert systemd.waits_for([str(unit)]) == [str(missing), f"!{there}"]
    assert systemd.waits_for([str(missing)]) == []
    drop_in = tmp_path / "a.conf"
    drop_in.write_text("[Unit]\nConditionPathExists=\n")
    assert systemd.waits_for([str(unit), str(drop_in)]) == []
    drop_in.write_text(f"[Unit]\nConditionVirtualization=\nConditionPathExists={missing}\n")
    assert systemd.waits_for([str(unit), str(drop_in)]) == [str(missing)]


def unit(**more: Any) -> dict[str, Any]:
    state = {"systemd": True, "load": "loaded", "active": False, "enabled": "disabled"}
    return state | {"own": False, "stale": False, "waits_for": []} | more


def spec(**more: Any) -> dict[str, Any]:
    return {"name": "api.service", "enabled": True, "running": True} | more


ON, OFF, LEFT = (
    {"enabled": True, "running": True},
    {"enabled": False, "running": False},
    {"enabled": None, "running": None},
)
MASK, UNMASK = {"masked": True}, {"masked": False}


@pytest.mark.parametrize(
    ("wanted", "state", "done"),
    [
        (ON, unit(), ["enable", "start"]),
        (ON, unit(active=True, enabled="enabled-runtime"), ["enable"]),
        (ON, unit(active=True, enabled="static"), []),
        (ON, unit(active=True, enabled="enabled", stale=True), ["daemon-reload"]),
        (LEFT, unit(stale=True), ["daemon-reload"]),
        (LEFT, unit(), []),
        (OFF, unit(active=True, enabled="enabled"), ["disable", "stop"]),
        (OFF, unit(enabled="enabled-runtime"), ["disable --runtime"]),
        (OFF, unit(active=True, enabled="linked"), ["stop"]),
        (OFF, unit(active=True, enabled="", load="not-found"), ["stop"]),
        (MASK, unit(active=True), ["mask", "stop"]),
        (MASK, unit(active=True, enabled="masked", load="masked"), ["stop"]),
        (MASK, unit(enabled="masked-runtime", load="masked"), ["mask"]),
        (UNMASK, unit(enabled="masked", load="masked"), ["unmask", "unmask --runtime"]),
    ],
)
def test_what_differs_is_done_and_nothing_else(
    programs: Programs,
    monkeypatch: pytest.MonkeyPatch,
    wanted: dict[str, Any],
    state: dict[str, Any],
    done: list[str],
) -> None:
    monkeypatch.setattr(os.path, "isdir", lambda path: True)
    systemd.apply({"name": "api.service", **wanted}, state)
    words = [argv[1:] for argv in programs.started]
    assert [" ".join(argv).removesuffix(" -- api.service") for argv in words] == done


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (unit(load="not-found"), r"no unit api\.service: declare its file, or the package"),
        (unit(load="masked"), r"somebody forbade it .* declare require\.systemd\.unmasked\('api"),
        (unit(load="bad-setting"), r"cannot load api\.service .* systemd-analyze verify"),
        ({"systemd": False}, "systemd does not run"),
    ],
)
def test_what_cannot_be_started_is_refused_with_the_remedy(
    programs: Programs, state: dict[str, Any], said: str
) -> None:
    with pytest.raises(Refused, match=said):
        systemd.apply(spec(), state)
    assert programs.started == []


def test_a_service_that_does_not_start_tells_its_log(programs: Programs) -> None:
    def answer(argv: Sequence[str], stdin: str) -> tuple[int, str, str]:
        if argv[0] == "journalctl":
            return 0, "address already in use\n", ""
        return 1, "", "Job for api.service failed.\n"

    programs.answer = answer
    with pytest.raises(Failed, match=r"Job for api.service failed\.; address already in use"):
        systemd.apply(spec(enabled=None), unit())


def socket(accept: str, verb_code: int = 0) -> Callable[[Sequence[str], str], tuple[int, str, str]]:
    """What systemctl says where a socket has started one of two units."""

    def answer(argv: Sequence[str], stdin: str) -> tuple[int, str, str]:
        if "--property=Accept,Triggers" in argv:
            return 0, f"Accept={accept}\nTriggers=api.service idle.service\n", ""
        if argv[1] == "show":
            return 0, "ActiveState=active\n\nActiveState=inactive\n", ""
        return (verb_code if argv[-1] == "api.socket" else 0), "", "no such address\n"

    return answer


STOPPED = ["stop -- api.service", "{} -- api.socket", "start -- api.service"]


@pytest.mark.parametrize(
    ("accept", "code", "done"),
    [("no", 0, STOPPED), ("yes", 0, ["{} -- api.socket"]), ("no", 1, STOPPED)],
    ids=["handed over", "a unit for each connection", "it cannot listen"],
)
@pytest.mark.parametrize("verb", ["start", "restart"])
def test_what_a_socket_is_handed_to_is_stopped_while_it_listens_anew(
    programs: Programs, verb: str, accept: str, code: int, done: list[str]
) -> None:
    programs.answer = socket(accept, code)
    failing = pytest.raises(Failed, match=f"systemctl {verb} api.socket failed: no such address")
    with failing if code else nullcontext():
        systemd._do(verb, "api.socket")
    told = [" ".join(argv[1:]) for argv in programs.started if argv[0] == "systemctl"]
    assert [each for each in told if "show" not in each] == [each.format(verb) for each in done]


@pytest.mark.usefixtures("running_systemd")
@pytest.mark.parametrize(
    ("shown", "done"),
    [
        ("LoadState=not-found\nActiveState=inactive\n", ["show"]),
        ("LoadState=masked\nActiveState=inactive\n", ["show"]),
        ("LoadState=masked\nActiveState=active\n", ["show", "restart"]),
        ("LoadState=loaded\nActiveState=inactive\n", ["show", "restart"]),
    ],
    ids=["gone", "masked", "masked and runs", "stopped"],
)
def test_a_unit_that_is_gone_or_masked_need_not_be_restarted(
    programs: Programs, shown: str, done: list[str]
) -> None:
    programs.answer = lambda argv, stdin: (0, shown, "")
    systemd.handle({"verb": "restarted", "name": "api.service"})
    assert [argv[1] for argv in programs.started] == done
