"""YAML read for people who make mistakes: every value knows its line, and every fault names it.

PyYAML speaks YAML 1.1, where `NO` is false, `10:30` is 630 and a date is an object. Airlines,
languages and times are words here: only true/false, null, decimal numbers and text exist.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from fleet.errors import UsageError, did_you_mean

MAX_BYTES = 1 << 20
MAX_VALUES = 100_000


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012


for _tag, _pattern, _first in (
    ("bool", r"true|false", "tf"),
    ("null", r"null|~|", ["n", "~", ""]),
    ("int", r"[-+]?(0|[1-9][0-9]*)", "-+0123456789"),
    ("float", r"[-+]?[0-9]+\.[0-9]+([eE][-+]?[0-9]+)?", "-+0123456789"),
):
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_pattern})$"), list(_first)
    )


@dataclass
class Faults:
    """Collects every fault of a file, so that people mend them in one go.

    Args:
        path: the file.
        hidden: what stands in it may be secret, so values are not shown.
    """

    path: Path
    hidden: bool = False
    found: list[str] = field(default_factory=list)

    def add(self, line: int, expected: str, found: str, hint: str = "") -> None:
        """Notes one fault: `FILE:LINE: expected …, found …`."""
        self.found.append(f"{self.path}:{line}: expected {expected}, found {found}{hint}")

    def stop(self) -> None:
        """Raises UsageError when there was any fault."""
        if self.found:
            raise UsageError("\n".join(self.found), "nothing was touched; correct the file")


@dataclass(frozen=True)
class Value:
    """A YAML node with the faults it reports to."""

    node: yaml.Node
    faults: Faults

    @property
    def line(self) -> int:
        return int(self.node.start_mark.line) + 1

    def _describe(self) -> str:
        if isinstance(self.node, yaml.ScalarNode):
            text = "something else" if self.faults.hidden else repr(self.node.value)
            return text if self.node.value else "nothing"
        return "a list" if isinstance(self.node, yaml.SequenceNode) else "a mapping"

    def fault(self, expected: str, hint: str = "") -> None:
        """Notes that something else was expected where this value stands."""
        self.faults.add(self.line, expected, self._describe(), hint)

    @property
    def empty(self) -> bool:
        return isinstance(self.node, yaml.ScalarNode) and self.node.value in {"", "~", "null"}

    def items(self, what: str, known: Collection[str] = ()) -> Iterator[tuple[str, Value]]:
        """Yields the keys and values of a mapping; keys outside `known` (when given) are faults."""
        if self.empty:
            return
        if not isinstance(self.node, yaml.MappingNode):
            self.fault(what)
            return
        seen: dict[str, int] = {}
        for key_node, value_node in self.node.value:
            key, line = str(key_node.value), int(key_node.start_mark.line) + 1
            if not isinstance(key_node, yaml.ScalarNode):
                self.faults.add(line, "a name", "a list or mapping as a key")
            elif key in seen:
                self.faults.add(line, f"{key} once", f"it again (first on line {seen[key]})")
            elif known and key not in known:
                listed = ", ".join(sorted(known))
                self.faults.add(line, f"one of {listed}", repr(key), did_you_mean(key, known))
            else:
                seen[key] = line
                yield key, Value(value_node, self.faults)

    def text(self, what: str, pattern: str = r".+") -> str:
        """Returns the text, which must match as a whole; a fault gives an empty string."""
        if isinstance(self.node, yaml.ScalarNode) and re.fullmatch(pattern, self.node.value):
            return str(self.node.value)
        self.fault(what)
        return ""

    def integer(self, what: str, low: int, high: int) -> int:
        """Returns the whole number within the bounds, both included."""
        if isinstance(self.node, yaml.ScalarNode) and re.fullmatch(r"\d{1,9}", self.node.value):
            number = int(self.node.value)
            if low <= number <= high:
                return number
        self.fault(what)
        return low

    def texts(self, what: str) -> list[tuple[str, Value]]:
        """Returns the words of a list, each with its place."""
        if not isinstance(self.node, yaml.SequenceNode):
            self.fault(what)
            return []
        inner = [Value(node, self.faults) for node in self.node.value]
        return [(word, value) for value in inner if (word := value.text(what))]

    def plain(self) -> Any:
        """Returns the value as Python data: dicts, lists, text, numbers, booleans, None."""
        if isinstance(self.node, yaml.MappingNode):
            return {key: value.plain() for key, value in self.items("a mapping")}
        if isinstance(self.node, yaml.SequenceNode):
            return [Value(node, self.faults).plain() for node in self.node.value]
        kind = self.node.tag.rpartition(":")[2]
        if kind not in _SCALARS:
            self.fault("text, a number, true, false or null", f" tagged {self.node.tag}")
            return None
        try:
            return _SCALARS[kind](self.node.value)
        except ValueError:  # tagged as what it is not, or of thousands of digits
            self.fault("a number, or text in quotes")
            return None


_SCALARS: dict[str, Callable[[str], Any]] = {
    "str": str,
    "int": int,
    "float": float,
    "bool": lambda text: text == "true",
    "null": lambda _: None,
}


def read(path: Path, hidden: bool = False) -> tuple[Value | None, Faults]:
    """Returns the root of a YAML file (None when it is empty) and where its faults go.

    Args:
        path: the file.
        hidden: its values may be secret, and no fault shows one.

    Raises:
        UsageError: the file is missing, too big, or no YAML; it names the line.
    """
    faults = Faults(path, hidden)
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None
    if len(raw) > MAX_BYTES:
        raise UsageError(f"{path}: expected at most {MAX_BYTES} bytes, found {len(raw)}")
    try:
        root = yaml.compose(raw.decode(), Loader=_Loader)
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise UsageError(f"{path}:{line}: expected UTF-8 text, found other bytes") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        # A value that begins with * or ! is quoted in it.
        problem = re.sub(r"'.*'", "'…'", error.problem or "") if hidden else error.problem
        raise UsageError(f"{path}:{line}: expected YAML, found: {problem}") from None
    except (yaml.YAMLError, RecursionError) as error:
        raise UsageError(f"{path}:1: expected YAML, found: {error}") from None
    if root is None:
        return None, faults
    _bounded(root, path)
    return Value(root, faults), faults


def _bounded(root: yaml.Node, path: Path) -> None:
    """Refuses a file whose aliases unfold without bound (or into themselves)."""
    waiting, count = [root], 0
    while waiting:
        node = waiting.pop()
        count += 1
        if count > MAX_VALUES:
            raise UsageError(f"{path}: expected at most {MAX_VALUES} values, found more (aliases?)")
        if isinstance(node, yaml.SequenceNode):
            waiting.extend(node.value)
        elif isinstance(node, yaml.MappingNode):
            waiting.extend(part for pair in node.value for part in pair)
