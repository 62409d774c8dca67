"""`/health` says which revision serves and whether its database is there."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from alembic.config import Config
from flask import Flask
from sqlalchemy import Engine, create_engine, text

from common import health, migrate
from common.settings import Settings


@pytest.fixture
def settings(new_settings: Callable[..., Settings]) -> Settings:
    made = new_settings()
    release = made.current_dir / "onboard"
    release.mkdir(parents=True)
    (release / "manifest.json").write_text(json.dumps({"revision": "05b9b0f1a2c3"}))
    return made


def ask(settings: Settings, engine: Engine, catalogue: Callable[[], object]) -> tuple[int, object]:
    app = Flask("test")
    app.register_blueprint(health.blueprint(engine, catalogue, settings.current_dir / "onboard"))
    answer = app.test_client().get("/health")
    return answer.status_code, answer.get_json()


@pytest.mark.postgres
def test_a_healthy_host_says_revision_schema_and_catalogue(
    settings: Settings, engine: Engine
) -> None:
    assert ask(settings, engine, lambda: {"items": 3}) == (
        200,
        {
            "healthy": True,
            "revision": "05b9b0f1a2c3",
            "schema": migrate.head(),
            "database": "ok",
            "catalogue": {"items": 3},
        },
    )


def test_a_host_without_its_database_says_so(settings: Settings) -> None:
    nowhere = create_engine("postgresql+psycopg2://nobody@/none?host=/nonexistent")
    status, body = ask(settings, nowhere, dict)
    assert status == 503
    assert isinstance(body, dict)
    assert (body["healthy"], body["database"]) == (False, "failed")


def test_without_a_release_there_is_no_revision(new_settings: Callable[..., Settings]) -> None:
    assert health.revision(new_settings().current_dir / "onboard") == ""


@pytest.fixture
def empty(engine: Engine) -> Iterator[Engine]:
    """A database that was never migrated, as far as anybody can tell."""
    with engine.begin() as connection:
        connection.execute(text("alter table alembic_version rename to put_away"))
    yield engine
    with engine.begin() as connection:
        connection.execute(text("alter table put_away rename to alembic_version"))


@pytest.mark.postgres
def test_a_host_whose_database_is_empty_is_not_healthy(settings: Settings, empty: Engine) -> None:
    status, body = ask(settings, empty, dict)
    assert isinstance(body, dict)
    assert (status, body["healthy"], body["schema"]) == (503, False, "")


@pytest.mark.parametrize(
    ("found", "status"),
    [("", 503), ("0001", 503), ("0002", 200), ("0003", 200)],
    ids=["empty", "older", "ours", "newer"],
)
def test_a_schema_may_be_newer_than_the_code_but_not_older(
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    found: str,
    status: int,
) -> None:
    versions = tmp_path / "migrations/versions"
    versions.mkdir(parents=True)
    for own, before in (("0001", None), ("0002", "0001")):
        text = f"revision = {own!r}\ndown_revision = {before!r}\n"
        (versions / f"{own}_x.py").write_text(text)
    ours = Config()
    ours.set_main_option("script_location", str(tmp_path / "migrations"))
    monkeypatch.setattr(migrate, "config", lambda: ours)
    monkeypatch.setattr(health, "schema_version", lambda engine: found)
    answered, body = ask(settings, create_engine("postgresql+psycopg2://"), dict)
    assert isinstance(body, dict)
    assert (answered, body["healthy"], body["schema"]) == (status, status == 200, found)
    assert ("expected 0002 or newer" in caplog.text) == (status == 503)
