"""Routing of surveys."""

from __future__ import annotations

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue
from pydantic import StrictInt

from onboard_app.surveys import answers
from onboard_app.web import identity, language
from onboard_app.web.errors import Refused, missing
from onboard_app.web.input import Body, body, key
from onboard_app.web.services import services, session

blueprint = Blueprint("surveys", __name__, url_prefix="/api/v1/surveys")


class NewAnswer(Body):
    """An answer: the position of the choice, from 0."""

    choice: StrictInt


@blueprint.get("")
def surveys() -> ResponseReturnValue:
    """The open surveys."""
    response = jsonify(
        surveys=[one.json() for one in answers.published(session(), language.preferred())]
    )
    response.headers["Vary"] = "Accept-Language"
    return response


@blueprint.post("/<survey_id>/answers")
def add(survey_id: str) -> ResponseReturnValue:
    """Answers a survey."""
    given = body(NewAnswer)
    question = answers.find(session(), key(survey_id), language.preferred())
    if question is None:
        raise missing("survey")
    take(question, given.choice)
    return "", 201


def take(question: answers.Question, choice: int) -> None:
    """Writes the answer of whoever asks; the portal's form ends here too.

    Raises:
        Refused: 422 no such choice, 409 answered already.
    """
    here = services()
    try:
        answers.answer(
            session(), question, choice, identity.user_id(), here.settings.node, here.clock()
        )
    except answers.NoSuchChoice as error:
        raise Refused(422, "invalid", str(error)) from None
    except answers.AnsweredAlready:
        raise Refused(409, "answered", "You have answered this already. Thank you!") from None
    session().commit()
