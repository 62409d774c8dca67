"""The web application's factory."""

from __future__ import annotations

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from common import health
from common.database import engine_for
from common.settings import Settings
from onboard_app import captive, content, flightinfo, portal, stats, surveys, users
from onboard_app.avionics.store import RedisStore
from onboard_app.content.library import Library
from onboard_app.web import bundle, errors, input, security
from onboard_app.web import services as given
from onboard_app.web.services import Services


def services_for(settings: Settings) -> Services:
    """The services of a real aircraft; nothing is connected before it is used."""
    return Services(
        settings=settings,
        engine=engine_for(settings),
        store=RedisStore(settings.redis_url),
        library=Library(settings.content_dir),
    )


def create_app(services: Services | None = None) -> Flask:
    """Makes the application: `gunicorn 'onboard_app:create_app()'`.

    Args:
        services: what it stands on; the aircraft's own if not given.

    Raises:
        SettingsError: the environment does not describe an aircraft.
    """
    services = services or services_for(Settings.load())
    app = Flask("onboard_app", static_url_path="/static", template_folder=None)
    # nginx alone reaches our socket: what it says of the scheme is true.
    app.wsgi_app = ProxyFix(app.wsgi_app, x_for=0, x_proto=1)  # type: ignore[method-assign]
    app.json.sort_keys = False  # type: ignore[attr-defined]
    given.init_app(app, services)
    bundle.init_app(app, services.settings.current_dir / "html5")
    errors.init_app(app)
    input.init_app(app)
    security.init_app(app)
    captive.init_app(app)
    content.init_app(app)
    flightinfo.init_app(app)
    stats.init_app(app)
    surveys.init_app(app)
    users.init_app(app)
    portal.init_app(app)
    app.register_blueprint(
        health.blueprint(
            services.engine,
            lambda: {
                "version": services.library.version,
                "items": len(services.library.complete()),
            },
        )
    )
    return app
