"""Stands in for the host's programs: this machine gets no package, account or service from tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from require.remote.shell import Done

Script = Callable[[Sequence[str], str], tuple[int, str, str]]


class Programs:
    """Stands in for `shell.run`: remembers what was started, and answers as it is told."""

    def __init__(self) -> None:
        self.started: list[list[str]] = []
        self.stdin: list[str] = []
        self.answer: Script = lambda argv, stdin: (0, "", "")

    def __call__(self, argv: Sequence[str], stdin: str = "", *more: Any, **named: Any) -> Done:
        self.started.append(list(argv))
        self.stdin.append(stdin)
        return Done(argv, *self.answer(argv, stdin))
