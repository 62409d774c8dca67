"""Protection of every form against requests that another site makes with a staff member's cookie."""

from __future__ import annotations

from flask import Flask
from flask_wtf.csrf import CSRFProtect

csrf = CSRFProtect()


def init_app(app: Flask) -> None:
    """Every POST needs the token of its session; routes without a browser exempt themselves.

    Flask-Admin's forms are covered too: its templates write the token where this is active.
    """
    csrf.init_app(app)
