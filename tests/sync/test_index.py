"""The signed index: what a peer vouches for is applied, all else is refused by name and the stream waits."""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from common.settings import Settings
from sync import ack, apply, changeset, files, index, publish, seal, session, signature, state
from sync import hangar as hangar_side
from tests.sync.ends import End, add_events, carry, ids, link_to, run, scalar

pytestmark = pytest.mark.postgres


@pytest.fixture
def sent(aircraft: End, hangar: End) -> Path:
    """Three change-sets of EC-TAA with their index in the hangar's inbox; returns the inbox."""
    for _ in range(3):
        add_events(aircraft, 2)
        seal.seal_all(aircraft.engine, aircraft.settings)
    index.write(aircraft.settings, files.outbox(aircraft.settings))
    carry(aircraft, hangar)
    return files.inbox(hangar.settings, "EC-TAA")


def applied(end: End, peer: str = "EC-TAA") -> apply.Outcome:
    return apply.apply_all(end.engine, end.settings, peer, signed=True)


def change_set(inbox: Path, seq: int) -> Path:
    (folder,) = files.epoch_folders(inbox / "use")
    return folder / f"{seq:012d}.cs"


def sign_anew(inbox: Path, key: Path, **changes: object) -> None:
    told, _ = signature.detach((inbox / index.NAME).read_bytes())
    told = json.dumps(json.loads(told + b"}") | changes).encode()[:-1]
    (inbox / index.NAME).unlink()
    (inbox / index.NAME).write_bytes(signature.attach(told, signature.sign(key, told)))


def test_what_is_listed_is_what_lies_there(aircraft: End, sent: Path) -> None:
    one, two, three = index.listed(sent)
    assert (one.stream, one.first_seq, one.seq) == ("use", 1, 1)
    assert one.bytes == change_set(sent, 1).stat().st_size
    assert [two.seq, three.seq] == [2, 3]
    hashes = {files.sha256_of(change_set(sent, seq)) for seq in (1, 2, 3)}
    assert {one.sha256, two.sha256, three.sha256} == hashes


def test_what_the_index_names_is_applied(hangar: End, sent: Path) -> None:
    assert applied(hangar).batches == 3
    assert applied(hangar).problems == []


def test_the_same_is_written_once(aircraft: End, sent: Path) -> None:
    outbox = files.outbox(aircraft.settings)
    before = (outbox / index.NAME).stat()
    index.write(aircraft.settings, outbox)
    assert (outbox / index.NAME).stat() == before
    add_events(aircraft, 1)
    seal.seal_all(aircraft.engine, aircraft.settings)
    index.write(aircraft.settings, outbox)
    assert len(index.listed(outbox)) == 4
    after = (outbox / index.NAME).stat()
    assert int(after.st_mtime) != int(before.st_mtime)


def test_a_file_that_is_not_named_waits_and_the_others_with_it(
    aircraft: End, hangar: End, sent: Path
) -> None:
    listed = [vars(one) for one in index.listed(sent)]
    sign_anew(sent, aircraft.settings.ssh_key, files=[listed[0], listed[2]])
    outcome = applied(hangar)
    assert outcome.batches == 1
    refused, waits = outcome.problems
    assert "000000000002.cs: it is not in the signed index of its sender" in refused
    assert "waits for change-set 2" in waits
    assert change_set(sent, 2).exists(), "it may be all that there is of these rows"
    # The next synchronisation brings the index that names it.
    carry(aircraft, hangar)
    assert (applied(hangar).batches, ids(hangar)) == (2, ids(aircraft))


def test_what_comes_into_its_place_while_it_is_looked_for_is_not_applied(
    hangar: End, sent: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    second, sha256_of = change_set(sent, 2), files.sha256_of
    with second.open("rb") as file:
        header, *blocks = changeset.read(file, second.name)
    assert isinstance(header, changeset.Header)
    # Whole, and in its place in the chain; only nobody signed for it.
    with (other := second.with_suffix(".other")).open("wb") as out:
        columns = [block.data for block in blocks]  # type: ignore[union-attr]
        changeset.write(out, replace(header, created="2026-01-01T00:00:00+00:00"), [columns], [])

    def then_replaced(path: Path) -> str:
        found = sha256_of(path)
        if path == second:
            other.replace(second)
        return found

    monkeypatch.setattr(files, "sha256_of", then_replaced)
    outcome = applied(hangar)
    assert outcome.batches == 1
    assert "000000000002.cs: sha256: expected" in outcome.problems[0]
    assert not second.exists()


@pytest.mark.parametrize("instead", [3, None])
def test_a_file_with_another_hash_than_is_named_is_removed_and_comes_again(
    aircraft: End, hangar: End, sent: Path, instead: int | None
) -> None:
    data = change_set(sent, instead).read_bytes() if instead else b"anything"
    change_set(sent, 2).unlink()
    change_set(sent, 2).write_bytes(data)
    outcome = applied(hangar)
    assert outcome.batches == 1
    assert "as the signed index of its sender says" in outcome.problems[0]
    assert not change_set(sent, 2).exists()
    carry(aircraft, hangar)
    assert (applied(hangar).batches, ids(hangar)) == (2, ids(aircraft))


def test_without_an_index_nothing_is_applied(hangar: End, sent: Path) -> None:
    (sent / index.NAME).unlink()
    outcome = applied(hangar)
    assert outcome.batches == 0
    assert "is not in the signed index" in outcome.problems[0]


def _other_key(inbox: Path, settings: Settings) -> None:
    sign_anew(inbox, settings.ssh_key.with_name("hangar"))


def _another_aircraft(inbox: Path, settings: Settings) -> None:
    sign_anew(inbox, settings.ssh_key, node="EC-TAB")


def _altered(inbox: Path, settings: Settings) -> None:
    path = inbox / index.NAME
    data = path.read_bytes().replace(b'"seq":1,', b'"seq":9,')
    path.unlink()
    path.write_bytes(data)


def _cut(inbox: Path, settings: Settings) -> None:
    os.truncate(inbox / index.NAME, 100)


def _link(inbox: Path, settings: Settings) -> None:
    (inbox / index.NAME).rename(inbox / "elsewhere")
    (inbox / index.NAME).symlink_to("elsewhere")


def _pipe(inbox: Path, settings: Settings) -> None:
    (inbox / index.NAME).unlink()
    os.mkfifo(inbox / index.NAME)


def _folder(inbox: Path, settings: Settings) -> None:
    (inbox / index.NAME).unlink()
    (inbox / index.NAME / "use").mkdir(parents=True)


def _format(inbox: Path, settings: Settings) -> None:
    sign_anew(inbox, settings.ssh_key, format=9)


def _no_list(inbox: Path, settings: Settings) -> None:
    sign_anew(inbox, settings.ssh_key, files=7)


def _no_number(inbox: Path, settings: Settings) -> None:
    sign_anew(inbox, settings.ssh_key, files=[{**vars(index.listed(inbox)[0]), "seq": math.inf}])


def _nested(inbox: Path, settings: Settings) -> None:
    (inbox / index.NAME).unlink()
    (inbox / index.NAME).write_bytes(b'{,"signature":' + b"[" * 100_000 + b"}\n")


def _large(inbox: Path, settings: Settings) -> None:
    with (inbox / index.NAME).open("r+b") as file:
        file.truncate(index.MAX_BYTES + 1)


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (_other_key, "expected the signature of EC-TAA"),
        (_another_aircraft, "expected the index of EC-TAA, found that of EC-TAB"),
        (_altered, "expected the signature of EC-TAA"),
        (_cut, "expected a signature at its end"),
        (_link, "expected a file, found something else"),
        (_pipe, "expected a file, found something else"),
        (_folder, "expected a file, found something else"),
        (_format, "expected format 1, found 9"),
        (_no_list, "expected the fields of format 1"),
        (_no_number, "expected the fields of format 1"),
        (_nested, "expected a signature at its end"),
        (_large, "expected at most 16777216 bytes"),
    ],
)
def test_an_index_that_does_not_count_is_removed_and_the_stream_waits_for_another(
    aircraft: End,
    hangar: End,
    sent: Path,
    harm: Callable[[Path, Settings], None],
    said: str,
) -> None:
    harm(sent, aircraft.settings)
    outcome = applied(hangar)
    assert (outcome.batches, len(outcome.problems)) == (0, 1)
    assert outcome.problems[0].startswith("EC-TAA/index.json: ")
    assert said in outcome.problems[0]
    assert not os.path.lexists(sent / index.NAME)
    assert change_set(sent, 3).exists()
    carry(aircraft, hangar)
    assert applied(hangar).batches == 3


def test_what_came_with_no_index_that_counts_is_due_again(
    aircraft: End, hangar: End, sent: Path
) -> None:
    run(hangar, "insert into aircraft (name, tower) values ('EC-TAA', '10.0.0.1')")
    run(aircraft, "update sync.batch set pushed_at = now()")
    body = state.local_state(aircraft.engine, aircraft.settings)
    assert "up" not in state.due(hangar.engine, hangar.settings, "EC-TAA", body).names
    (sent / index.NAME).unlink()
    assert "up" in state.due(hangar.engine, hangar.settings, "EC-TAA", body).names


def test_an_old_index_played_again_brings_nothing_back(
    aircraft: End, hangar: End, sent: Path
) -> None:
    old = sent.with_name("old")
    shutil.copytree(sent, old)
    assert applied(hangar).batches == 3
    add_events(aircraft, 1)
    seal.seal_all(aircraft.engine, aircraft.settings)
    index.write(aircraft.settings, files.outbox(aircraft.settings))
    carry(aircraft, hangar)
    (sent / index.NAME).unlink()
    shutil.copytree(old, sent, dirs_exist_ok=True)
    outcome = applied(hangar)
    assert outcome.batches == 0
    assert "000000000004.cs: it is not in the signed index" in outcome.problems[0]
    assert scalar(hangar, "select seq from sync.cursor where peer = 'EC-TAA'") == 3


def test_both_keys_of_an_aircraft_count_while_one_is_changed(
    aircraft: End, hangar: End, sent: Path
) -> None:
    keys = aircraft.settings.ssh_key.parent
    public = {name: (keys / f"{name}.pub").read_text() for name in ("aircraft", "hangar")}
    signers = files.inbox(hangar.settings, "signers")
    for known, counts in (("hangar", 0), ("aircraft", 1)):
        lines = [f"EC-TAA {public[name]}" for name in dict.fromkeys(("hangar", known))]
        signers.write_text("".join(lines))
        settings = hangar.settings.model_copy(update={"signers": signers})
        carry(aircraft, hangar)
        outcome = apply.apply_all(hangar.engine, settings, "EC-TAA", signed=True)
        assert bool(outcome.batches) is bool(counts)


def test_an_aircraft_takes_what_the_hangar_signed_and_nothing_else(
    aircraft: End, hangar: End
) -> None:
    run(hangar, "insert into aircraft (name, tower) values ('EC-TAA', '10.0.0.1')")
    run(
        hangar,
        "insert into item (id, kind, title, languages, published, updated_at) "
        "values (gen_random_uuid(), 'film', '{}', '{en}', true, now())",
    )
    seal.seal_all(hangar.engine, hangar.settings)
    publish.offer(hangar.engine, hangar.settings, "EC-TAA")
    link = link_to(hangar, "EC-TAA")
    offered = hangar.settings.sync_dir / "outbox" / "EC-TAA" / "down"
    sign_anew(offered, aircraft.settings.ssh_key)
    report = session.run(aircraft.settings, aircraft.engine, link=link)
    assert report.applied_batches == 0
    assert "hangar/index.json: expected the signature of hangar" in report.problems[0]
    publish.offer(hangar.engine, hangar.settings, "EC-TAA")
    report = session.run(aircraft.settings, aircraft.engine, link=link)
    assert (report.applied_batches, report.problems) == (1, [])


def test_what_was_signed_by_a_former_key_is_signed_anew(
    aircraft: End, hangar: End, tmp_path: Path
) -> None:
    run(hangar, "insert into aircraft (name, tower) values ('EC-TAA', '10.0.0.1')")
    publish.offer(hangar.engine, hangar.settings, "EC-TAA")
    path = hangar.settings.sync_dir / "outbox" / "EC-TAA" / "down" / index.NAME
    before = path.read_bytes()
    other = hangar.settings.model_copy(update={"ssh_key": aircraft.settings.ssh_key})
    publish.offer(hangar.engine, other, "EC-TAA")
    assert signature.detach(path.read_bytes())[0] == signature.detach(before)[0]
    assert path.read_bytes() != before


def test_aircraft_that_have_come_equally_far_cost_one_signature(
    hangar: End, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, name in enumerate(("EC-TAA", "EC-TAB", "EC-TAC")):
        run(hangar, f"insert into aircraft (name, tower) values ('{name}', '10.0.0.{number}')")
    made: list[bytes] = []

    def sign(key: Path, data: bytes) -> bytes:
        made.append(data)
        return b"signature"

    monkeypatch.setattr(signature, "sign", sign)
    index._signed.cache_clear()
    for name in ("EC-TAA", "EC-TAB", "EC-TAC"):
        publish.offer(hangar.engine, hangar.settings, name)
    index._signed.cache_clear()
    assert len(made) == 1


def test_a_change_set_that_is_damaged_at_the_hangar_is_not_offered_and_stops_nobody(
    aircraft: End, hangar: End, caplog: pytest.LogCaptureFixture
) -> None:
    run(hangar, "insert into aircraft (name, tower) values ('EC-TAA', '10.0.0.1')")
    survey = "insert into survey (id, question, choices) values (gen_random_uuid(), '{}', '[]')"
    run(hangar, survey)
    seal.seal_all(hangar.engine, hangar.settings)
    (first,) = files.outbox(hangar.settings).rglob("*.cs")
    first.chmod(0o644)
    os.truncate(first, 20)
    run(hangar, survey)
    hangar_side.refresh(hangar.engine, hangar.settings)
    offered = hangar.settings.sync_dir / "outbox/EC-TAA/down"
    assert [one.seq for one in index.listed(offered)] == [2]
    assert "is damaged and is not offered" in caplog.text
    first.unlink()
    hangar_side.refresh(hangar.engine, hangar.settings)
    assert [(one.first_seq, one.seq) for one in index.listed(offered)] == [(0, 2)]


def test_a_host_without_its_key_sends_nothing_and_says_so(
    aircraft: End, hangar: End, tmp_path: Path
) -> None:
    run(hangar, "insert into aircraft (name, tower) values ('EC-TAA', '10.0.0.1')")
    add_events(aircraft, 1)
    settings = aircraft.settings.model_copy(update={"ssh_key": tmp_path / "none"})
    publish.offer(hangar.engine, hangar.settings, "EC-TAA")
    report = session.run(settings, aircraft.engine, link=link_to(hangar, "EC-TAA"))
    assert not report.pushed
    assert "nothing was sent, the hangar takes nothing unsigned" in report.problems[0]


def test_a_whole_landing_with_signatures(aircraft: End, hangar: End) -> None:
    run(hangar, "insert into aircraft (name, tower) values ('EC-TAA', '10.0.0.1')")
    add_events(aircraft, 3)
    publish.offer(hangar.engine, hangar.settings, "EC-TAA")
    link = link_to(hangar, "EC-TAA")
    assert session.run(aircraft.settings, aircraft.engine, link=link).problems == []
    assert ingest(hangar) == []
    assert ack.accept(aircraft.engine, aircraft.settings, state.acks(hangar.engine, "EC-TAA")) == []
    assert ids(hangar) == ids(aircraft)


def ingest(end: End) -> list[str]:
    return hangar_side.ingest(end.engine, end.settings, "EC-TAA").problems
