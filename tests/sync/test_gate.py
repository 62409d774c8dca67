"""The gate: an aircraft's key pushes into its inbox and pulls from its outbox, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sync.gate import Refusal, restricted

TOP = Path(__file__).parents[2]


def knock(state: Path, asked: str | None, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "TURNAROUND_STATE_DIR": str(state)}
    environment |= {"PYTHONPATH": str(TOP)}
    if asked is not None:
        environment["SSH_ORIGINAL_COMMAND"] = asked
    return subprocess.run(
        [sys.executable, "-m", "sync.gate", *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_push_is_led_to_the_inbox_and_a_pull_to_the_outbox() -> None:
    push = restricted("EC-TAA", "rsync --server -tr . ./", "/s")
    pull = restricted("EC-TAA", "rsync --server --sender -tr . ./", "/s")
    assert push == ["/usr/bin/rrsync", "-wo", "-no-del", "/s/sync/inbox/EC-TAA"]
    assert pull == ["/usr/bin/rrsync", "-ro", "/s/sync/outbox/EC-TAA"]


@pytest.mark.parametrize(
    "asked",
    ["", "sh", "scp -f /etc/passwd", "rsync --daemon", "rsync", "'", "bash -c 'rsync --server'"],
)
def test_anything_but_rsync_is_refused(asked: str) -> None:
    with pytest.raises(Refusal, match="this key runs rsync only"):
        restricted("EC-TAA", asked, "/s")


@pytest.mark.parametrize("name", ["", "..", "../hangar", "EC TAA", "-ro", "a/b"])
def test_a_name_that_is_no_aircraft_is_refused(name: str) -> None:
    with pytest.raises(Refusal, match="no aircraft's name"):
        restricted(name, "rsync --server . .", "/s")


def test_a_refusal_is_one_sentence_and_an_exit_code(tmp_path: Path) -> None:
    for asked, arguments, reason in (
        (None, ["EC-TAA"], "has no shell"),
        ("id", ["EC-TAA"], "not 'id'"),
        ("rsync --server . .", [], "expected one argument"),
        ("rsync --server --sender -tr . .", ["EC-TAA"], "EC-TAA has no folder here yet"),
    ):
        done = knock(tmp_path, asked, *arguments)
        assert done.returncode == 1
        assert done.stderr.startswith("turnaround: refused: ")
        assert reason in done.stderr
        assert done.stderr.count("\n") == 1
    assert not (tmp_path / "sync").exists()


@pytest.mark.parametrize(
    "asked",
    [
        "rsync --server --sender -tr . ../EC-TAB/",
        "rsync --server --sender -tr . /etc/passwd",
        "rsync --server -tr --delete . ./",
    ],
)
def test_paths_outside_and_deletion_are_refused_behind_the_gate(tmp_path: Path, asked: str) -> None:
    for name in ("EC-TAA", "EC-TAB"):
        (tmp_path / "sync" / "outbox" / name).mkdir(parents=True)
    (tmp_path / "sync" / "outbox" / "EC-TAB" / "secret").write_text("secret")
    done = knock(tmp_path, asked, "EC-TAA")
    assert done.returncode != 0
    assert "secret" not in done.stdout


def test_the_gate_loads_nothing_but_the_standard_library() -> None:
    script = (
        "import sys, sync.gate; "
        "print([name for name in ('sqlalchemy', 'common', 'pydantic') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=TOP, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
