"""An artifact that lies here is read back whole, or refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet import artifact
from fleet.artifact import Artifact, BadArtifact, load
from tests.fleet.aboard.host import build


@pytest.fixture
def saved(tmp_path: Path) -> Artifact:
    built = build(1)
    source = tmp_path / "source"
    for file in built.manifest.files:
        source.write_bytes(built.contents[file.sha256])
        assert artifact.keep(source, file.path, tmp_path / "out") == file
    return artifact.save(built.manifest, tmp_path / "out")


def folder(saved: Artifact) -> Path:
    return saved.blobs.parent / saved.manifest.kind / saved.manifest.version


def test_what_was_saved_is_loaded(saved: Artifact) -> None:
    assert load(folder(saved)) == saved
    assert saved.size == sum(file.size for file in saved.manifest.files)


@pytest.mark.parametrize(
    ("content", "found"), [(b"x", r"\(1 bytes\)"), (b"", r"found e3b0c44298fc… \(0 bytes\)")]
)
def test_a_file_with_a_wrong_hash_is_named(saved: Artifact, content: bytes, found: str) -> None:
    file = saved.manifest.files[1]
    saved.path(file.sha256).write_bytes(content)
    with pytest.raises(BadArtifact, match=rf"library\.whl: expected sha256 .*{found}") as caught:
        load(folder(saved))
    assert f"./inv build.onboard --rev {saved.manifest.revision[:12]}" in caught.value.remedy
    assert caught.value.exit_code == 4


def test_a_file_that_is_missing_is_named(saved: Artifact) -> None:
    saved.path(saved.manifest.files[2].sha256).unlink()
    with pytest.raises(BadArtifact, match=r"static/page\.html is missing"):
        load(folder(saved))


def test_no_artifact_at_all(tmp_path: Path) -> None:
    with pytest.raises(BadArtifact, match=r"none/manifest\.json: No such file"):
        load(tmp_path / "none")


def test_a_manifest_that_is_none(saved: Artifact) -> None:
    (folder(saved) / "manifest.json").write_text('{"format": 1}')
    with pytest.raises(BadArtifact, match=r"manifest\.json: files: expected a list"):
        load(folder(saved))
