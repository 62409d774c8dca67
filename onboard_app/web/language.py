"""In which languages to speak to whoever asks, the best first."""

from __future__ import annotations

import re

from flask import request

from onboard_app.web.input import LANGUAGE
from onboard_app.web.services import services

MOST = 8


def preferred() -> list[str]:
    """?language= first, then what the browser accepts, the airline's own language, English.

    The header is the only place to learn it from: answers are cached by address and that header,
    so nothing here may depend on who is logged in.
    """
    asked = request.args.get("language", "")
    accepted = [str(name) for name, quality in request.accept_languages if quality > 0]
    names = [asked, *accepted[:MOST], services().settings.language, "en"]
    found = [normal for name in names if (normal := _normal(name))]
    return list(dict.fromkeys(found))


def _normal(name: str) -> str | None:
    head, _, tail = name.partition("-")
    name = f"{head.lower()}-{tail}" if tail else head.lower()
    return name if re.fullmatch(LANGUAGE, name) else None
