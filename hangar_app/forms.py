"""What no form may hold: the character U+0000, which the database keeps in no text."""

from __future__ import annotations

from flask import Flask, abort, request


def init_app(app: Flask) -> None:
    """Refuses such a form before any page reads it; it stands behind the check of its token."""

    @app.before_request
    def _refuse() -> None:
        typed = [text for _, text in request.form.items(multi=True)]
        names = [file.filename or "" for _, file in request.files.items(multi=True)]
        if any("\0" in text for text in (*typed, *names)):
            abort(400, "A field holds the character U+0000, which cannot be kept. Leave it out.")
