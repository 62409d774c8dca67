"""What nobody may sign for is not taken in: OpenSSH's own ssh-keygen signs and looks.

A refusal leaves the host as it was: the same releases, the same state file, the same counter.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from fleet.aboard import lifecycle, state, stream
from fleet.aboard.envelope import CONFIGURATION
from fleet.aboard.errors import AboardError, ManifestError
from fleet.aboard.steps import Step
from fleet.aboard.world import Completed
from tests.fleet.aboard.host import Cut, Host, build
from tests.fleet.aboard.signing import Signer, earnest, signer, trust

ONE, TWO = build(1), build(2)


@pytest.fixture(scope="module")
def eva() -> Signer:
    return signer()


@pytest.fixture(scope="module")
def mallory() -> Signer:
    return signer()


@pytest.fixture
def signed(host: Host, eva: Signer) -> Host:
    """A host that trusts eva and had a release of hers."""
    earnest(host)
    trust(host.root, eva)
    assert host.accept(ONE, ONE.frames(sealed=eva.seal(ONE, counter=5))).result == "confirmed"
    return host


def refused(host: Host, frames: bytes) -> str:
    """Why the host does not take it; nothing of it is there afterwards."""
    before = everything(host)
    with pytest.raises(ManifestError) as caught:
        lifecycle.accept(host.world, io.BytesIO(frames))
    assert caught.value.exit_code == 65
    assert everything(host) == before
    return str(caught.value)


def everything(host: Host) -> dict[str, bytes]:
    folders = (host.world.home / "releases", host.world.state_folder)
    return {
        str(path): path.read_bytes()
        for folder in folders
        for path in folder.rglob("*")
        if path.is_file() and path.name != "lock"
    } | {"current": str(host.current()).encode()}


def test_what_a_signer_signed_is_taken_in_and_its_counter_remembered(
    signed: Host, eva: Signer
) -> None:
    assert signed.accept(TWO, TWO.frames(sealed=eva.seal(TWO, counter=7))).result == "confirmed"
    taken = state.load(signed.world).taken["onboard"]
    assert (taken.counter, taken.manifest) == (7, TWO.said().manifest)


def test_a_second_signer_is_as_good(signed: Host, eva: Signer, mallory: Signer) -> None:
    trust(signed.root, eva, mallory)
    assert signed.accept(TWO, TWO.frames(sealed=mallory.seal(TWO))).result == "confirmed"


Seal = Callable[[Signer, Signer], bytes]


@pytest.mark.parametrize(
    ("seal", "said"),
    [
        (lambda eva, mallory: mallory.seal(TWO), "expected the signature of a key in .*signers"),
        (
            lambda eva, mallory: eva.seal(TWO, namespace=CONFIGURATION),
            "as turnaround-release, found another",
        ),
        (lambda eva, mallory: eva.seal(TWO, fleet="other"), "the fleet test, found one for other"),
        (lambda eva, mallory: eva.seal(TWO, kind="html5"), "the kind onboard, found one for html5"),
        (
            lambda eva, mallory: eva.seal(TWO, version=ONE.version),
            f"the version {TWO.version}, found one for {ONE.version}",
        ),
        (lambda eva, mallory: eva.seal(TWO, manifest="0" * 64), "the sha256 .* found one for 000"),
        (lambda eva, mallory: eva.seal(ONE), f"the version {TWO.version}, found one for"),
        (lambda eva, mallory: eva.seal(TWO, counter=4), "a counter of 5 or more, found 4"),
        (
            lambda eva, mallory: eva.seal(TWO, counter=5),
            "expected counter 5 to stand for the manifest",
        ),
        (lambda eva, mallory: eva.seal(TWO, counter=-1), "expected the fields of format 1"),
        (lambda eva, mallory: eva.seal(TWO, counter="9"), "expected the fields of format 1"),
        (lambda eva, mallory: b"{}", "expected an envelope of format 1"),
        (lambda eva, mallory: b"[" * 9000, "expected an envelope of format 1"),
        (lambda eva, mallory: eva.seal(TWO) + b" ", "as it was written, found changes in it"),
        (lambda eva, mallory: eva.seal(TWO)[:-40], "expected an envelope of format 1"),
    ],
    ids=[
        "wrong key",
        "wrong namespace",
        "other fleet",
        "other kind",
        "other version",
        "other manifest",
        "envelope of another",
        "older counter",
        "same counter, other manifest",
        "counter below zero",
        "counter as text",
        "nothing in it",
        "deep",
        "one byte more",
        "cut",
    ],
)
def test_what_is_refused(signed: Host, eva: Signer, mallory: Signer, seal: Seal, said: str) -> None:
    reason = refused(signed, TWO.frames(sealed=seal(eva, mallory)))
    assert re.search(said, reason)
    before = everything(signed)
    with pytest.raises(ManifestError):
        lifecycle.offer(signed.world, io.BytesIO(TWO.head(seal(eva, mallory))))
    assert everything(signed) == before


def test_an_artifact_without_an_envelope_is_refused(signed: Host) -> None:
    frames = (
        stream.MAGIC + stream.pack(stream.MANIFEST, TWO.manifest.dump()) + stream.pack(stream.END)
    )
    assert "expected a signed envelope behind the manifest, found none" in refused(signed, frames)


def test_a_byte_that_was_changed_in_an_envelope_is_refused(signed: Host, eva: Signer) -> None:
    sealed = eva.seal(TWO)
    for at in range(0, len(sealed), 61):
        changed = bytearray(sealed)
        changed[at] ^= 1
        refused(signed, TWO.frames(sealed=bytes(changed)))


def test_a_byte_that_was_changed_in_a_manifest_is_refused(signed: Host, eva: Signer) -> None:
    text, sealed = TWO.manifest.dump(), stream.pack(stream.ENVELOPE, eva.seal(TWO))
    files = b"".join(stream.pack(stream.FILE, one) for one in TWO.contents.values())
    for at in range(0, len(text), 97):
        changed = bytearray(text)
        changed[at] ^= 1
        head = stream.MAGIC + stream.pack(stream.MANIFEST, bytes(changed)) + sealed
        refused(signed, head + files + stream.pack(stream.END))


@pytest.mark.parametrize("number", range(len(TWO.contents)))
def test_a_byte_that_was_changed_in_a_file_is_refused(
    signed: Host, eva: Signer, number: int
) -> None:
    sha256 = list(TWO.contents)[number]
    content = bytearray(TWO.contents[sha256])
    content[len(content) // 2] ^= 1
    frame = stream.pack(stream.FILE, bytes(content))
    lying = frame[:2] + bytes.fromhex(sha256) + frame[34:]
    head = TWO.head(eva.seal(TWO, counter=9))
    reason = refused(signed, head + lying + stream.pack(stream.END))
    assert TWO.manifest.files[number].path in reason
    assert state.load(signed.world).taken["onboard"].counter == 5


def test_the_same_order_again_is_no_older_one(signed: Host, eva: Signer) -> None:
    frames = TWO.frames(sealed=eva.seal(TWO, counter=7))
    signed.cut_at = Step.HEALTH
    with pytest.raises(Cut):
        signed.accept(TWO, frames)
    assert signed.reboot()[0].result == "returned"
    assert signed.accept(TWO, frames).result == "confirmed"


@pytest.mark.parametrize("proof", ["beside", "serving", "setup"])
def test_what_proved_bad_is_tried_again_by_a_newer_order_only(
    signed: Host, eva: Signer, proof: str
) -> None:
    frames = TWO.frames(sealed=eva.seal(TWO, counter=7))
    good = signed.setup
    if proof == "setup":
        signed.setup = Completed(1, "no such column")
    else:
        {"beside": signed.ill, "serving": signed.spoilt}[proof].add(TWO.version)
    assert signed.accept(TWO, frames).exit_code == 4
    signed.ill.clear()
    signed.spoilt.clear()
    signed.setup = good
    signed.steps.clear()
    again = signed.accept(TWO, frames)
    assert (again.result, signed.steps) == ("refused", [])
    assert "it was tried by this order: " in str(again.reason)
    newer = TWO.frames(sealed=eva.seal(TWO, counter=8))
    assert signed.accept(TWO, newer).result == "confirmed"


def test_an_older_payload_may_come_again_with_a_new_counter(signed: Host, eva: Signer) -> None:
    signed.accept(TWO, TWO.frames(sealed=eva.seal(TWO, counter=7)))
    again = signed.accept(ONE, ONE.frames(sealed=eva.seal(ONE, counter=8)))
    assert (again.result, signed.current()) == ("confirmed", ONE.version)


def test_a_rollback_needs_no_counter(signed: Host, eva: Signer) -> None:
    signed.accept(TWO, TWO.frames(sealed=eva.seal(TWO, counter=7)))
    assert lifecycle.rollback(signed.world, "onboard").version == ONE.version
    assert state.load(signed.world).taken["onboard"].counter == 7


def test_kinds_count_by_themselves(signed: Host, eva: Signer) -> None:
    pages = build(1, "html5", {"templates/index.html": b"<p>"})
    assert signed.accept(pages, pages.frames(sealed=eva.seal(pages, counter=1))).exit_code == 0


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ("keys/release_signers", r"release_signers with the keys .* found none; name them in"),
        ("fleet_name", r"fleet_name is not here; converge this host first"),
    ],
)
def test_a_host_that_was_not_told_whom_to_trust_takes_nothing(
    signed: Host, eva: Signer, missing: str, said: str
) -> None:
    (signed.root / "etc/turnaround" / missing).unlink()
    assert re.search(said, refused(signed, TWO.frames(sealed=eva.seal(TWO))))


def test_the_manifest_travels_once(signed: Host, eva: Signer) -> None:
    sealed = eva.seal(TWO)
    lifecycle.offer(signed.world, io.BytesIO(TWO.head(sealed)))
    known = stream.head(stream.OFFERED, TWO.said().manifest, 0)
    frames = b"".join(
        [stream.MAGIC, known, stream.pack(stream.ENVELOPE, sealed)]
        + [stream.pack(stream.FILE, one) for one in TWO.contents.values()]
        + [stream.pack(stream.END)]
    )
    assert signed.accept(TWO, frames).result == "confirmed"


def test_a_manifest_that_another_offer_replaced_is_asked_for_again(
    signed: Host, eva: Signer
) -> None:
    head = stream.MAGIC + stream.head(stream.OFFERED, "0" * 64, 0)
    with pytest.raises(AboardError, match=r"another was offered meanwhile.*run the same"):
        lifecycle.accept(signed.world, io.BytesIO(head))


def test_a_state_file_from_before_there_were_counters_is_read(host: Host) -> None:
    host.accept(ONE)
    path: Path = host.world.state_folder / "state.json"
    document = json.loads(path.read_text())
    del document["taken"]
    path.write_text(json.dumps(document))
    assert host.accept(TWO).result == "confirmed"


@pytest.mark.parametrize("asked", ["offer", "accept"])
def test_an_order_for_what_is_current_ends_the_older_ones(
    signed: Host, eva: Signer, asked: str
) -> None:
    sealed = eva.seal(ONE, counter=9)
    if asked == "offer":
        lifecycle.offer(signed.world, io.BytesIO(ONE.head(sealed)))
    else:
        assert signed.accept(ONE, ONE.frames([], sealed)).result == "already"
    reason = refused(signed, TWO.frames(sealed=eva.seal(TWO, counter=7)))
    assert "expected a counter of 9 or more, found 7" in reason


def test_what_ops_went_back_from_comes_again_by_a_newer_order_only(
    signed: Host, eva: Signer
) -> None:
    frames = TWO.frames(sealed=eva.seal(TWO, counter=7))
    signed.accept(TWO, frames)
    lifecycle.rollback(signed.world, "onboard")
    again = signed.accept(TWO, frames)
    assert (again.result, signed.current()) == ("refused", ONE.version)
    assert f"ops went back to {ONE.version}; deploy anew" in str(again.reason)
    newer = TWO.frames(sealed=eva.seal(TWO, counter=8))
    assert signed.accept(TWO, newer).result == "confirmed"
