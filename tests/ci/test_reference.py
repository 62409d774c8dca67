"""The page of resources is what the docstrings say, and each of them says enough."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

import pytest

from ci import reference

OFFERED = [each for _, module in reference.modules() for each in reference.functions(module)]


def test_the_page_is_what_the_docstrings_say() -> None:
    assert reference.PAGE.read_text() == reference.page(), "write it anew with ./inv docs"


@pytest.mark.parametrize("function", OFFERED, ids=lambda each: f"{each.__module__}.{each.__name__}")
def test_every_resource_says_its_arguments_and_has_an_example(function: Callable[..., Any]) -> None:
    said = inspect.getdoc(function) or ""
    arguments = said.partition("Args:")[2]
    for name in inspect.signature(function).parameters:
        assert re.search(rf"^ +([\w, ]+, )?{name}(, [\w, ]+)?: ", arguments, re.MULTILINE), name
    assert "Example:" in said


def test_a_function_is_told_with_its_signature_and_its_words() -> None:
    page = reference.page()
    assert "require.file.file(path, *, content, mode=0o644, owner='root'" in page
    assert "require.nginx.site(name, /, *, content=None" in page
    assert "require.wireguard.Peer(public_key, allowed_ips, endpoint=None" in page
    assert "- `keepalive`: seconds after which" in page
    assert "- `content`: what is in it, at most 4 MiB." in page
    assert "- `mode`, `owner`, `group`: as for `file`." in page
