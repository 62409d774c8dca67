"""Staff find a passenger and order that they be forgotten; nothing else."""

from __future__ import annotations

from uuid import UUID

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from common.schema import AppUser, Audit, UserEvent

pytestmark = pytest.mark.postgres

ADA = UUID(int=7)
PAGE = f"/cms/passenger/edit/?id={ADA}"


@pytest.fixture
def passenger(session: Session) -> AppUser:
    made = AppUser(id=ADA, email="ada@example.org", name="Ada", password_hash="scrypt:x")
    said = UserEvent(user_id=ADA, field="name", value="Ada", hlc=1, aircraft="EC-TAA")
    session.add_all([made, said, AppUser(id=UUID(int=8), erased=True)])
    session.commit()
    return made


def test_a_passenger_is_found_by_address_and_shown_without_the_password(editor, passenger) -> None:
    page = editor.get("/cms/passenger/?search=ada@").text
    assert "ada@example.org" in page
    assert "scrypt" not in page + editor.get(PAGE).text
    assert page.count("edit/?id=") == 1, "no tombstones"


def test_a_passenger_is_forgotten_published_and_the_audit_names_the_id_alone(
    editor, passenger, session: Session, queue
) -> None:
    answer = editor.submit(PAGE, {"forget": "y"})
    assert answer.status_code == 302, answer.text
    session.refresh(passenger)
    assert (passenger.erased, passenger.email, passenger.name) == (True, "", "")
    assert session.scalars(select(UserEvent)).all() == []
    assert queue.kinds == ["publish"]
    row = session.scalar(select(Audit).where(Audit.what == "erased passenger"))
    assert (row.who, row.detail) == ("editor@hangar.example", {"id": str(ADA)})


@pytest.mark.parametrize("fields", [{}, {"name": "Mallory", "email": "m@example.org"}])
def test_nothing_else_can_be_done_with_an_account(
    editor, passenger, session: Session, queue, fields: dict[str, str]
) -> None:
    assert "required" in editor.submit(PAGE, fields).text
    assert editor.client.post(PAGE, data={"forget": "y"}).status_code == 400, "without its token"
    session.refresh(passenger)
    assert (passenger.erased, passenger.name) == (False, "Ada")
    assert queue.jobs == []
