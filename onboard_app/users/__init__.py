"""Accounts: registering, logging in, who am I, what I agree to, being forgotten; in web and native apps.

What an account is and how edits travel is `common.users`; here are its checks and its HTTP.
"""

from __future__ import annotations

from flask import Flask

from onboard_app.users import routes


def init_app(app: Flask) -> None:
    """Adds `/api/v1/users` and `/api/v1/tokens`."""
    app.register_blueprint(routes.blueprint)
