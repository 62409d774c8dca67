"""What the hangar's tests share: an app on a database of its own, a signed-in browser, small media."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from flask.testing import FlaskClient
from PIL import Image, ImageDraw
from sqlalchemy import Engine, event, text
from sqlalchemy.orm import Session
from werkzeug.security import generate_password_hash

from common.schema import Aircraft, Base, Staff
from common.settings import Settings
from fleet.campaign_plan import Plan
from hangar_app import campaigning, work
from hangar_app.app import create_app
from hangar_app.context import EXTENSION, Context, of
from hangar_app.login import Throttle
from hangar_app.performing import Tools
from hangar_app.work import Job, Kind
from tests.hangar_app.campaign_hangar import Hangar as CampaignHangar
from tests.hangar_app.campaigns import NoShelf

EMAIL, PASSWORD = "editor@hangar.example", "correct horse"
TOKEN = re.compile(r'name="csrf_token"[^>]*value="([^"]+)"')
LEAVING = re.compile(r'name="leave-csrf_token" value="([^"]+)"')


@dataclass(frozen=True)
class Hangar:
    """One app on one database for all of these tests: an app's first pages are slow."""

    app: Flask
    context: Context

    def empty(self) -> None:
        """As it was made: no rows, no files, nobody who guessed passwords."""
        tables = ", ".join(str(table) for table in Base.metadata.sorted_tables)
        with self.context.engine.begin() as connection:
            connection.execute(text(f"TRUNCATE {tables}"))
        shutil.rmtree(self.context.settings.state_dir, ignore_errors=True)
        self.app.extensions["throttle"] = Throttle()


@pytest.fixture(scope="session")
def hangar(
    postgres_server, migrated_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Hangar]:
    postgres_server.run(f"create database hangar template {migrated_template}")
    home = tmp_path_factory.mktemp("hangar")
    (home / "secret_key").write_text("k" * 40)
    settings = Settings(
        node="hangar",
        role="hangar",
        database_url=postgres_server.url("hangar"),
        secret_key_file=home / "secret_key",
        state_dir=home / "state",
        run_dir=home / "run",
        current_dir=home / "current",
    )
    app = create_app(settings, lambda job: None)
    yield Hangar(app, of(app))
    of(app).engine.dispose()


@dataclass
class Queue:
    """Stands in for the broker: keeps what would have been sent."""

    jobs: list[Job] = field(default_factory=list)

    def __call__(self, job: Job) -> None:
        self.jobs.append(job)

    @property
    def kinds(self) -> list[str]:
        return [job.kind.name for job in self.jobs]


@pytest.fixture
def queue() -> Queue:
    return Queue()


@pytest.fixture
def app(hangar: Hangar, queue: Queue, clock: Callable[[], datetime]) -> Iterator[Flask]:
    here = replace(hangar.context, enqueue=queue, clock=clock)
    hangar.app.extensions[EXTENSION] = here
    yield hangar.app
    hangar.empty()


@pytest.fixture
def engine(app: Flask) -> Engine:
    return of(app).engine


@pytest.fixture
def settings(app: Flask) -> Settings:
    return of(app).settings


@pytest.fixture
def session(engine: Engine) -> Iterator[Session]:
    """A session of the test's own, apart from the app's."""
    with Session(engine) as opened:
        yield opened


@pytest.fixture
def statements(engine: Engine) -> Iterator[list[str]]:
    """Every SQL statement that the app's engine executes from now on."""
    said: list[str] = []

    def listen(_connection, _cursor, statement, *_more) -> None:
        said.append(statement)

    event.listen(engine, "before_cursor_execute", listen)
    yield said
    event.remove(engine, "before_cursor_execute", listen)


class Moving:
    """A clock that moves on by three seconds whenever it is read."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=3)
        return self.now


@pytest.fixture
def tools(engine, settings, queue, clock) -> Tools:
    return Tools(settings, engine, queue, Moving(clock()))


@pytest.fixture
def queued(engine, clock) -> Callable[[Kind], UUID]:
    """Writes a queued row for EC-TAA and gives its id."""

    def start(kind: Kind) -> UUID:
        with Session(engine) as session:
            if session.get(Aircraft, "EC-TAA") is None:
                session.add(Aircraft(name="EC-TAA", tower="10.100.64.11"))
                session.flush()
            (job,) = work.start(session, [kind], clock(), "EC-TAA")
            session.commit()
            return job.id

    return start


@dataclass
class Browser:
    """A browser that fills in the token of the form it has just seen, as browsers do."""

    client: FlaskClient

    def get(self, path: str, **more):
        return self.client.get(path, **more)

    def token(self, path: str) -> str:
        """The token that a browser sends: the first of that name, as forms are read."""
        page = self.client.get(path).text
        found = TOKEN.findall(page) or LEAVING.findall(page)
        assert found, f"no token on {path}"
        return found[0]

    def submit(self, path: str, fields: dict, form_at: str | None = None, **more):
        token = self.token(form_at or path)
        return self.client.post(path, data=fields | {"csrf_token": token}, **more)


@pytest.fixture
def browser(app: Flask) -> Browser:
    """Someone who has not signed in."""
    return Browser(app.test_client())


@pytest.fixture
def account(session: Session) -> Staff:
    """A member of the staff; the hash is a cheap one, because every test signs in."""
    cheap = generate_password_hash(PASSWORD, "pbkdf2:sha256:1")
    made = Staff(email=EMAIL, password_hash=cheap)
    session.add(made)
    session.commit()
    return made


@pytest.fixture
def editor(browser: Browser, account: Staff) -> Browser:
    """A member of the staff who has signed in."""
    answer = browser.submit("/login", {"email": EMAIL, "password": PASSWORD})
    assert answer.status_code == 302
    return browser


@pytest.fixture
def pdf(tmp_path: Path) -> Path:
    """A newspaper of two pages."""
    pages = []
    for number in (1, 2):
        page = Image.new("RGB", (595, 842), "white")
        ImageDraw.Draw(page).text((60, 60), f"The Courier, page {number}", fill="black")
        pages.append(page)
    file = tmp_path / "courier.pdf"
    pages[0].save(file, "PDF", save_all=True, append_images=pages[1:])
    return file


@pytest.fixture
def hangar_(tools: Tools, clock: Any, monkeypatch: pytest.MonkeyPatch) -> CampaignHangar:
    monkeypatch.setattr(campaigning, "shelf", lambda folder: NoShelf())
    return CampaignHangar(tools, clock)


@pytest.fixture
def all_open(hangar_: CampaignHangar) -> CampaignHangar:
    hangar_.start(Plan(("100%",), max_failed="1", deadline=2))
    return hangar_
