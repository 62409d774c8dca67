"""Who may come in: the staff of the hangar, by e-mail address and password."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from datetime import timedelta
from functools import lru_cache
from typing import cast
from urllib.parse import urlsplit
from uuid import UUID

from flask import (
    Blueprint,
    Flask,
    current_app,
    flash,
    redirect,
    render_template,
    request,
    url_for,
)
from flask import session as browser_session
from flask.typing import ResponseReturnValue
from flask_login import (
    LoginManager,
    UserMixin,
    current_user,
    login_user,
    logout_user,
)
from flask_wtf import FlaskForm
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.security import check_password_hash, generate_password_hash
from werkzeug.wrappers import Response
from wtforms import PasswordField, StringField
from wtforms.validators import InputRequired, Length

from common.schema import Staff
from hangar_app import audit
from hangar_app.context import hangar

ATTEMPTS, WITHIN_S = 8, 300
SESSION_HOURS = 12

OPEN = {
    *("login.login", "health.show", "static", "admin.static"),
    *("tower.post_heartbeat", "metrics.show"),
}

blueprint = Blueprint("login", __name__)
manager = LoginManager()
manager.login_view = "login.login"
manager.login_message = "Sign in to go on."


class Member(UserMixin):  # type: ignore[misc, unused-ignore]
    """A member of the staff who is signed in.

    The session's cookie names the account and its password as it was: a new password ends every
    session that the old one opened.
    """

    def __init__(self, staff: Staff) -> None:
        self.id = f"{staff.id}.{_stamp(staff.password_hash)}"
        self.email = staff.email


class Throttle:
    """Lets `attempts` failures of one key through within `within_s` seconds, then says how long.

    It counts in this process's memory: with n web workers a guesser has n times as many tries, and
    nothing can lock the staff out by stopping a service.

    Example:
        >>> throttle = Throttle(attempts=1, within_s=60, clock=lambda: 0.0)
        >>> throttle.failed("10.0.0.1")
        >>> throttle.wait_s("10.0.0.1")
        60.0
    """

    KEYS = 10_000

    def __init__(
        self,
        attempts: int = ATTEMPTS,
        within_s: float = WITHIN_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._attempts, self._within_s, self._clock = attempts, within_s, clock
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()

    def failed(self, key: str) -> None:
        """Counts a failure."""
        times = self._failures.setdefault(key, deque(maxlen=self._attempts))
        times.append(self._clock())
        self._failures.move_to_end(key)
        while len(self._failures) > self.KEYS:
            self._failures.popitem(last=False)

    def wait_s(self, key: str) -> float:
        """Seconds until the next try is allowed; 0 when it is allowed now."""
        times = self._failures.get(key, deque())
        if len(times) < self._attempts:
            return 0.0
        return max(0.0, times[0] + self._within_s - self._clock())


class LoginForm(FlaskForm):  # type: ignore[misc, unused-ignore]
    """The sign-in form, with its CSRF token."""

    email = StringField("E-mail", [InputRequired(), Length(max=254)])
    password = PasswordField("Password", [InputRequired(), Length(max=1024)])


def init_app(app: Flask) -> None:
    """Adds the sign-in page; everything but health, metrics, static files and the tower is behind it."""
    app.extensions["throttle"] = Throttle()
    app.permanent_session_lifetime = timedelta(hours=SESSION_HOURS)
    manager.user_loader(load)
    manager.init_app(app)
    app.register_blueprint(blueprint)
    app.before_request(admit)


def admit() -> ResponseReturnValue | None:
    """Lets the staff in, and nobody else but to `OPEN`: a new page is closed until it is named."""
    if request.endpoint is None or request.endpoint in OPEN or current_user.is_authenticated:
        return None
    return refuse()


def refuse() -> ResponseReturnValue:
    """To the sign-in page; programs that ask for JSON get a 401 with a sentence."""
    if request.path.endswith(".json"):
        return {"error": {"code": "unauthorized", "message": "Sign in first."}}, 401
    return cast(Response, manager.unauthorized())


def load(id: str) -> Member | None:
    """The member of a session's cookie; None when the account is gone or its password is new."""
    found = hangar().session().get(Staff, UUID(id.partition(".")[0]))
    member = Member(found) if found else None
    return member if member and member.id == id else None


def _stamp(password_hash: str) -> str:
    return hashlib.sha256(password_hash.encode()).hexdigest()[:16]


# Checked when no such account exists, so that the answer takes as long as for one that does.
@lru_cache(maxsize=1)
def _nobody() -> str:
    return generate_password_hash("nobody")


def authenticate(session: Session, email: str, password: str) -> Member | None:
    """The member with this address and password; None when either is wrong."""
    row = session.scalar(select(Staff).where(Staff.email == email.lower()))
    right = check_password_hash(row.password_hash if row else _nobody(), password)
    return Member(row) if row and right else None


def local_target(target: str | None) -> str | None:
    """`target` when it is a path of this site; None when it would lead elsewhere.

    Example:
        >>> local_target("/cms/"), local_target("//evil.example/"), local_target(None)
        ('/cms/', None, None)
    """
    if not target or not target.startswith("/") or target[1:2] in ("/", "\\"):
        return None
    parts = urlsplit(target)
    return None if parts.scheme or parts.netloc else target


@blueprint.route("/login", methods=["GET", "POST"])
def login() -> str | Response | tuple[str, int]:
    """The sign-in page; after eight wrong passwords from one address it asks for patience."""
    if current_user.is_authenticated:
        return redirect(url_for("fleet.page"))
    form = LoginForm()
    if not form.validate_on_submit():
        return render_template("login.html", form=form)
    here = hangar()
    throttle: Throttle = current_app.extensions["throttle"]
    source = request.headers.get("X-Real-IP") or request.remote_addr or "unknown"
    wait = throttle.wait_s(source)
    if wait:
        flash(f"Too many wrong passwords. Try again in {wait / 60:.0f} minutes.", "error")
        return render_template("login.html", form=form), 429
    email = (form.email.data or "").strip()
    member = authenticate(here.session(), email, form.password.data or "")
    if member is None:
        throttle.failed(source)
        flash("This address and this password do not go together.", "error")
        return render_template("login.html", form=form), 401
    audit.write(here.session(), member.email, "signed in", {"from": source}, here.clock())
    here.session().commit()
    login_user(member)
    browser_session.permanent = True  # as long as SESSION_HOURS, and no longer
    return redirect(local_target(request.args.get("next")) or url_for("fleet.page"))


@blueprint.post("/logout")
def logout() -> Response:
    """Ends the session."""
    logout_user()
    return redirect(url_for("login.login"))
