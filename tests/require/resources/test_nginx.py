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
cd "$(dirname "$0")"
echo "$(basename "$0") $*" >>log
case "$(basename "$0") $1" in
    "nginx -t") exit "$(cat bad 2>/dev/null || echo 0)" ;;
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
    for name in ("nginx", "systemctl", "pgrep", "sleep"):
        (tmp_path / name).write_text(FAKE)
        (tmp_path / name).chmod(0o755)
    (tmp_path / "old").write_text("11\n12\n")
    for mark in marks:
        (tmp_path / mark).write_text("1")
    path = f"{tmp_path}:{os.environ['PATH']}"
    argv = require.nginx.taken().spec["argv"]
    assert subprocess.run(argv, env={"PATH": path}, check=False).returncode == code
    said = [line.split() for line in (tmp_path / "log").read_text().splitlines()]
    assert [words[1] for words in said if words[1] in ("reload", "0.2", "restart")] == done
