"""Why a transfer failed, in words: what happened, at which end, and whether the link is to blame."""

from __future__ import annotations

from pathlib import Path

import pytest

from sync.rsync import Link, LinkLost, NoRoom, Refused, TransferError

FULL = 'rsync: [receiver] write failed on "/in/use/1.cs": No space left on device (28)'
DENIED = 'rsync: [Receiver] mkdir "/in/a/b" failed: Permission denied (13)'
READ = 'rsync: [sender] read errors mapping "/out/1.cs": Input/output error (5)'
CLOSED = "rsync: connection unexpectedly closed (0 bytes received so far) [sender]"
IO = "rsync error: error in file IO (code 11) at main.c(800) [Receiver=3.2.7]"


def fails(code: int, *said: str, push: bool, tmp_path: Path) -> TransferError:
    """What becomes of an rsync that says that and ends with the code, in a push or in a pull."""
    script = tmp_path / "rsync"
    lines = "".join(f"{line}\n" for line in said)
    script.write_text(f"#!/bin/sh\ncat >&2 <<'END'\n{lines}END\nexit {code}\n")
    script.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sync.rsync._ENVIRONMENT", {"PATH": f"{tmp_path}:/usr/bin:/bin"})
        link = Link("hangar", ["ssh"])
        with pytest.raises(TransferError) as failed:
            link.push(tmp_path) if push else link.pull(tmp_path / "inbox")
    return failed.value


@pytest.mark.parametrize("code", [11, 12, 30])
def test_a_full_disk_is_full_where_it_is_written(code: int, tmp_path: Path) -> None:
    there = fails(code, FULL, IO, CLOSED, push=True, tmp_path=tmp_path)
    assert type(there) is TransferError
    assert str(there).startswith("hangar: the disk there takes no more: rsync: [receiver] write")
    here = fails(code, FULL, IO, push=False, tmp_path=tmp_path)
    assert type(here) is NoRoom
    assert str(here).startswith("this disk takes no more: rsync: [receiver] write")


@pytest.mark.parametrize(
    ("line", "push", "where"),
    [(DENIED, True, "there"), (DENIED, False, "here"), (READ, True, "here")],
)
@pytest.mark.parametrize("code", [11, 12])
def test_a_file_that_cannot_be_had_is_at_the_end_that_has_it(
    line: str, push: bool, where: str, code: int, tmp_path: Path
) -> None:
    failed = fails(code, line, IO, push=push, tmp_path=tmp_path)
    assert type(failed) is TransferError, "the link is there, and nobody was refused"
    assert f"a file {where} could not be read or written: {line}" in str(failed)


@pytest.mark.parametrize("code", [10, 12, 30, 35])
def test_what_the_link_does_is_a_lost_link(code: int, tmp_path: Path) -> None:
    broken = "rsync: [sender] write error: Broken pipe (32)"
    failed = fails(code, broken, CLOSED, push=True, tmp_path=tmp_path)
    assert type(failed) is LinkLost
    assert f"the link was lost (rsync {code}: {broken})" in str(failed)


@pytest.mark.parametrize(
    ("line", "enrolled"),
    [
        ("turnaround: refused: the inbox holds 1074 MB in 9 files", False),
        ("turnaround: refused: [Errno 28] No space left on device: '/var/x.push'", False),
        ("fleet@hangar: Permission denied (publickey).", True),
        ("Host key verification failed.", True),
    ],
)
def test_who_is_refused_is_told_by_whom_and_asked_for_a_key_where_it_is_one(
    line: str, enrolled: bool, tmp_path: Path
) -> None:
    failed = fails(12, line, CLOSED, push=True, tmp_path=tmp_path)
    assert type(failed) is Refused
    assert str(failed).startswith("hangar refused: ")
    assert ("Is this aircraft enrolled" in str(failed)) == enrolled


def test_what_nobody_foresaw_is_told_with_its_code(tmp_path: Path) -> None:
    failed = fails(4, "rsync: whatever", push=True, tmp_path=tmp_path)
    assert "rsync failed with 4: rsync: whatever. See rsync(1), EXIT VALUES" in str(failed)
