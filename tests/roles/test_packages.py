"""Packages over the tower: which mirrors the hangar asks, what it keeps, whom an aircraft asks."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import require
from require.templates import render
from roles import packages

TOP = Path(__file__).resolve().parents[2]
TARGETS = (
    "http://deb.example/debian/ trixie\n"
    "http://deb.example/debian/ trixie-updates\n"
    "mirror+file:{folder}/mirrors/security.list trixie-security\n"
    "http://other.example/ nodistro\n"
)


def declared(group: str) -> require.Catalog:
    hangar = SimpleNamespace(tower_address="10.1.64.1")
    host = SimpleNamespace(groups=(group,), tower_address="10.1.64.1", hangar=hangar)
    with require.declare(templates=TOP / "templates") as catalog:
        packages.apply(host)  # type: ignore[arg-type]
    return catalog


def test_an_aircraft_loses_its_former_sources_only_when_the_hangar_is_one() -> None:
    catalog = declared("aircraft")
    for path in packages.SOURCES:
        absent: Any = catalog[f"file:{path}"]
        assert absent.needs == (
            "apt.repository:turnaround",
            "apt.repository:turnaround-security",
        )
    source: Any = catalog["apt.repository:turnaround"]
    assert "URIs: http://10.1.64.1:3142/debian\n" in source.source.content.decode()


def test_the_proxy_is_bound_and_walled_before_its_package_starts_it() -> None:
    order = [resource.key for resource in declared("hangar").ordered()]
    package = order.index("apt.packages:apt-cacher-ng")
    conf = f"file:{packages.FOLDER}/acng.conf"
    drop_in = "file:/etc/systemd/system/apt-cacher-ng.service.d/turnaround.conf"
    assert max(order.index(conf), order.index(drop_in)) < package
    catalog = declared("hangar")
    content: Any = catalog[conf]
    assert b"BindAddress: 10.1.64.1\n" in content.content
    assert b"ForceManaged: 1\n" in content.content


def run(script: str, folder: Path, variables: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    text = render(TOP / "templates", f"bin/{script}.sh.j2", variables).text
    path = f"{folder}/bin:{os.environ['PATH']}"
    return subprocess.run(
        ["sh", "-s"], input=text, env={"PATH": path}, capture_output=True, text=True, check=False
    )


@pytest.fixture
def apt(tmp_path: Path) -> Path:
    """A folder with an apt that has some sources and a proxy."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "mirrors").mkdir()
    (tmp_path / "mirrors" / "security.list").write_text("# ours\nhttps://sec.example/debian\n")
    (tmp_path / "targets").write_text(TARGETS.format(folder=tmp_path))
    for name, text in (
        ("apt-get", f"cat {tmp_path}/targets"),
        ("apt-config", "echo \"proxy='http://p.example:3128'\""),
    ):
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    return tmp_path


def test_the_mirrors_are_those_of_the_hangars_own_apt(apt: Path) -> None:
    done = run("package-mirrors", apt, {"folder": apt, "suite": "trixie"})
    assert done.returncode == 0, done.stderr
    found = {name: (apt / name).read_text().strip() for name in ("backends_debian", "proxy.conf")}
    assert found == {
        "backends_debian": "http://deb.example/debian/",
        "proxy.conf": "Proxy: http://p.example:3128",
    }
    assert (apt / "backends_security").read_text() == "https://sec.example/debian\n"


def test_a_hangar_without_a_source_says_which(apt: Path) -> None:
    (apt / "targets").write_text("http://deb.example/debian/ trixie\n")
    done = run("package-mirrors", apt, {"folder": apt, "suite": "trixie"})
    assert done.returncode == 1
    assert "expected apt here to have a source of trixie-security" in done.stderr


def test_what_nobody_asked_for_the_longest_goes_first_and_no_more_than_needed(
    tmp_path: Path,
) -> None:
    for age, name in enumerate(["young", "middle", "old"]):
        path = tmp_path / f"{name}.deb"
        path.write_bytes(bytes(100_000))
        os.utime(path, (1_000_000_000 - age * 1000, 1_000_000_000))
    (tmp_path / "Packages").write_bytes(bytes(100_000))
    variables = {"cache": tmp_path, "bytes": 330_000}
    assert run("package-sweep", tmp_path, variables).returncode == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "Packages",
        "middle.deb",
        "young.deb",
    ]
    assert run("package-sweep", tmp_path, variables).returncode == 0
    assert len(list(tmp_path.iterdir())) == 3
