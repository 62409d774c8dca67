"""Lines and blocks of files that others own too."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from require.catalog import declared
from require.diff import unified
from require.errors import DeclarationError
from require.remote import line as twin
from require.resource import Change, Handler, NoChange, Plan, Resource, Spec, State, Unknown, keys
from require.resources import file


@dataclass(frozen=True, kw_only=True)
class Line(Resource):
    """A line or a block that is in a file, or lines that are not; the rest is left alone.

    Args:
        path: absolute path; a link is followed.
        verb: "present", "absent", "block", or "hosts": an entry of /etc/hosts.
        text: the line, or the lines of the block.
        match: regular expression that finds the line among the file's.
        name: of the block, which stands between two comments with it.
        comment: what begins a comment in that file.
        validate: command to run on the new file before it is put in place; "{}" is its path.
    """

    noun: ClassVar[str] = "line"

    path: str
    verb: str
    text: str = ""
    match: str = ""
    name: str = ""
    comment: str = "#"
    validate: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        return f"line:{self.path}:{self.name or self.match or self.text}"

    def natural_needs(self) -> tuple[str, ...]:
        return (f"file:{self.path}", f"file:{posixpath.dirname(self.path)}")

    def question(self) -> Spec:
        spec: Spec = {"path": self.path, "verb": self.verb, "text": self.text}
        return spec | {"match": self.match, "name": self.name, "comment": self.comment}

    def order(self) -> Spec:
        return {"validate": list(self.validate)}

    def plan(self, state: State) -> Plan:
        if state["kind"] not in ("file", "absent"):
            found = state["kind"]
            return Unknown(f"a file with lines is expected, found {found}: move it", blocked=True)
        if state["right"]:
            return NoChange()
        if state["kind"] == "absent":
            summary = f"create the file with the {self._thing()}"
            return Change(summary, unified("", twin.edited("", self.question()), self.path))
        before = state.get("text")
        if before is None:
            return Change(self._summary(), "(the text on the host is too large or not a text)\n")
        return Change(
            self._summary(), unified(before, twin.edited(before, self.question()), self.path)
        )

    def _thing(self) -> str:
        return f"block {self.name}" if self.verb == "block" else "line"

    def _summary(self) -> str:
        if self.verb == "absent":
            return "remove the line"
        return f"set the {self._thing()}"


def line(
    path: str,
    text: str,
    *,
    match: str = "",
    validate: Sequence[str] = (),
    needs: Sequence[Resource] = (),
    notify: Sequence[Handler] = (),
) -> Line:
    """Declare that a line is in a file.

    Where lines match, the last of them becomes this one and the others stay; else it is added at the
    end. A file that is not there is made, owned by root, mode 0644.

    Args:
        path: absolute path of a text of at most 4 MiB.
        text: the line, without its end.
        match: regular expression for the line as it may be now; it must find `text` too, or each
            converge would add another. Empty: only `text` itself is looked for.
        validate: as in `require.file.file`.
        needs: resources that come first.
        notify: what to do after it has changed.

    Raises:
        DeclarationError: the text is no single line, or `match` does not find it.

    Example:
        >>> require.line.line("/etc/ssh/sshd_config", "MaxStartups 60:30:120",
        ...     match=r"^#?MaxStartups ", validate=["sshd", "-t", "-f", "{}"],
        ...     notify=[require.systemd.reloaded("ssh")])
    """
    if not text.strip() or "\n" in text:
        raise DeclarationError(f"line:{path}: {text!r}: wanted one line that is not empty")
    if match and not _compiled(path, match).search(text):
        raise DeclarationError(
            f"line:{path}: match {match!r} does not find the line {text!r} itself: every converge "
            "would add another"
        )
    return _declared(
        path=path,
        verb="present",
        text=text,
        match=match,
        validate=tuple(validate),
        needs=keys(needs),
        notify=tuple(notify),
    )


def absent(
    path: str,
    match: str,
    *,
    validate: Sequence[str] = (),
    needs: Sequence[Resource] = (),
    notify: Sequence[Handler] = (),
) -> Line:
    """Declare that no line of a file matches.

    Args:
        path: absolute path; a file that is not there has no such line.
        match: regular expression, searched for in each line.
        validate: as in `require.file.file`.
        needs: resources that come first.
        notify: what to do after it has changed.

    Raises:
        DeclarationError: `match` is no regular expression, or finds every line.

    Example:
        >>> require.line.absent("/etc/hosts", r"\\sold-name$")
    """
    if _compiled(path, match).search(""):
        raise DeclarationError(f"line:{path}: match {match!r} would remove empty lines as well")
    return _declared(
        path=path,
        verb="absent",
        match=match,
        validate=tuple(validate),
        needs=keys(needs),
        notify=tuple(notify),
    )


def block(
    path: str,
    text: str,
    *,
    name: str,
    comment: str = "#",
    validate: Sequence[str] = (),
    needs: Sequence[Resource] = (),
    notify: Sequence[Handler] = (),
) -> Line:
    """Declare that lines are in a file, between two comments that say whose they are.

    Args:
        path: absolute path; a file that is not there is made, owned by root, mode 0644.
        text: the lines; an empty one removes the block with its comments.
        name: one word, different for each block of a file.
        comment: what begins a comment in that file.
        validate: as in `require.file.file`.
        needs: resources that come first.
        notify: what to do after it has changed.

    Raises:
        DeclarationError: the name is not one word.

    Example:
        >>> require.line.block("/etc/hosts", "10.100.64.1 hangar\\n", name="tower")
    """
    if not re.fullmatch(r"[A-Za-z0-9_.-]+", name):
        raise DeclarationError(f"line:{path}: the block's name {name!r}: wanted one word")
    return _declared(
        path=path,
        verb="block",
        text=text,
        name=name,
        comment=comment,
        validate=tuple(validate),
        needs=keys(needs),
        notify=tuple(notify),
    )


def _declared(**given: Any) -> Line:
    file.absolute(given["path"])
    return declared(Line(**given))


def _compiled(path: str, match: str) -> re.Pattern[str]:
    try:
        return re.compile(match)
    except re.error as error:
        raise DeclarationError(f"line:{path}: match {match!r}: {error}") from error
