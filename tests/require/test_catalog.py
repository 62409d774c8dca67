"""Declaring collects resources, in an order in which each comes after what it needs."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

import require
from require import DeclarationError
from require import catalog as catalog_module


def test_what_is_declared_keeps_its_order_role_and_place() -> None:
    with require.declare(role="base") as catalog:
        require.apt.packages(["nginx-light"])
        motd = require.file.file("/etc/motd", content="Welcome aboard\n")
    assert [each.key for each in catalog.ordered()] == [
        "apt.packages:nginx-light",
        "file:/etc/motd",
    ]
    assert motd.role == "base"
    assert str(motd.where).endswith(f"test_catalog.py:{motd.where.line}")


def test_some_are_chosen_by_role_and_noun_with_all_that_they_need() -> None:
    with require.declare() as catalog:
        with require.declare(role="base"):
            require.file.directory("/srv")
            require.file.file("/etc/motd", content="x")
        with require.declare(role="web"):
            packages = require.apt.packages(["nginx"])
            require.file.file("/srv/page", content="x")
            require.systemd.service("nginx", needs=[packages])
    assert [each.key for each in catalog.chosen({"systemd"})] == [
        "apt.packages:nginx",
        "systemd.service:nginx.service",
    ]
    assert [each.key for each in catalog.chosen({"web"})] == [
        "file:/srv",
        "apt.packages:nginx",
        "file:/srv/page",
        "systemd.service:nginx.service",
    ]
    assert len(catalog.chosen({"none"})) == 0
    assert len(catalog) == 5


def test_the_calls_of_the_talk_work_as_written() -> None:
    user, password, db = "cms", "s3cret", "cms"
    with require.declare() as catalog:
        require.postgres.server()
        require.postgres.user(name=user, password=password, createdb=True)
        require.postgres.database(name=db, owner=user)
    assert [each.key for each in catalog.ordered()] == [
        "postgres.server",
        "postgres.user:cms",
        "postgres.database:cms",
    ]
    with require.declare() as catalog:
        require.postgres.server()
        require.postgres.user("ife", "s3cret", createdb=True)
        require.postgres.database("ife", owner="ife")
    assert [each.key for each in catalog.ordered()][1:] == [
        "postgres.user:ife",
        "postgres.database:ife",
    ]


def test_a_key_that_is_declared_twice_names_both_places() -> None:
    with require.declare():
        require.file.file("/etc/motd", content="one")
        with pytest.raises(DeclarationError) as error:
            require.file.absent("/etc/motd")
    places = re.findall(r"test_catalog\.py:(\d+)", str(error.value))
    assert len(set(places)) == 2
    assert "file:/etc/motd is declared twice" in str(error.value)


def test_declaring_outside_of_a_block_is_an_error() -> None:
    with pytest.raises(DeclarationError, match=r"file:/etc/motd .*outside"):
        require.file.file("/etc/motd", content="")


def test_the_roles_of_a_host_share_one_catalog() -> None:
    with require.declare(role="host") as outer:
        with require.declare(role="tower") as inner:
            require.file.directory("/etc/wireguard")
        require.file.directory("/etc/turnaround")
    assert inner is outer
    assert [each.role for each in outer] == ["tower", "host"]


def test_what_is_needed_comes_first_even_when_it_is_declared_later() -> None:
    with require.declare() as catalog:
        require.file.file("/srv/a/b", content="", owner="ife")
        require.file.directory("/srv/a")
        require.file.directory("/srv")
        require.user.user("ife", groups=["media"])
        require.user.group("media")
    order = [each.key for each in catalog.ordered()]
    assert order == ["file:/srv", "file:/srv/a", "group:media", "user:ife", "file:/srv/a/b"]


def test_a_service_comes_after_its_unit_file() -> None:
    with require.declare() as catalog:
        service = require.systemd.service("turnaround-api")
        unit = require.systemd.unit("turnaround-api.service", content="[Service]\n")
    assert list(catalog.ordered()) == [unit, service]


def test_systemd_reads_all_unit_files_at_once() -> None:
    with require.declare() as catalog:
        motd = require.file.file("/etc/motd", content="")
        first = require.systemd.unit("a.service", content="[Service]\n")
        a = require.systemd.service("a")
        made = require.command.command("make b", ["true"], creates="/srv/b")
        folder = require.file.directory("/srv")
        second = require.systemd.unit("b.service", content="[Service]\n", needs=[folder])
        late = require.systemd.unit("c.service", content="[Service]\n", needs=[made])
        c = require.systemd.service("c")
    # The command may have been declared there for a reason, so what needs it waits; no other does.
    assert list(catalog.ordered()) == [motd, first, folder, second, a, made, late, c]


def test_the_order_of_many_units_is_found_with_one_question_for_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []
    all_needs = catalog_module._all_needs
    monkeypatch.setattr(
        catalog_module, "_all_needs", lambda key, needs: asked.append(key) or all_needs(key, needs)
    )
    with require.declare() as catalog:
        for number in range(30):
            require.systemd.unit(f"u{number}", content="[Service]\nExecStart=/bin/true\n")
            require.systemd.service(f"u{number}")
    catalog.ordered()
    assert len(asked) < 60


def test_a_unit_file_that_needs_a_service_is_no_circle() -> None:
    with require.declare() as catalog:
        database = require.systemd.service("postgresql")
        unit = require.systemd.unit("a.service", content="[Service]\n", needs=[database])
        other = require.systemd.unit("b.service", content="[Service]\n", needs=[unit])
        service = require.systemd.service("a")
    assert list(catalog.ordered()) == [database, unit, other, service]


def test_needing_each_other_in_a_circle_is_named() -> None:
    with require.declare() as catalog:
        inside = require.file.file("/srv/a/list", content="")
        require.file.directory("/srv/a", needs=[inside])
    with pytest.raises(DeclarationError, match=r"circle: .*file:/srv/a/list .* → file:/srv/a .* →"):
        catalog.ordered()


def test_a_need_of_another_catalog_is_an_error() -> None:
    with require.declare():
        other = require.file.directory("/srv")
    with require.declare() as catalog:
        require.file.file("/etc/motd", content="", needs=[other])
    with pytest.raises(DeclarationError, match="needs file:/srv, which is not declared"):
        catalog.ordered()


def test_two_handlers_of_one_name_must_do_the_same() -> None:
    with require.declare() as catalog:
        for number, argv in enumerate((["true"], ["false"])):
            handler = require.command.handler("firewall", argv)
            require.file.file(f"/etc/{number}", content="", notify=[handler])
    with pytest.raises(DeclarationError, match=r"command\.handler:firewall"):
        catalog.handlers()


def test_where_a_resource_was_declared_does_not_make_it_another_one() -> None:
    with require.declare():
        motd = require.file.file("/etc/motd", content="")
    assert replace(motd, where=type(motd.where)("elsewhere.py", 1)) == motd


@pytest.mark.parametrize("path", ["etc/motd", "/etc//motd", "/etc/../motd", "/etc/motd/", "/a\0b"])
def test_a_path_must_be_absolute_and_plain(path: str) -> None:
    with require.declare(), pytest.raises(DeclarationError, match="wanted an absolute path"):
        require.file.file(path, content="")


def test_what_cannot_be_right_is_said_when_it_is_declared() -> None:
    with require.declare():
        with pytest.raises(DeclarationError, match="guard"):
            require.command.command("wipe", ["rm", "-rf", "/srv/cache"])
        with pytest.raises(DeclarationError, match="list of package names"):
            require.apt.packages(["nginx; rm -rf /"])
        with pytest.raises(DeclarationError, match="one of them"):
            require.systemd.unit("a.service")
        with pytest.raises(DeclarationError, match="name==version"):
            require.python.environment("/opt/x", wheelhouse="/w", requirements=["flask>=3"])
        with pytest.raises(DeclarationError, match="cannot be a name"):
            require.user.user("root:x")
        with pytest.raises(DeclarationError, match="password is empty"):
            require.postgres.user("cms", password="")
