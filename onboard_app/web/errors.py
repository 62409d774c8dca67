"""Errors as the API says them, `{"error": {"code", "message"}}`, and as a page for people."""

from __future__ import annotations

import logging

from flask import Flask, g, jsonify, render_template, request
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import OperationalError
from werkzeug.exceptions import HTTPException

log = logging.getLogger(__name__)


class Refused(Exception):
    """A request that cannot be done; `code` is for programs, `message` for people."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


def missing(what: str) -> Refused:
    """The answer for something that is not aboard."""
    return Refused(404, "not_found", f"There is no such {what} aboard.")


def init_app(app: Flask) -> None:
    """Answers every error in the one form; what went wrong inside is logged, not shown."""

    @app.errorhandler(Refused)
    def refused(error: Refused) -> ResponseReturnValue:
        return _answer(error.status, error.code, error.message)

    @app.errorhandler(HTTPException)
    def http(error: HTTPException) -> ResponseReturnValue:
        code = error.name.lower().replace(" ", "_")
        return _answer(error.code or 500, code, error.description or error.name)

    @app.errorhandler(OperationalError)
    def database(error: OperationalError) -> ResponseReturnValue:
        log.error("the database did not answer: %s", error.orig)
        _nobody()
        return _answer(503, "database_away", "Not available at the moment. Please try again soon.")

    @app.errorhandler(Exception)
    def inside(error: Exception) -> ResponseReturnValue:
        log.error("%s %s failed", request.method, request.path, exc_info=error)
        _nobody()
        return _answer(500, "internal_error", "Something went wrong on our side.")


def _nobody() -> None:
    """The page that tells of a failure greets no one: looking them up could fail the same way."""
    g.user = None


def _answer(status: int, code: str, message: str) -> ResponseReturnValue:
    if request.path.startswith("/api/"):
        return jsonify(error={"code": code, "message": message}), status
    return render_template("error.html", status=status, message=message), status
