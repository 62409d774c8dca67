"""The reference role as our roles are written."""

from __future__ import annotations

from pathlib import Path

import require
from ci.bench.reference import wanted

TEMPLATES = Path(__file__).parent / "templates"


def catalog(copies: int = 1) -> require.Catalog:
    """Declares the role; with more copies its files come again in folders of their own.

    Args:
        copies: how many times the files are declared: 33 resources, or 341 with 15.
    """
    with require.declare(templates=TEMPLATES, role="reference") as declared:
        require.apt.packages(wanted.PACKAGES)
        for name in wanted.USERS:
            require.user.user(name)
        for copy in range(copies):
            _files("" if copy == 0 else f"/copy-{copy}")
        for path, match, text in wanted.LINES:
            require.line.line(path, text, match=match)
        for name in wanted.SERVICES:
            require.systemd.service(name)
    return declared


def _files(below: str) -> None:
    def place(path: str) -> str:
        return path.replace(wanted.TOP, wanted.TOP + below, 1)

    for path in (wanted.TOP, *wanted.DIRECTORIES):
        require.file.directory(place(path))
    for path in wanted.TEMPLATES:
        require.file.template(place(path), template="service.conf.j2", **wanted.variables(path))
    for path, target in wanted.LINKS:
        require.file.link(place(path), place(target))
