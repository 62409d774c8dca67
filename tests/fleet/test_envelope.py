"""Signing on the side of ops: with a key in a file, with one that an agent holds, or with none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from fleet import envelope
from fleet.aboard.envelope import CONFIGURATION, RELEASE, opened
from fleet.aboard.errors import ManifestError
from fleet.aboard.world import run
from fleet.errors import FleetError, UsageError
from tests.fleet.aboard.host import build
from tests.fleet.aboard.link import save
from tests.fleet.aboard.signing import Signer, signer
from tests.fleet.sshd import ssh_agent

SAID = build(1).said(7)


@pytest.fixture(autouse=True)
def no_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)


@pytest.fixture
def eva(tmp_path: Path) -> Signer:
    (tmp_path / "keys").mkdir()
    return signer(tmp_path / "keys")


@pytest.fixture
def signers(tmp_path: Path, eva: Signer) -> Path:
    path = tmp_path / "release_signers"
    path.write_text(eva.line)
    return path


def test_what_is_sealed_lies_beside_the_manifest_and_is_of_the_signer(
    tmp_path: Path, eva: Signer, signers: Path
) -> None:
    saved = replace(save(build(1), tmp_path), envelope=None)
    sealed = envelope.seal(saved, envelope.key_in(eva.folder), "test", 7, "eva@desk")
    folder = tmp_path / "out/onboard" / saved.manifest.version
    assert (folder / "envelope.json").read_bytes() == sealed.envelope
    found = opened(sealed.envelope or b"", "it", signers, RELEASE, run)
    assert (found.fleet, found.counter, found.by) == ("test", 7, "eva@desk")
    assert found.manifest == SAID.manifest


def test_a_key_that_an_agent_holds_signs(
    tmp_path: Path, eva: Signer, signers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ssh_agent(tmp_path, eva.key) as agent:
        monkeypatch.setenv("SSH_AUTH_SOCK", str(agent))
        eva.key.unlink()
        key = envelope.key_in(eva.folder)
        assert key.name == "signing_ed25519.pub"
        sealed = envelope.signed(SAID, key, CONFIGURATION)
    assert opened(sealed, "it", signers, CONFIGURATION, run) == SAID
    with pytest.raises(ManifestError, match="as turnaround-release, found another"):
        opened(sealed, "it", signers, RELEASE, run)


def test_a_public_half_that_no_agent_has_the_other_of_says_what_to_look_at(eva: Signer) -> None:
    eva.key.unlink()
    with pytest.raises(FleetError, match=r"signing_ed25519\.pub: ssh-keygen does not") as caught:
        envelope.signed(SAID, envelope.key_in(eva.folder), RELEASE)
    assert "ssh-add -l" in caught.value.remedy


def test_without_a_key_it_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no signing key at .*signing_ed25519") as caught:
        envelope.key_in(tmp_path)
    assert "release_signers" in caught.value.remedy
