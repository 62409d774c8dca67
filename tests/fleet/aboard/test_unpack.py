"""Wheels into a Python environment, and nothing outside it."""

from __future__ import annotations

import io
import json
import stat
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from fleet.aboard import unpack
from fleet.aboard.errors import ManifestError
from fleet.aboard.world import run
from tests.fleet.aboard.host import Host, build, wheel

ROOM = 1 << 30


@pytest.fixture
def library(tmp_path: Path) -> Path:
    folder = tmp_path / "site-packages"
    folder.mkdir()
    return folder


def archive(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "a.whl"
    path.write_bytes(content)
    return path


def test_code_goes_to_site_packages_wherever_the_wheel_keeps_it(
    tmp_path: Path, library: Path
) -> None:
    files = {
        "app/__init__.py": b"",
        "app-1.dist-info/METADATA": b"Name: app",
        "app-1.data/purelib/pure.py": b"p",
        "app-1.data/platlib/plat.so": b"s",
        "app-1.data/scripts/app": b"#!python",
        "app-1.data/headers/app.h": b"int",
    }
    written = unpack.unpack_wheel(archive(tmp_path, wheel(files)), "app.whl", library, ROOM)
    found = {str(path.relative_to(library)) for path in library.rglob("*") if path.is_file()}
    assert found == {"app/__init__.py", "app-1.dist-info/METADATA", "pure.py", "plat.so"}
    assert written == len(b"Name: app" + b"p" + b"s")


@pytest.mark.parametrize(
    "path", ["../evil.py", "/etc/cron.d/evil", "app/../../evil.py", "app\\..\\evil", "a//b"]
)
def test_a_wheel_that_leaves_its_place_is_refused(tmp_path: Path, library: Path, path: str) -> None:
    with pytest.raises(ManifestError, match=r"app\.whl: holds .* leave the release"):
        unpack.unpack_wheel(archive(tmp_path, wheel({path: b"x"})), "app.whl", library, ROOM)
    assert not list(tmp_path.rglob("*evil*"))


def test_a_link_in_a_wheel_is_refused(tmp_path: Path, library: Path) -> None:
    path = tmp_path / "a.whl"
    with zipfile.ZipFile(path, "w") as content:
        entry = zipfile.ZipInfo("app/secrets")
        entry.external_attr = (stat.S_IFLNK | 0o777) << 16
        content.writestr(entry, "/etc/shadow")
    with pytest.raises(ManifestError, match="leave the release"):
        unpack.unpack_wheel(path, "app.whl", library, ROOM)


def test_two_wheels_with_the_same_file_are_refused(tmp_path: Path, library: Path) -> None:
    path = archive(tmp_path, wheel({"app.py": b"x"}))
    unpack.unpack_wheel(path, "one.whl", library, ROOM)
    with pytest.raises(ManifestError, match=r"two\.whl: another wheel has brought .*app\.py"):
        unpack.unpack_wheel(path, "two.whl", library, ROOM)


def test_a_wheel_that_unpacks_to_too_much_is_refused(tmp_path: Path, library: Path) -> None:
    path = archive(tmp_path, wheel({"app.py": b"x" * 100}))
    with pytest.raises(ManifestError, match="unpacks to more than"):
        unpack.unpack_wheel(path, "app.whl", library, 99)


def test_what_is_no_zip_is_refused(tmp_path: Path, library: Path) -> None:
    with pytest.raises(ManifestError, match="not a wheel"):
        unpack.unpack_wheel(archive(tmp_path, b"no zip"), "app.whl", library, ROOM)


def damaged(fault: str) -> bytes:
    """A wheel with one file that the archive's directory promises and nobody can read."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("app.py", b"answer = 42\n" * 20)
    data = bytearray(content.getvalue())
    first, listed = 0, data.index(b"PK\1\2")
    body = first + 30 + len("app.py")
    if fault == "deflate":
        data[body] |= 0b110  # a kind of block that does not exist
    elif fault == "encrypted":
        data[first + 6] |= 1
        data[listed + 8] |= 1
    elif fault == "name":
        data[listed + 9] |= 0x08  # the name is UTF-8, they say
        data[listed + 46] = 0xFF
    elif fault == "before":
        ends = data.index(b"PK\5\6")
        data[ends + 16 : ends + 20] = (listed + 9).to_bytes(4, "little")
    elif fault == "cut":
        data[first + 8] = data[listed + 10] = zipfile.ZIP_STORED
        data[listed + 20 : listed + 28] = (1 << 20).to_bytes(4, "little") * 2
    else:
        data[first + 8] = data[listed + 10] = int(fault)
    return bytes(data)


@pytest.mark.parametrize(
    "fault",
    [
        "deflate",
        "encrypted",
        "name",
        "before",
        "cut",
        str(zipfile.ZIP_BZIP2),
        str(zipfile.ZIP_LZMA),
        "9",
    ],
)
def test_a_wheel_that_cannot_be_read_is_refused(tmp_path: Path, library: Path, fault: str) -> None:
    with pytest.raises(ManifestError, match=r"^app\.whl: not a wheel"):
        unpack.unpack_wheel(archive(tmp_path, damaged(fault)), "app.whl", library, ROOM)


def test_a_file_in_the_place_of_a_folder_is_refused(tmp_path: Path, library: Path) -> None:
    path = archive(tmp_path, wheel({"app": b"", "app/deep/x.py": b""}))
    with pytest.raises(ManifestError, match=r"app\.whl: another file is in the place of"):
        unpack.unpack_wheel(path, "app.whl", library, ROOM)


FILES = {
    "app/ours/__init__.py": b"number = 1\n",
    "wheels/library.whl": wheel({"library.py": b"same = True\n"}),
}


def test_the_environment_runs_its_own_code_and_nothing_of_the_machine(host: Host) -> None:
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    built = build(1, files=FILES)
    built = replace(built, manifest=replace(built.manifest, python=python))
    interpreter = Path(sys.base_prefix) / "bin" / f"python{python}"
    host.world = replace(host.world, python=interpreter, python_version=python)
    host.accept(built)
    release = host.world.release("onboard", built.version)
    code = "import library, ours, sys, json; print(json.dumps([ours.number, sys.prefix, sys.path]))"
    done = subprocess.run(
        [f"{host.world.link('onboard')}/bin/python", "-c", code],
        capture_output=True,
        check=True,
        env={},
        cwd="/",
    )
    number, prefix, path = json.loads(done.stdout)
    assert number == 1
    assert Path(prefix).resolve() == release.resolve()
    current = host.world.link("onboard")
    assert [one for one in path if one.startswith(str(current))] == [
        f"{current}/lib/python{python}/site-packages",
        f"{current}/app",
    ]


def test_byte_code_names_the_place_where_the_release_will_be(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Root compiles, and whoever calls chooses the folder that it is called in.
    monkeypatch.chdir(tmp_path)
    (tmp_path / "compileall.py").write_text("open('was here', 'w')")
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    built = build(1, files=FILES)
    built = replace(built, manifest=replace(built.manifest, python=python, setup=()))
    told = host.world.run
    interpreter = Path(sys.base_prefix) / "bin" / f"python{python}"
    host.world = replace(
        host.world,
        python=interpreter,
        python_version=python,
        run=lambda argv, **how: (run if "compileall" in argv else told)(argv, **how),
    )
    host.accept(built)
    release = host.world.release("onboard", built.version)
    (library,) = release.glob("lib/*/site-packages/__pycache__/library.*.pyc")
    (ours,) = release.glob("app/ours/__pycache__/*.pyc")
    for compiled, folder in ((library, "lib"), (ours, "app")):
        assert str(release / folder).encode() in compiled.read_bytes()
        assert b".tmp" not in compiled.read_bytes()
    assert not (tmp_path / "was here").exists()
