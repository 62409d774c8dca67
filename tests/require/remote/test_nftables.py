"""The firewall on a real disk, in a kernel that is a variable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import require
from require.remote import file, nftables, ways
from require.remote.shell import Failed, Refused
from require.resource import Change, NoChange
from tests.require.remote.programs import Programs

RULES = "flush ruleset\ntable inet t {\n}\n"


class Kernel:
    """Takes any file whose first line flushes what runs, and lists it as it was written."""

    def __init__(self, programs: Programs) -> None:
        self.rules = ""
        programs.answer = self.answer

    def answer(self, argv: Sequence[str], stdin: str) -> tuple[int, str, str]:
        if argv == nftables.LIST:
            return 0, self.rules, ""
        text = Path(argv[-1]).read_text()
        head, _, rules = text.partition("\n")
        if head != "flush ruleset":
            return 1, "", f"{argv[-1]}:1:1: Error: syntax error\n"
        if argv[0] == "unshare":
            return (1, "", "Error: Interface does not exist") if "iif " in rules else (0, rules, "")
        self.rules = rules
        return 0, "", ""


@pytest.fixture
def kernel(programs: Programs, monkeypatch: pytest.MonkeyPatch) -> Kernel:
    monkeypatch.setattr(file, "run", programs)
    monkeypatch.setattr(ways, "shut", lambda rules: ["10.0.0.9"] if "no way in" in rules else [])
    return Kernel(programs)


def ruleset(folder: Path, content: str = RULES) -> Any:
    with require.declare():
        rules = require.nftables.ruleset(content=content)
    return replace(rules, path=str(folder / "nftables.conf"), owner=None, group=None)


def plan(rules: Any) -> Any:
    return rules.plan(nftables.probe(rules.question()))


def bring(rules: Any) -> None:
    nftables.apply({**rules.question(), **rules.order()}, nftables.probe(rules.question()))


def test_rules_run_and_are_kept(tmp_path: Path, kernel: Kernel) -> None:
    rules = ruleset(tmp_path)
    bring(rules)
    assert kernel.rules == "table inet t {\n}\n"
    assert (tmp_path / "nftables.conf").read_text() == RULES
    assert plan(rules) == NoChange()


def test_rules_that_were_flushed_by_hand_are_found_and_loaded(
    tmp_path: Path, kernel: Kernel
) -> None:
    rules = ruleset(tmp_path)
    bring(rules)
    kernel.rules = ""
    assert isinstance(plan(rules), Change)
    bring(rules)
    assert kernel.rules == "table inet t {\n}\n"
    assert plan(rules) == NoChange()


def test_rules_that_the_kernel_does_not_take_are_not_kept(tmp_path: Path, kernel: Kernel) -> None:
    bring(ruleset(tmp_path))
    wrong = ruleset(tmp_path, "oops\nflush ruleset\n")
    with pytest.raises(Refused, match=r"nft does not accept the new content: .* syntax error"):
        bring(wrong)
    assert kernel.rules == "table inet t {\n}\n"
    assert (tmp_path / "nftables.conf").read_text() == RULES


def test_rules_that_shut_out_who_is_in_are_never_loaded(tmp_path: Path, kernel: Kernel) -> None:
    bring(ruleset(tmp_path))
    with pytest.raises(Refused, match=r"would shut out 10\.0\.0\.9: let that side answer"):
        bring(ruleset(tmp_path, "flush ruleset\n# no way in\n"))
    assert kernel.rules == "table inet t {\n}\n"
    assert (tmp_path / "nftables.conf").read_text() == RULES


def test_rules_that_cannot_be_compared_are_told_with_the_remedy(
    tmp_path: Path, kernel: Kernel
) -> None:
    bound = ruleset(tmp_path, 'flush ruleset\niif "ramp0" accept\n')
    bring(bound)
    with pytest.raises(Failed, match=r"write iifname, oifname.*Interface does not exist"):
        plan(bound)


def test_without_nft_the_file_is_looked_at_alone(
    tmp_path: Path, kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(argv: Sequence[str]) -> None:
        raise FileNotFoundError(argv[0])

    rules = ruleset(tmp_path)
    assert nftables.probe(rules.question()) == {"kind": "absent"}
    bring(rules)
    monkeypatch.setattr(nftables, "run", missing)
    assert nftables.probe(rules.question())["nft"] is False
