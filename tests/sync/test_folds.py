"""Folds that fail: a row that is to blame is refused, and anything else stops one stream, in words."""

from __future__ import annotations

import io
import json
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Connection, text

from common.settings import Settings
from sync import hangar as hangar_side
from sync import held, quarantine_orders, setup, users
from sync.apply import Outcome, apply_all
from tests.sync.ends import End, ids, run, scalar, scalar_list
from tests.sync.packed import Packer, Rows
from tests.sync.test_quarantine import STATES, events, ingest

pytestmark = pytest.mark.postgres

EVENT = ("id", "user_id", "field", "value", "hlc", "aircraft")


def said(field: str, value: str) -> tuple[object, ...]:
    return (uuid4(), uuid4(), field, value, 1, "EC-TAA")


def broken(connection: Connection, incoming: str) -> None:
    """A fold that has a defect, and speaks of a passenger in its error."""
    connection.execute(text(f"select count(*) from {incoming}"))
    raise KeyError("ada@example.org")


def wrong(connection: Connection, incoming: str) -> None:
    """A fold whose SQL has a defect; PostgreSQL quotes a passenger's word that stands there."""
    connection.execute(
        text(f"select from {incoming} where true :word"), {"word": "ada@example.org"}
    )


DEFECTS = {"KeyError": broken, "SyntaxError": wrong}


@pytest.fixture(params=DEFECTS)
def defect(request: pytest.FixtureRequest) -> str:
    """What a fold of these tests fails of."""
    return str(request.param)


@pytest.fixture
def usr(hangar: End) -> Packer:
    return Packer(hangar, "EC-TAA", "usr")


def take_in(end: End, defect: str) -> Outcome:
    return apply_all(end.engine, end.settings, "EC-TAA", folds={"user_event": DEFECTS[defect]})


@pytest.mark.parametrize("value", ["null", "7", "{}", '["x"]', '""', '"ada"'])
def test_an_account_is_joined_to_an_account_or_the_row_is_refused(
    hangar: End, usr: Packer, value: str
) -> None:
    usr.send(Rows("user_event", EVENT, [said("same", value), said("name", '"Ada"')]))
    outcome = ingest(hangar)
    assert (outcome.quarantined, outcome.problems) == (1, [])
    assert scalar_list(hangar, "select name from app_user") == ["Ada"]


def test_a_fold_that_fails_stops_its_stream_and_no_other(
    hangar: End, usr: Packer, up: Packer, defect: str
) -> None:
    usr.send(Rows("user_event", EVENT, [said("name", '"Ada"')]))
    up.send(events(2))
    (problem,) = take_in(hangar, defect).problems
    assert problem.startswith(f"EC-TAA/usr: 000000000001.cs: {defect} at test_folds.py:")
    assert "Nothing of this change-set was applied" in problem
    assert "ada@" not in problem, "it goes to logs"
    assert held.held(hangar.engine)["EC-TAA"]["usr"]["why"] in problem
    assert (ids(hangar, "user_event"), len(ids(hangar))) == ([], 2)
    assert ingest(hangar).problems == []
    assert held.held(hangar.engine) == {}
    assert scalar(hangar, "select name from app_user") == "Ada"


def test_a_box_is_forgotten_though_a_fold_fails(
    hangar: End, usr: Packer, monkeypatch: pytest.MonkeyPatch
) -> None:
    usr.send(Rows("user_event", EVENT, [said("name", '"Ada"')]))
    monkeypatch.setattr(users, "folds", lambda clock: {"user_event": broken})
    hangar_side.forget(hangar.engine, hangar.settings, "EC-TAA")
    assert len(list((hangar.settings.sync_dir / "retired").glob("EC-TAA-*/usr/*/*.cs"))) == 1


class TestTriedAgain:
    """A row in quarantine whose fold fails stays there, and is no reason for anything else to fail."""

    @pytest.fixture(autouse=True)
    def kept(self, hangar: End, usr: Packer) -> UUID:
        row = said("phone", '"Ada"')
        usr.send(Rows("user_event", EVENT, [row]))
        assert ingest(hangar).quarantined == 1
        run(hangar, 'update sync.quarantine set row = row || \'{"field": "name"}\'')
        return UUID(str(row[0]))

    def test_after_what_came(self, hangar: End, up: Packer, kept: UUID, defect: str) -> None:
        up.send(events(1))
        (problem,) = take_in(hangar, defect).problems
        assert f"its rows in quarantine could not be tried again now: {defect} at" in problem
        assert (len(ids(hangar)), scalar_list(hangar, STATES)) == (1, [f"open {kept}"])

    def test_after_a_migration(
        self, hangar: End, kept: UUID, defect: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(users, "folds", lambda clock: {"user_event": DEFECTS[defect]})
        setup.setup(hangar.engine, "hangar")
        assert scalar_list(hangar, STATES) == [f"open {kept}"]

    def test_when_it_is_ordered(
        self,
        hangar: End,
        kept: UUID,
        defect: str,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        monkeypatch.setattr(users, "folds", lambda clock: {"user_event": DEFECTS[defect]})
        monkeypatch.setattr(Settings, "load", lambda: hangar.settings)
        monkeypatch.setattr(quarantine_orders, "engine_for", lambda settings: hangar.engine)
        line = json.dumps({"do": "retry", "operator": "eva@desk"}).encode()
        assert quarantine_orders.main(io.BytesIO(line)) == 0
        answer: dict[str, Any] = json.loads(capsys.readouterr().out)
        assert answer["refused"].startswith(f"{defect} at test_folds.py:")
        assert scalar_list(hangar, STATES) == [f"open {kept}"]
