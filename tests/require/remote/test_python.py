"""Python environments: looked at without their Python, filled from a wheelhouse only."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from require.remote import python
from require.remote.shell import Refused
from tests.require.remote.programs import Programs


def distribution(path: Path, name: str, whole: bool = True) -> None:
    folder = path / "lib/python3.13/site-packages" / f"{name}.dist-info"
    folder.mkdir(parents=True)
    if whole:
        (folder / "RECORD").touch()


def test_an_environment_is_looked_at_without_starting_its_python(tmp_path: Path) -> None:
    spec = {"path": str(tmp_path), "names": ["flask-admin", "click"]}
    assert python.probe(spec)["made"] is False
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python").symlink_to("/bin/sh")
    distribution(tmp_path, "pip-25.0")
    distribution(tmp_path, "Flask_Admin-2.0.1")
    distribution(tmp_path, "click-8.2.0", whole=False)
    state = python.probe(spec)
    assert state["made"] is True
    assert state["installed"] == {"flask-admin": "2.0.1"}


def test_an_environment_is_filled_from_the_wheelhouse_only(
    tmp_path: Path, programs: Programs
) -> None:
    me = pwd.getpwuid(os.geteuid()).pw_name
    spec = {
        "path": str(tmp_path / "env"),
        "wheelhouse": "/srv/w",
        "pins": ["flask==3"],
        "owner": me,
    }
    python.apply(spec, {"made": False, "ensurepip": True, "installed": {}})
    assert programs.started[0][1:] == ["-m", "venv", str(tmp_path / "env")]
    assert programs.started[1][-4:] == ["--no-index", "--find-links", "/srv/w", "flask==3"]


def test_a_host_that_cannot_make_environments_is_told_which_package_is_missing(
    tmp_path: Path, programs: Programs
) -> None:
    me = pwd.getpwuid(os.geteuid()).pw_name
    spec = {"path": str(tmp_path / "env"), "wheelhouse": "/srv/w", "pins": [], "owner": me}
    with pytest.raises(Refused, match=r"python3\.\d+-venv is missing"):
        python.apply(spec, {"made": False, "ensurepip": False, "installed": {}})
    assert programs.started == []
