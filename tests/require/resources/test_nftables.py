"""The firewall: what is planned for the file and for the rules that run."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import require
from require.errors import DeclarationError
from require.resource import Change, NoChange, Plan, Resource, Unknown

RULES = "flush ruleset\ntable inet t {\n}\n"
SHA = hashlib.sha256(RULES.encode()).hexdigest()
FILE = {"kind": "file", "mode": 0o755, "owner": "root", "group": "root", "size": 9, "sha": SHA}
OTHER = {"running": "table inet t {\n}\n", "declared": "table inet u {\n}\n"}
DIFF = (
    "--- nft list ruleset (on the host)\n+++ nft list ruleset (declared)\n@@ -1,2 +1,2 @@\n"
    "-table inet t {\n+table inet u {\n }\n"
)

CASES: dict[str, tuple[dict[str, Any], Plan]] = {
    "as declared": (FILE | {"nft": True}, NoChange()),
    "absent": (
        {"kind": "absent"},
        Change(
            "create the file",
            "--- /etc/nftables.conf (on the host)\n+++ /etc/nftables.conf (declared)\n"
            "@@ -0,0 +1,3 @@\n+flush ruleset\n+table inet t {\n+}\n",
        ),
    ),
    "other rules run": (
        FILE | {"nft": True} | OTHER,
        Change("load them: other rules run", DIFF),
    ),
    "other rules run, and the mode is wrong": (
        FILE | {"nft": True, "mode": 0o644} | OTHER,
        Change("mode 0644 → 0755, load them: other rules run", DIFF),
    ),
    "no nft yet": (FILE | {"nft": False}, Unknown("until there is a program nft")),
    "a directory in its place": (
        {"kind": "directory", "mode": 0o755, "owner": "root", "group": "root"},
        Unknown("a directory is in the way of this file: move it", blocked=True),
    ),
}


def ruleset(**given: Any) -> Resource:
    with require.declare():
        return require.nftables.ruleset(**given)


@pytest.mark.parametrize(("state", "plan"), CASES.values(), ids=CASES)
def test_plan(state: dict[str, Any], plan: Plan) -> None:
    assert ruleset(content=RULES).plan(state) == plan


def test_rules_are_there_at_each_boot() -> None:
    with require.declare() as catalog:
        rules = require.nftables.ruleset(content=RULES)
    assert rules.key == "file:/etc/nftables.conf"
    service = catalog["systemd.service:nftables.service"]
    assert catalog.needs_of(service) == (rules.key,)
    assert (service.enabled, service.running) == (True, True)  # type: ignore[attr-defined]


def secret(folder: Path) -> Resource:
    (folder / "t.j2").write_text("flush ruleset\n# {{ word }}\n")
    with require.declare(templates=folder):
        return require.nftables.ruleset(template="t.j2", word=require.Secret("s3cret"))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda folder: ruleset(), r"nftables\.ruleset\(\): wanted content="),
        (lambda folder: ruleset(content="# flush ruleset\n"), 'wanted a line "flush ruleset"'),
        (secret, "hold a secret"),
    ],
)
def test_what_can_be_no_ruleset_is_refused(
    tmp_path: Path, make: Callable[[Path], Resource], said: str
) -> None:
    with pytest.raises(DeclarationError, match=said):
        make(tmp_path)
