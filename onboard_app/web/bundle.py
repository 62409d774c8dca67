"""The html5 bundle: templates, texts and static files, released apart from the application.

The bundle in force is `current/html5`; on a developer's machine, where nothing was released, it is
the folder beside this package. `current` may be swapped at any time, so a request looks once where it
points and keeps to that: a page is made of one bundle, and the addresses of its static files say which.
A template is read again when the link points elsewhere, whatever its date (files of two releases may
carry the same one).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import cast

from flask import Flask, Response, current_app, g, has_request_context
from jinja2 import BaseLoader, Environment, TemplateNotFound

from common.health import revision

PACKAGE = Path(__file__).parent.parent / "html5"


class Bundle(BaseLoader):
    """Finds the bundle in force and reads templates from it."""

    def __init__(self, current: Path) -> None:
        self._current = current

    @property
    def folder(self) -> Path:
        """The bundle's own folder, links resolved; the same one throughout a request."""
        if not has_request_context():
            return self._look()
        if "bundle_folder" not in g:
            g.bundle_folder = self._look()
        return cast(Path, g.bundle_folder)

    def _look(self) -> Path:
        found = self._current.resolve()
        return found if (found / "templates").is_dir() else PACKAGE

    @property
    def version(self) -> str:
        """The release's name, or "" where nothing was released."""
        folder = self.folder
        return "" if folder == PACKAGE else folder.name

    def static(self, path: str) -> str:
        """The address of a static file of this bundle; it never means another one."""
        return f"/static/{self.version}/{path}" if self.version else f"/static/{path}"

    def get_source(
        self, environment: Environment, template: str
    ) -> tuple[str, str, Callable[[], bool]]:
        folder = self.folder
        path = folder / "templates" / template
        try:
            text, changed = path.read_text(encoding="utf-8"), path.stat().st_mtime_ns
        except OSError:
            raise TemplateNotFound(template) from None

        def fresh() -> bool:
            try:
                return self.folder == folder and path.stat().st_mtime_ns == changed
            except OSError:
                return False

        return text, str(path), fresh

    def texts(self, language: str) -> Mapping[str, str]:
        """The portal's words in a language; raises `TemplateNotFound` when the bundle has none."""
        source = current_app.jinja_env.get_template(f"texts/{language}.json").render()
        return cast("Mapping[str, str]", json.loads(source))


def init_app(app: Flask, current: Path) -> None:
    """Makes the bundle the application's templates, and its static files in development.

    Every answer says in `X-Release` which application and which bundle it is of.
    """
    bundle = Bundle(current)
    app.extensions["bundle"] = bundle
    app.jinja_options = {**app.jinja_options, "loader": bundle, "auto_reload": True}
    app.jinja_env.globals["static"] = bundle.static
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    # On an aircraft nginx answers for /static and this is never asked.
    app.static_folder = str(bundle.folder / "static")
    own = revision()[:12] or "dev"

    @app.after_request
    def say_which(response: Response) -> Response:
        response.headers["X-Release"] = f"{own}, {bundle.version or 'dev'}"
        return response


def bundle() -> Bundle:
    """The current application's bundle."""
    return cast(Bundle, current_app.extensions["bundle"])
