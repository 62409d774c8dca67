"""The SSH server's drop-in on a real disk, beside files that others wrote."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import require
from require.remote import file, ssh
from require.resource import NoChange, Unknown
from tests.require.remote.programs import Programs

ALONE = "maxsessions 30\nlogingracetime 120\nallowusers ops\nallowusers fleet\nacceptenv FOO\n"
WHOLE = f"port 22\nacceptenv LANG\n{ALONE}"


@pytest.fixture
def sshd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, programs: Programs) -> Programs:
    monkeypatch.setattr(ssh, "RUNTIME", str(tmp_path / "run"))
    monkeypatch.setattr(ssh, "CONFIG", str(tmp_path / "sshd_config"))
    monkeypatch.setattr(file, "run", programs)
    (tmp_path / "sshd_config").write_text("# Port 22\nUsePAM yes\n")
    (tmp_path / "d").mkdir()
    says(programs, WHOLE)
    return programs


def says(programs: Programs, whole: str, code: int = 0) -> None:
    """Makes `sshd -T` tell that of the whole configuration."""

    def answer(argv: Sequence[str], stdin: str) -> tuple[int, str, str]:
        if argv == ["sshd", "-T"]:
            return code, whole, "line 1: Bad configuration option\n" if code else ""
        return 0, ALONE, ""

    programs.answer = answer


def server(folder: Path) -> Any:
    with require.declare():
        made = require.ssh.server(
            {
                "MaxSessions": 30,
                "LoginGraceTime": "2m",
                "AllowUsers": ["ops", "fleet"],
                "AcceptEnv": "FOO",
            }
        )
    return replace(made, path=str(folder / "d" / "20-turnaround.conf"), owner=None, group=None)


def bring(made: Any) -> None:
    ssh.apply({**made.question(), **made.order()}, ssh.probe(made.question()))


def plan(made: Any) -> Any:
    return made.plan(ssh.probe(made.question()))


def test_what_sshd_heeds_is_as_declared_however_it_spells_it(
    tmp_path: Path, sshd: Programs
) -> None:
    made = server(tmp_path)
    assert ssh.probe(made.question()) == {"kind": "absent"}
    bring(made)
    assert sshd.started[-1][-2:] == ["sshd", "-t"]
    assert plan(made) == NoChange()


@pytest.mark.parametrize(
    ("name", "line", "whole", "said"),
    [
        (
            "d/10-x.conf",
            "MAXSESSIONS 5",
            WHOLE.replace("30", "5"),
            "MaxSessions is 5 instead of 30",
        ),
        (
            "sshd_config",
            "AllowUsers=games",
            WHOLE + "allowusers games\n",
            "AllowUsers is ops fleet games instead of ops fleet",
        ),
        ("d/10-x.conf", "", WHOLE.replace("acceptenv FOO\n", ""), "AcceptEnv is LANG instead of"),
    ],
)
def test_a_setting_that_another_file_shadows_is_told_with_its_place(
    tmp_path: Path, sshd: Programs, name: str, line: str, whole: str, said: str
) -> None:
    made = server(tmp_path)
    bring(made)
    (tmp_path / name).write_text(f"# theirs\n{line}\n")
    says(sshd, whole)
    found = plan(made)
    assert isinstance(found, Unknown)
    assert found.blocked
    assert said in found.reason
    assert (f"({tmp_path / name}:2)" in found.reason) is bool(line)


def test_a_setting_by_a_former_name_is_told_for_sshd_does_not_say_what_became_of_it(
    tmp_path: Path, sshd: Programs
) -> None:
    with require.declare():
        made = require.ssh.server({"ChallengeResponseAuthentication": False})
    made = replace(made, path=str(tmp_path / "d" / "20-x.conf"), owner=None, group=None)
    bring(made)
    assert ssh.probe(made.question())["shadowed"] == {
        "challengeresponseauthentication": ["", "", ""]
    }


def test_a_configuration_that_somebody_broke_is_told(tmp_path: Path, sshd: Programs) -> None:
    made = server(tmp_path)
    bring(made)
    says(sshd, "", code=255)
    assert ssh.probe(made.question())["broken"] == "line 1: Bad configuration option"


def test_an_sshd_that_was_never_started_is_not_asked(tmp_path: Path, sshd: Programs) -> None:
    made = server(tmp_path)
    bring(made)
    (tmp_path / "run").rmdir()
    sshd.started.clear()
    assert plan(made) == NoChange()
    assert sshd.started == []
