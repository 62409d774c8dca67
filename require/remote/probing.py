"""Asks many probes, one after another, so that none can hold up the rest.

All probes run in one forked child that reports each answer as it has it. When one takes longer than
its time, the child and all it started are killed, that one resource is unknown, and a new child goes
on with the next. A forked child also cannot leave anything behind in our memory.

A noun may ask once for all of its resources (`prefetch`), just before the first of them is probed.
When that breaks, each of its probes asks for itself. When it hangs they would hang too, one after
the other, so all of them are unknown, and only they.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import select
import signal
import time
from collections.abc import Container, Sequence
from typing import Any

Question = dict[str, Any]
Answer = dict[str, Any]
Job = dict[str, Any]


def look(questions: Sequence[Question], total_s: float = 90) -> list[Answer]:
    """Probe resources.

    Args:
        questions: each with "noun", "spec" and "timeout" (seconds).
        total_s: seconds for all of them; what is left after is unknown.

    Returns:
        One answer per question: {"state": …} or {"failed": reason}.
    """
    answers: dict[int, Answer] = {}
    reason = f"all probes together took more than {total_s:g} s"
    end = time.monotonic() + total_s
    while jobs := _jobs(questions, answers):
        try:
            if time.monotonic() < end:
                _one_child(jobs, answers, end)
                continue
        except OSError as error:
            reason = str(error)  # no more processes, no more memory
        for job in jobs:
            answers |= _failed(job, f"not looked at: {reason}")
    return [answers[number] for number in range(len(questions))]


def _jobs(questions: Sequence[Question], answered: Container[int]) -> list[Job]:
    """Return what is left to do; "of" are the numbers of the questions that fail with a job."""
    jobs: list[Job] = []
    ahead: dict[str, Job] = {}
    for number, question in enumerate(questions):
        if number in answered:
            continue
        noun = question["noun"]
        if noun not in ahead:
            ahead[noun] = {"noun": noun, "specs": [], "timeout": 0, "of": []}
            jobs.append(ahead[noun])
        ahead[noun]["specs"].append(question["spec"])
        ahead[noun]["timeout"] = max(ahead[noun]["timeout"], question["timeout"])
        ahead[noun]["of"].append(number)
        jobs.append({**question, "of": [number]})
    return jobs


def _name(job: Job) -> str:
    return "the probe" if "spec" in job else f"one question for all {job['noun']}"


def _failed(job: Job, reason: str) -> dict[int, Answer]:
    return {number: {"failed": reason} for number in job["of"]}


def _one_child(jobs: list[Job], answers: dict[int, Answer], end: float) -> None:
    """Collect answers from one child until it is through, hangs or dies; jobs done are removed."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        _child(jobs, reading, writing)
    os.close(writing)
    buffer = b""
    try:
        while jobs:
            limit = max(0, min(jobs[0]["timeout"], end - time.monotonic()))
            ready = select.select([reading], [], [], limit)[0]
            piece = os.read(reading, 65536) if ready else b""
            if not piece:
                became = "died" if ready else f"had no answer after {limit:.3g} s"
                answers |= _failed(jobs[0], f"{_name(jobs[0])} {became}")
                return
            *lines, buffer = (buffer + piece).split(b"\n")
            for line in lines:
                job = jobs.pop(0)
                if "spec" in job:
                    answers[job["of"][0]] = json.loads(line)
        os.waitpid(child, 0)  # it has nothing left to do but to end
        child = 0
    finally:
        os.close(reading)
        if child:
            _end(child)


def _child(jobs: Sequence[Job], reading: int, writing: int) -> None:
    os.close(reading)
    os.setsid()
    # Answers must not go where frames go: the child owns nothing but its pipe.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        for job in jobs:
            data = json.dumps(_do(job)).encode() + b"\n"
            while data:
                data = data[os.write(writing, data) :]
    finally:
        os._exit(0)


def _do(job: Job) -> Answer:
    try:
        module = importlib.import_module(f"require.remote.{job['noun']}")
        if "spec" in job:
            return {"state": module.probe(job["spec"])}
        if hasattr(module, "prefetch"):
            module.prefetch(job["specs"])
    except Exception as error:
        return {"failed": f"looking failed: {type(error).__name__}: {error}"}
    return {}


def _end(child: int) -> None:
    """Kill a child and its session, for what it started is in process groups of their own.

    Again until nobody is left: one may start another while it is killed. One that sleeps in the
    kernel is not waited for.
    """
    os.kill(child, signal.SIGKILL)
    for _ in range(50):
        known = [int(name) for name in os.listdir("/proc") if name.isdigit()]
        alive = [process for process in known if _lives_in(child, process)]
        for process in alive:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(process, signal.SIGKILL)
        if not alive and os.waitpid(child, os.WNOHANG)[0]:
            return
        time.sleep(0.002)


def _lives_in(session: int, process: int) -> bool:
    try:
        with open(f"/proc/{process}/stat", "rb") as file:
            state, _, _, its = file.read().rpartition(b")")[2].split()[:4]
    except OSError:
        return False
    return int(its) == session and state not in (b"Z", b"X")
