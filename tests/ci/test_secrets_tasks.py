"""`./inv secrets.…` as ops type it: values come from a terminal or a pipe and are never printed."""

from __future__ import annotations

import io
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from fleet.program import Commands
from tests.fleet.safe import Safe

TOP = Path(__file__).resolve().parents[2]


@pytest.fixture
def safe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Safe:
    monkeypatch.delenv("TURNAROUND_KEYS", raising=False)
    made = Safe(tmp_path)
    monkeypatch.setenv("FLEET_INVENTORY", str(made.path))
    return made


def inv(monkeypatch: pytest.MonkeyPatch, *words: str, given: bytes = b"") -> int:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given)))
    return Commands("inv").main(["inv", *words])


PIN = ("secrets.edit", "--level", "group-aircraft", "--name", "pin")


@pytest.mark.parametrize(
    ("given", "value"),
    [
        (b"4711", "4711"),
        (b"4711\n", "4711"),
        (b"4711\r\n", "4711"),
        (b"a key\nof lines\n\n", "a key\nof lines\n"),
        ("é–ü\n".encode(), "é–ü"),
    ],
)
def test_a_value_from_a_pipe_is_taken_without_its_last_line_s_end(
    safe: Safe,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    given: bytes,
    value: str,
) -> None:
    assert inv(monkeypatch, *PIN, given=given) == 0
    assert safe.secret("EC-TAA", "pin").reveal() == value
    said = capsys.readouterr()
    assert said.out == "pin of group-aircraft is set; eva can read it\n"
    assert value not in said.err


def test_empty_removes_it(
    safe: Safe, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    safe.put("group-aircraft", "pin", "4711")
    assert inv(monkeypatch, *PIN, given=b"\n") == 0
    assert safe.load().hosts["EC-TAA"].secrets == {}
    assert inv(monkeypatch, *PIN, given=b"") == 64
    assert "there is no pin to remove" in capsys.readouterr().err


def test_what_is_no_text_is_refused(
    safe: Safe, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert inv(monkeypatch, *PIN, given=b"\xff\xfe") == 64
    assert "expected UTF-8 text on standard input" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("typed", "code", "said"),
    [
        ("s3cret\ns3cret\n", 0, "pin of group-aircraft is set"),
        ("s3cret\ns4cret\n", 64, "the two are not the same; nothing was written"),
    ],
)
def test_a_value_on_a_terminal_is_asked_for_twice_and_not_shown(
    safe: Safe, typed: str, code: int, said: str
) -> None:
    near, far = pty.openpty()
    command = [sys.executable, "-m", "fleet.program", "inv", *PIN]
    process = subprocess.Popen(
        command, cwd=TOP, stdin=far, stdout=far, stderr=far, start_new_session=True
    )
    os.close(far)
    shown = b""
    for line in typed.splitlines(keepends=True):
        while not shown.endswith(b": "):
            shown += os.read(near, 1024)
        os.write(near, line.encode())
        shown += b"\n"
    try:
        while piece := os.read(near, 1024):
            shown += piece
    except OSError:  # a terminal whose other end is closed says it so
        pass
    os.close(near)
    assert process.wait() == code
    assert said in shown.decode()
    assert b"s3cret" not in shown
    assert safe.file("group-aircraft").exists() is (code == 0)


def test_the_list_has_names_and_readers_and_what_is_to_be_encrypted_anew(
    safe: Safe, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    safe.put("all", "pin", "4711")
    safe.put("host-EC-TAA", "own", "4712")
    safe.recipients(
        f'eva: {{key: {safe.public}, reads: ["*"]}}\nhub: {{key: {safe.public}, reads: [all]}}\n'
    )
    assert inv(monkeypatch, "secrets.list") == 0
    assert capsys.readouterr().out == (
        "all: pin, for eva; recipients.yml says otherwise: ./inv secrets.rekey\n"
        "host-EC-TAA: own, for eva\n"
    )
    assert inv(monkeypatch, "secrets.rekey") == 0
    assert capsys.readouterr().out == "all: eva, hub can read it now\n"
    assert inv(monkeypatch, "secrets.rekey", "--inventory", str(safe.path)) == 0
    assert capsys.readouterr().out.startswith("no change")
    assert inv(monkeypatch, "secrets.list", "--json") == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert rows[0] == {"level": "all", "name": "pin", "readers": ["eva", "hub"], "stale": False}


def test_a_key_is_made_once_and_only_its_public_half_is_shown(
    safe: Safe, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = safe.folder / "keys/age.key"
    path.unlink()
    assert inv(monkeypatch, "secrets.keygen") == 0
    said = capsys.readouterr().out
    assert "\nage1" in said
    assert f"in {safe.folder}/secrets/recipients.yml" in said
    assert "AGE-SECRET-KEY" not in said
    assert inv(monkeypatch, "secrets.keygen") == 64
    assert str(path) in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("secrets.edit", "--name", "pin"), "needs --level"),
        (("secrets.edit", "--level", "al", "--name", "pin"), "did you mean all?"),
        (("secrets.list", "--inventory", "nowhere.yml"), "there is no inventory at nowhere.yml"),
    ],
)
def test_wrong_usage_is_64_and_reads_no_value(
    safe: Safe,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    said: str,
) -> None:
    assert inv(monkeypatch, *words, given=b"s3cret") == 64
    assert sys.stdin.read() == "s3cret"
    error = capsys.readouterr().err
    assert said in error
    assert "s3cret" not in error
