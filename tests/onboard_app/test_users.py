"""Registering, logging in, and who a token belongs to."""

from __future__ import annotations

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from common.schema import Token, UserEvent

pytestmark = pytest.mark.postgres

ADA = {"email": "Ada@Example.org", "name": "Ada", "language": "en", "password": "correct horse"}


def me(client, token):
    return client.get("/api/v1/users/me", headers={"Authorization": f"Token {token}"})


def test_a_passenger_registers_and_is_known(client, hangar):
    answer = client.post("/api/v1/users", json=ADA)
    assert answer.status_code == 201
    assert me(client, answer.json["token"]).json == {
        "id": answer.json["id"],
        "email": "ada@example.org",
        "name": "Ada",
        "language": "en",
    }
    events = hangar.rows(UserEvent)
    assert {event.field for event in events} == {"email", "name", "language", "password_hash"}
    assert {event.aircraft for event in events} == {"EC-TAA"}


def test_neither_password_nor_token_is_kept(client, hangar):
    token = client.post("/api/v1/users", json=ADA).json["token"]
    kept = [str(event.value) for event in hangar.rows(UserEvent)]
    assert not any(ADA["password"] in value for value in kept)
    with Session(hangar.engine) as session:
        assert token.encode() not in [row.hash for row in session.scalars(select(Token))]


def test_the_same_address_registers_once(client):
    client.post("/api/v1/users", json=ADA)
    again = client.post("/api/v1/users", json={**ADA, "email": "ADA@example.org"})
    assert again.status_code == 409
    assert again.json["error"]["code"] == "email_taken"


def test_logging_in_gives_another_token_for_the_same_user(client):
    first = client.post("/api/v1/users", json=ADA).json
    answer = client.post("/api/v1/tokens", json={k: ADA[k] for k in ("email", "password")})
    assert answer.status_code == 201
    assert answer.json["token"] != first["token"]
    assert me(client, answer.json["token"]).json["id"] == first["id"]


@pytest.mark.parametrize(
    ("email", "password"),
    [("ada@example.org", "wrong horse"), ("nobody@example.org", "correct horse")],
)
def test_a_wrong_password_and_a_wrong_address_sound_the_same(client, email, password):
    client.post("/api/v1/users", json=ADA)
    answer = client.post("/api/v1/tokens", json={"email": email, "password": password})
    assert answer.status_code == 401
    assert answer.json["error"]["message"] == "The address or the password is not right."


@pytest.mark.parametrize(
    "header", ["", "Token ", "Token unknown", "Bearer x", "Token " + "x" * 500]
)
def test_without_a_known_token_nobody_is_anybody(client, header):
    answer = client.get("/api/v1/users/me", headers={"Authorization": header})
    assert answer.status_code == 401
    assert answer.json["error"]["code"] == "not_logged_in"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"email": "no address"}, "email"),
        ({"email": "a@b.c" + "x" * 260}, "email"),
        ({"name": ""}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": "new\nline"}, "name"),
        ({"password": "short"}, "password"),
        ({"password": "x" * 201}, "password"),
        ({"language": "English"}, "language"),
        ({"is_admin": True}, "is_admin"),
    ],
)
def test_what_cannot_be_is_refused_with_the_fields_name(client, change, field):
    answer = client.post("/api/v1/users", json={**ADA, **change})
    assert answer.status_code == 422
    assert answer.json["error"]["message"].startswith(f"{field}:")


@pytest.mark.parametrize("text", ["", "{", "[]", '"x"', "null"])
def test_a_body_that_is_no_object_is_refused(client, text):
    answer = client.post("/api/v1/users", data=text, content_type="application/json")
    assert answer.status_code in (400, 422)
    assert set(answer.json["error"]) == {"code", "message"}


def test_a_passenger_agrees_and_thinks_better_of_it(client, passenger, hangar):
    consents = "/api/v1/users/me/consents"
    assert client.get(consents, headers=passenger).json == {"offers": False}
    for given in (True, True, False):
        answer = client.put(f"{consents}/offers", json={"given": given}, headers=passenger)
        assert answer.json == client.get(consents, headers=passenger).json == {"offers": given}
    said = [event.value["given"] for event in hangar.rows(UserEvent) if event.field == "consent"]
    assert said == [True, False], "each is a row, and what holds is not said again"


@pytest.mark.parametrize(
    ("purpose", "said", "status"), [("rank", {"given": True}, 404), ("offers", {}, 422)]
)
def test_a_consent_that_nobody_asks_for_is_refused(client, passenger, purpose, said, status):
    answer = client.put(f"/api/v1/users/me/consents/{purpose}", json=said, headers=passenger)
    assert answer.status_code == status


def test_a_passenger_who_wishes_to_be_forgotten_is_so_at_once(client, passenger):
    def forget(password):
        return client.post(
            "/api/v1/users/me/erase", json={"password": password}, headers=passenger
        ).status_code

    other = client.post("/api/v1/tokens", json={k: ADA[k] for k in ("email", "password")})
    assert forget("wrong horse") == 401
    assert me(client, other.json["token"]).status_code == 200
    assert forget("correct horse") == 204
    assert me(client, other.json["token"]).status_code == 401, "every device is out"
    answer = client.post("/api/v1/tokens", json={k: ADA[k] for k in ("email", "password")})
    assert answer.status_code == 401
    assert client.post("/api/v1/users", json=ADA).status_code == 201, "and may begin anew"
