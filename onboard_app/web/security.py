"""Headers on every answer, and no writing on behalf of another site's page.

A passenger's cookie travels with every request of their browser. `SameSite=Lax` keeps it away from
other sites' forms in browsers that know it; the check of the origin here serves the older ones, and
forms that are sent before there is a cookie.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Flask, Response, request

from onboard_app.web.errors import Refused
from onboard_app.web.identity import COOKIE

READING = frozenset({"GET", "HEAD", "OPTIONS"})

# `blob:` is how hls.js hands segments to the video element; PDFs open in the browser's own viewer.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; "
    "connect-src 'self'; media-src 'self' blob:; manifest-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)


def init_app(app: Flask) -> None:
    """Adds the check before and the headers after every request."""
    app.before_request(refuse_other_sites)
    app.after_request(add_headers)


def refuse_other_sites() -> None:
    """Refuses a request that writes and comes from a page of another host.

    Raises:
        Refused: 403.
    """
    if request.method in READING:
        return
    source = request.headers.get("Origin") or request.headers.get("Referer")
    if request.headers.get("Sec-Fetch-Site") == "cross-site" or _elsewhere(source):
        raise Refused(403, "other_site", "This was sent by a page of another site.")
    if source is None and COOKIE in request.cookies and "Authorization" not in request.headers:
        raise Refused(403, "no_origin", "The browser did not say which page sent this.")


def _elsewhere(source: str | None) -> bool:
    # The port is left out: behind nginx the application does not know which one the browser used.
    return source is not None and urlsplit(source).hostname != urlsplit(request.host_url).hostname


def add_headers(response: Response) -> Response:
    """Adds what browsers should hold this site to."""
    response.headers.setdefault("Content-Security-Policy", POLICY)
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("X-Frame-Options", "DENY")
    response.headers.setdefault("Referrer-Policy", "same-origin")
    response.headers.setdefault("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
    if request.is_secure:
        # Browsers ignore it without TLS, and complain about it on every page.
        response.headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
    return response
