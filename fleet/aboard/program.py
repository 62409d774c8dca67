"""The program `aboard`: reads one order, prints one JSON object per line, ends with its code.

Exit codes: 0 done · 4 failed, the release before is current · 64 wrong usage · 65 no good artifact.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import BinaryIO, TextIO

from . import ledger, lifecycle, tower
from .errors import FAILED, USAGE, AboardError, Busy, ManifestError
from .manifest import is_kind
from .steps import Step
from .world import World

_UNFORESEEN = (
    "nobody foresaw this: the traceback is on standard error; a trial that was begun is returned from "
    "when its time is over"
)

Say = Callable[[Mapping[str, object]], None]


def main(
    argv: Sequence[str] | None = None,
    world: World | None = None,
    source: BinaryIO | None = None,
    out: TextIO | None = None,
) -> int:
    """Carry out one order.

    Args:
        argv: without the program's name; None for the process's own.
        world: what stands for this host; None for itself.
        source: what stands for standard input.
        out: what stands for standard output.

    Returns:
        The exit code.
    """
    arguments = _parser().parse_args(argv)
    root = Path(arguments.root)
    here = world or World(root=root, user="turnaround" if root == Path("/") else None)
    say = _printer(out or sys.stdout)

    def at(step: Step) -> None:
        say({"step": step.label})
        here.at(step)

    try:
        return _carry_out(arguments, replace(here, at=at), source or sys.stdin.buffer, say)
    except AboardError as error:
        said, code = str(error), error.exit_code
        result = "refused" if isinstance(error, ManifestError) else "failed"
        result = "busy" if isinstance(error, Busy) else result
    except OSError as error:
        said, code, result = f"{error}; run the same command again", FAILED, "failed"
    except Exception as error:
        traceback.print_exc()
        said, code, result = f"{type(error).__name__}: {error}; {_UNFORESEEN}", FAILED, "failed"
    say({"result": result, "reason": said})
    print(f"aboard: {said}", file=sys.stderr)  # noqa: T201
    return code


def _carry_out(arguments: argparse.Namespace, world: World, source: BinaryIO, say: Say) -> int:
    if arguments.order == "offer":
        say(lifecycle.offer(world, source))
    elif arguments.order == "list":
        say(lifecycle.listing(world))
    elif arguments.order == "issue":
        say({"counter": ledger.issue(world, source.read(ledger.ORDER_LIMIT + 1))})
    elif arguments.order == "record":
        ledger.record(world, source.read(ledger.ORDER_LIMIT + 1))
        say({"result": "recorded"})
    elif arguments.order == "audit":
        say({"entries": ledger.last(world, arguments.last)})
    elif arguments.order == "follow-tower":
        tower.follow(tower.Ways(tower.use, tower.answered))
    elif arguments.order == "recover":
        found = lifecycle.recover(world)
        for one in found:
            say(asdict(one))
        return FAILED if any(one.result == "failed" for one in found) else 0
    else:
        if arguments.order == "accept":
            result = lifecycle.accept(world, source)
        else:
            result = lifecycle.rollback(world, arguments.kind)
        say(asdict(result))
        return result.exit_code
    return 0


def _printer(out: TextIO) -> Say:
    """Prints lines, each with the seconds since the start; a broken link is no reason to stop."""
    begun = time.monotonic()

    def say(document: Mapping[str, object]) -> None:
        line = {**document, "at_s": round(time.monotonic() - begun, 3)}
        try:
            out.write(json.dumps(line, ensure_ascii=False) + "\n")
            out.flush()
        except OSError:
            # Else the interpreter tries again at its end, and fails.
            os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())

    return say


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]
        self.print_usage(sys.stderr)
        self.exit(USAGE, f"aboard: {message}\n")


def _kind(text: str) -> str:
    if not is_kind(text):
        raise argparse.ArgumentTypeError(f"no kind of release: {text!r}")
    return text


def _lines(text: str) -> int:
    if not text.isdecimal() or int(text) > ledger.SHOWN_LIMIT:
        raise argparse.ArgumentTypeError(f"expected 0 to {ledger.SHOWN_LIMIT}, found {text!r}")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="aboard", description="Releases on this host: take in, switch, return.")
    parser.add_argument("--root", default="/", help="where the host's tree is (for tests)")
    orders = parser.add_subparsers(dest="order", required=True)
    orders.add_parser(
        "offer", help="head of an artifact on standard input: which files are missing"
    )
    orders.add_parser("accept", help="artifact on standard input: make it current, or return")
    back = orders.add_parser("rollback", help="go back to the good release before")
    back.add_argument("kind", type=_kind)
    orders.add_parser(
        "recover", help="return from trials that ran out, start what is current (at boot)"
    )
    orders.add_parser("follow-tower", help="keep the hangar in reach while a key is changed")
    orders.add_parser("list", help="what is on this host")
    orders.add_parser("issue", help="(hangar) who ships what on standard input: a new counter")
    orders.add_parser("record", help="(hangar) how it ended on standard input: into the audit log")
    audit = orders.add_parser("audit", help="(hangar) the end of the audit log")
    audit.add_argument("--last", type=_lines, default=20)
    return parser
