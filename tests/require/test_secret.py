"""A secret appears nowhere but where it must."""

from __future__ import annotations

import logging
import pickle

import pytest

import require
from require.secret import MASK, Secret, mask


def test_it_shows_a_mask_where_objects_are_shown() -> None:
    with require.declare():
        role = require.postgres.user("cms", password="s3cret")
    assert "s3cret" not in f"{[Secret('s3cret')]} {role!r} {vars(role)}"
    assert MASK in repr(Secret("s3cret"))


@pytest.mark.parametrize(
    "use", [str, format, lambda s: f"{s}", lambda s: "".join([s]), pickle.dumps]
)
def test_it_refuses_to_become_text(use: object) -> None:
    with pytest.raises(TypeError) as error:
        use(Secret("s3cret"))  # type: ignore[operator]
    assert "s3cret" not in str(error.value)


def test_logging_it_by_mistake_fails_without_writing_it() -> None:
    record = logging.LogRecord("x", logging.INFO, "", 1, "password %s", (Secret("s3cret"),), None)
    with pytest.raises(TypeError) as error:
        record.getMessage()
    assert "s3cret" not in str(error.value)


def test_equal_secrets_are_equal() -> None:
    assert Secret("a") == Secret("a") != Secret("b")
    assert len({Secret("a"), Secret("a")}) == 1


def test_the_longest_secret_is_masked_first() -> None:
    assert mask("x-abcdef-y", [Secret("abcd"), Secret("abcdef")]) == f"x-{MASK}-y"


def test_a_line_of_a_secret_is_masked_where_it_stands_alone() -> None:
    secret = Secret("-----KEY-----\nMIIEvQIB\n}\n")
    assert (
        mask(f"bad: MIIEvQIB }}; all: {secret.reveal()}", [secret])
        == f"bad: {MASK} }}; all: {MASK}"
    )
