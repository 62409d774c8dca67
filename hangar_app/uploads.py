"""How large files come in: onto the disk of the imports at once, within limits."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import IO, Any

from flask import Flask, current_app, request
from flask import Request as FlaskRequest
from werkzeug.exceptions import HTTPException

from hangar_app.context import of
from hangar_app.media import job

ENDPOINT = "ingest.post"
LIMIT = 4_000_000_000  # bytes of one request; nginx takes a little more
SPARE = 1_000_000_000  # bytes that an import must leave free


class NoRoom(HTTPException):
    """507: the disk does not hold what is about to come in."""

    code = 507


class Request(FlaskRequest):
    """A request whose files are kept where imports are, so that keeping one is a link, not a copy."""

    def _get_file_stream(self, *_: Any, **__: Any) -> IO[bytes]:
        folder = arriving(of(current_app).settings.state_dir)
        return tempfile.NamedTemporaryFile(dir=folder)


def arriving(state_dir: Path) -> Path:
    """The folder of files that are still being uploaded."""
    folder = state_dir / "imports" / job.ARRIVING
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def init_app(app: Flask) -> None:
    """Raises the limit of a request for the import form.

    It stands behind the sign-in and before the check of the form's token, which reads the body.
    """
    app.request_class = Request

    @app.before_request
    def _admit() -> None:
        if request.endpoint != ENDPOINT:
            return
        request.max_content_length = LIMIT
        free = shutil.disk_usage(arriving(of(app).settings.state_dir)).free
        # Twice: the upload, and what is rendered from it, stand side by side.
        need = 2 * (request.content_length or 0) + SPARE
        if free < need:
            raise NoRoom(
                f"The hangar's disk has {free / 1e9:.1f} GB free and this import needs "
                f"{need / 1e9:.1f} GB. Unpublish and clean up, or import something smaller.",
            )
