"""What `systemd-analyze verify` says of a unit file, and which of it is a reason to refuse the file.

The words are those of systemd 257, as it said them of small files.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

import require

OWN = "/tmp/systemd-analyze-1NPl6B"
BAD = "Unit {0} has a bad unit file setting."

ACCEPTED = {
    "nothing": ("a.service", 0, ""),
    "a program that is not there yet": (
        "a.service",
        1,
        "a.service: Command /opt/nowhere/bin/x is not executable: No such file or directory",
    ),
    "a unit that is not there yet": (
        "a.service",
        1,
        "a.service: Failed to create a.service/start: Unit nope.service not found.",
    ),
    "a socket before its service": (
        "a.socket",
        1,
        "a.socket: service a.service not loaded, socket cannot be started.",
    ),
    "a setting of a newer systemd": (
        "a.service",
        0,
        f"{OWN}/a.service:3: Unknown key 'Foo' in section [Service], ignoring.",
    ),
    "a call of a newer kernel": (
        "a.service",
        0,
        f"{OWN}/a.service:3: System call mseal is not known, ignoring.",
    ),
    "what is wrong with another unit": (
        "a.service",
        1,
        "/usr/lib/systemd/system/b.service:3: Failed to parse Restart=x, ignoring: Invalid argument\n"
        + BAD.format("b.service"),
    ),
}
REFUSED = {
    "a value that cannot be read": (
        "a.service",
        0,
        f"{OWN}/a.service:3: Failed to parse Restart=sometimes, ignoring: Invalid argument",
    ),
    "a line outside of all sections": (
        "a.service",
        1,
        f"{OWN}/a.service:1: Assignment outside of section. Ignoring.",
    ),
    "nothing to start": ("a.service", 1, "a.service: Service has no ExecStart=. Refusing."),
    "a bad setting": ("a.service", 1, BAD.format("a.service")),
    "a bad setting of a template": ("a@.service", 1, BAD.format("a@test_instance.service")),
    "no unit file": (
        "a.service",
        1,
        "Unit a.service failed to load properly, please adjust/correct and reload service manager: "
        "Bad message",
    ),
}


def judged(folder: Path, name: str, code: int, words: str) -> subprocess.CompletedProcess[str]:
    """Ask the validator of a unit file, where systemd-analyze says these words."""
    with require.declare():
        unit: Any = require.systemd.unit(name, content="[Unit]\n")
    argv = [word.replace("{}", "/etc/.new~") for word in unit.validate]
    program = folder / "systemd-analyze"
    program.write_text(
        f'#!/bin/sh\n[ "$3" = "/etc/.new~:{name}" ] && cat >&2 <<.\n{words}\n.\nexit {code}\n'
    )
    program.chmod(0o755)
    environment = {"PATH": f"{folder}:/usr/bin:/bin"}
    return subprocess.run(argv, capture_output=True, text=True, env=environment)


@pytest.mark.parametrize(("name", "code", "words"), ACCEPTED.values(), ids=ACCEPTED)
def test_what_is_only_not_there_yet_is_accepted(
    tmp_path: Path, name: str, code: int, words: str
) -> None:
    done = judged(tmp_path, name, code, words)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(("name", "code", "words"), REFUSED.values(), ids=REFUSED)
def test_what_systemd_would_not_do_is_refused_in_its_words(
    tmp_path: Path, name: str, code: int, words: str
) -> None:
    done = judged(tmp_path, name, code, words)
    assert (done.returncode, done.stdout) == (1, f"{words.removeprefix(f'{OWN}/')}\n")
