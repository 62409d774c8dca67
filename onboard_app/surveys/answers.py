"""Published surveys and their answers, without HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from common.schema import Survey, SurveyAnswer
from onboard_app.content.catalogue import spoken


class NoSuchChoice(Exception):
    """The answer names a choice that the survey does not have."""


class AnsweredAlready(Exception):
    """This user has answered this survey aboard."""


@dataclass(frozen=True)
class Question:
    """A survey in one language."""

    id: UUID
    question: str
    choices: tuple[str, ...]

    def json(self) -> dict[str, Any]:
        """The question as the API gives it; an answer names a choice by its position."""
        return {"id": str(self.id), "question": self.question, "choices": list(self.choices)}


def published(session: Session, languages: Sequence[str]) -> list[Question]:
    """The surveys that are open, the newest first."""
    chosen = select(Survey).where(Survey.published).order_by(Survey.updated_at.desc(), Survey.id)
    return [_asked(survey, languages) for survey in session.scalars(chosen)]


def unanswered(session: Session, languages: Sequence[str], user_id: UUID | None) -> list[Question]:
    """The open surveys that this user has not answered aboard; all of them for somebody unknown."""
    asked = published(session, languages)
    if user_id is None:
        return asked
    told = select(SurveyAnswer.survey_id).where(SurveyAnswer.user_id == user_id)
    answered = set(session.scalars(told))
    return [question for question in asked if question.id not in answered]


def find(session: Session, survey_id: UUID | None, languages: Sequence[str]) -> Question | None:
    """One open survey, or None."""
    survey = session.get(Survey, survey_id) if survey_id else None
    return _asked(survey, languages) if survey and survey.published else None


def _asked(survey: Survey, languages: Sequence[str]) -> Question:
    choices = tuple(spoken(choice, languages) for choice in survey.choices)
    return Question(survey.id, spoken(survey.question, languages), choices)


def answer(
    session: Session,
    question: Question,
    choice: int,
    user_id: UUID | None,
    aircraft: str,
    now: datetime,
) -> None:
    """Adds an answer; the caller commits. Who is not logged in may answer as often as they like.

    Raises:
        NoSuchChoice: `choice` is no position in the choices.
        AnsweredAlready: the user has answered before.
    """
    if not 0 <= choice < len(question.choices):
        raise NoSuchChoice(f"choice {choice}: the survey has 0 to {len(question.choices) - 1}")
    if user_id is not None:
        # A form sent twice comes as two requests at once: the check and the row are one step.
        lock = func.hashtextextended(f"{question.id} {user_id}", 0)
        session.execute(select(func.pg_advisory_xact_lock(lock)))
        given = select(SurveyAnswer.id).where(
            SurveyAnswer.survey_id == question.id, SurveyAnswer.user_id == user_id
        )
        if session.scalar(given.limit(1)) is not None:
            raise AnsweredAlready
    session.add(
        SurveyAnswer(
            survey_id=question.id, user_id=user_id, choice=choice, at=now, aircraft=aircraft
        )
    )
