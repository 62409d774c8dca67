"""The manifest: what is wrong with it is said, and what is urgent is fetched first."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from sync.manifest import BadManifest, File, Item, Manifest, dump, load, seal, unseal
from sync.plan import plan

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
    assert json.loads(dump(manifest) + b"}")["version"] == manifest.version


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


def test_what_is_less_urgent_never_travels_with_what_is_more() -> None:
    assert order(item(1), item(2, priority=10), item(3)) == [[2], [1, 3]]


@pytest.mark.parametrize(
    "path",
    ["", "/etc/passwd", "../x", "a/../../x", "a//b", "./a", "a/", "a\nb", "a" * 501, "é" * 128],
)
def test_a_path_outside_its_item_is_refused_and_the_other_items_count(path: str) -> None:
    bad = item(1, files=(File(path, "a" * 64, 1),))
    found = load(dump(Manifest((bad, item(2)))))
    assert [one.id for one in found.items] == [str(UUID(int=2))]
    (said,) = found.refused
    assert str(UUID(int=1)) in said
    assert "not one inside an item" in said


def changed(change: object) -> bytes:
    """A manifest of two items in which something was changed, and the version made for it."""
    found = json.loads(dump(Manifest((item(1), item(2)))) + b"}")
    change(found["items"])  # type: ignore[operator]
    items = json.dumps(found["items"], separators=(",", ":")).encode()
    found["version"] = hashlib.sha256(items).hexdigest()[:16]
    return json.dumps(found).encode()[:-1]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda items: items[0].update(id="x"), "badly formed"),
        (lambda items: items[0].update(valid_to="2026-01-01T00:00:00"), "no time zone"),
        (lambda items: items[0]["files"][0].update(sha256="../../x"), "no valid sha256"),
        (lambda items: items[0]["files"][0].update(size=-1), "no valid sha256 and size"),
        (lambda items: items[0]["files"].append(items[0]["files"][0]), "a path twice"),
        (
            lambda items: items[0]["files"].append({"path": "a/b", "sha256": "a" * 64, "size": 1}),
            "lies below another file",
        ),
        (
            lambda items: items[0]["files"].append(items[0]["files"][0] | {"path": "b", "size": 7}),
            "has two sizes",
        ),
        (lambda items: items[0].pop("files"), "files"),
        (lambda items: items.insert(0, 7), "item 1 of the manifest \\(None\\)"),
        (lambda items: items.append(items[0]), "another one's too"),
    ],
)
def test_an_item_that_is_wrong_is_named_and_the_rest_goes_on(change: object, reason: str) -> None:
    found = load(changed(change))
    assert str(UUID(int=2)) in [one.id for one in found.items]
    (said,) = found.refused
    assert re.search(reason, said)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda found: found.update(format=2), "expected format 1, found 2"),
        (lambda found: found.update(version="0" * 16), "altered or cut"),
        (lambda found: found.pop("items"), "expected the fields"),
        (lambda found: found.update(items={}), "expected the fields"),
        (lambda found: found.update(audience=[]), "expected the fields"),
    ],
)
def test_what_is_wrong_with_a_manifest_is_said(change: object, reason: str) -> None:
    found = json.loads(dump(Manifest((item(1),))) + b"}")
    change(found)  # type: ignore[operator]
    with pytest.raises(BadManifest, match=reason):
        load(json.dumps(found).encode()[:-1])


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff", b"{" + b"[" * 100_000])
def test_rubbish_is_no_manifest(data: bytes) -> None:
    with pytest.raises(BadManifest):
        load(data)


def test_the_signature_is_of_all_that_stands_before_it() -> None:
    manifest = Manifest((item(1),), {"airline": "TA"})
    asked: list[tuple[bytes, bytes]] = []
    sealed = seal(manifest, lambda told: b"signed \n" + told[:7])
    assert unseal(sealed, lambda told, sign: asked.append((told, sign))) == manifest
    assert asked == [(dump(manifest), b"signed \n" + dump(manifest)[:7])]
    # A hangar and an aircraft of another release read it too: it is one object.
    assert json.loads(sealed)["version"] == manifest.version


def test_nothing_is_read_before_the_signature_was_judged() -> None:
    def no(told: bytes, sign: bytes) -> None:
        raise BadManifest("not the hangar's")

    with pytest.raises(BadManifest, match="not the hangar's"):
        unseal(b'{"format":9,"signature":"x"}\n', no)


@pytest.mark.parametrize(
    "end",
    [
        "}",
        "",
        ',"signature":',
        ',"signature":"',
        ',"signature":""}\n',
        ',"signature":"x"',
        ',"signature":"x"}',
    ],
)
def test_without_a_whole_signature_it_is_refused(end: str) -> None:
    with pytest.raises(BadManifest, match="cut or old"):
        unseal(dump(Manifest(())) + end.encode(), lambda told, sign: None)
