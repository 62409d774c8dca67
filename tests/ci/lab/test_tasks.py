"""`inv lab.*` as typed: wrong usage is found before anything is touched."""

from __future__ import annotations

import json

import pytest
from invoke.collection import Collection

from ci.lab import lab as lab_module
from ci.lab.registry import Registry
from ci.lab.tasks import namespace
from fleet.program import Commands


@pytest.fixture(autouse=True)
def nothing_is_up(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory):
    empty = tmp_path_factory.mktemp("labs")
    monkeypatch.setattr(lab_module, "Registry", lambda: Registry(empty))
    monkeypatch.setenv("LAB_NAME", "nolab")


def inv(*words: str) -> int:
    return Commands("inv", Collection(namespace)).main(["inv", *words])


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["lab.power", "EC-TAA"], "expected --on or --off"),
        (["lab.power", "EC-TAA", "--on", "--off"], "--on and --off exclude each other"),
        (["lab.link", "EC-TAA", "--up", "--down"], "--up and --down exclude each other"),
        (["lab.link", "EC-TAA", "--kbit", "fast"], "--kbit needs a number, and found fast"),
        (["lab.up", "--aircraft", "0"], "--aircraft is 0; expected 1 to 99"),
        (["lab.ramp", "EC-TAA"], "expected --up or --down"),
    ],
)
def test_wrong_usage_exits_64(words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]):
    assert inv(*words) == 64
    assert sentence in capsys.readouterr().err


def test_a_name_that_cannot_be_exits_64(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("LAB_NAME", "my-lab")
    assert inv("lab.status") == 64
    assert "LAB_NAME is 'my-lab'" in capsys.readouterr().err


def test_the_status_of_a_lab_that_is_not_up_is_an_empty_list(
    capsys: pytest.CaptureFixture[str],
):
    assert inv("lab.status", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"lab": "nolab", "hosts": []}


def test_a_command_for_a_lab_that_is_not_up_says_how_to_start_it(
    capsys: pytest.CaptureFixture[str],
):
    assert inv("lab.ssh", "hangar") == 4
    assert "LAB_NAME=nolab ./inv lab.up" in capsys.readouterr().err
