"""The manifest: what is wrong with it is said, and what is urgent is fetched first."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from sync.manifest import BadManifest, File, Item, Manifest, dump, load, plan

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
MEGABYTE = 10**6


def item(number: int, size: int = 10, priority: int = 100, **more: object) -> Item:
    files = more.pop("files", (File("a", f"{number:064x}", size),))
    times = {"valid_from": None, "valid_to": None}
    return Item(str(UUID(int=number)), "film", priority, files=files, **(times | more))  # type: ignore[arg-type]


def order(*items: Item, have: tuple[str, ...] = ()) -> list[list[int]]:
    groups = plan(Manifest(items), lambda file: file.sha256 in have, NOON)
    return [[UUID(one.id).int for one in group] for group, _ in groups]


def test_what_was_written_is_read() -> None:
    manifest = Manifest((item(1, valid_to=NOON), item(2, files=())))
    assert load(dump(manifest)) == manifest
    assert json.loads(dump(manifest))["version"] == manifest.version


def test_a_paper_of_today_goes_before_films_and_small_before_large() -> None:
    paper = item(3, size=5 * MEGABYTE, valid_to=NOON + timedelta(hours=12))
    assert order(item(1, 900 * MEGABYTE), item(2, 800 * MEGABYTE), paper) == [[3], [2], [1]]


def test_priority_goes_before_expiry() -> None:
    paper = item(1, size=9 * MEGABYTE, valid_to=NOON + timedelta(hours=1))
    assert order(paper, item(2, size=9 * MEGABYTE, priority=1)) == [[2], [1]]


def test_small_items_travel_together_and_a_film_alone() -> None:
    assert order(item(1), item(2), item(3, 20 * MEGABYTE)) == [[1, 2], [3]]


def test_what_is_here_or_expired_is_not_fetched() -> None:
    assert order(item(1), item(2, valid_to=NOON), have=(f"{1:064x}",)) == []


def test_a_file_that_two_items_share_is_fetched_once() -> None:
    shared = (File("poster.jpg", "a" * 64, 10), File("other/poster.jpg", "a" * 64, 10))
    groups = plan(
        Manifest((item(1, files=shared), item(2, files=shared))), lambda file: False, NOON
    )
    assert [len(files) for _, files in groups] == [1]


@pytest.mark.parametrize(
    "path", ["", "/etc/passwd", "../x", "a/../../x", "a//b", "./a", "a/", "a\nb", "a" * 501]
)
def test_a_path_outside_its_item_is_refused(path: str) -> None:
    with pytest.raises(BadManifest, match="not one inside an item"):
        load(dump(Manifest((item(1, files=(File(path, "a" * 64, 1),)),))))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda found: found.update(format=2), "expected format 1, found 2"),
        (lambda found: found.update(version="0" * 16), "altered or cut"),
        (lambda found: found["items"][0].update(id="x"), "expected the fields"),
        (lambda found: found["items"][0].update(valid_to="2026-01-01T00:00:00"), "no time zone"),
        (lambda found: found["items"][0]["files"][0].update(sha256="../../x"), "no valid sha256"),
        (lambda found: found["items"][0]["files"].append(found["items"][0]["files"][0]), "twice"),
        (lambda found: found.pop("items"), "expected the fields"),
    ],
)
def test_what_is_wrong_with_a_manifest_is_said(change: object, reason: str) -> None:
    found = json.loads(dump(Manifest((item(1),))))
    change(found)  # type: ignore[operator]
    with pytest.raises(BadManifest, match=reason):
        load(json.dumps(found).encode())


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff"])
def test_rubbish_is_no_manifest(data: bytes) -> None:
    with pytest.raises(BadManifest):
        load(data)
