"""An artifact that lies here is what was built, or it is refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet import artifact
from fleet.aboard.manifest import parse
from fleet.artifact import Artifact, BadArtifact
from tests.fleet.aboard.host import build


@pytest.fixture
def saved(tmp_path: Path) -> Artifact:
    built = build(1)
    source = tmp_path / "source"
    for file in built.manifest.files:
        source.write_bytes(built.contents[file.sha256])
        assert artifact.keep(source, file.path, tmp_path / "out") == file
    return artifact.save(built.manifest, tmp_path / "out")


def test_what_was_saved_is_what_was_built(saved: Artifact) -> None:
    assert saved.verify() is saved
    folder = saved.blobs.parent / saved.manifest.kind / saved.manifest.version
    assert parse((folder / "manifest.json").read_bytes()) == saved.manifest
    assert saved.size == sum(file.size for file in saved.manifest.files)


@pytest.mark.parametrize(
    ("content", "found"), [(b"x", r"\(1 bytes\)"), (b"", r"found e3b0c44298fc… \(0 bytes\)")]
)
def test_a_file_with_a_wrong_hash_is_named(saved: Artifact, content: bytes, found: str) -> None:
    file = saved.manifest.files[1]
    saved.path(file.sha256).write_bytes(content)
    with pytest.raises(BadArtifact, match=rf"library\.whl: expected sha256 .*{found}") as caught:
        saved.verify()
    assert f"./inv build.onboard --rev {saved.manifest.revision[:12]}" in caught.value.remedy
    assert caught.value.exit_code == 4


def test_a_file_that_is_missing_is_named(saved: Artifact) -> None:
    saved.path(saved.manifest.files[2].sha256).unlink()
    with pytest.raises(BadArtifact, match=r"static/page\.html is missing"):
        saved.verify()
