"""Who may come in: staff with their password, through a form with a token, not too often."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from common.schema import Audit, Staff
from hangar_app import staff
from hangar_app.login import Throttle, local_target

EMAIL, PASSWORD = "editor@hangar.example", "correct horse"

CLOSED = ["/", "/fleet.json", "/ingest", "/cms/", "/cms/item/", "/cms/survey/", "/cms/audit/"]


@pytest.mark.postgres
class TestSigningIn:
    def test_everything_is_behind_it(self, browser) -> None:
        for path in CLOSED:
            answer = browser.get(path)
            if path.endswith(".json"):
                assert answer.status_code == 401, path
            else:
                assert answer.status_code == 302, path
                assert answer.location.startswith("/login?next=")

    def test_opens_everything(self, editor) -> None:
        for path in CLOSED:
            assert editor.get(path, follow_redirects=True).status_code == 200, path

    def test_is_recorded(self, editor, session: Session) -> None:
        written = session.scalars(select(Audit.what).order_by(Audit.at)).all()
        assert "signed in" in written

    def test_refuses_a_wrong_password_and_an_unknown_address_alike(self, editor) -> None:
        editor.submit("/logout", {}, form_at="/")
        wrong = editor.submit("/login", {"email": EMAIL, "password": "battery staple"})
        unknown = editor.submit("/login", {"email": "who@x.example", "password": PASSWORD})
        assert wrong.status_code == unknown.status_code == 401
        assert "do not go together" in wrong.text and "do not go together" in unknown.text

    def test_a_form_without_its_token_is_refused(self, app: Flask, editor) -> None:
        fields = {"email": EMAIL, "password": PASSWORD}
        assert app.test_client().post("/login", data=fields).status_code == 400
        assert editor.client.post("/logout").status_code == 400
        assert editor.get("/").status_code == 200

    def test_the_ninth_wrong_password_has_to_wait(self, browser, account) -> None:
        codes = [
            browser.submit("/login", {"email": EMAIL, "password": "no"}).status_code
            for _ in range(9)
        ]
        assert codes == [401] * 8 + [429]

    def test_a_new_password_ends_the_sessions_of_the_old_one(
        self, editor, session: Session, clock
    ) -> None:
        assert editor.get("/").status_code == 200
        staff.add(session, EMAIL, "another battery", clock())
        session.commit()
        assert editor.get("/").status_code == 302

    def test_lasts_half_a_day(self, editor) -> None:
        [cookie] = [each for each in editor.client._cookies.values() if each.key == "hangar"]
        assert cookie.max_age is not None or cookie.expires is not None
        assert editor.client.application.permanent_session_lifetime.total_seconds() == 12 * 3600

    def test_signing_out_closes_everything_again(self, editor) -> None:
        editor.submit("/logout", {}, form_at="/")
        assert editor.get("/").status_code == 302

    def test_leads_back_to_where_one_wanted_to_go(self, editor) -> None:
        editor.submit("/logout", {}, form_at="/")
        answer = editor.submit("/login?next=/ingest", {"email": EMAIL, "password": PASSWORD})
        assert answer.location == "/ingest"

    def test_pages_load_nothing_from_elsewhere(self, editor) -> None:
        for path in ("/", "/ingest", "/cms/item/", "/cms/survey/new/"):
            answer = editor.get(path)
            assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
            assert "http://" not in answer.text.replace("http://www.w3.org/", "")
            assert "https://" not in answer.text


@pytest.mark.parametrize(
    "target",
    ["//evil.example/", "/\\evil.example", "https://evil.example/", "evil", "", None],
)
def test_leads_to_no_other_site(target: str | None) -> None:
    assert local_target(target) is None


def test_a_throttle_forgets_after_its_time() -> None:
    now = [0.0]
    throttle = Throttle(attempts=2, within_s=60, clock=lambda: now[0])
    throttle.failed("a")
    now[0] = 30
    throttle.failed("a")
    assert (throttle.wait_s("a"), throttle.wait_s("b")) == (30, 0)
    now[0] = 60
    assert throttle.wait_s("a") == 0


@pytest.mark.postgres
class TestStaff:
    def test_a_second_time_gives_a_new_password(self, session: Session, clock) -> None:
        assert staff.add(session, "Ada@Hangar.example", "a long password", clock()) is True
        former = session.scalar(select(Staff)).password_hash
        assert staff.add(session, "ada@hangar.example", "another password", clock()) is False
        kept = session.scalar(select(Staff))
        assert kept.email == "ada@hangar.example"
        assert kept.password_hash != former
        assert "password" not in kept.password_hash

    @pytest.mark.parametrize(
        ("email", "password", "said"),
        [
            ("ada", "a long password", "not an e-mail"),
            ("a@b.example", "short", "10 are the fewest"),
        ],
    )
    def test_refuses(self, session: Session, clock, email, password, said) -> None:
        with pytest.raises(ValueError, match=said):
            staff.add(session, email, password, clock())
