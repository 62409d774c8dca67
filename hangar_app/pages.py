"""What all pages share: how times and sizes are written, and pages for errors that people meet."""

from __future__ import annotations

from flask import Flask, render_template, request
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException

from common.figures import size, span
from hangar_app.languages import best

SENTENCES = {
    403: "This is not for your account.",
    404: "There is nothing at this address.",
    413: "This is larger than what is taken here.",
}


def init_app(app: Flask) -> None:
    """Adds the templates' filters and the error page."""
    app.add_template_filter(ago, "ago")
    app.add_template_filter(size, "size")
    app.add_template_filter(span, "span")
    app.add_template_filter(best, "best")
    app.register_error_handler(HTTPException, error_page)


def ago(seconds: int | None) -> str:
    """How long ago, in the largest unit that says enough.

    Example:
        >>> ago(4), ago(90), ago(8000), ago(None)
        ('4 s', '1 min', '2 h', 'never')
    """
    if seconds is None:
        return "never"
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"


def error_page(error: HTTPException) -> ResponseReturnValue:
    """A page for people, a JSON object for programs; redirects go their way."""
    code = error.code or 500
    if code < 400:
        return error
    if isinstance(error, CSRFError):
        sentence = f"The form was not accepted: {error.description} Load the page again."
    else:
        sentence = SENTENCES.get(code) or error.description or error.name
    if request.path.startswith("/tower/") or request.path.endswith(".json"):
        return {"error": {"code": error.name.lower(), "message": sentence}}, code
    return render_template("error.html", code=code, sentence=sentence), code
