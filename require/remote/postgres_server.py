"""The server of a Debian host: installed, its cluster made and started, or brought back to its feet."""

from __future__ import annotations

import glob
import os
import re
import shutil
import time
from typing import Any

from require.remote import apt, file
from require.remote.psql import silence
from require.remote.shell import Failed, run

CONF = "/etc/postgresql"
DATA = "/var/lib/postgresql"
LOGS = "/var/log/postgresql"
CREATE = "/etc/postgresql-common/createcluster.d"
START_S = 300
WRAPPER = "Error: "


def apply(spec: dict[str, Any], state: dict[str, Any]) -> None:
    """Install the server, and see that it answers.

    Args:
        spec: "checksums": whether a cluster that is made now has them; "names" of packages.
        state: what `probe` saw just now.

    Raises:
        Failed: with apt's words, or the last ones of the server's log.
    """
    if spec["checksums"]:
        _ask_for_checksums()
    if state["missing"]:
        _forget_unfinished()
        apt.install(state["missing"])
    if not silence():
        return
    if not glob.glob(f"{CONF}/*/*/postgresql.conf"):
        _make_cluster()
    run(["systemctl", "enable", "postgresql.service"]).check()
    words = []
    for config in sorted(glob.glob(f"{CONF}/*/*/postgresql.conf")):
        why_not = start(config)
        if why_not and go_back(os.path.dirname(config)):
            # A run was cut before it had seen whether the server starts with what it had written.
            why_not = start(config)
        words += [why_not] if why_not else []
    if silence():
        raise Failed(f"PostgreSQL was started and does not answer: {'; '.join(words)}")


def _ask_for_checksums() -> None:
    for folder in (os.path.dirname(CREATE), CREATE):
        if not os.path.isdir(folder):
            os.mkdir(folder)
            # Our umask is stricter, and psql reads there as whoever starts it.
            os.chmod(folder, 0o755)  # noqa: S103
    content = b"# Written by turnaround.\ninitdb_options = '--data-checksums'\n"
    file.put(f"{CREATE}/turnaround.conf", content, mode=0o644)


def _forget_unfinished() -> None:
    """Remove what a power cut left of a cluster that was just being made.

    The package would take such a one for whole. It was never started, and the last of its files,
    which names its environment, is not there; what somebody restored here has a label.
    """
    for data in glob.glob(f"{DATA}/*/main"):
        conf = data.replace(DATA, CONF, 1)
        signs = (f"{data}/postmaster.opts", f"{data}/backup_label", f"{conf}/environment")
        if not any(os.path.exists(sign) for sign in signs):
            shutil.rmtree(data)
            shutil.rmtree(conf, ignore_errors=True)


def _make_cluster() -> None:
    found = [path.split("/")[-3] for path in glob.glob("/usr/lib/postgresql/*/bin/postgres")]
    if found:
        _forget_unfinished()
        newest = max(found, key=lambda version: [int(n) for n in re.findall(r"\d+", version)])
        run(["pg_createcluster", newest, "main"], timeout_s=180).check()


def start(config: str, verb: str = "start") -> str:
    """Start a cluster, and return "" when it answers, else why it did not start.

    Args:
        config: path of its postgresql.conf.
        verb: "start" or "restart".

    Raises:
        Failed: it is none of Debian's clusters, or still busy with its start.
    """
    place = re.fullmatch(re.escape(CONF) + r"/([^/]+)/([^/]+)/postgresql\.conf", config)
    if place is None:
        raise Failed(
            f"the server of {config} is none of Debian's clusters in {CONF}: {verb} it by hand, then "
            "converge again"
        )
    name = f"{place[1]}-{place[2]}"
    unit, log = f"postgresql@{name}.service", f"{LOGS}/postgresql-{name}.log"
    before = os.path.getsize(log) if os.path.exists(log) else 0
    run(["systemctl", "reset-failed", unit])
    run(["systemctl", verb, unit], timeout_s=START_S)
    end = time.monotonic() + START_S
    while said := silence():
        # Debian's unit counts as started when the server did not start; then it is over at once.
        if run(["systemctl", "is-active", "--quiet", unit]).code != 0:
            return _words(unit, log, before) or f"see {log}"
        # What the wrapper cannot read, it cannot read later; the server may be recovering.
        if said.startswith(WRAPPER) or time.monotonic() > end:
            raise Failed(f"{unit} runs and does not answer: {said}")
        time.sleep(0.1)
    return ""


def _words(unit: str, log: str, before: int) -> str:
    """Return what a server said that did not start: to its log, or before it had one."""
    done = run(["journalctl", "--unit", unit, "--lines=8", "--no-pager", "--output=cat"])
    said = [line for line in done.out.splitlines() if line.startswith(("postgres: ", WRAPPER))]
    lines = [line for line in said if "exited with status" not in line]
    if os.path.exists(log):
        with open(log, "rb") as found:
            found.seek(before)
            text = found.read(65536).decode(errors="replace")
        lines += re.findall(r"(?:FATAL|PANIC|DETAIL|HINT): .*", text)
    return "; ".join(lines[:6])


def former(path: str) -> str:
    """Return where a file's former content is kept until the server has taken the new one."""
    folder, name = os.path.split(path)
    return f"{folder}/.{name}.former"


def go_back(folder: str) -> list[str]:
    """Put former contents in place again, and return the paths of the files that have them now.

    Args:
        folder: of a cluster's configuration.
    """
    found = glob.glob(f"{folder}/.*.former") + glob.glob(f"{folder}/conf.d/.*.former")
    back = []
    for kept in found:
        path = f"{os.path.dirname(kept)}/{os.path.basename(kept)[1:].removesuffix('.former')}"
        os.replace(kept, path)
        back.append(path)
    return back
