"""docs/sync-protocol.md is what the code does: its examples and tables are compared with it."""

from __future__ import annotations

import base64
import hashlib
import io
import re
from dataclasses import fields
from pathlib import Path

import pytest

from sync import apply, changeset, packing, rsync, seal, skew
from sync.changeset import Header, Limits, Table

TOP = Path(__file__).parents[2]
TEXT = (TOP / "docs" / "sync-protocol.md").read_text()
KEYS = [b"0199a2c4-7f00-7000-8000-00000000000%x" % number for number in range(16)]
HEADER = Header(
    stream="cat",
    epoch="1f0a93c2-5f4e-4b7a-9d1c-0a4c6f3b2e11",
    seq=8,
    first_seq=8,
    prev_sha256="3f" * 32,
    schema="0009",
    node="hangar",
    created="2026-11-23T02:00:00+00:00",
    tables=(
        Table("item", ("id", "kind", "valid_to"), upserts=0, deletes=1),
        Table("survey", ("id", "question", "published"), upserts=2, deletes=0),
    ),
)
ROWS = [
    b"0199a2c4-7f00-7000-8000-000000000001\n0199a2c4-7f00-7000-8000-000000000002\n",
    b'{"en": "How was it?"}\n{"en": "A tab: \\\\t"}\n',
    b"t\nf\n",
]
GONE = b"0199a2c4-7f00-7000-8000-000000000009\n"


def example(name: str) -> str:
    """The block of the document that a comment names."""
    found = re.search(rf"<!-- example: {name} -->\n```\n(.*?)```", TEXT, re.DOTALL)
    assert found, f"no example {name}"
    return found[1]


def written() -> bytes:
    out = io.BytesIO()
    changeset.write(out, HEADER, [[], ROWS], [b"", GONE])
    return out.getvalue()


def content(file: bytes) -> str:
    return changeset.zstd.decompress(file).decode()


def test_the_example_is_what_the_code_writes() -> None:
    assert content(written()) == example("content")


def test_the_example_s_file_holds_it_and_is_read() -> None:
    file = base64.b64decode(example("file"))
    assert content(file) == example("content")
    header, sha256 = changeset.check(io.BufferedReader(io.BytesIO(file)), "example")  # type: ignore[arg-type]
    assert header == HEADER
    assert f"`{sha256}`" in TEXT
    assert sha256 == hashlib.sha256(file).hexdigest()


def test_the_packed_block_is_what_the_code_writes_and_reads() -> None:
    packed = packing.pack(KEYS)
    assert packed is not None
    template, data = packed
    head = b"%d %d %s" % (len(KEYS), len(data), template)
    assert f"`{head.decode().replace(chr(9), '⇥')}`" in TEXT
    assert bytes.fromhex(example("packed")) == data
    assert packing.unpack(template, data, len(KEYS)) == b"".join(key + b"\n" for key in KEYS)


@pytest.mark.parametrize("name", [one.name for one in fields(Header)])
def test_each_field_of_the_header_is_described(name: str) -> None:
    assert re.search(rf"^\| `{name}` \|", TEXT, re.MULTILINE)


@pytest.mark.parametrize("name", [one.name for one in fields(Table)])
def test_each_field_of_a_table_is_described(name: str) -> None:
    (line,) = re.findall(r"^\| `tables` \| list \|.*$", TEXT, re.MULTILINE)
    assert f"`{name}`" in line


@pytest.mark.parametrize("name", [one.name for one in fields(Limits)])
def test_each_limit_is_the_reader_s(name: str) -> None:
    found = re.search(rf"^\| `{name}` \| (\d+) \|", TEXT, re.MULTILINE)
    assert found
    assert int(found[1]) == getattr(Limits(), name)


def test_the_limits_of_a_snapshot_are_the_reader_s() -> None:
    (line,) = re.findall(r"^Of a snapshot `file` is.*$", TEXT, re.MULTILINE)
    said = dict(re.findall(r"`(\w+)`(?: is)? (\d+)", line))
    assert Limits(**{name: int(value) for name, value in said.items()}) == changeset.SNAPSHOT_LIMITS


@pytest.mark.parametrize(("way", "receiver"), [("up", "hangar"), ("down", "aircraft")])
def test_each_stream_is_told_with_its_models_in_their_order(way: str, receiver: str) -> None:
    rows = re.findall(rf"^\| `(\w+)` \| {way} \| [^|]+ \| (.+) \|$", TEXT, re.MULTILINE)
    told = {stream: re.findall(r"`(\w+)`", names) for stream, names in rows}
    streams = apply.received_streams(receiver)
    assert told == {stream: list(skew.models(receiver, stream)) for stream in streams}


def test_a_batch_has_as_many_rows_as_is_said() -> None:
    assert f"up to {seal.ROWS:,} `dirty` rows".replace(",", " ") in TEXT
    assert f"more than {seal.RAW_BYTES >> 20} MiB" in TEXT


def test_the_transfers_are_told_with_their_flags(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[list[str]] = []

    def watched(command: list[str], *_: object) -> tuple[int, bytes, bytes, bool]:
        ran.append(command[command.index("-e") + 2 : -2])
        return 0, b"", b"", False

    monkeypatch.setattr(rsync, "_watched", watched)
    link = rsync.Link("hangar", ["ssh"])
    link.push(tmp_path)
    link.pull(tmp_path)
    link.fetch(["0" * 64], tmp_path)
    text = " ".join(TEXT.split())
    told = [set(flags.split()) for flags in re.findall(r"`(?:rsync )?(-r?t [^`]+)`", text)]
    # What is left out is told in words.
    found = [{flag for flag in flags if not flag.startswith("--exclude=")} for flags in ran]
    assert told == found


def test_the_format_is_the_one_that_is_written() -> None:
    assert re.search(rf"^\| `format` \| {changeset.FORMAT} \|", TEXT, re.MULTILINE)
