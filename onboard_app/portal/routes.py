"""Routing of the pages."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from onboard_app.avionics.store import read_state
from onboard_app.portal import forms, pages
from onboard_app.stats.events import Event, record
from onboard_app.surveys import answers
from onboard_app.surveys.routes import take
from onboard_app.users import accounts
from onboard_app.web import identity, language
from onboard_app.web.errors import Refused, missing
from onboard_app.web.input import code, key
from onboard_app.web.services import commit_if_possible, services, session

blueprint = Blueprint("portal", __name__)


@blueprint.after_request
def private(response):  # type: ignore[no-untyped-def]
    """Pages greet whoever is logged in, so no cache between may keep them."""
    response.headers.setdefault("Cache-Control", "private, no-cache")
    return response


@blueprint.get("/")
def home() -> ResponseReturnValue:
    """What is on and where we are."""
    shelves = pages.offers()
    surveys = answers.unanswered(session(), language.preferred(), identity.user_id())
    # A page that draws itself anew was opened once, however long it lies there.
    if "again" not in request.args:
        _seen(Event("view"))
    return render_template(
        "home.html",
        films=shelves["film"],
        papers=shelves["newspaper"],
        survey=surveys[0] if surveys else None,
        flight=pages.flight(),
        map=pages.map_drawing(),
        again=url_for("portal.home", again=1, destination=code("destination")),
    )


@blueprint.get("/here")
def here() -> ResponseReturnValue:
    """The piece of the home page that says where we are, for it to be refreshed alone."""
    page = render_template("here.html", flight=pages.flight(), map=pages.map_drawing())
    return page, {"Cache-Control": "public, max-age=2", "Vary": "Accept-Language"}


@blueprint.get("/film/<item_id>")
def film(item_id: str) -> ResponseReturnValue:
    """The player."""
    return _opened("film", "film.html", item_id)


@blueprint.get("/paper/<item_id>")
def paper(item_id: str) -> ResponseReturnValue:
    """The reader."""
    return _opened("newspaper", "paper.html", item_id)


def _opened(kind: str, template: str, item_id: str) -> ResponseReturnValue:
    offer = pages.offer(kind, key(item_id))
    if offer is None:
        raise missing(kind)
    _seen(Event("open", offer.id))
    return render_template(template, offer=offer)


@blueprint.get("/join")
def join() -> ResponseReturnValue:
    """The forms to register and to log in; whoever is logged in has no use for them."""
    if identity.user():
        return redirect(forms.came_from(), 303)
    return render_template("join.html", next=forms.came_from(), sent={}, error=None)


@blueprint.post("/join")
def joined() -> ResponseReturnValue:
    """Registers or logs in, and goes back to where the passenger was."""
    try:
        return forms.with_token(forms.join().token)
    except Refused as error:
        page = render_template(
            "join.html", next=forms.came_from(), sent=request.form, error=pages.told(error)
        )
        return page, error.status


@blueprint.post("/leave")
def leave() -> ResponseReturnValue:
    """Logs out: the token ends here, whatever copies of it there are."""
    token = identity.presented()
    if token:
        accounts.log_out(session(), token)
        session().commit()
    response = redirect("/", 303)
    response.delete_cookie(identity.COOKIE, httponly=True, samesite="Lax")
    return response


@blueprint.get("/survey/<survey_id>")
def survey(survey_id: str) -> ResponseReturnValue:
    """The question."""
    return render_template("survey.html", survey=_question(survey_id), thanks=False, error=None)


@blueprint.post("/survey/<survey_id>")
def answered(survey_id: str) -> ResponseReturnValue:
    """Takes the answer and says thank you."""
    question = _question(survey_id)
    try:
        take(question, forms.choice())
    except Refused as error:
        page = render_template(
            "survey.html", survey=question, thanks=False, error=pages.told(error)
        )
        return page, error.status
    return render_template("survey.html", survey=question, thanks=True, error=None), 201


def _question(survey_id: str) -> answers.Question:
    question = answers.find(session(), key(survey_id), language.preferred())
    if question is None:
        raise missing("survey")
    return question


def _seen(event: Event) -> None:
    """Keeps a page view, unless the browser only looked ahead.

    One that cannot be kept, on a full disk, is no reason not to show the page: what is drawn after
    this reads in a transaction of its own.
    """
    if "prefetch" in request.headers.get("Sec-Purpose", ""):
        return
    event = Event(event.kind, event.item_id, identity.user_id())
    given = services()
    flight = read_state(given.store)["flight"]
    record(session(), event, given.settings.node, flight, given.clock())
    commit_if_possible("a page view")
