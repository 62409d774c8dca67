"""Two ends for the tests of synchronisation: databases with their role's triggers, and folders."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import Engine

from common.settings import Settings
from fleet import packages
from sync import capture
from tests.sync.ends import End


@pytest.fixture(scope="session", autouse=True)
def _programs() -> None:
    """What carries files between the two ends, installed at its first use."""
    packages.ensure(["openssh-server", "rsync"], purpose="the tests of synchronisation")


@pytest.fixture
def new_end(
    new_database: Callable[..., Engine], new_settings: Callable[..., Settings]
) -> Callable[..., End]:
    """Makes a host: `new_end("EC-TAB")` an aircraft, `new_end("hangar", "hangar")` the hangar."""

    def make(node: str = "EC-TAA", role: str = "aircraft", **more: object) -> End:
        engine = new_database(role)
        with engine.begin() as connection:
            capture.install(connection, role)
        return End(new_settings(node, role, **more), engine)

    return make


@pytest.fixture
def aircraft(new_end: Callable[..., End]) -> End:
    """EC-TAA."""
    return new_end("EC-TAA")


@pytest.fixture
def hangar(new_end: Callable[..., End]) -> End:
    """The hangar."""
    return new_end("hangar", "hangar")
