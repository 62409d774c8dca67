"""Questions and answers."""

from __future__ import annotations

from uuid import uuid4

import pytest

from common.schema import SurveyAnswer

pytestmark = pytest.mark.postgres


def test_open_surveys_are_listed_with_their_choices(client, hangar):
    survey = hangar.survey("Good", "Bad", question="How was lunch?")
    hangar.survey(published=False)
    assert client.get("/api/v1/surveys").json == {
        "surveys": [{"id": str(survey), "question": "How was lunch?", "choices": ["Good", "Bad"]}]
    }


def test_an_answer_is_kept(client, hangar, passenger):
    survey = hangar.survey()
    answer = client.post(f"/api/v1/surveys/{survey}/answers", json={"choice": 1}, headers=passenger)
    assert answer.status_code == 201
    (kept,) = hangar.rows(SurveyAnswer)
    assert (kept.survey_id, kept.choice, kept.aircraft) == (survey, 1, "EC-TAA")
    assert kept.user_id is not None


def test_who_is_logged_in_answers_once(client, hangar, passenger):
    address = f"/api/v1/surveys/{hangar.survey()}/answers"
    client.post(address, json={"choice": 0}, headers=passenger)
    again = client.post(address, json={"choice": 1}, headers=passenger)
    assert (again.status_code, again.json["error"]["code"]) == (409, "answered")
    assert len(hangar.rows(SurveyAnswer)) == 1


@pytest.mark.parametrize("choice", [-1, 2, "0", 1.5, None, True])
def test_a_choice_that_there_is_not_is_refused(client, hangar, choice):
    answer = client.post(f"/api/v1/surveys/{hangar.survey()}/answers", json={"choice": choice})
    assert answer.status_code == 422
    assert hangar.rows(SurveyAnswer) == []


def test_a_survey_that_is_closed_or_unknown_takes_no_answer(client, hangar):
    for survey in (hangar.survey(published=False), uuid4(), "x"):
        answer = client.post(f"/api/v1/surveys/{survey}/answers", json={"choice": 0})
        assert answer.status_code == 404
