"""Packages: what counts as installed, and how many questions and fetches that takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

import require
from require.remote import apt
from require.remote.shell import Done, Failed, Refused
from require.resource import Change, NoChange, Resource
from tests.require.remote.programs import Programs

STATUS = """\
bash\tamd64\tii \t5.2-2
dpkg\tamd64\tii \t1.22
held\tall\thi \t1:2.0-1
half\tamd64\tiF \t1
gone\tamd64\trc \t1
other\ti386\tii \t1
"""
UNKNOWN = "E: Unable to locate package nginx"
CUT = "E: dpkg was interrupted, you must manually run 'dpkg --configure -a' to correct the problem."
BROKEN = "E: Unmet dependencies. Try 'apt --fix-broken install' with no packages"
LOCKED = "E: Could not get lock /var/lib/apt/lists/lock. It is held by process 7 (apt-get)"


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was asked or fetched yet, and waiting takes no time."""
    monkeypatch.setattr(apt, "_installed", None)
    monkeypatch.setattr(apt, "_complaint", None)
    monkeypatch.setattr(apt.time, "sleep", lambda seconds: None)


def answers(*turns: tuple[str, str]) -> Callable[[Sequence[str], str], tuple[int, str, str]]:
    """Programs that fail in the words given, in this order by the first word each; else succeed."""
    left = list(turns)

    def answer(argv: Sequence[str], stdin: str) -> tuple[int, str, str]:
        if left and argv[1] == left[0][0]:
            return 100, "", f"noise\n{left.pop(0)[1]}\n"
        return 0, STATUS if argv[0] == "dpkg-query" else "", ""

    return answer


def install(names: Sequence[str] = ("nginx",), **more: Any) -> None:
    spec = {"names": list(names), "recommends": False} | more
    apt.apply(spec, {"missing": list(names)})


def verbs(programs: Programs) -> list[str]:
    return [argv[1] for argv in programs.started]


def declared(make: Callable[[], Resource]) -> Resource:
    with require.declare():
        return make()


def bring(resource: Resource) -> None:
    state = apt.probe(resource.question())
    assert isinstance(resource.plan(state), Change)
    apt.apply({**resource.question(), **resource.order()}, state)


def test_only_what_is_whole_counts_as_installed(programs: Programs) -> None:
    programs.answer = lambda argv, stdin: (1, STATUS, "dpkg-query: no packages found matching none")
    names = ["bash", "bash:amd64", "held", "held:amd64", "half", "gone", "none"]
    assert apt.probe({"names": names}) == {"dpkg": True, "missing": ["half", "gone", "none"]}


def test_a_name_without_an_architecture_is_the_hosts_own(programs: Programs) -> None:
    programs.answer = answers()
    assert apt.probe({"names": ["other", "other:i386"]})["missing"] == ["other"]
    (asked,) = programs.started
    assert asked[-2:] == ["dpkg", "other"]


def test_one_question_to_dpkg_serves_every_resource(programs: Programs) -> None:
    programs.answer = answers()
    specs = [
        {"names": ["bash"], "versions": {"bash": "5.2-1"}},
        {"names": ["half", "gone"], "verb": "absent", "purge": False},
        {"names": ["held", "bash"], "verb": "held"},
    ]
    apt.prefetch(specs)
    assert [apt.probe(spec) for spec in specs] == [
        {"dpkg": True, "missing": [], "versions": {"bash": "5.2-2"}},
        {"dpkg": True, "present": ["half"]},
        {"dpkg": True, "missing": [], "held": ["held"]},
    ]
    assert len(programs.started) == 1


def test_a_dpkg_that_cannot_read_its_own_list_is_no_host_without_packages(
    programs: Programs,
) -> None:
    programs.answer = lambda argv, stdin: (2, "", "dpkg-query: error: parsing file 'status'")
    with pytest.raises(Failed, match="parsing file 'status'"):
        apt.probe({"names": ["bash"]})


def test_a_host_without_dpkg_is_told_from_one_without_packages(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def nothing(argv: Sequence[str], **named: Any) -> Done:
        raise FileNotFoundError(argv[0])

    monkeypatch.setattr(apt, "run", nothing)
    assert apt.probe({"names": ["bash"]})["dpkg"] is False


@pytest.mark.parametrize(
    ("version", "wished", "same"),
    [
        ("1.26.3-3", "1.26.3-3", True),
        ("1.26.3-3+b1", "1.26.3-3", False),
        ("1.26.3-3", "1.26.*", True),
        ("1.260", "1.26.*", False),
        ("5:8.0.2-3", "8.*", False),
        ("5:8.0.2-3", "5:8.*", True),
        (None, "1*", False),
    ],
)
def test_versions_are_compared_as_apt_does(version: str | None, wished: str, same: bool) -> None:
    assert apt.matches(version, wished) is same


def test_lists_are_fetched_only_when_a_package_is_unknown(programs: Programs) -> None:
    install()
    (started,) = programs.started
    assert started[:2] == ["apt-get", "install"]
    assert started[-2:] == ["--", "nginx"]
    assert {"--yes", "--no-install-recommends"} < set(started)
    assert "-o=Dpkg::Options::=--force-confold" in started

    programs.started.clear()
    programs.answer = answers(("install", UNKNOWN))
    install()
    assert verbs(programs) == ["install", "update", "install"]


def test_lists_are_fetched_once_a_run(programs: Programs) -> None:
    programs.answer = answers(*[("install", UNKNOWN)] * 4)
    for _ in "two":
        with pytest.raises(Failed):
            install()
        programs.answer = answers(*[("install", UNKNOWN)] * 2)
    assert verbs(programs).count("update") == 1


@pytest.mark.parametrize(
    ("turns", "expected"),
    [
        ([("install", CUT)], ["install", "--configure", "install"]),
        ([("install", BROKEN)], ["install", "install", "install"]),
        (
            [("install", CUT), ("--configure", "dpkg: error"), ("install", BROKEN)],
            ["install", "--configure", "install", "install", "install"],
        ),
        ([("install", LOCKED), ("install", LOCKED)], ["install"] * 3),
    ],
    ids=["interrupted", "broken", "interrupted and broken", "locked by another"],
)
def test_what_stands_in_the_way_is_mended_or_waited_for(
    programs: Programs, turns: list[tuple[str, str]], expected: list[str]
) -> None:
    programs.answer = answers(*turns)
    install()
    assert verbs(programs) == expected
    for argv in programs.started:
        assert ("--force-confold" in argv) == (argv[0] == "dpkg")
        assert ("--fix-broken" in argv) == (argv[0] == "apt-get" and "nginx" not in argv)


def test_somebody_elses_lock_is_waited_for_only_so_long(
    programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apt, "LOCK_S", -1)
    programs.answer = answers(("install", LOCKED))
    with pytest.raises(Failed, match=r"held by process 7 \(apt-get\)$"):
        install()


@pytest.mark.parametrize(
    ("turns", "said"),
    [
        (
            [("install", UNKNOWN), ("install", UNKNOWN)],
            f"{UNKNOWN}. The lists of all sources were fetched just now: is the name right",
        ),
        (
            [("install", UNKNOWN), ("update", "W: Failed to fetch http://x"), ("install", UNKNOWN)],
            f"{UNKNOWN}. Not all lists could be fetched: W: Failed to fetch http://x",
        ),
        ([("install", "E: Sub-process failed")], "E: Sub-process failed"),
    ],
    ids=["not known", "not known, and no network", "something else"],
)
def test_why_it_failed_is_told_in_apts_words_and_what_to_do(
    programs: Programs, turns: list[tuple[str, str]], said: str
) -> None:
    programs.answer = answers(*turns)
    with pytest.raises(Failed) as error:
        install()
    assert str(error.value).startswith(f"apt-get install failed: {said}")


def test_a_version_that_is_not_offered_is_told_with_those_that_are(programs: Programs) -> None:
    def offers(argv: Sequence[str], stdin: str) -> tuple[int, str, str]:
        if argv[1] == "madison":
            return 0, " nginx | 1:1.26-3 | http://a trixie\n nginx | 1:1.26-3 | http://b x\n", ""
        if argv[1] == "install":
            return 100, "", "E: Version '1.26' for 'nginx' was not found"
        return 0, "", ""

    programs.answer = offers
    with pytest.raises(Failed, match=r"of nginx there is 1:1\.26-3: is the name"):
        install(versions={"nginx": "1.26"})


def test_a_virtual_package_is_told_with_those_that_provide_it(programs: Programs) -> None:
    out = "Package mta is a virtual package provided by:\n  exim4 4.98-2\n  dma 0.13-1\n\n"
    no = "E: Package 'mta' has no installation candidate"
    programs.answer = lambda argv, stdin: (100, out, no)
    with pytest.raises(Failed, match="declare one that provides it, exim4 or dma"):
        install(["mta"])


def test_a_version_that_is_named_may_be_older_and_on_hold(programs: Programs) -> None:
    programs.answer = answers()
    bring(declared(lambda: require.apt.packages(["bash=5.1*", "dpkg=1.22", "half=2", "gone"])))
    started = programs.started[-1]
    assert started[-4:] == ["--", "bash=5.1*", "half=2", "gone"]
    assert {"--allow-downgrades", "--allow-change-held-packages"} < set(started)


def test_only_what_is_named_is_removed(programs: Programs) -> None:
    out = "Purg gone [1]\nRemv half [1]\nConf x\n"
    programs.answer = lambda argv, stdin: (0, STATUS if argv[0] == "dpkg-query" else out, "")
    bring(declared(lambda: require.apt.absent(["gone", "half:amd64", "none"], purge=True)))
    assert [argv[1] for argv in programs.started] == ["--show", "purge", "purge"]
    assert "--simulate" in programs.started[1]
    assert programs.started[2][-3:] == ["--", "gone", "half:amd64"]


def test_what_would_go_or_come_with_it_is_named_and_nothing_is_removed(programs: Programs) -> None:
    out = "Remv half [1]\nRemv galley [1]\nInst exim4 (1 Debian)\n"
    programs.answer = lambda argv, stdin: (0, STATUS if argv[0] == "dpkg-query" else out, "")
    with pytest.raises(Refused, match="would remove or install exim4 galley too"):
        bring(declared(lambda: require.apt.absent(["half"])))
    assert "--simulate" in programs.started[-1]


def test_holds_are_set_and_taken_away(programs: Programs) -> None:
    programs.answer = answers()
    bring(declared(lambda: require.apt.held(["bash", "held"])))
    assert programs.started[-1] == ["apt-mark", "hold", "--", "bash"]
    bring(declared(lambda: require.apt.held(["bash", "held"], hold=False)))
    assert programs.started[-1] == ["apt-mark", "unhold", "--", "held"]
    assert (
        declared(lambda: require.apt.held(["held"])).plan(
            apt.probe({"names": ["held"], "verb": "held"})
        )
        == NoChange()
    )


def test_what_is_not_installed_is_not_held(programs: Programs) -> None:
    programs.answer = answers()
    spec = {"names": ["gone"], "verb": "held", "hold": True}
    with pytest.raises(Refused, match="gone is not installed"):
        apt.apply(spec, apt.probe(spec))
