"""Renders Jinja2 templates here, so that a host needs no template engine."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import jinja2

from require.catalog import template_folder
from require.errors import DeclarationError
from require.secret import Secret


@dataclass(frozen=True)
class Rendered:
    """The text of a template, and the secrets that it printed."""

    text: str = field(repr=False)
    secrets: tuple[Secret, ...]


_used: ContextVar[list[Secret]] = ContextVar("require_secrets_used")


def _finalize(value: Any) -> Any:
    if isinstance(value, Secret):
        _used.get().append(value)
        return value.reveal()
    return value


@lru_cache(maxsize=8)
def _environment(folder: Path) -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 - configuration files, not pages
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
    )


def render(folder: Path | None, template: str, variables: Mapping[str, Any]) -> Rendered:
    """Render one template; an undefined variable is an error.

    A `Secret` among the variables is written where the template prints it, and marks the whole
    text as secret. Using it in an expression (`~`, a filter) is an error.

    Args:
        folder: where templates are.
        template: path below it, such as "nginx/site.j2".
        variables: what the template may use.

    Raises:
        DeclarationError: names the template, the line and what is wrong.
    """
    if folder is None:
        raise DeclarationError(
            f"template {template}: there is no folder of templates; "
            "say `with require.declare(templates=Path(…)):`"
        )
    used: list[Secret] = []
    token = _used.set(used)
    try:
        text = _environment(folder).get_template(template).render(dict(variables))
    except jinja2.TemplateNotFound as error:
        raise DeclarationError(f"template {error.name} is not in {folder}") from error
    except jinja2.TemplateSyntaxError as error:
        name = error.filename or folder / template
        raise DeclarationError(f"{name}:{error.lineno}: {error.message}") from error
    except Exception as error:
        place = _place(error, folder) or str(folder / template)
        raise DeclarationError(f"{place}: {error}") from error
    finally:
        _used.reset(token)
    return Rendered(text, tuple(used))


def given(
    what: str, content: str | None, template: str | None, variables: Mapping[str, Any]
) -> str | Rendered:
    """Return the text that a declaration gives as it is, or as a template of the block we are in.

    Args:
        what: the declaration, for people.
        content: the text; or
        template: path of a template, rendered with `variables`.

    Raises:
        DeclarationError: neither or both of them; a template that does not render.
    """
    if template is None and content is not None:
        return content
    if template is None or content is not None:
        raise DeclarationError(f"{what}: wanted content= or template=, one of them")
    return render(template_folder(), template, variables)


def _place(error: Exception, folder: Path) -> str | None:
    inside = [
        f"{frame.filename}:{frame.lineno}"
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename.startswith(str(folder))
    ]
    return inside[-1] if inside else None
