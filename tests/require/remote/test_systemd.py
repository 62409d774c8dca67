"""Units: what systemd says of them, and what it is told."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from require.remote import systemd
from require.remote.shell import Failed, Refused
from tests.require.remote.programs import Programs

SHOWN = """Id=ssh.service
LoadState=loaded
ActiveState=active
SubState=running
UnitFileState=enabled
FragmentPath=/usr/lib/systemd/system/ssh.service
DropInPaths=

Id=none.service
LoadState=not-found
ActiveState=inactive
SubState=dead
UnitFileState=
FragmentPath=
DropInPaths=
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
        "waits_for": [],
    }
    assert systemd.probe({"name": "none.service"})["load"] == "not-found"
    assert len(programs.started) == 1


def test_a_unit_waits_for_the_paths_of_its_conditions(tmp_path: Path) -> None:
    there, missing = tmp_path / "there", tmp_path / "missing"
    there.touch()
    unit = tmp_path / "a.service"
    unit.write_text(
        f"[Unit]\nConditionPathExists={there}\nConditionPathExists={missing}\n"
        f"ConditionPathExists=!{there}\nConditionPathExists=!{missing}\n"
        "ConditionPathExists=/run/%i\n"
    )
    assert systemd.waits_for(str(unit)) == [str(missing), f"!{there}"]
    assert systemd.waits_for(str(missing)) == []


def unit(**more: Any) -> dict[str, Any]:
    state = {"systemd": True, "load": "loaded", "active": False, "enabled": "disabled"}
    return state | {"waits_for": []} | more


def test_a_service_is_enabled_and_started(programs: Programs) -> None:
    systemd.apply({"name": "api.service", "enabled": True, "running": True}, unit())
    assert [argv[1] for argv in programs.started] == ["enable", "start"]


def test_what_is_as_declared_by_now_is_not_done_again(programs: Programs) -> None:
    state = unit(active=True, enabled="enabled")
    systemd.apply({"name": "api.service", "enabled": True, "running": True}, state)
    assert programs.started == []


def test_a_unit_that_does_not_exist_is_refused_with_the_remedy(programs: Programs) -> None:
    with pytest.raises(Refused, match=r"no unit api\.service: declare its file, or the package"):
        systemd.apply(
            {"name": "api.service", "enabled": True, "running": True}, unit(load="not-found")
        )


def test_a_service_that_does_not_start_tells_its_log(programs: Programs) -> None:
    def answer(argv: Sequence[str], stdin: str) -> tuple[int, str, str]:
        if argv[0] == "journalctl":
            return 0, "address already in use\n", ""
        return 1, "", "Job for api.service failed.\n"

    programs.answer = answer
    with pytest.raises(Failed, match=r"Job for api.service failed\.; address already in use"):
        systemd.apply({"name": "api.service", "enabled": None, "running": True}, unit())


@pytest.mark.usefixtures("running_systemd")
def test_a_unit_that_is_gone_need_not_be_restarted(programs: Programs) -> None:
    programs.answer = lambda argv, stdin: (0, "LoadState=not-found\n", "")
    systemd.handle({"verb": "restarted", "name": "api.service"})
    assert [argv[1] for argv in programs.started] == ["show"]
