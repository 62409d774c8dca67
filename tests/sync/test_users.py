"""Folding edits: who wins does not depend on who lands first, nor on how often."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync import users
from tests.sync.ends import End, run, scalar

EDITS = st.lists(
    st.builds(
        users.Edit,
        field=st.sampled_from(["name", "language"]),
        value=st.text(max_size=3),
        hlc=st.integers(0, 5),
        aircraft=st.sampled_from(["EC-TAA", "EC-TAB"]),
    ),
    # One aircraft's clock never gives two edits of a field the same reading.
    unique_by=lambda edit: (edit.field, edit.hlc, edit.aircraft),
    max_size=12,
)


@given(EDITS, st.integers())
def test_any_order_and_any_repetition_settle_the_same_user(
    edits: list[users.Edit], seed: int
) -> None:
    shuffled = edits * 2
    random.Random(seed).shuffle(shuffled)
    assert users.merge({}, {}, shuffled) == users.merge({}, {}, edits)


@given(EDITS, st.integers(0, 12))
def test_folding_in_two_steps_is_folding_at_once(edits: list[users.Edit], cut: int) -> None:
    first = users.merge({}, {}, edits[:cut])
    assert users.merge(*first, edits[cut:]) == users.merge({}, {}, edits)


@given(EDITS)
def test_each_field_is_the_latest_edits(edits: list[users.Edit]) -> None:
    values, _ = users.merge({}, {}, edits)
    for field, value in values.items():
        latest = max(
            (edit for edit in edits if edit.field == field),
            key=lambda edit: (edit.hlc, edit.aircraft),
        )
        assert value == latest.value


@pytest.mark.postgres
def test_an_edit_that_loses_leaves_the_user_as_it_was(hangar: End) -> None:
    event = (
        "create table incoming as select gen_random_uuid() as id, gen_random_uuid() as user_id, "
        "'name' as field, '\"Ada\"'::jsonb as value, {hlc} as hlc, 'EC-TAA' as aircraft"
    )
    run(hangar, event.format(hlc=7))
    with hangar.engine.begin() as connection:
        users.fold(connection, "incoming")
    run(hangar, "update incoming set hlc = 6, value = '\"Old\"'", "delete from sync.dirty")
    with hangar.engine.begin() as connection:
        users.fold(connection, "incoming")
    assert scalar(hangar, "select name || version from app_user") == "Ada1"
    assert scalar(hangar, "select count(*) from sync.dirty") == 0
    run(hangar, "drop table incoming")
