"""Two ends for the tests of synchronisation: databases with their role's triggers, and folders."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from uuid import UUID

import pytest
from sqlalchemy import Engine

from common import users
from common.settings import Settings
from fleet import packages
from sync import capture
from tests.sync.ends import End, run
from tests.sync.packed import Packer
from tests.sync.people import Clock, Fleet


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


@pytest.fixture
def up(hangar: End) -> Packer:
    return Packer(hangar, "EC-TAA", "use")


@pytest.fixture
def down(aircraft: End) -> Packer:
    return Packer(aircraft, "hangar", "cat")


@pytest.fixture
def strict(hangar: End) -> Iterator[None]:
    """The hangar takes no event of the kind `play`."""
    run(hangar, "alter table usage_event add constraint strict check (kind <> 'play')")
    yield
    run(hangar, "alter table usage_event drop constraint if exists strict")


@pytest.fixture
def cheap_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """A password's hash is slow on purpose; what is tested here is not how slow."""
    make = users.generate_password_hash
    monkeypatch.setattr(
        users, "generate_password_hash", lambda word, method: make(word, "pbkdf2:sha256:1")
    )


@pytest.fixture
def fleet(hangar: End, new_end: Callable[..., End], clock: Clock) -> Fleet:
    return Fleet(hangar, {name: new_end(name) for name in ("EC-TAA", "EC-TAB", "EC-TAC")}, clock)


@pytest.fixture
def twice(fleet: Fleet) -> tuple[UUID, UUID]:
    """One person with two accounts, made aboard two aircraft while neither knew of the other."""
    first, second = fleet.register("EC-TAA"), fleet.register("EC-TAB", who="A. Lovelace")
    fleet.land("EC-TAA", "EC-TAB", "EC-TAA", "EC-TAC")
    return first, second
