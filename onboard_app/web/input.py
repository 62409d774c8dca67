"""What comes in from outside: size and shape are checked here, before anything else looks at it."""

from __future__ import annotations

import json
import math
import re
from typing import TypeVar
from uuid import UUID

from flask import Flask, request
from pydantic import BaseModel, ConfigDict, ValidationError

from onboard_app.web.errors import Refused

LARGEST_BODY = 16 * 1024
LANGUAGE = r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})?$"
CODE = r"[A-Za-z0-9]{2,4}"
# NUL cannot be stored by the database; the other control characters have no place in a name.
PRINTABLE = re.compile(r"[^\x00-\x1f\x7f]*")


class Body(BaseModel):
    """A request's body: unknown fields are refused, so that a typing error is seen."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)


B = TypeVar("B", bound=Body)


def init_app(app: Flask) -> None:
    """Limits every request's body."""
    app.config["MAX_CONTENT_LENGTH"] = LARGEST_BODY
    app.config["MAX_FORM_MEMORY_SIZE"] = LARGEST_BODY


def body(model: type[B], largest: int = LARGEST_BODY) -> B:
    """The request's JSON as `model`.

    Raises:
        Refused: 413 too large, 400 not JSON, 422 not what the model says (which field, and why).
    """
    if (request.content_length or 0) > largest:
        raise Refused(413, "too_large", f"The body may have {largest} bytes at most.")
    try:
        data = json.loads(request.get_data(), parse_constant=_no_number)
        storable(data)
    except RecursionError:
        raise Refused(400, "not_json", "The body is nested too deeply.") from None
    except ValueError as error:
        raise Refused(400, "not_json", f"The body is not JSON we can keep: {error}") from None
    return checked(model, data)


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def storable(value: object) -> None:
    """Looks through parsed JSON for what Python takes and the database does not.

    Raises:
        ValueError: a NUL, half of a surrogate pair, or a number beyond all bounds.
    """
    if isinstance(value, str):
        value.encode()  # a UnicodeEncodeError is a ValueError
        if "\0" in value:
            raise ValueError("it holds a NUL character")
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError("it holds a number beyond all bounds")
    elif isinstance(value, dict):
        for name, inner in value.items():
            storable(name)
            storable(inner)
    elif isinstance(value, list):
        for inner in value:
            storable(inner)


def checked(model: type[B], data: object) -> B:
    """`data` as `model`; raises `Refused` 422 with each wrong field."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise Refused(422, "invalid", "; ".join(map(_told, error.errors()))) from None


def _told(one: object) -> str:
    assert isinstance(one, dict)
    place = ".".join(str(part) for part in one["loc"]) or "body"
    return f"{place}: {one['msg'][:200]}"


def argument(name: str, pattern: str, longest: int = 40) -> str | None:
    """A query parameter, or None when it is absent or empty.

    Raises:
        Refused: 422 when it is longer or does not match.
    """
    value = request.args.get(name, "").strip()
    if not value:
        return None
    if len(value) > longest or not re.fullmatch(pattern, value):
        raise Refused(422, "invalid", f"{name}: {value[:40]!r} is not a valid value.")
    return value


def code(name: str) -> str | None:
    """A query parameter that names an airline or an airport, in capitals; raises `Refused` 422."""
    value = argument(name, CODE)
    return value.upper() if value else None


def key(text: str) -> UUID | None:
    """The id in a path, or None when it is none: an impossible id is just not aboard."""
    try:
        return UUID(text)
    except ValueError:
        return None
