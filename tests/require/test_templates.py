"""Templates are rendered here, and what is wrong with one is said with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

import require
from require import DeclarationError, Secret


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "nginx").mkdir()
    return tmp_path


def rendered(folder: Path, text: str, **variables: object) -> require.file.File:
    (folder / "nginx/site.j2").write_text(text)
    with require.declare(templates=folder):
        return require.file.template("/etc/nginx/site", template="nginx/site.j2", **variables)


def test_variables_are_written_and_the_last_newline_is_kept(folder: Path) -> None:
    site = rendered(
        folder, "{% if tls %}\nlisten 443;\n{% endif %}\nname {{ name }};\n", tls=True, name="x"
    )
    assert site.content == b"listen 443;\nname x;\n"
    assert not site.secret


def test_an_undefined_variable_names_template_line_and_variable(folder: Path) -> None:
    with pytest.raises(DeclarationError, match=r"nginx/site\.j2:2: 'port' is undefined"):
        rendered(folder, "server {\n  listen {{ port }};\n}\n")


def test_a_mistake_of_syntax_names_template_and_line(folder: Path) -> None:
    with pytest.raises(DeclarationError, match=r"nginx/site\.j2:3: "):
        rendered(folder, "\n\n{% if %}\n")


def test_a_template_that_is_not_there_says_where_it_was_looked_for(folder: Path) -> None:
    with require.declare(templates=folder), pytest.raises(DeclarationError, match=str(folder)):
        require.file.template("/etc/x", template="nginx/none.j2")


def test_a_secret_is_written_and_makes_the_file_secret(folder: Path) -> None:
    site = rendered(folder, "key {{ key }};\n", key=Secret("s3cret"))
    assert site.content == b"key s3cret;\n"
    assert site.secret
    assert "s3cret" not in repr(site)


@pytest.mark.parametrize(
    "text", ["{{ 'key ' ~ key }}", "{{ key | upper }}", "{{ '%s' | format(key) }}"]
)
def test_a_secret_in_an_expression_is_an_error_not_a_mask(folder: Path, text: str) -> None:
    with pytest.raises(DeclarationError, match=r"site\.j2:1: ") as error:
        rendered(folder, text, key=Secret("s3cret"))
    assert "s3cret" not in str(error.value)
