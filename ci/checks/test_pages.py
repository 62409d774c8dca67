"""The pages in a real browser: a passenger's phone in the cabin, an editor's desk at the hangar."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

from ci.story.publish import EDITOR, FILM
from ci.story.teller import eventually
from ci.story.world import World
from fleet import packages

pytestmark = pytest.mark.hosts

PHONE = {"viewport": {"width": 360, "height": 640}, "device_scale_factor": 2}
DESK = {"viewport": {"width": 1280, "height": 800}}
# What Chromium asks its makers for by itself is not asked here.
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    packages.ensure(["chromium"], purpose="looking at the pages")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=QUIET)
        yield browser
        browser.close()


@dataclass
class Visit:
    """One person at one site, and all that was not right on the way."""

    context: BrowserContext
    home: str
    wrong: list[str] = field(default_factory=list)

    def open(self, path: str) -> Page:
        page = self.context.new_page()
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on("request", lambda request: self._leave(request.url))
        page.goto(self.home + path)
        return page

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.wrong.append(message.text)

    def _leave(self, url: str) -> None:
        if not url.startswith((f"{self.home}/", "data:", "blob:")):
            self.wrong.append(f"asked for {url}")

    def end(self) -> None:
        assert self.wrong == []
        self.context.close()


def phone(world: World, chromium: Browser, **more: object) -> Visit:
    context = chromium.new_context(**{**PHONE, **more})  # type: ignore[arg-type]
    return Visit(context, world.portal(world.aircraft[0]))


def fits(page: Page) -> bool:
    """Whether nothing sticks out to the side, which phones show as a page that slides."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))


@pytest.mark.parametrize("javascript", [True, False], ids=["with", "without"])
def test_a_passenger_sees_what_is_on_and_where_we_are(
    world: World, chromium: Browser, javascript: bool
) -> None:
    visit = phone(world, chromium, java_script_enabled=javascript)
    page = visit.open("/")
    assert page.get_by_text(FILM).first.is_visible()
    assert page.locator("svg").first.is_visible()
    if javascript:
        assert fits(page)
    page.get_by_role("link", name=FILM).first.click()
    assert page.locator("video").is_visible()
    visit.end()


def test_the_film_plays(world: World, chromium: Browser) -> None:
    visit = phone(world, chromium)
    page = visit.open("/")
    page.get_by_role("link", name=FILM).first.click()
    video = page.locator("video")
    # The library that takes the element over ends this play, and plays again for who pressed it.
    video.evaluate(
        "video => { video.muted = true; return video.play().catch(error => {"
        " if (error.name !== 'AbortError') throw error; }) }"
    )
    # Playwright's own waiting would need eval in the page, which the page's policy forbids.
    shown = "video => video.currentTime"
    eventually("a second of it was shown", lambda: video.evaluate(shown) > 1, within_s=30)
    visit.end()


def test_a_passenger_joins_by_the_form(world: World, chromium: Browser) -> None:
    visit = phone(world, chromium)
    page = visit.open("/join")
    assert fits(page)
    form = page.locator("form").first
    form.locator("[name=name]").fill("Ada")
    form.locator("[name=email]").fill(f"ada-{os.urandom(4).hex()}@example.com")
    form.locator("[name=password]").fill(os.urandom(8).hex())
    form.get_by_role("button").click()
    assert page.url == f"{visit.home}/"
    assert page.locator("form.leave button").is_visible()
    visit.end()


def test_an_editor_sees_the_fleet_and_the_catalogue(world: World, chromium: Browser) -> None:
    visit = Visit(chromium.new_context(**DESK), world.portal("hangar"))  # type: ignore[arg-type]
    page = visit.open("/")
    page.locator("[name=email]").fill(EDITOR)
    page.locator("[name=password]").fill(world.memory["editor_password"])
    page.locator("[name=password]").press("Enter")
    for name in world.aircraft:
        page.get_by_text(name).first.wait_for()
    page.get_by_role("link", name="Catalogue").click()
    page.get_by_text(FILM).first.wait_for()
    visit.end()
