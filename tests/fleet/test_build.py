"""Artifacts from a git revision: the same bytes each time, and nothing that is not in the revision."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from fleet import build_html5, build_wheels
from fleet.artifact import Artifact, hash_of
from fleet.build import build
from fleet.build_wheels import Pin, Wheelhouse, read_lock
from fleet.errors import FleetError, UsageError
from tests.fleet.repository import LIBRARY, LOCK, Repository


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "checkout")


class Index:
    """What stands for pip: hands out the library's wheel, and counts how often it was asked."""

    def __init__(self, content: bytes = LIBRARY) -> None:
        self.content = content
        self.asked = 0

    def __call__(self, pins: Sequence[Pin], into: Path) -> None:
        self.asked += 1
        (into / "library-1.0-py3-none-any.whl").write_bytes(self.content)


@pytest.fixture
def index() -> Index:
    return Index()


@pytest.fixture
def wheels(tmp_path: Path, index: Index) -> Wheelhouse:
    return Wheelhouse(tmp_path / "wheels", index)


@pytest.fixture
def cache(tmp_path: Path, repository: Repository) -> Path:
    """npm's packages, as if they had been installed once."""
    lock = repository.top / build_html5.FOLDER / "package-lock.json"
    player = tmp_path / "npm" / hash_of(lock)[0] / "node_modules/hls.js/dist/hls.light.min.js"
    player.parent.mkdir(parents=True)
    player.write_text("player()")
    return tmp_path / "npm"


def names(artifact: Artifact) -> list[str]:
    return [file.path for file in artifact.manifest.files]


def ours(artifact: Artifact) -> dict[str, bytes]:
    """Our own files, by their place below `app/`."""
    return {
        file.path.removeprefix("app/"): artifact.path(file.sha256).read_bytes()
        for file in artifact.manifest.files
        if file.path.startswith("app/")
    }


def everything(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_two_builds_of_a_revision_are_equal_byte_for_byte(
    repository: Repository, wheels: Wheelhouse, tmp_path: Path
) -> None:
    build("onboard", top=repository.top, out=tmp_path / "one", wheels=wheels)
    clone = tmp_path / "another-clone"
    repository.git("clone", "--quiet", str(repository.top), str(clone))
    old = os.umask(0o077)
    try:
        build("onboard", top=clone, out=tmp_path / "two", wheels=wheels)
    finally:
        os.umask(old)
    assert everything(tmp_path / "one") == everything(tmp_path / "two")
    # Two of our files are empty, and so one.
    assert len(everything(tmp_path / "one")) == 5


def test_the_working_tree_is_never_read(
    repository: Repository, wheels: Wheelhouse, tmp_path: Path
) -> None:
    clean = build("onboard", top=repository.top, out=tmp_path / "clean", wheels=wheels)
    repository.write("onboard_app/__init__.py", "raise SystemExit('not committed')\n")
    repository.write("common/new.py", "")
    repository.write("requirements/onboard.txt", "no lock at all")
    (repository.top / "sync/setup.py").unlink()
    dirty = build("onboard", top=repository.top, out=tmp_path / "dirty", wheels=wheels)
    assert dirty.manifest == clean.manifest


def test_a_version_is_commit_time_in_utc_and_revision(
    repository: Repository, wheels: Wheelhouse, tmp_path: Path
) -> None:
    sha = repository.git("rev-parse", "HEAD")
    manifest = build("onboard", "main", top=repository.top, out=tmp_path, wheels=wheels).manifest
    assert manifest.version == f"20260102010405-{sha[:12]}"
    assert manifest.revision == sha


def test_an_older_revision_can_be_built(
    repository: Repository, wheels: Wheelhouse, tmp_path: Path
) -> None:
    old = repository.git("rev-parse", "HEAD")
    repository.write("onboard_app/__init__.py", "name = 'newer'\n")
    repository.commit()
    newer = build("onboard", top=repository.top, out=tmp_path, wheels=wheels)
    older = build("onboard", old[:10], top=repository.top, out=tmp_path, wheels=wheels)
    changed = set(newer.manifest.files) - set(older.manifest.files)
    assert [file.path for file in changed] == ["app/onboard_app/__init__.py"]
    assert b"onboard" in ours(older)["onboard_app/__init__.py"]
    assert b"newer" in ours(newer)["onboard_app/__init__.py"]


def test_our_files_are_the_kinds_packages_with_their_data_and_no_portal(
    repository: Repository, wheels: Wheelhouse, tmp_path: Path
) -> None:
    artifact = build("onboard", top=repository.top, out=tmp_path, wheels=wheels)
    assert list(ours(artifact)) == [
        "common/__init__.py",
        "onboard_app/__init__.py",
        "onboard_app/data/labels.csv",
        "sync/setup.py",
    ]
    assert artifact.manifest.wheels == ("wheels/library-1.0-py3-none-any.whl",)


def test_the_portal_has_its_pages_and_what_npm_brings(
    repository: Repository, cache: Path, tmp_path: Path
) -> None:
    artifact = build("html5", top=repository.top, out=tmp_path / "out", cache=cache)
    assert names(artifact) == [
        "static/css/app.css",
        "static/vendor/hls.light.min.js",
        "templates/index.html",
    ]
    assert (artifact.manifest.units, artifact.manifest.health) == ((), None)


def test_a_portal_without_npm_says_what_to_install(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None if name == "npm" else f"/bin/{name}")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr("fleet.packages._run", lambda argv: "")
    with pytest.raises(
        FleetError, match="the portal's build needs nodejs, npm, and only"
    ) as caught:
        build("html5", top=repository.top, out=tmp_path / "out", cache=tmp_path / "none")
    assert caught.value.remedy == "as root: apt-get install nodejs npm"


def test_a_portal_without_npm_installs_it_where_that_is_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def npm_fails(argv: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        asked.append(" ".join(argv[:2]))
        return subprocess.CompletedProcess(argv, 1, "", "stop here")

    monkeypatch.setattr("shutil.which", lambda name: None if name == "npm" else f"/bin/{name}")
    monkeypatch.setattr("fleet.packages.ensure", lambda names, purpose: asked.extend(names))
    top = tmp_path / "portal"
    top.mkdir()
    for name in ("package.json", "package-lock.json"):
        (top / name).write_text("{}")
    monkeypatch.setattr("subprocess.run", npm_fails)
    with pytest.raises(FleetError, match="stop here"):
        build_html5.npm_modules(top, tmp_path / "none", "the lock")
    assert asked == ["nodejs", "npm", "npm ci"]


@pytest.mark.parametrize("name", ["no-such-branch", "--all", "", "0" * 40, "HEAD:common"])
def test_an_unknown_revision_is_wrong_usage(repository: Repository, name: str) -> None:
    with pytest.raises(UsageError, match="is no revision in"):
        build("onboard", name, top=repository.top)


def test_an_unknown_kind_is_wrong_usage(repository: Repository) -> None:
    with pytest.raises(UsageError, match="no such kind of artifact: maps"):
        build("maps", top=repository.top)


def test_a_revision_without_a_part_says_which(
    repository: Repository, wheels: Wheelhouse, tmp_path: Path
) -> None:
    with pytest.raises(FleetError, match=r"has no requirements/hangar\.txt"):
        build("hangar", top=repository.top, out=tmp_path, wheels=wheels)
    repository.git("rm", "-r", "--quiet", "sync")
    repository.commit()
    with pytest.raises(FleetError, match="has no sync"):
        build("onboard", top=repository.top, out=tmp_path, wheels=wheels)


def hangs(argv: Sequence[str], **how: object) -> subprocess.CompletedProcess[str]:
    raise subprocess.TimeoutExpired(list(argv), 900)


def test_a_program_that_hangs_is_told_with_the_revision_and_what_to_do(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sha = repository.git("rev-parse", "HEAD")[:12]
    told = subprocess.run

    def run(argv: Sequence[str], **how: Any) -> subprocess.CompletedProcess[Any]:
        return told(argv, **how) if argv[0] == "git" else hangs(argv)

    monkeypatch.setattr("subprocess.run", run)
    monkeypatch.setattr("shutil.which", lambda name: f"/bin/{name}")
    with pytest.raises(FleetError, match=r"npm ci.* did not end within") as caught:
        build("html5", top=repository.top, out=tmp_path / "out", cache=tmp_path / "n")
    assert sha in caught.value.what
    assert caught.value.remedy


def test_pip_that_hangs_is_told_like_any_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("subprocess.run", hangs)
    with pytest.raises(FleetError, match=r"pip .* did not end within"):
        build_wheels.download(read_lock(LOCK, "x"), tmp_path)


@pytest.mark.parametrize("installed", ["other", ""], ids=["another package", "nothing"])
def test_a_portal_whose_lock_lacks_what_its_pages_need_says_so(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, installed: str
) -> None:
    sha = repository.git("rev-parse", "HEAD")[:12]
    told = subprocess.run

    def npm(argv: Sequence[str], **how: Any) -> subprocess.CompletedProcess[Any]:
        if argv[0] != "npm":
            return told(argv, **how)
        if installed:
            (Path(how["cwd"]) / "node_modules" / installed).mkdir(parents=True)
        return subprocess.CompletedProcess(list(argv), 0, "", "")

    monkeypatch.setattr("subprocess.run", npm)
    monkeypatch.setattr("shutil.which", lambda name: f"/bin/{name}")
    with pytest.raises(FleetError, match=r"brings no hls\.js/dist/hls\.light\.min\.js") as caught:
        build("html5", top=repository.top, out=tmp_path / "out", cache=tmp_path / "npm")
    assert sha in caught.value.what
    assert "package.json" in caught.value.remedy


def test_a_warm_build_asks_for_nothing(
    repository: Repository, wheels: Wheelhouse, index: Index, tmp_path: Path
) -> None:
    build("onboard", top=repository.top, out=tmp_path / "one", wheels=wheels)
    build("onboard", top=repository.top, out=tmp_path / "two", wheels=wheels)
    assert index.asked == 1


def test_a_wheel_that_the_disk_changed_is_had_again(
    repository: Repository, wheels: Wheelhouse, index: Index, tmp_path: Path
) -> None:
    one = build("onboard", top=repository.top, out=tmp_path / "one", wheels=wheels)
    (cached,) = wheels.folder.glob("*/*.whl")
    cached.write_bytes(b"damaged")
    two = build("onboard", top=repository.top, out=tmp_path / "two", wheels=wheels)
    assert (index.asked, two.manifest) == (2, one.manifest)


def test_a_wheel_with_another_hash_than_the_locks_is_not_taken(
    repository: Repository, tmp_path: Path
) -> None:
    wheels = Wheelhouse(tmp_path / "wheels", Index(b"something else"))
    with pytest.raises(FleetError, match=r"library 1\.0: no wheel with a hash of the lock"):
        build("onboard", top=repository.top, out=tmp_path, wheels=wheels)


@pytest.mark.parametrize(
    "line",
    [
        "library",
        "library==1.0",
        "library>=1.0 --hash=sha256:" + "0" * 64,
        "library==1.0 ; python_version < '3.14' --hash=sha256:" + "0" * 64,
        "--find-links somewhere",
        "library==1.0 --hash=md5:0",
        "-r other.txt",
    ],
)
def test_a_lock_holds_pins_with_hashes_and_nothing_else(line: str) -> None:
    with pytest.raises(UsageError, match=r"requirements/x\.txt: expected NAME==VERSION --hash"):
        read_lock(f"# a comment\n\n{line}\n", "requirements/x.txt")


def test_a_lock_is_read_with_its_continued_lines() -> None:
    (pin,) = read_lock(LOCK, "x")
    assert (pin.name, pin.version, len(pin.hashes)) == ("library", "1.0", 2)
    assert read_lock(pin.line, "x") == (pin,)


def test_the_command_ends_with_64_for_an_unknown_revision(
    capsys: pytest.CaptureFixture[str],
) -> None:
    from invoke.collection import Collection

    from ci.build_tasks import namespace
    from fleet.program import Commands

    commands = Commands("inv", Collection(namespace))
    assert commands.main(["inv", "build.onboard", "--rev", "no-such-revision"]) == 64
    assert "'no-such-revision' is no revision" in capsys.readouterr().err


def test_the_command_says_where_the_artifact_is(
    repository: Repository,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    import ci.build_tasks

    monkeypatch.setattr(ci.build_tasks, "TOP", repository.top)
    monkeypatch.setattr(
        ci.build_tasks, "build", lambda kind, rev: build(kind, rev, top=repository.top, cache=cache)
    )
    ci.build_tasks._show("html5", "HEAD", as_json=True)
    row = json.loads(capsys.readouterr().out)
    assert (row["kind"], row["files"]) == ("html5", 3)
    assert json.loads(Path(row["manifest"]).read_text())["version"] == row["version"]
