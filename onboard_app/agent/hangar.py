"""The heartbeat's way to the hangar and back: one POST, bounded in time and size."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any

import requests
from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

CONNECT_S, ANSWER_S = 5.0, 15.0
LARGEST = 64 * 1024


class Unheard(Exception):
    """The hangar did not answer, or not as a hangar does; the message says which and why."""


class Ack(BaseModel):
    """How far a stream was applied at the hangar."""

    epoch: Annotated[str, Field(max_length=64)]
    seq: Annotated[int, Field(ge=0)]
    sha256: Annotated[str, Field(max_length=64)]


class Applied(BaseModel):
    """How far a history that was left aboard was applied at the hangar."""

    seq: Annotated[int, Field(ge=0)]
    sha256: Annotated[str, Field(max_length=64)]


class Urgent(BaseModel):
    """The most urgent that the hangar offers and the manifest held here does not name."""

    version: Annotated[str, Field(max_length=64)]
    priority: Annotated[int, Field(ge=-(2**31), lt=2**31)]
    valid_to: AwareDatetime | None = None


def _or_none(value: Any, handler: ValidatorFunctionWrapHandler) -> Urgent | None:
    """A hint is not worth a heartbeat: one that is malformed is none."""
    try:
        return handler(value)  # type: ignore[no-any-return]
    except ValidationError:
        return None


class Reply(BaseModel):
    """What the hangar answers; fields that are not known here belong to a newer hangar."""

    model_config = ConfigDict(extra="ignore")

    interval_s: Annotated[float, Field(ge=1, le=3600)] = 5.0
    due: Annotated[list[Annotated[str, Field(max_length=32)]], Field(max_length=32)] = []
    acks: dict[str, Ack] = {}
    needs: dict[Annotated[str, Field(max_length=32)], AwareDatetime] = {}
    wants: dict[Annotated[str, Field(max_length=32)], Annotated[str, Field(max_length=32)]] = {}
    former: dict[str, dict[str, Applied]] = {}
    urgent: Annotated[Urgent | None, WrapValidator(_or_none)] = None


class Hangar:
    """The hangar as the agent knows it.

    >>> Hangar("http://10.100.64.1").beat({"node": "EC-TAA", …}).due  # doctest: +SKIP
    ['cat']
    """

    def __init__(self, url: str) -> None:
        self.address = f"{url.rstrip('/')}/tower/v1/heartbeat"

    def beat(self, body: Mapping[str, Any]) -> Reply:
        """Sends a heartbeat.

        Every beat has a connection of its own: one that was kept would have died with the link, and
        the first beat after landing would wait for it in vain.

        Raises:
            Unheard: no answer in time, a refusal, or an answer that is no reply.
        """
        with requests.Session() as http:
            http.trust_env = False
            try:
                answer = http.post(
                    self.address,
                    data=json.dumps(body).encode(),
                    headers={"Content-Type": "application/json", "Connection": "close"},
                    timeout=(CONNECT_S, ANSWER_S),
                    allow_redirects=False,
                    stream=True,
                )
                text = answer.raw.read(LARGEST + 1, decode_content=True)
            except (requests.RequestException, OSError) as error:
                raise Unheard(f"{self.address} does not answer: {error}") from error
            except Exception as error:  # urllib3's own, when the link drops inside the answer
                raise Unheard(f"{self.address} stopped in its answer: {error}") from error
        if answer.status_code != 200:
            said = text[:300].decode(errors="replace").strip()
            raise Unheard(f"{self.address} answered {answer.status_code}: {said}")
        return parse(text, self.address)


def parse(text: bytes, address: str) -> Reply:
    """Reads a reply.

    Raises:
        Unheard: it is too long, or not what was agreed.

    >>> parse(b'{"interval_s": 5, "due": ["cat"]}', "").due
    ['cat']
    """
    if len(text) > LARGEST:
        raise Unheard(f"{address} answered with more than {LARGEST} bytes")
    try:
        return Reply.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the answer"
        raise Unheard(f"{address} answered, but {place}: {first['msg']}") from None
