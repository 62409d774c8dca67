"""Work on this repository: `./inv --list` shows every command, `./inv --help COMMAND` one.

Only what reads arguments and prints lives here; the lab, the builds and the story are packages of `ci`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from invoke import Collection, Context, task
from invoke.exceptions import Exit

from ci import reference
from ci.bench.tasks import namespace as bench
from ci.build_tasks import namespace as build
from ci.faults.tasks import faults
from ci.lab.tasks import namespace as lab
from ci.secrets_tasks import namespace as secrets

TOP = Path(__file__).resolve().parent
LOCKS = {
    "dev": ["--python-version", "3.11"],
    "peers": ["--python-version", "3.11"],
    "onboard": ["--python-version", "3.13", "--python-platform", "x86_64-manylinux_2_28"],
    "hangar": ["--python-version", "3.13", "--python-platform", "x86_64-manylinux_2_28"],
}


def _python(*args: str, stdout: IO[bytes] | None = None, **environment: str) -> int:
    """Runs the project's own Python at the top of the checkout and returns its exit code."""
    return subprocess.run(
        [sys.executable, *args],
        cwd=TOP,
        env={**os.environ, **environment},
        stdout=stdout,
        check=False,
    ).returncode


def _must(what: str, code: int) -> None:
    if code:
        raise Exit(f"{what} failed; what it printed stands above", code=4)


@task
def demo(c: Context) -> None:
    """Lab up, hosts provisioned, released, one whole turnaround told step by step."""
    from ci.story.demo import main

    code = main()
    if code:
        raise Exit(code=code)


@task(help={"fast": "leave out what needs the lab's hosts, and what is slow (60 s at most)"})
def test(c: Context, fast: bool = False) -> None:
    """Everything, hosts included; with --fast all that is done in a minute."""
    # What needs no hosts may run on all cores, and says first what it can say alone.
    quick = ["-m", "not hosts and not slow" if fast else "not hosts", "-n", "auto"]
    # Compiling three hundred tests anew costs each worker five seconds.
    codes = [_python("-m", "pytest", *quick, "--dist", "worksteal", PYTHONDONTWRITEBYTECODE="")]
    if not fast:
        hosts = ["-m", "pytest", "-m", "hosts", "--durations=10", "--durations-min=30"]
        # One lab is told one story; beside it, in labs of their own, hosts are cut and crashed.
        with ThreadPoolExecutor() as pool, TemporaryFile() as said:
            beside = pool.submit(_python, *hosts, "tests", stdout=said)
            codes += [_python(*hosts, "ci"), beside.result()]
            said.seek(0)
            shutil.copyfileobj(said, sys.stdout.buffer)
    _must("the test suite", max(codes))


@task
def lint(c: Context) -> None:
    """Style, types, and who may import whom."""
    failed = [
        name
        for name, args in {
            "ruff check": ["-m", "ruff", "check", "."],
            "ruff format": ["-m", "ruff", "format", "--check", "."],
            "mypy": ["-m", "mypy"],
            "import rules": ["-c", "from importlinter.cli import lint_imports_command as m; m()"],
        }.items()
        if _python(*args)
    ]
    if failed:
        raise Exit(f"lint: {', '.join(failed)} found what stands above", code=4)


@task
def docs(c: Context) -> None:
    """Write docs/reference.md anew: every resource, from the docstrings."""
    reference.PAGE.write_text(reference.page())
    print(f"wrote {reference.PAGE.relative_to(TOP)}")


@task
def lock(c: Context) -> None:
    """Write requirements/*.txt anew from pyproject.toml: hashes, and no package index's address."""
    for name, target in LOCKS.items():
        command = ["-m", "uv", "pip", "compile", "pyproject.toml", "--extra", name, "--quiet"]
        command += ["--generate-hashes", "--no-annotate", "--no-header", "--no-emit-index-url"]
        command += ["--no-emit-find-links", *target, "--output-file", f"requirements/{name}.txt"]
        if name in ("onboard", "hangar"):
            command += ["--only-binary", ":all:"]
        _must(f"locking {name}", _python(*command))


namespace = Collection(demo, test, lint, docs, lock, faults, lab, build, bench, secrets)
