"""An aircraft's web application on a private database, with a store and content of its own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine, create_engine
from sqlalchemy.orm import Session

from common import users
from common.schema import Asset, Base, Item, Survey
from onboard_app import create_app
from onboard_app.avionics.store import STATE_KEY, UNKNOWN, Unreachable
from onboard_app.content.library import Library
from onboard_app.web.services import Services


class MemoryStore:
    """A store whose keys expire by a clock that the test moves."""

    def __init__(self) -> None:
        self.now_ms, self.keys, self.away = 0, {}, False

    def get(self, key):
        if self.away:
            raise Unreachable("away")
        value, until = self.keys.get(key, (None, 0))
        return value if self.now_ms < until else None

    def put(self, key, value, lives_ms):
        if self.away:
            raise Unreachable("away")
        self.keys[key] = (value, self.now_ms + lives_ms)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture(scope="session")
def own_engine(postgres_server, migrated_template) -> Iterator[Engine]:
    """One database for all of these tests: copying one for each of them takes longer than they do."""
    postgres_server.run(f"create database onboard_app template {migrated_template}")
    engine = create_engine(postgres_server.url("onboard_app"))
    yield engine
    engine.dispose()


@pytest.fixture
def engine(own_engine: Engine) -> Iterator[Engine]:
    """The database, with no rows in it."""
    yield own_engine
    with own_engine.begin() as connection:
        for table in reversed(Base.metadata.sorted_tables):
            connection.execute(table.delete())


@pytest.fixture(autouse=True)
def cheap_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """A password's hash is slow on purpose; what is tested here is not how slow."""
    make = users.generate_password_hash
    monkeypatch.setattr(
        users, "generate_password_hash", lambda text, method: make(text, "pbkdf2:sha256:1")
    )


FILM_FILES = (("poster", "poster.jpg"), ("hls", "hls/360p.m3u8"), ("hls", "hls/master.m3u8"))
PAPER_FILES = (
    ("poster", "poster.jpg"),
    ("document", "paper.pdf"),
    ("page", "pages/10.jpg"),
    ("page", "pages/2.jpg"),
    ("page", "pages/1.jpg"),
)


class Hangar:
    """Puts things aboard as the synchronisation would: rows, and the list of complete items."""

    def __init__(self, engine: Engine, content_dir: Path) -> None:
        self.engine, self.current = engine, content_dir / "current"
        self.current.mkdir(parents=True)
        self.complete: dict[str, dict[str, str]] = {}

    def item(self, kind: str = "film", title: str = "A film", files=None, complete=True, **more):
        """Publishes an item and, unless told otherwise, its files."""
        files = (FILM_FILES if kind == "film" else PAPER_FILES) if files is None else files
        item = Item(kind=kind, title={"en": title}, **{"published": True, **more})
        with Session(self.engine, expire_on_commit=False) as session, session.begin():
            session.add(item)
            session.flush()
            session.add_all(
                Asset(item_id=item.id, role=r, path=p, sha256="0" * 64, size=1, mime="x/y")
                for r, p in files
            )
        if complete:
            self.complete[str(item.id)] = {path: "0" * 64 for _, path in files}
            self.write()
        return item.id

    def write(self) -> None:
        (self.current / "links.json").write_text(json.dumps(self.complete))

    def survey(self, *choices: str, question: str = "How was it?", published: bool = True):
        survey = Survey(
            question={"en": question},
            choices=[{"en": choice} for choice in choices or ("Good", "Bad")],
            published=published,
        )
        with Session(self.engine, expire_on_commit=False) as session, session.begin():
            session.add(survey)
        return survey.id

    def rows(self, model):
        """Every row of a model, in the order they were made."""
        with Session(self.engine) as session:
            return list(session.query(model).order_by(model.id))


@pytest.fixture
def services(engine: Engine, new_settings, store, clock) -> Services:
    settings = new_settings(database_url=engine.url.render_as_string(hide_password=False))
    return Services(settings, engine, store, Library(settings.content_dir), clock)


@pytest.fixture
def hangar(services: Services) -> Hangar:
    return Hangar(services.engine, services.settings.content_dir)


@pytest.fixture
def client(services: Services) -> FlaskClient:
    return create_app(services).test_client()


@pytest.fixture
def fly(store: MemoryStore) -> Callable[..., None]:
    """Says where the aircraft is."""

    def say(**state: object) -> None:
        store.put(STATE_KEY, json.dumps({**UNKNOWN, **state}), 1000)

    return say


@pytest.fixture
def passenger(client: FlaskClient) -> dict[str, str]:
    """The headers of a registered passenger."""
    who = {"email": "ada@example.org", "name": "Ada", "password": "correct horse"}
    token = client.post("/api/v1/users", json=who).json["token"]
    return {"Authorization": f"Token {token}"}
