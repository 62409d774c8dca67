"""Signatures: what was signed by whom is told from all else."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from sync.signature import BadSignature, attach, detach, sign, verify


@pytest.fixture
def signers(tmp_path: Path) -> Path:
    """Who may sign: `hangar` with the key `key`; there is another key, `other`."""
    for name in ("key", "other"):
        made = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / name)]
        subprocess.run(made, check=True)
    file = tmp_path / "signers"
    file.write_text(f"hangar {(tmp_path / 'key.pub').read_text()}")
    return file


def test_what_was_signed_is_known_again_and_always_signed_alike(
    signers: Path, tmp_path: Path
) -> None:
    signature = sign(tmp_path / "key", b"data")
    assert signature == sign(tmp_path / "key", b"data")
    verify(signers, "hangar", b"data", signature)


@pytest.mark.parametrize(
    ("key", "who", "data"),
    [
        ("other", "hangar", b"data"),
        ("key", "EC-TAA", b"data"),
        ("key", "hangar", b"Data"),
        ("key", "*", b"data"),
    ],
)
def test_of_another_key_for_another_name_or_other_data_it_does_not_count(
    signers: Path, tmp_path: Path, key: str, who: str, data: bytes
) -> None:
    with pytest.raises(BadSignature, match="expected the signature of"):
        verify(signers, who, data, sign(tmp_path / key, b"data"))


@pytest.mark.parametrize("signature", [b"", b"x" * 100_000, b"-----BEGIN SSH SIGNATURE-----\n"])
def test_rubbish_is_no_signature(signers: Path, signature: bytes) -> None:
    with pytest.raises(BadSignature):
        verify(signers, "hangar", b"data", signature)


def test_one_made_for_another_purpose_does_not_count(signers: Path, tmp_path: Path) -> None:
    argv = ["ssh-keygen", "-Y", "sign", "-f", str(tmp_path / "key"), "-n", "turnaround-release"]
    made = subprocess.run(argv, input=b"data", capture_output=True, check=True).stdout
    with pytest.raises(BadSignature):
        verify(signers, "hangar", b"data", made)


@pytest.mark.parametrize("data", [b"{}", b'{"a":1,"signature":""}\n', b'{"a":1,"signature":7}\n'])
def test_a_file_without_a_signature_is_told_from_one_with(data: bytes) -> None:
    assert detach(attach(b'{"a":1', b"ok")) == (b'{"a":1', b"ok")
    with pytest.raises(BadSignature, match="cut or old"):
        detach(data)


def test_without_a_key_or_signers_it_is_said_which_file_is_wanting(tmp_path: Path) -> None:
    with pytest.raises(BadSignature, match="no-key signs nothing"):
        sign(tmp_path / "no-key", b"")
    with pytest.raises(BadSignature, match="no-signers is not there"):
        verify(tmp_path / "no-signers", "hangar", b"", b"")
