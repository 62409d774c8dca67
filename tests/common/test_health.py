"""`/health` says which revision serves and whether its database is there."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import Engine, create_engine

from common import health
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
    app.register_blueprint(health.blueprint(settings, "onboard", engine, catalogue))
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
            "schema": "0001",
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
    assert health.revision(new_settings().current_dir, "onboard") == ""
