"""The program is small, whole, and carries no more than its trip needs."""

from __future__ import annotations

import ast
import builtins
import json
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from require import LocalTransport, program
from require.errors import CommandFailed
from require.remote.wire import MAGIC, Decoder, Reader, frame
from require.secret import Secret
from require.shaking import shake

REFERENCE = ["apt", "file", "line", "systemd", "user"]  # the nouns of the role that is measured
NOUNS = [
    "apt",
    "apt_sources",
    "archive",
    "command",
    "file",
    "host",
    "line",
    "nftables",
    "postgres",
    "python",
    "redis",
    "ssh",
    "sysctl",
    "systemd",
    "user",
    "wireguard",
]
COMPOSED = {"nginx"}  # of other nouns, so there is nothing of theirs to look at
REMOTE = Path(program.__file__).parent / "remote"


def source(payload: bytes) -> str:
    return zlib.decompress(payload.partition(b"\n")[2]).decode()


def carried(payload: bytes) -> dict[str, str]:
    """Return the modules in a payload, by name."""
    (modules,) = (
        ast.literal_eval(node.value)
        for node in ast.parse(source(payload)).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "M"
    )
    found: dict[str, str] = modules
    return found


def test_a_look_carries_nothing_that_changes_a_host() -> None:
    text = source(program.look_payload(NOUNS, {}))
    for word in ("useradd", "apt-get", "fchmod", "os.replace", "ALTER DATABASE", "systemd-run"):
        assert word not in text
        assert word in source(program.apply_payload(NOUNS, {}))


def test_a_look_is_below_8_kB_and_with_every_noun_below_12() -> None:
    assert len(program.look_payload(REFERENCE, {})) < 8_000
    assert len(program.look_payload(NOUNS, {})) < 12_000


@pytest.mark.parametrize("noun", NOUNS)
@pytest.mark.parametrize("payload", [program.look_payload, program.apply_payload])
def test_a_noun_brings_all_that_it_is_made_of(
    noun: str, payload: Callable[[list[str], dict[str, Any]], bytes]
) -> None:
    modules = carried(payload([noun], {}))
    for text in modules.values():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ImportFrom) and node.module == "require.remote":
                assert {f"require.remote.{each.name}" for each in node.names} <= modules.keys()


@pytest.mark.parametrize("noun", NOUNS)
@pytest.mark.parametrize("payload", [program.look_payload, program.apply_payload])
def test_nothing_that_is_used_was_shaken_out(
    payload: Callable[[list[str], dict[str, Any]], bytes], noun: str
) -> None:
    for module, text in carried(payload([noun], {})).items():
        nodes = list(ast.walk(ast.parse(text)))
        names = [each for each in nodes if isinstance(each, ast.Name)]
        known = {each.id for each in names if isinstance(each.ctx, ast.Store)} | set(dir(builtins))
        for each in nodes:
            if isinstance(each, ast.FunctionDef | ast.ClassDef | ast.ExceptHandler):
                known.add(each.name or "")
            elif isinstance(each, ast.arg):
                known.add(each.arg)
            elif isinstance(each, ast.alias):
                known.add((each.asname or each.name).partition(".")[0])
        assert {each.id for each in names} <= known, module


def test_a_secret_is_in_the_payload_and_never_in_the_command() -> None:
    payload = program.apply_payload(["file"], {"order": {"password": Secret("s3cret")}})
    assert program.read(payload)["order"] == {"password": {"$secret": "s3cret"}}
    assert "s3cret" not in program.COMMAND
    assert len(program.COMMAND) < 4096


def test_a_payload_that_was_cut_runs_nothing() -> None:
    payload = program.apply_payload(NOUNS, {"state_dir": "/nowhere"})
    with pytest.raises(CommandFailed, match="the program was cut"):
        LocalTransport().call(program.COMMAND, payload[:-100], timeout_s=10)


@pytest.mark.parametrize("path", sorted(REMOTE.glob("*.py")), ids=lambda path: path.stem)
def test_the_remote_side_imports_only_the_standard_library(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        for name in names:
            ours = name == "require.remote" or name.startswith("require.remote.")
            assert ours or name.partition(".")[0] in sys.stdlib_module_names


def test_every_noun_has_a_twin() -> None:
    resources = {path.stem for path in (REMOTE.parent / "resources").glob("*.py")}
    # What a noun is made of has its name before an underscore, and no twin of its own.
    resources -= {name for name in resources - set(NOUNS) if name.split("_")[0] in NOUNS}
    assert resources - {"__init__"} - COMPOSED == set(NOUNS)
    assert set(NOUNS) <= {path.stem for path in REMOTE.glob("*.py")}


def test_shaking_keeps_what_is_reached_through_other_modules() -> None:
    sources = {
        "a": "from require.remote import b\ndef used(x: int) -> int:\n    'doc'\n    return b.f(x)",
        "b": "import os\nimport re\ndef f(x): return os.fspath(g(x))\ndef g(x): return x\ndef h(): re",
    }
    shaken = shake(sources, [("a", "used")])
    assert shaken["a"] == "from require.remote import b\n\ndef used(x):\n    return b.f(x)"
    assert "def g" in shaken["b"]
    assert "import os" in shaken["b"]
    assert "def h" not in shaken["b"]
    assert "import re" not in shaken["b"]


def test_frames_survive_being_cut_into_pieces_and_noise_before_them() -> None:
    stream = b"Welcome to Debian!\n" + MAGIC + frame(b"P", {"done": 1}) + frame(b"R", [1, "é"])
    reader = Reader()
    found = [each for byte in stream for each in reader.feed(bytes([byte]))]
    assert found == [(b"P", {"done": 1}), (b"R", [1, "é"])]


@pytest.mark.parametrize(
    "bad",
    [MAGIC + b"X\0\0\0\1x", MAGIC + b"R\xff\xff\xff\xff", b"<html>" * 20_000],
    ids=["kind", "size", "not ours"],
)
def test_frames_that_are_not_ours_are_refused(bad: bytes) -> None:
    with pytest.raises(ValueError, match="ours"):
        list(Reader().feed(bad))


def test_a_request_brings_bytes_texts_and_secrets_and_remembers_the_secrets() -> None:
    decoder = Decoder()
    payload = program.apply_payload(
        [], {"text": "naïve".encode(), "bytes": b"\xff\0", "secret": Secret("s3cret")}
    )
    request = decoder.load(json.dumps(program.read(payload)))
    assert request["text"] == "naïve".encode()
    assert request["bytes"] == b"\xff\0"
    assert request["secret"] == "s3cret"
    assert decoder.mask("it was s3cret") == "it was ••••••"


def test_the_host_masks_the_longest_secret_first() -> None:
    decoder = Decoder()
    decoder.secrets = dict.fromkeys(("pass", "password"))  # type: ignore[assignment]  # in order
    assert decoder.mask("it was password") == "it was ••••••"
