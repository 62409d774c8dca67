"""Lines of files: the twin of `require.resources.line`."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from typing import Any

from require.remote import file
from require.remote.shell import Refused

MAX_BYTES = 4 * 1024 * 1024
MAX_TEXT = 64 * 1024


def edited(text: str, spec: dict[str, Any]) -> str:
    """Return the text as it should be; the very same one where nothing is wrong with it. Pure.

    Args:
        text: of the whole file.
        spec: "verb", "text", "match", "name", "comment".
    """
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    verbs = {"present": _present, "absent": _absent, "block": _block, "hosts": _hosts}
    change = verbs[spec["verb"]]
    wanted = change(lines, spec)
    return text if wanted == lines else "".join(f"{line}\n" for line in wanted)


def _present(lines: list[str], spec: dict[str, Any]) -> list[str]:
    found = [n for n, line in enumerate(lines) if _is_it(line, spec)]
    if not found:
        return [*lines, spec["text"]]
    return [*lines[: found[-1]], spec["text"], *lines[found[-1] + 1 :]]


def _absent(lines: list[str], spec: dict[str, Any]) -> list[str]:
    return [line for line in lines if not _is_it(line, spec)]


def _is_it(line: str, spec: dict[str, Any]) -> bool:
    return bool(re.search(spec["match"], line)) if spec["match"] else line == spec["text"]


def _block(lines: list[str], spec: dict[str, Any]) -> list[str]:
    begin, end = (f"{spec['comment']} turnaround {spec['name']}: {at}" for at in ("begin", "end"))
    body = spec["text"].rstrip("\n")
    wanted = [begin, *body.split("\n"), end] if body else []
    if begin not in lines:
        return [*lines, *wanted]
    first = lines.index(begin)
    if end not in lines[first:]:
        raise Refused(f"the line {begin!r} has no {end!r} after it: mend that by hand")
    return [*lines[:first], *wanted, *lines[lines.index(end, first) + 1 :]]


def _hosts(lines: list[str], spec: dict[str, Any]) -> list[str]:
    """Give names their address, and take them out of the lines that give them another one."""
    address, *names = spec["text"].split()
    lower = [name.lower() for name in names]  # a look-up minds no capitals
    done, found = [], False
    for line in lines:
        text, mark, comment = line.partition("#")
        entry = text.split()
        if entry[:2] == [address, names[0]]:
            if not found:
                done.append(line if entry[1:] == names else spec["text"])
            found = True
            continue
        if entry and entry[0] != address and (":" in entry[0]) == (":" in address):
            left = [each for each in entry if each.lower() not in lower]
            if len(left) == 1 < len(entry):
                continue
            if left != entry:
                line = " ".join([*left, mark + comment]).rstrip()
        done.append(line)
    return done if found else [*done, spec["text"]]


def probe(spec: dict[str, Any]) -> dict[str, Any]:
    """Look at a file's lines.

    Args:
        spec: "path" and what `edited` needs.

    Returns:
        "kind": absent, file, directory or other; "right": whether nothing is to be done; of a file
        that is not right also "sha" and, up to 64 KiB of UTF-8, "text".
    """
    data = _read(spec["path"])
    if isinstance(data, str):
        right = data == "absent" and edited("", spec) == ""
        return {"kind": data, "right": right}
    text = data.decode("utf-8", "surrogateescape")
    if edited(text, spec) == text:
        return {"kind": "file", "right": True}
    state = {"kind": "file", "right": False, "sha": hashlib.sha256(data).hexdigest()}
    if len(data) <= MAX_TEXT and _is_utf8(data):
        state["text"] = text
    return state


def _read(path: str) -> bytes | str:
    """Return a file's bytes, or what is there instead."""
    try:
        with open(path, "rb", opener=_without_waiting) as found:
            mode = os.fstat(found.fileno()).st_mode
            if not stat.S_ISREG(mode):
                return "other"
            data = found.read(MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return "absent"
    except IsADirectoryError:
        return "directory"
    return data if len(data) <= MAX_BYTES else f"a file of more than {MAX_BYTES} bytes"


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def apply(spec: dict[str, Any], state: dict[str, Any]) -> None:
    """Bring the lines about: the whole file is written anew and put in place by rename.

    Args:
        spec: the question and "validate".
        state: what `probe` saw just now.

    Raises:
        Refused: the parent directory is missing, the new content was not accepted, or the file
            changed while it was written.
    """
    path = os.path.realpath(spec["path"])
    before = b"" if state["kind"] == "absent" else _read(path)
    if isinstance(before, str):
        raise Refused("it changed while its new lines were written: converge again")
    text = edited(before.decode("utf-8", "surrogateescape"), spec)
    content = text.encode("utf-8", "surrogateescape")
    file.put(path, content, former=before, validate=spec["validate"])
