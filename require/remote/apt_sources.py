"""Sources of packages: the twin of `require.resources.apt_sources`."""

from __future__ import annotations

import os
import tempfile
from typing import Any

from require.remote import apt, file
from require.remote.shell import Failed

SCRATCH = "/run"
UNSIGNED = ("NO_PUBKEY", "not signed", "GPG error", "OpenPGP signature", "Missing key")


def probe(spec: dict[str, Any]) -> dict[str, Any]:
    """Look at a source's files.

    Args:
        spec: "files": questions about its key's file, if that is ours, and its own.

    Returns:
        "files": what is seen of each.
    """
    return {"files": [file.probe(each) for each in spec["files"]]}


def apply(spec: dict[str, Any], state: dict[str, Any]) -> None:
    """Fetch the source's index, then put its files in place, its own last.

    Args:
        spec: the question and "orders" of the files.
        state: what `probe` saw just now.

    Raises:
        Failed: its index cannot be had, is not signed by its key, or apt reads no sources any more
            with this one among them; then it is not in place.
    """
    files = [{**each, **order} for each, order in zip(spec["files"], spec["orders"], strict=True)]
    source = files[-1]["path"]
    _fetch(files)
    before = _read(source)
    for each, seen in zip(files, state["files"], strict=True):
        file.apply(each, seen)
    # Two that name one source with different keys, for instance, and apt does nothing any more.
    done = apt.patient(["apt-get", "indextargets"])
    if done.code != 0:
        if before is None:
            file.apply({"path": source, "kind": "absent"}, file.probe({"path": source}))
        else:
            file.put(source, before)
        raise Failed(f"{source} is not put in place, apt could not go on: {apt.errors(done)}")


def _fetch(files: list[dict[str, Any]]) -> None:
    """Fetch the index that some files will name, and that alone, by copies of them."""
    with tempfile.TemporaryDirectory(dir=SCRATCH, prefix="turnaround-apt-") as scratch:
        # The account that checks signatures reads the key there.
        os.chmod(scratch, 0o755)  # noqa: S103
        text = files[-1]["content"]
        for each in files[:-1]:
            beside = f"{scratch}/{os.path.basename(each['path'])}"
            _write(beside, each["content"])
            text = text.replace(each["path"].encode(), beside.encode())
        _write(f"{scratch}/new.sources", text)
        done = apt.patient(
            [
                "apt-get",
                "update",
                "-q",
                "--error-on=any",
                "--no-list-cleanup",
                f"-o=Dir::Etc::SourceList={scratch}/new.sources",
                "-o=Dir::Etc::SourceParts=/dev/null",
            ]
        )
    if done.code != 0:
        words = apt.errors(done, ("E:", "W:"))
        unsigned = any(sign in words for sign in UNSIGNED)
        what = "is not signed by its key" if unsigned else "cannot be fetched"
        raise Failed(f"its index {what}, so nothing was put in place: {words}")


def _write(path: str, content: bytes) -> None:
    with open(path, "wb") as made:
        made.write(content)
    os.chmod(path, 0o644)


def _read(path: str) -> bytes | None:
    try:
        with open(path, "rb") as found:
            return found.read()
    except FileNotFoundError:
        return None
