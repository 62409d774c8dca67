"""The fleet file is checked line by line, and the table becomes what it says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from common.schema import Aircraft
from hangar_app.fleet_import import FleetFileError, Imported, Member, bring_in, read

ONE, TWO = (
    {"name": f"EC-TA{letter}", "tower": f"10.100.64.{number}", "airline": "TA"}
    for letter, number in (("A", 11), ("B", 12))
)


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ({}, "expected a list of aircraft, found dict"),
        ([ONE, {"name": "EC-TAB"}], "aircraft 2: KeyError"),
        ([ONE | {"tower": "10.1"}], "aircraft 1: .*10.1"),
        ([ONE | {"name": "../etc"}], "aircraft 1: "),
        ([ONE, ONE | {"tower": "10.1.1.1"}], "the same name twice: EC-TAA"),
        ([ONE, TWO | {"tower": ONE["tower"]}], "the same tower address twice"),
        (["EC-TAA"], "aircraft 1: "),
        ([ONE | {"destinations": "TLS"}], "aircraft 1: .*a list of words, found 'TLS'"),
        ([ONE | {"languages": [1]}], "aircraft 1: .*a list of words"),
    ],
)
def test_says_what_is_wrong_in_the_file(tmp_path: Path, entries: object, said: str) -> None:
    file = tmp_path / "fleet.json"
    file.write_text(json.dumps(entries))
    with pytest.raises(FleetFileError, match=said) as error:
        read(file)
    assert str(file) in str(error.value)


def test_says_when_there_is_no_file_or_no_json(tmp_path: Path) -> None:
    with pytest.raises(FleetFileError, match="No such file"):
        read(tmp_path / "fleet.json")
    (tmp_path / "fleet.json").write_text("[")
    with pytest.raises(FleetFileError, match="not JSON"):
        read(tmp_path / "fleet.json")


def test_routes_and_languages_may_be_left_out(tmp_path: Path) -> None:
    file = tmp_path / "fleet.json"
    more = {"destinations": ["TLS", "MAD", "TLS"], "languages": ["es"]}
    file.write_text(json.dumps([ONE | more, TWO]))
    first, second = read(file)
    assert (first.destinations, first.languages) == (("MAD", "TLS"), ("es",))
    assert (second.destinations, second.languages) == ((), ())


@pytest.mark.postgres
class TestBringingIn:
    def test_other_routes_are_a_change(self, session: Session) -> None:
        bring_in(session, [Member(**ONE)])
        other = Member(**ONE, destinations=("TLS",), languages=("en", "es"))
        assert bring_in(session, [other]).changed == 1
        assert bring_in(session, [other]).changed == 0
        one = session.get(Aircraft, "EC-TAA")
        assert one is not None
        assert (one.destinations, one.languages) == (["TLS"], ["en", "es"])

    def test_makes_the_table_what_the_file_says(self, session: Session, clock) -> None:
        first, second = Member(**ONE), Member(**TWO)
        assert bring_in(session, [first, second]) == Imported(fleet=2, changed=2, retired=0)
        assert bring_in(session, [first, second]) == Imported(fleet=2, changed=0, retired=0)
        session.get(Aircraft, "EC-TAA").last_seen = clock()
        session.flush()
        moved = Member("EC-TAA", "10.100.64.21", "TA")
        assert bring_in(session, [moved]) == Imported(fleet=1, changed=1, retired=1)
        session.expire_all()
        left = session.scalars(select(Aircraft)).one()
        assert (left.tower, left.last_seen) == ("10.100.64.21", clock())

    def test_two_aircraft_may_swap_their_addresses(self, session: Session) -> None:
        bring_in(session, [Member(**ONE), Member(**TWO)])
        swapped = [
            Member("EC-TAA", TWO["tower"], "TA"),
            Member("EC-TAB", ONE["tower"], "TA"),
        ]
        assert bring_in(session, swapped).changed == 2
