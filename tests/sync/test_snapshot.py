"""Snapshots: who was away for long gets no more than that, and whoever went back is led on by one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest

from common.clock import utc_now
from sync import changeset, files, index, publish, seal, session, shelf, snapshot, state
from sync import hangar as hangar_side
from sync.shelf import Choice, Shelf, Told, choose, suffices
from tests.sync.ends import End, PowerCut, add_events, cut_at, ids, run, scalar
from tests.sync.landing import Saved, beat, copying, land

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

SHELF = Shelf(UUID(int=1), 4, {2: 10, 3: 20, 4: 30}, {2: 45, 4: 100}, 100.0, frozenset({4}))


@pytest.mark.parametrize(
    ("told", "stay", "choice"),
    [
        (Told(after=4), None, Choice(0, None, 5)),
        (Told(after=2), None, Choice(50, None, 3)),
        (Told(after=1), None, Choice(60, None, 2)),
        # The first is not there any more.
        (Told(after=0), None, Choice(95, 2, 3)),
        (Told(), None, Choice(95, 2, 3)),
        (Told(after=1, pulling=True), 2, Choice(95, 2, 3)),
        (Told(after=1, pulling=True), 1, Choice(60, None, 2)),
        (Told(after=4, whole=True), None, Choice(100, 4, 5)),
        (Told(after=5, whole=True), None, None),
    ],
)
def test_the_fewest_bytes_that_lead_there(
    told: Told, stay: int | None, choice: Choice | None
) -> None:
    assert choose(SHELF, told, stay) == choice


@pytest.mark.parametrize(
    ("size", "estimate", "told", "enough"),
    [
        (10_300, 10_000, Told(after=1), True),
        (10_301, 10_000, Told(after=1), False),
        (10_301, 10_000, Told(after=1, pulling=True), True),
        (4096, 10, Told(after=1), True),
        (4097, None, Told(after=1), False),
    ],
)
def test_more_than_a_new_snapshot_would_be_is_too_much(
    size: int, estimate: float | None, told: Told, enough: bool
) -> None:
    one = Shelf(UUID(int=1), 4, {}, {}, estimate)
    assert suffices(one, told, Choice(size, None, 2)) is enough
    assert not suffices(one, told, None)


@pytest.fixture
def hangar(hangar: End) -> End:
    run(hangar, "insert into aircraft (name, tower) values ('EC-TAA', 'a'), ('EC-TAB', 'b')")
    return hangar


def fill(hangar: End, rows: int) -> None:
    run(
        hangar,
        "insert into item (id, kind, title, summary) select gen_random_uuid(), 'film', '{}', "
        "jsonb_build_object('en', md5(n::text) || md5(n::text || 'x')) "
        f"from generate_series(1, {rows}) n",
    )


def edit(hangar: End, share: float) -> None:
    run(
        hangar,
        "update item set summary = jsonb_build_object('en', md5(random()::text) || md5(id::text)) "
        f"where random() < {share}",
    )


def offered(hangar: End, aircraft: str = "EC-TAA") -> dict[str, int]:
    found = (hangar.settings.sync_dir / "outbox" / aircraft).rglob("cat/*/*.cs")
    return {path.name: path.stat().st_size for path in found}


def sealed(hangar: End) -> object:
    return scalar(hangar, "select count(*) from sync.snapshot where stream = 'cat'")


def head(hangar: End) -> int:
    return int(str(scalar(hangar, "select max(seq) from sync.batch where stream = 'cat'")))


def refresh(hangar: End, days: float = 0) -> None:
    hangar_side.refresh(
        hangar.engine, hangar.settings, clock=lambda: utc_now() + timedelta(days=days)
    )


def test_after_a_long_absence_it_is_a_snapshot_and_the_catalogue_is_the_same(
    aircraft: End, hangar: End
) -> None:
    fill(hangar, 400)
    land(aircraft, hangar)
    beat(aircraft, hangar)
    for _ in range(12):
        edit(hangar, 0.2)
        refresh(hangar)
    run(hangar, "delete from item where random() < 0.5")
    refresh(hangar)
    deltas = dict(shelf.look(hangar.engine, hangar.settings, "cat").deltas)
    size = sum(offered(hangar).values())
    snapshot.seal(hangar.engine, hangar.settings, "cat")
    whole = shelf.look(hangar.engine, hangar.settings, "cat").snapshots[head(hangar)]
    assert size <= min(sum(deltas[one] for one in range(2, head(hangar) + 1)), 1.05 * whole)
    landing = land(aircraft, hangar)
    assert landing.problems == []
    assert ids(aircraft, "item") == ids(hangar, "item")
    assert landing.received <= size
    edit(hangar, 0.1)
    refresh(hangar)
    beat(aircraft, hangar)
    refresh(hangar)
    assert list(offered(hangar)) == [changeset.file_name(head(hangar))]
    land(aircraft, hangar)
    same = "select md5(string_agg(t::text, '' order by id)) from item t"
    assert scalar(aircraft, same) == scalar(hangar, same)


def test_what_changed_while_it_was_sealed_comes_again(aircraft: End, hangar: End) -> None:
    fill(hangar, 60)
    refresh(hangar)
    # Changed, and not sealed yet: the snapshot has it, the next change-set too.
    run(hangar, "delete from item where id = (select min(id::text)::uuid from item)")
    fill(hangar, 1)
    snapshot.seal(hangar.engine, hangar.settings, "cat")
    land(aircraft, hangar)
    land(aircraft, hangar)
    assert ids(aircraft, "item") == ids(hangar, "item")


def test_one_aircraft_more_is_no_more_work_to_seal(hangar: End) -> None:
    fill(hangar, 100)
    refresh(hangar)
    edit(hangar, 0.9)
    refresh(hangar)
    before = sealed(hangar)
    run(
        hangar,
        "insert into aircraft (name, tower) "
        "select 'EC-X' || n, 'x' || n from generate_series(1, 30) n",
    )
    refresh(hangar)
    assert sealed(hangar) == before
    edit(hangar, 0.9)
    refresh(hangar)
    assert int(str(sealed(hangar))) - int(str(before)) == 1
    newest = max(files.outbox(hangar.settings).rglob("cat/*/0*-*.cs"))
    assert newest.stat().st_nlink == 33


def test_a_transfer_under_way_is_not_begun_again(hangar: End) -> None:
    fill(hangar, 100)
    refresh(hangar)
    first = set(offered(hangar))
    run(
        hangar,
        "update aircraft set last_body = '{\"syncing\": true}', last_seen = now() "
        "where name = 'EC-TAA'",
    )
    edit(hangar, 1.1)
    refresh(hangar)
    assert first < set(offered(hangar))
    refresh(hangar, days=0.01)
    assert not first & set(offered(hangar))


def test_what_nobody_lacks_goes_after_a_week(aircraft: End, hangar: End) -> None:
    fill(hangar, 100)
    land(aircraft, hangar)
    for _ in range(3):
        edit(hangar, 0.9)
        land(aircraft, hangar)
    beat(aircraft, hangar)
    refresh(hangar, days=6)
    folder = next(files.outbox(hangar.settings).glob("cat/*"))
    assert [seq for seq, _ in files.change_sets(folder)] == [1, 2, 3, 4]
    assert len(list(files.snapshots(folder))) == 1
    refresh(hangar, days=8)
    kept = {path.name for path in files.outbox(hangar.settings).rglob("cat/*/*.cs")}
    # The other aircraft was never heard of, and still finds its way.
    assert kept == set(offered(hangar, "EC-TAB"))
    gone = scalar(hangar, "select count(*) from sync.batch where state = 'acked'")
    assert int(str(gone)) >= 3


def test_two_who_remove_at_once_do_not_hinder_each_other(
    hangar: End, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(hangar, 10)
    seal.seal_all(hangar.engine, hangar.settings)
    change_sets = files.change_sets

    def removed_meanwhile(folder: Path) -> Iterator[tuple[int, Path]]:
        for seq, path in list(change_sets(folder)):
            path.unlink()
            yield seq, path

    monkeypatch.setattr(files, "change_sets", removed_meanwhile)
    snapshot.prune(hangar.engine, hangar.settings, "cat", utc_now() + timedelta(days=8))
    assert scalar(hangar, "select state from sync.batch where stream = 'cat'") == "acked"


@pytest.mark.parametrize("step", snapshot.STEPS)
def test_killed_while_one_is_sealed_the_next_call_seals_it(
    aircraft: End, hangar: End, step: str
) -> None:
    fill(hangar, 100)
    seal.seal_all(hangar.engine, hangar.settings)
    with pytest.raises(PowerCut):
        snapshot.seal(hangar.engine, hangar.settings, "cat", at=cut_at(step))
    assert land(aircraft, hangar).problems == []
    assert ids(aircraft, "item") == ids(hangar, "item")
    assert list(files.tmp(hangar.settings).iterdir()) == []


def test_an_aircraft_cannot_make_the_hangar_forget_by_a_snapshot(
    aircraft: End, hangar: End, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_events(aircraft, 2)
    land(aircraft, hangar)
    folder = next(files.inbox(hangar.settings, "EC-TAA").rglob("use/*"))
    header = changeset.Header(
        stream="use",
        epoch=str(scalar(aircraft, "select epoch from sync.epoch where stream = 'use'")),
        seq=2,
        first_seq=0,
        prev_sha256=changeset.GENESIS,
        schema=str(scalar(hangar, "select version_num from alembic_version")),
        node="EC-TAA",
        created="",
        tables=(changeset.Table("usage_event", ("id",), 0, 0),),
        whole=True,
        last_sha256="a" * 64,
    )
    for name in (changeset.file_name(2), changeset.snapshot_name(2)):
        with (folder / name).open("wb") as out:
            changeset.write(out, header, [], [])
    # Its key is good: it vouches for what it likes.
    sha256 = files.sha256_of(folder / changeset.file_name(2)) or ""
    entries = [index.Entry("use", header.epoch, first, 2, sha256, 0) for first in (0, 2)]
    monkeypatch.setattr(index, "listed", lambda base: entries)
    index.write(aircraft.settings, folder.parents[1])
    (problem,) = hangar_side.ingest(hangar.engine, hangar.settings, "EC-TAA").problems
    assert "whole: expected False, found True" in problem
    assert len(ids(hangar)) == 2


def test_all_there_is_may_be_more_than_a_change_set_may(
    aircraft: End, hangar: End, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = changeset.Limits(total=50_000)
    monkeypatch.setattr(changeset, "Limits", lambda: small)
    fill(hangar, 20)
    land(aircraft, hangar)
    fill(hangar, 2000)
    (problem,) = land(aircraft, hangar).problems
    assert "unpacked size: expected at most 50000 bytes" in problem
    # As after a month: nothing but a snapshot leads there.
    for path in (files.outbox(hangar.settings) / "cat").rglob("0*2.cs"):
        path.unlink()
    assert land(aircraft, hangar).problems == []
    assert ids(aircraft, "item") == ids(hangar, "item")
    assert len(ids(hangar, "item")) == 2020


class TestTheHangarWentBack:
    def test_books_that_were_put_back_are_known_by_the_file(
        self, aircraft: End, hangar: End
    ) -> None:
        fill(hangar, 5)
        land(aircraft, hangar)
        yesterday = Saved.of(hangar)
        fill(hangar, 2)
        land(aircraft, hangar)
        assert len(ids(aircraft, "item")) == 7
        yesterday.put_back()
        fill(hangar, 1)
        for _ in range(2):
            assert land(aircraft, hangar).problems == []
            assert ids(aircraft, "item") == ids(hangar, "item")
        beat(aircraft, hangar)
        assert (
            state.due(
                hangar.engine,
                hangar.settings,
                "EC-TAA",
                state.local_state(aircraft.engine, aircraft.settings),
            ).names
            == []
        )

    @pytest.mark.parametrize("more", [0, 1, 2, 3])
    def test_a_whole_disk_of_yesterday_is_known_by_an_aircraft(
        self, aircraft: End, hangar: End, tmp_path: Path, more: int
    ) -> None:
        fill(hangar, 5)
        land(aircraft, hangar)
        yesterday = Saved.of(hangar)
        kept = {
            path: path.read_bytes() for path in (hangar.settings.sync_dir / "history").iterdir()
        }
        for _ in range(2):
            fill(hangar, 2)
            land(aircraft, hangar)
        beat(aircraft, hangar)
        yesterday.put_back()
        for path, data in kept.items():
            path.write_bytes(data)
        for path in files.outbox(hangar.settings).rglob("*.cs"):
            if (changeset.sequence(path.name) or 0) > 1:
                path.unlink()
        for _ in range(more):
            fill(hangar, 1)
            seal.seal_all(hangar.engine, hangar.settings)
        # A box in wrong hands could otherwise have the fleet begin anew all day.
        run(hangar, "update sync.epoch set created_at = now() - interval '2 hours'")
        for _ in range(3):
            land(aircraft, hangar)
        assert ids(aircraft, "item") == ids(hangar, "item")
        assert land(aircraft, hangar).problems == []

    def test_a_history_that_an_aircraft_left_is_begun_anew(
        self, aircraft: End, hangar: End
    ) -> None:
        fill(hangar, 5)
        land(aircraft, hangar)
        yesterday = Saved.of(hangar)
        kept = (hangar.settings.sync_dir / "history" / "cat.json").read_bytes()
        run(hangar, "update sync.epoch set timeline = '00000000'")
        fill(hangar, 1)
        land(aircraft, hangar)
        land(aircraft, hangar)
        yesterday.put_back()
        (hangar.settings.sync_dir / "history" / "cat.json").write_bytes(kept)
        run(hangar, "update sync.epoch set created_at = now() - interval '2 hours'")
        fill(hangar, 2)
        for _ in range(4):
            land(aircraft, hangar)
        assert ids(aircraft, "item") == ids(hangar, "item")
        assert land(aircraft, hangar).problems == []

    def test_an_aircraft_that_knows_nothing_takes_no_change_set_without_its_snapshot(
        self, new_end: Callable[..., End], aircraft: End, hangar: End
    ) -> None:
        fill(hangar, 5)
        land(aircraft, hangar)
        run(hangar, "update sync.epoch set timeline = '00000000'")
        land(aircraft, hangar)
        beat(aircraft, hangar)
        fill(hangar, 1)
        refresh(hangar)
        # Its database was made anew, and what was offered was chosen for the former one.
        anew = End(aircraft.settings, new_end("EC-TAA").engine)
        publish.offer(hangar.engine, hangar.settings, "EC-TAA")
        assert list(offered(hangar)) == ["000000000001.cs"]
        report = session.run(anew.settings, anew.engine, link=copying(hangar, "EC-TAA"))
        assert "needs the snapshot" in report.problems[0]
        assert ids(anew, "item") == []
        land(anew, hangar)
        assert ids(anew, "item") == ids(hangar, "item")
