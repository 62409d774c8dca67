"""A revision's files as git has them: plain ones, below the folder they are written to."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from fleet import build_revision
from fleet.errors import FleetError
from tests.fleet.repository import Repository


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "checkout")


def test_a_revision_is_written_with_its_folders_and_who_may_run_what(
    repository: Repository, tmp_path: Path
) -> None:
    (repository.top / "sync/setup.py").chmod(0o755)
    repository.write("sync/" + "deep/" * 30 + "end.py", "end\n")
    revision = build_revision.resolve(repository.top, repository.commit())
    old = os.umask(0o077)
    try:
        revision.export(["sync", "common"], tmp_path / "tree")
    finally:
        os.umask(old)
    tree = tmp_path / "tree"
    assert (tree / "sync" / ("deep/" * 30) / "end.py").read_text() == "end\n"
    modes = {path.name: path.stat().st_mode & 0o777 for path in tree.rglob("*.py")}
    assert modes == {"setup.py": 0o755, "end.py": 0o644, "__init__.py": 0o644}


def test_a_link_in_a_revision_is_refused(repository: Repository, tmp_path: Path) -> None:
    (repository.top / "common/secret.py").symlink_to("__init__.py")
    revision = build_revision.resolve(repository.top, repository.commit())
    with pytest.raises(FleetError, match=r"common/secret\.py is no plain file") as caught:
        revision.export(["common"], tmp_path / "tree")
    assert revision.sha[:12] in caught.value.what


@pytest.mark.parametrize("name", ["../evil", "/tmp/evil", "a/../../evil"])
def test_an_archive_that_leaves_its_place_is_refused(tmp_path: Path, name: str) -> None:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as made:
        made.addfile(tarfile.TarInfo(name))
    with pytest.raises(FleetError, match=r"evil is no plain file"):
        build_revision.unpack(content.getvalue(), tmp_path / "tree", "x")
    assert not list(tmp_path.rglob("evil"))


def test_git_that_hangs_is_told_like_any_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hangs(argv: list[str], **how: object) -> None:
        raise subprocess.TimeoutExpired(argv, 300)

    monkeypatch.setattr("subprocess.run", hangs)
    with pytest.raises(FleetError, match=r"git rev-parse in .* did not end within 300 s"):
        build_revision.resolve(tmp_path)
