"""A checkout of its own for tests of what is built from one."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

from tests.fleet.aboard.host import wheel

LIBRARY = wheel({"library.py": b"answer = 42\n"})
LOCK = f"library==1.0 \\\n    --hash=sha256:{'0' * 64} \\\n    --hash=sha256:" + (
    hashlib.sha256(LIBRARY).hexdigest() + "\n"
)
FILES = {
    "onboard_app/__init__.py": "name = 'onboard'\n",
    "onboard_app/data/labels.csv": "a,b\n",
    "onboard_app/html5/package.json": "{}",
    "onboard_app/html5/package-lock.json": '{"lockfileVersion": 3}',
    "onboard_app/html5/templates/index.html": "<p>hello</p>",
    "onboard_app/html5/static/css/app.css": "p{}",
    "hangar_app/__init__.py": "",
    "sync/setup.py": "",
    "common/__init__.py": "",
    "requirements/onboard.txt": LOCK,
    ".gitignore": "*.csv\n",
}


class Repository:
    """A checkout of its own with a few files of each room."""

    def __init__(self, top: Path) -> None:
        self.top = top
        top.mkdir()
        self.git("init", "--quiet", "--initial-branch=main")
        for path, text in FILES.items():
            self.write(path, text)
        self.commit()

    def git(self, *arguments: str) -> str:
        who = {"NAME": "Test", "EMAIL": "test@example.com", "DATE": "2026-01-02T03:04:05+02:00"}
        by = {f"GIT_{role}_{k}": v for role in ("AUTHOR", "COMMITTER") for k, v in who.items()}
        done = subprocess.run(
            ["git", "-C", str(self.top), *arguments],
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, **by, "GIT_CONFIG_GLOBAL": "/dev/null"},
        )
        return done.stdout.strip()

    def write(self, path: str, text: str) -> None:
        (self.top / path).parent.mkdir(parents=True, exist_ok=True)
        (self.top / path).write_text(text)

    def commit(self) -> str:
        self.git("add", "--force", "--all")
        self.git("commit", "--quiet", "--message", "x")
        return self.git("rev-parse", "HEAD")
