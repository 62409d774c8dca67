"""Sites of nginx: where they are, how they are judged, and how nginx takes them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import require
from require.errors import DeclarationError

FAKE = """#!/bin/sh
cd "${0%/*}"
echo "${0##*/} $*" >>log
case "${0##*/} $1" in
    "nginx -t") exit "$(cat bad 2>/dev/null || echo 0)" ;;
    "nginx -T") cat listens 2>/dev/null || true ;;
    "ss -Hltnp") cat held 2>/dev/null || true ;;
    "systemctl show") echo 7 ;;
    "systemctl is-active") test ! -e stopped ;;
    "systemctl reload") test -e refuses || echo 13 >new ;;
    "sleep 0.2") test ! -e new || test ! -e both || rm old; touch both ;;
    "pgrep --parent") cat old new 2>/dev/null ;;
esac
"""


def test_a_site_is_judged_in_its_place_and_taken_by_nginx() -> None:
    with require.declare() as catalog:
        site = require.nginx.site("cabin", content="server {}\n")
        require.nginx.absent_site("default")
    assert [each.key for each in catalog] == [
        "file:/etc/nginx/conf.d/cabin.conf",
        "file:/etc/nginx/conf.d/default.conf",
        "file:/etc/nginx/sites-enabled/default",
    ]
    assert site.validate == ("nginx", "-t")
    assert catalog.handlers() == (require.nginx.taken(),)


def test_a_site_may_come_from_a_template(tmp_path: Path) -> None:
    (tmp_path / "site.j2").write_text("listen {{ address }}:80;")
    with require.declare(templates=tmp_path):
        site = require.nginx.site("cabin", template="site.j2", address="10.20.0.2")
    assert site.content == b"listen 10.20.0.2:80;"


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: require.nginx.site("cabin"), r"nginx\.site\('cabin'\): wanted content="),
        (lambda: require.nginx.site("../x", content=""), "cannot be the name of a site"),
        (lambda: require.nginx.absent_site(".x"), "cannot be the name of a site"),
    ],
)
def test_what_can_be_no_site_is_refused(make: Callable[[], object], said: str) -> None:
    with pytest.raises(DeclarationError, match=said), require.declare():
        make()


@pytest.mark.parametrize(
    ("marks", "code", "done"),
    [
        ((), 0, ["reload", "0.2", "0.2"]),
        (("refuses",), 0, ["reload", *["0.2"] * 20, "restart"]),
        (("stopped",), 0, ["restart"]),
        (("bad",), 1, []),
    ],
    ids=["taken", "an address is held", "not running", "not accepted"],
)
def test_nginx_is_restarted_only_where_a_reload_was_not_taken(
    tmp_path: Path, marks: tuple[str, ...], code: int, done: list[str]
) -> None:
    for mark in marks:
        (tmp_path / mark).write_text("1")
    assert take(tmp_path).returncode == code
    assert [word for word in told(tmp_path) if word in ("reload", "0.2", "restart")] == done


@pytest.mark.parametrize(
    ("listens", "held", "stays"),
    [
        ("server { listen 8082; }", "0.0.0.0:8082", True),
        ("listen\t10.20.0.1;", "*:80", True),
        ("listen 10.20.0.1:80 default_server;", "10.20.0.1:80", True),
        ("listen 10.20.0.1:80;", "0.0.0.0:80", True),
        ("listen *:80;", "127.0.0.1:80", True),
        ("listen [::]:80;", "[::1]:80", True),
        ("listen [fd00::1]:80;", "[::]:80", True),
        ("listen 10.20.0.1:80;", "10.20.0.2:80", False),
        ("listen 80;", "[::1]:80", False),
        ("listen [::]:80;", "0.0.0.0:80", False),
        ("listen 80;", "0.0.0.0:8080", False),
        ("# listen 80;", "0.0.0.0:80", False),
        ("listen unix:/run/x.sock;", "0.0.0.0:80", False),
    ],
)
def test_nginx_goes_on_where_another_program_holds_what_it_is_to_listen_on(
    tmp_path: Path, listens: str, held: str, stays: bool
) -> None:
    (tmp_path / "refuses").touch()
    (tmp_path / "listens").write_text(f"# configuration file /etc/nginx/nginx.conf:\n{listens}\n")
    own = 'LISTEN 0 511 0.0.0.0:80 0.0.0.0:* users:(("nginx",pid=7,fd=6))\n'
    other = f'LISTEN 0 5 {held} 0.0.0.0:* users:(("python3",pid=9,fd=3))\n'
    (tmp_path / "held").write_text(own + other)
    done = take(tmp_path)
    assert (done.returncode, "restart" in told(tmp_path)) == (int(stays), not stays)
    assert (held in done.stderr) is stays


def take(folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs the handler with programs that do as the marks in a folder say."""
    for name in ("nginx", "systemctl", "pgrep", "sleep", "ss"):
        (folder / name).write_text(FAKE)
        (folder / name).chmod(0o755)
    (folder / "old").write_text("11\n12\n")
    path = f"{folder}:{os.environ['PATH']}"
    argv = require.nginx.taken().spec["argv"]
    return subprocess.run(argv, env={"PATH": path}, check=False, capture_output=True, text=True)


def told(folder: Path) -> list[str]:
    """Returns the first argument of each program that was run."""
    return [line.split()[1] for line in (folder / "log").read_text().splitlines()]
