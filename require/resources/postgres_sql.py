"""What the resources of the noun postgres share: how they ask, and what they may be called."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from require.errors import DeclarationError
from require.remote.psql import identifier, literal
from require.resource import Resource, Spec, State, Unknown

SERVER = "postgres.server"
CUT = "finish what a run that was cut began"

__all__ = [
    "CUT",
    "SERVER",
    "Asked",
    "array",
    "checked",
    "content_columns",
    "identifier",
    "literal",
    "text_there",
]


@dataclass(frozen=True, kw_only=True)
class Asked(Resource):
    """A resource that is a question to the server, in one of its databases."""

    noun: ClassVar[str] = "postgres"

    @property
    def asked_in(self) -> str:
        """The database that is asked."""
        return "postgres"

    def query(self) -> str:
        """SQL for one JSON object (jsonb: its text has no line breaks), without a semicolon."""
        raise NotImplementedError

    def natural_needs(self) -> tuple[str, ...]:
        return (SERVER,)

    def question(self) -> Spec:
        return {"database": self.asked_in, "sql": " ".join(self.query().split("\n"))}

    def not_yet(self, state: State) -> Unknown | None:
        """Return what this resource waits for, None when it can be looked at."""
        if not state["answers"]:
            inside = "" if self.asked_in == "postgres" else f" in the database {self.asked_in}"
            return Unknown(f"until PostgreSQL answers{inside}")
        return Unknown(f"until there is a {state['waits']}") if state.get("waits") else None


def checked(name: str) -> str:
    """Return a name that PostgreSQL can give to something.

    Raises:
        DeclarationError: it is empty, longer than 63 bytes, or holds a NUL or a line break.
    """
    if not name or "\0" in name or "\n" in name or len(name.encode()) > 63:
        raise DeclarationError(
            f"{name!r} cannot be a name in PostgreSQL: 1 to 63 bytes in one line"
        )
    return name


def array(texts: tuple[str, ...]) -> str:
    """Return texts as an array for SQL.

    Example:
        >>> array(("a", "it's"))
        "ARRAY['a', 'it''s']::text[]"
    """
    return f"ARRAY[{', '.join(literal(text) for text in texts)}]::text[]"


def content_columns(sha: str) -> str:
    """Return SQL for what is asked of a file: its hash, its text only where that is another, and
    whether a run was cut before the server had taken what it wrote.

    Args:
        sha: hexadecimal SHA-256 that is wished; the query has the file's "path", and its bytes as
            "content", NULL for no file.
    """
    found = "encode(sha256(content), 'hex')"
    # Whatever the bytes are, each is a character of that encoding.
    text = f"CASE WHEN {found} <> '{sha}' THEN convert_from(content, 'LATIN1') END"
    former = "regexp_replace(path, '([^/]*)$', '.\\1.former')"
    return f"'sha', {found}, 'text', {text}, 'cut', (pg_stat_file({former}, true)).size IS NOT NULL"


def text_there(state: State) -> str:
    """Return a file's text as a look found it, "" for no file."""
    return (state["text"] or "").encode("latin-1").decode(errors="replace")
