"""`docs/reference.md`: every resource that can be declared, written from the docstrings of `require`.

What the page says is what the code says: `./inv docs` writes it anew, and a test compares it.
"""

from __future__ import annotations

import inspect
import pkgutil
import re
import textwrap
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import require
from require import resources
from require.resource import Handler, Resource

PAGE = Path(__file__).resolve().parents[1] / "docs/reference.md"
HEAD = """\
# Resources

Everything that a role can declare, one noun after the other. Written by `./inv docs` from the docstrings in
`require/resources/`; how the engine treats it is in `engine.md`. Every resource takes `needs=[…]`, the
resources that must be right before it, and `notify=[…]`, the handlers that run once after it has changed.
"""
_STARS: Mapping[Any, str] = {
    inspect.Parameter.VAR_POSITIONAL: "*",
    inspect.Parameter.VAR_KEYWORD: "**",
}
SHARED = ("needs", "notify")
_SECTION = re.compile(r"^(Args|Returns|Raises|Example|Examples):$", re.MULTILINE)
_ITEM = re.compile(r"^(\S.*?): ", re.MULTILINE)


def page() -> str:
    """Returns the whole page."""
    parts = [HEAD]
    nouns = list(modules())
    listed = [f"[{name}](#{name})" for name, _ in nouns]
    parts.append(" · ".join(listed) + "\n")
    for name, module in nouns:
        parts.append(f"## {name}\n\n{_plain(inspect.getdoc(module) or '')}\n")
        parts += [_function(name, each) for each in functions(module)]
        parts += [_function(name, each) for each in values(module)]
    return "\n".join(parts)


def modules() -> Iterator[tuple[str, ModuleType]]:
    """Yields the nouns that `require` offers, by name."""
    names = {each.name for each in pkgutil.iter_modules(resources.__path__)}
    for name in sorted(names.intersection(require.__all__)):
        module = import_module(f"{resources.__name__}.{name}")
        if any(True for _ in functions(module)):
            yield name, module


def functions(module: ModuleType) -> Iterator[Callable[..., Any]]:
    """Yields what a noun offers to roles: its public functions that declare, or make a handler."""
    for name, value in vars(module).items():
        if name.startswith("_") or not inspect.isfunction(value):
            continue
        own = value.__module__ == module.__name__ or name in getattr(module, "__all__", ())
        if own and _offers(value):
            yield value


def values(module: ModuleType) -> Iterator[type]:
    """Yields what a noun's functions take that is made by a class of its own, such as a peer."""
    for name, value in vars(module).items():
        own = inspect.isclass(value) and value.__module__ == module.__name__
        if own and not name.startswith("_") and not issubclass(value, Resource):
            yield value


def _offers(function: Callable[..., Any]) -> bool:
    wanted = inspect.signature(function, eval_str=True).return_annotation
    several = getattr(wanted, "__args__", (wanted,))
    return any(inspect.isclass(each) and issubclass(each, Resource | Handler) for each in several)


def _function(noun: str, function: Callable[..., Any]) -> str:
    signature = ", ".join(_parameters(inspect.signature(function)))
    name = f"{noun}.{function.__name__}"
    title = f"### {name}\n\n```python\nrequire.{name}({signature})\n```\n"
    before, *sections = _SECTION.split(inspect.getdoc(function) or "")
    parts = [title, f"{_plain(before)}\n"]
    for heading, text in zip(sections[::2], sections[1::2], strict=True):
        body = textwrap.dedent(text.strip("\n"))
        if heading.startswith("Example"):
            parts.append(f"```python\n{_without_prompts(body)}\n```\n")
        else:
            said = _items(body) if _ITEM.search(body) else _plain(body)
            parts.append(f"**{heading}**\n\n{said}\n")
    return "\n".join(parts)


def _parameters(signature: inspect.Signature) -> Iterator[str]:
    """The parameters as they are typed; `needs` and `notify`, which all have, are left to the head."""
    slashed = starred = False
    for each in signature.parameters.values():
        if each.name in SHARED:
            continue
        if slashed and each.kind is not inspect.Parameter.POSITIONAL_ONLY:
            yield "/"
        slashed = each.kind is inspect.Parameter.POSITIONAL_ONLY
        if each.kind is inspect.Parameter.KEYWORD_ONLY and not starred:
            starred = True
            yield "*"
        value = "" if each.default is inspect.Parameter.empty else f"={_value(each)}"
        yield f"{_STARS.get(each.kind, '')}{each.name}{value}"


def _value(parameter: inspect.Parameter) -> str:
    """A default as people write it: permission bits in octal."""
    default = parameter.default
    return oct(default) if parameter.name == "mode" and default is not None else repr(default)


def _plain(text: str) -> str:
    return text.strip()


def _items(text: str) -> str:
    """`name: what it is` becomes a list; what goes on is indented deeper."""
    entries: list[str] = []
    for line in text.splitlines():
        if line.startswith(" ") and entries:
            entries[-1] += f" {line.strip()}"
        elif line.strip():
            entries.append(line.strip())
    told = []
    for each in entries:
        names, _, words = each.partition(": ")
        own = [f"`{name}`" for name in names.split(", ") if name not in SHARED]
        if own:
            told.append(f"- {', '.join(own)}: {words}")
    return "\n".join(told)


def _without_prompts(text: str) -> str:
    return "\n".join(re.sub(r"^(>>>|\.\.\.) ?", "", line) for line in text.splitlines())
