"""A browser without a screen: pages, forms with what stands in them, and a session's cookies."""

from __future__ import annotations

from collections.abc import Mapping
from html.parser import HTMLParser
from pathlib import Path

import requests

from ci.story.teller import NotSo

TIMEOUT_S = 60


class _Fields(HTMLParser):
    """Collects what a page's POST form would send if it were submitted untouched."""

    def __init__(self) -> None:
        super().__init__()
        self.values: list[tuple[str, str]] = []
        self._posting = False
        self._area: str | None = None
        self._select: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        at = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._posting = at.get("method", "get").lower() == "post"
        if not self._posting:
            return
        if tag == "input" and at.get("name") and at.get("type") not in ("file", "submit"):
            if at.get("type") not in ("checkbox", "radio") or "checked" in at:
                self.values.append((at["name"], at.get("value", "on")))
        elif tag == "textarea":
            self._area = at.get("name")
            self.values.append((self._area or "", ""))
        elif tag == "select":
            self._select = at.get("name")
        elif tag == "option" and self._select and "selected" in at:
            self.values.append((self._select, at.get("value", "")))

    def handle_data(self, data: str) -> None:
        if self._area is not None:
            name, text = self.values[-1]
            # A text area begins with a line break that is not part of it.
            self.values[-1] = (name, text + (data if text else data.lstrip("\r\n")))

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._posting = False
        elif tag == "textarea":
            self._area = None
        elif tag == "select":
            self._select = None


class Browser:
    """One person at one site.

    Example: `Browser("http://10.100.2.2").submit("/login", {"email": …, "password": …})`
    """

    def __init__(self, base: str) -> None:
        self.base = base
        self.session = requests.Session()

    def get(self, path: str) -> requests.Response:
        """Opens a page; `NotSo` when the site answers with an error."""
        return self._checked(self.session.get(self.base + path, timeout=TIMEOUT_S))

    def submit(
        self, path: str, fields: Mapping[str, str], file: tuple[str, Path] | None = None
    ) -> requests.Response:
        """Opens the page at `path`, fills in `fields`, and sends its form back to the same place."""
        parser = _Fields()
        parser.feed(self.get(path).text)
        values = [pair for pair in parser.values if pair[0] not in fields] + list(fields.items())
        headers = {"Referer": self.base + path, "Origin": self.base}
        if file is None:
            answer = self.session.post(
                self.base + path, data=values, headers=headers, timeout=TIMEOUT_S
            )
        else:
            with file[1].open("rb") as stream:
                answer = self.session.post(
                    self.base + path,
                    data=values,
                    files={file[0]: (file[1].name, stream)},
                    headers=headers,
                    timeout=TIMEOUT_S,
                )
        return self._checked(answer)

    def _checked(self, answer: requests.Response) -> requests.Response:
        if answer.status_code >= 400:
            raise NotSo(
                f"{answer.request.method} {answer.url} answered {answer.status_code}: "
                f"{answer.text.strip()[:300]}"
            )
        return answer
