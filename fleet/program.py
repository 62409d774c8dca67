"""`python -m fleet.program fab|inv ARGS`: both commands, with our exit codes and errors for people.

Invoke exits 1 on wrong usage, takes `--host --help` for a host called `--help`, gives every flag a
short form that collides with its own, and prints tracebacks for our errors. Fabric's own program
moreover has `-H/--hosts` and connects by itself. So both commands are this one subclass of Invoke's
`Program`, and our connections (`fleet.ssh`) are opened from the inventory only.
"""

from __future__ import annotations

import os
import re
import sys
import traceback
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from invoke.collection import Collection
from invoke.exceptions import Exit as InvokeExit
from invoke.exceptions import Failure, ParseError
from invoke.parser.argument import Argument
from invoke.parser.context import ParserContext
from invoke.parser.parser import Parser, ParseResult
from invoke.program import Program

from fleet.errors import Exit, FleetError, UsageError, did_you_mean, nearest

# What a command's own arguments come from, and the flags of Invoke's that are of use to people.
MODULES = {"fab": "fabfile", "inv": "tasks"}
_CORE_FLAGS = {
    "complete",
    "help",
    "list",
    "list-depth",
    "list-format",
    "print-completion-script",
    "version",
}


class Commands(Program):  # type: ignore[misc, unused-ignore]
    """Invoke's program with our exit codes, for one of the two commands.

    Args:
        tool: `fab` or `inv`.
        collection: the commands; None loads the tool's own module.
    """

    def __init__(self, tool: str, collection: Collection | None = None) -> None:
        super().__init__(name=tool, binary=tool, version="0.1.0")
        self.tool = tool
        self._given = collection

    def core_args(self) -> list[Argument]:
        return [argument for argument in super().core_args() if argument.names[0] in _CORE_FLAGS]

    def task_args(self) -> list[Argument]:
        return []

    def load_collection(self) -> None:
        given = self._given or Collection.from_module(import_module(MODULES[self.tool]))
        for task in _tasks_of(given):
            # A short form made from a flag's first letter would take -h from --help.
            task.auto_shortflags = False
        self.collection = given

    def parse_core(self, argv: list[str] | None) -> None:
        self.normalize_argv(argv)
        self.parse_core_args()
        if self.args.version.value:
            self.print_version()
            raise InvokeExit
        if shell := self.args["print-completion-script"].value:
            from fleet.completion import script

            sys.stdout.write(script(self.tool, shell))
            raise InvokeExit
        if self.args.help.value is True:
            # Help without a command is what no command at all shows, once the commands are known.
            self.args.help.set_value(None, cast=False)

    def update_config(self, merge: bool = True) -> None:
        self.config.load_overrides({}, merge=merge)

    def _make_parser(self) -> Parser:
        parser = super()._make_parser()
        for context in parser.contexts.values():
            for argument in context.args.values():
                if argument.kind in (int, float):
                    argument.kind = _number(argument.kind, argument.names[0])
        return parser

    def parse_tasks(self) -> None:
        if command := self._help_wanted_for():
            self.args.help.value = command
            self.tasks = ParseResult()
            return
        try:
            super().parse_tasks()
        except ParseError as error:
            raise UsageError(self._explain(error), self._see_help(error.context)) from None
        for context in self.tasks:
            self._no_flag_as_value(context)

    def _help_wanted_for(self) -> str:
        """Returns the command before `--help`: Invoke would take it for a value that is missing."""
        self.parser = self._make_parser()
        command, before = "", ""
        for word in self.core.unparsed:
            if word in {"--help", "-h"} and command:
                flag = self.parser.contexts[command].flags.get(before)
                return "" if flag and flag.takes_value else command
            if word in self.parser.contexts:
                command = word
            before = word
        return ""

    def _no_flag_as_value(self, context: ParserContext) -> None:
        for argument in context.args.values():
            given = argument.raw_value
            if argument.takes_value and isinstance(given, str) and given.startswith("--"):
                flag = _flag(argument.names[0])
                raise UsageError(
                    f"{self.tool} {context.name}: {flag} needs a value, and found {given}",
                    self._see_help(context),
                )

    def print_help(self) -> None:
        """Shows what there is to do: Invoke's own options are of no use before a command is known."""
        usage = f"Usage: {self.tool} COMMAND [FLAGS]; --help after a command shows its flags"
        sys.stdout.write(f"{usage}\n\n")
        self.list_tasks()

    def _see_help(self, context: ParserContext | None) -> str:
        if context is None or not context.name:
            return f"./{self.tool} --list shows every command"
        return f"./{self.tool} {context.name} --help shows what it takes"

    def _explain(self, error: ParseError) -> str:
        """Says in one line what Invoke's parser could not take."""
        context = error.context
        where = f"{self.tool} {context.name}" if context and context.name else self.tool
        if unknown := re.fullmatch(r"No idea what '(.*)' is!", str(error)):
            word = unknown[1]
            if word.startswith("-"):
                known = list(context.flags) if context else []
                return f"{where}: no such flag: {word}{did_you_mean(word, known)}"
            commands = list(self.parser.contexts)
            if context and context.name and not nearest(word, commands):
                return f"{where}: {word} is not expected here"
            return f"{self.tool}: no such command: {word}{did_you_mean(word, commands)}"
        if missing := re.search(r"required positional arguments: (.*)", str(error)):
            flags = ", ".join(_flag(name.strip(" '")) for name in missing[1].split(","))
            return f"{where}: needs {flags}"
        if no_value := re.search(r"Flag <Argument: ([\w-]+)", str(error)):
            return f"{where}: {_flag(no_value[1])} needs a value"
        return f"{where}: {error}"

    def run(self, argv: list[str] | None = None, exit: bool = True) -> None:
        """Runs the command line and exits with our codes.

        Args:
            argv: the program's name and its arguments; None takes this process's.
            exit: False raises what ended the command instead of ending the process.
        """
        code = self.main(argv)
        if exit:
            sys.exit(code)

    def main(self, argv: Sequence[str] | None = None) -> int:
        """Runs the command line and returns its exit code.

        >>> Commands("fab").main(["fab", "usage"])  # doctest: +SKIP
        0
        """
        try:
            code = self._exit_code(argv)
            sys.stdout.flush()
        except BrokenPipeError:
            # The reader of our output went away (`| head`): there is nobody left to tell.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return Exit.UNREAD
        return code

    def _exit_code(self, argv: Sequence[str] | None) -> int:
        try:
            self.create_config()
            if argv is not None and argv[1:2] == ["--complete"]:
                return self._complete(argv[2:])
            self.parse_core(list(argv) if argv is not None else None)
            self.parse_collection()
            self.parse_tasks()
            self.parse_cleanup()
            self.update_config()
            self.execute()
        except FleetError as error:
            return self._fail(str(error), error.exit_code)
        except ParseError as error:
            return self._fail(self._explain(error), Exit.USAGE)
        except InvokeExit as error:
            if error.message:
                self._fail(error.message, error.code)
            return int(error.code)
        except Failure as error:
            self._fail(str(error).strip(), Exit.FAILED)
            return error.result.exited or Exit.FAILED
        except KeyboardInterrupt:
            return self._fail("interrupted; a second run goes on from here", Exit.INTERRUPTED)
        except BrokenPipeError:
            raise
        except Exception:
            traceback.print_exc()
            return self._fail(
                "this is a fault in turnaround, not in your fleet; report it with the lines above",
                Exit.FAILED,
            )
        return Exit.DONE

    def _complete(self, words: Sequence[str]) -> int:
        """Says what the last word may become; Invoke's own completion knows no hosts."""
        from fleet.completion import candidates, known

        self.load_collection()
        typed = list(words[1:] if words[:1] == ["--"] else words)
        found = candidates(typed, self._make_parser().contexts, known)
        sys.stdout.write("".join(f"{each}\n" for each in found))
        return Exit.DONE

    def _fail(self, message: str, code: int) -> int:
        named = message.startswith((f"{self.tool}: ", f"{self.tool} "))
        sys.stderr.write(f"{message}\n" if named else f"{self.tool}: {message}\n")
        return int(code)


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _number(kind: type[int] | type[float], name: str) -> Callable[[str], Any]:
    def parse(text: str) -> int | float:
        try:
            return kind(text)
        except ValueError:
            wanted = "a whole number" if kind is int else "a number"
            raise UsageError(f"{_flag(name)} needs {wanted}, and found {text}") from None

    return parse


def _tasks_of(collection: Collection) -> list[Any]:
    inner = [task for sub in collection.collections.values() for task in _tasks_of(sub)]
    return [*collection.tasks.values(), *inner]


def main(argv: Sequence[str]) -> int:
    """Runs `fab` or `inv` as the first argument says, and returns the exit code."""
    tool, *rest = argv or [""]
    if tool not in MODULES:
        sys.stderr.write(f"fleet.program: expected fab or inv first, found {tool!r}\n")
        return Exit.USAGE
    return Commands(tool).main([tool, *rest])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
