"""Asks many probes, one after another, so that none can hold up the rest.

All probes run in one forked child that reports each answer as it has it. When one takes longer than
its time, the child is left to die, that one resource is unknown, and a new child goes on with the
next. A forked child also cannot leave anything behind in our memory.
"""

from __future__ import annotations

import importlib
import json
import os
import select
import signal
import time
from collections.abc import Sequence
from typing import Any

Question = dict[str, Any]
Answer = dict[str, Any]


def look(questions: Sequence[Question], total_s: float = 90) -> list[Answer]:
    """Probe resources.

    Args:
        questions: each with "noun", "spec" and "timeout" (seconds).
        total_s: seconds for all of them; what is left after is unknown.

    Returns:
        One answer per question: {"state": …} or {"failed": reason}.
    """
    answers: list[Answer] = []
    end = time.monotonic() + total_s
    while len(answers) < len(questions):
        if time.monotonic() >= end:
            rest = {"failed": f"not looked at: all probes together took more than {total_s:g} s"}
            return answers + [rest] * (len(questions) - len(answers))
        _one_child(questions, answers, end)
    return answers


def _one_child(questions: Sequence[Question], answers: list[Answer], end: float) -> None:
    """Collect answers from one child until it is through, hangs or dies."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        _child(questions[len(answers) :], reading, writing)
    os.close(writing)
    buffer = b""
    try:
        while len(answers) < len(questions):
            limit = questions[len(answers)]["timeout"]
            ready = select.select([reading], [], [], max(0, min(limit, end - time.monotonic())))[0]
            piece = os.read(reading, 65536) if ready else b""
            if not ready:
                answers.append({"failed": f"the probe had no answer after {limit:g} s"})
                return
            if not piece:
                answers.append({"failed": "the probe died"})
                return
            *lines, buffer = (buffer + piece).split(b"\n")
            answers += map(json.loads, lines)
        os.waitpid(child, 0)  # it has nothing left to do but to end
        child = 0
    finally:
        os.close(reading)
        if child:
            _end(child)


def _child(questions: Sequence[Question], reading: int, writing: int) -> None:
    os.close(reading)
    os.setsid()
    # Answers must not go where frames go: the child owns nothing but its pipe.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        nouns = {each["noun"] for each in questions}
        modules = {noun: importlib.import_module(f"require.remote.{noun}") for noun in nouns}
        for noun, module in modules.items():
            if hasattr(module, "prefetch"):
                module.prefetch([each["spec"] for each in questions if each["noun"] == noun])
        for question in questions:
            try:
                answer = {"state": modules[question["noun"]].probe(question["spec"])}
            except Exception as error:
                answer = {"failed": f"looking failed: {type(error).__name__}: {error}"}
            data = json.dumps(answer).encode() + b"\n"
            while data:
                data = data[os.write(writing, data) :]
    finally:
        os._exit(0)


def _end(child: int) -> None:
    """Kill a child and what it started. One that sleeps in the kernel is not waited for."""
    try:
        os.killpg(child, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        os.kill(child, signal.SIGKILL)
    for _ in range(50):
        if os.waitpid(child, os.WNOHANG)[0]:
            return
        time.sleep(0.002)
