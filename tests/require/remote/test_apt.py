"""Packages: what counts as installed, and how many questions and fetches that takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from require.remote import apt
from require.remote.shell import Done, Failed
from tests.require.remote.programs import Programs

STATUS = "bash\tamd64\tii \nheld\tall\thi \nhalf\tamd64\tiF \ngone\tamd64\trc \n"


def test_only_what_is_whole_counts_as_installed(programs: Programs) -> None:
    programs.answer = lambda argv, stdin: (1, STATUS, "dpkg-query: no packages found matching none")
    names = ["bash", "bash:amd64", "held", "half", "gone", "none"]
    assert apt.probe({"names": names}) == {"dpkg": True, "missing": ["half", "gone", "none"]}


def test_one_question_to_dpkg_serves_every_resource(
    programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apt, "_installed", None)
    programs.answer = lambda argv, stdin: (0, STATUS, "")
    apt.prefetch([{"names": ["bash"]}, {"names": ["half"]}])
    assert apt.probe({"names": ["bash"]})["missing"] == []
    assert apt.probe({"names": ["half"]})["missing"] == ["half"]
    assert len(programs.started) == 1


def test_a_host_without_dpkg_is_told_from_one_without_packages(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def nothing(argv: Sequence[str], **named: Any) -> Done:
        raise FileNotFoundError(argv[0])

    monkeypatch.setattr(apt, "run", nothing)
    assert apt.probe({"names": ["bash"]}) == {"dpkg": False, "missing": []}


def test_lists_are_fetched_only_when_a_package_is_unknown(programs: Programs) -> None:
    apt.apply({"recommends": False}, {"missing": ["nginx"]})
    (install,) = programs.started
    assert install[:2] == ["apt-get", "install"]
    assert install[-2:] == ["--", "nginx"]
    assert "--no-install-recommends" in install

    fetched = False

    def unknown_at_first(argv: Sequence[str], stdin: str) -> tuple[int, str, str]:
        nonlocal fetched
        fetched = fetched or argv[1] == "update"
        known = fetched or argv[1] != "install"
        return (0, "", "") if known else (100, "", "E: Unable to locate package nginx")

    programs.started.clear()
    programs.answer = unknown_at_first
    apt.apply({"recommends": False}, {"missing": ["nginx"]})
    assert [argv[1] for argv in programs.started] == ["install", "update", "install"]


def test_what_a_power_cut_left_half_way_is_finished_first(programs: Programs) -> None:
    finished = False

    def interrupted(argv: Sequence[str], stdin: str) -> tuple[int, str, str]:
        nonlocal finished
        finished = finished or argv[:2] == ["dpkg", "--configure"]
        said = "E: dpkg was interrupted, you must manually run 'dpkg --configure -a'"
        return (0, "", "") if finished else (100, "", said)

    programs.answer = interrupted
    apt.apply({"recommends": False}, {"missing": ["nginx"]})
    assert [argv[1] for argv in programs.started] == ["install", "--configure", "install"]


def test_a_package_that_does_not_exist_is_told_in_apts_words(programs: Programs) -> None:
    def unknown(argv: Sequence[str], stdin: str) -> tuple[int, str, str]:
        found = argv[1] != "install"
        return (0 if found else 100), "", "noise\nE: Unable to locate package ngnix\n"

    programs.answer = unknown
    with pytest.raises(
        Failed, match=r"^apt-get install failed: E: Unable to locate package ngnix$"
    ):
        apt.apply({"recommends": False}, {"missing": ["ngnix"]})
