"""What a command said, kept: a folder per run, in it a file per host and `summary.json`.

What is shown to people is masked already, and only that is written here; progress comes with its time,
diffs are whole. A log that cannot be written is told once and keeps nobody from working.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from fleet.report import Outcome, Reporter, exit_code
from require.run import operator_name

KEPT = 50
_RUN = r"\d{8}T\d{6}Z-[a-z0-9-]+-[0-9a-f]{4}"


class RunLog:
    """The log of one run.

    Args:
        folder: where the runs of this fleet are kept, the last `KEPT` of them.
        command: its name.
        fleet: the fleet's name.
        now: the time, in UTC.
        warn: takes the one line that says that the log cannot be written.
    """

    def __init__(
        self,
        folder: Path,
        command: str,
        fleet: str,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        warn: Callable[[str], object] = lambda line: sys.stderr.write(f"{line}\n"),
    ) -> None:
        self._command, self._fleet, self._now, self._warn = command, fleet, now, warn
        self._began = now()
        self.folder = folder / f"{self._began:%Y%m%dT%H%M%SZ}-{command}-{secrets.token_hex(2)}"
        self._lock = threading.Lock()
        self._made = self._broken = False
        self._ended: list[Outcome] = []

    @property
    def place(self) -> str:
        """Where the run is kept; empty when it is not."""
        return str(self.folder) if self._made and not self._broken else ""

    def progress(self, host: str, text: str) -> None:
        """Notes what a host is doing, with the time."""
        self._add(f"{host}.log", f"{self._stamp()} {text}\n")

    def done(self, outcome: Outcome) -> None:
        """Notes how it ended on a host, and everything that it has to say."""
        self._ended.append(outcome)
        below = [*(outcome.whole or outcome.lines)]
        below += [f"→ {outcome.remedy}"] if outcome.remedy else []
        first = f"{self._stamp()} {outcome.status}: {outcome.detail}"
        self._add(f"{outcome.host}.log", "\n    ".join([first, *below]) + "\n")

    def close(self) -> None:
        """Writes the summary."""
        summary = {
            "command": self._command,
            "fleet": self._fleet,
            "operator": operator_name(),
            "began": _iso(self._began),
            "ended": self._stamp(),
            "exit": int(exit_code(self._ended)),
            "hosts": [each.as_json() for each in self._ended],
        }
        self._add("summary.json", json.dumps(summary, ensure_ascii=False, indent=1) + "\n")

    def _stamp(self) -> str:
        return _iso(self._now())

    def _add(self, name: str, text: str) -> None:
        with self._lock:
            if self._broken:
                return
            try:
                if not self._made:
                    self._make()
                place = os.open(self.folder / name, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
                with open(place, "a", encoding="utf-8") as file:
                    file.write(text)
            except OSError as error:
                self._broken = True
                self._warn(f"no log of this run is kept: {error}; TURNAROUND_LOGS names a place")

    def _make(self) -> None:
        _make_private(self.folder)
        self._made = True
        runs = [each for each in self.folder.parent.iterdir() if re.fullmatch(_RUN, each.name)]
        for old in sorted(runs)[:-KEPT]:
            # Another command may be removing it at the same time.
            shutil.rmtree(old, ignore_errors=True)


class Logged:
    """A reporter that keeps what it shows.

    Args:
        shown: shows it.
        log: keeps it.
    """

    def __init__(self, shown: Reporter, log: RunLog) -> None:
        self._shown, self._log = shown, log

    def progress(self, host: str, text: str) -> None:
        self._log.progress(host, text)
        self._shown.progress(host, text)

    def done(self, outcome: Outcome) -> None:
        self._log.done(outcome)
        self._shown.done(outcome)

    def close(self) -> None:
        self._log.close()
        self._shown.close()


def _make_private(folder: Path) -> None:
    if not folder.is_dir():
        _make_private(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


def _iso(when: datetime) -> str:
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")
