"""What is applied: nothing that changed since the look, and each handler exactly once."""

from __future__ import annotations

import require
from require.catalog import Catalog
from tests.require.host import Host, Meddling, note, statuses


def test_what_changed_since_the_look_is_not_overwritten(host: Host) -> None:
    with host.files(2) as catalog:
        pass
    meddling = Meddling(lambda: (host.root / "file 0").write_text("theirs\n"))
    result = host.converge(catalog, transport=meddling)
    assert statuses(result) == {"file 0": "failed", "file 1": "changed"}
    assert "no longer as it was probed, so nothing was overwritten" in result.errors[0]
    assert host.read("file 0") == "theirs\n"
    assert set(statuses(host.converge(catalog)).values()) == {"changed", "ok"}
    assert host.read("file 0") == "one\n"


def test_what_an_earlier_step_of_the_run_changed_is_no_conflict(host: Host) -> None:
    """A package brings its own configuration file, which is declared too."""
    with require.declare() as catalog:
        require.command.command(
            "install", f"echo default > '{host.path('conf')}'", creates=host.path("conf")
        )
        require.file.file(host.path("conf"), content="ours\n", owner=None)
    result = host.converge(catalog)
    assert result.errors == ()
    assert host.read("conf") == "ours\n"


def test_what_a_handler_of_the_run_changed_is_no_conflict(host: Host) -> None:
    """systemd reads its units again before a service is touched, and then says other things of it."""
    reload = f"echo read >> '{host.path('reloads')}'"
    read = require.Handler(
        "command",
        {"verb": "handler", "name": "read", "argv": ["/bin/sh", "-c", reload]},
        before=("command:",),
    )
    with require.declare() as catalog:
        for name in ("a.service", "b.service"):
            require.file.file(host.path(name), content="", owner=None, notify=[read])
            require.command.command(
                f"start {name}", ["false"], unless=["test", "-e", host.path("reloads")]
            )
    result = host.converge(catalog)
    assert result.errors == ()
    assert host.read("reloads") == "read\n"


def test_a_directory_goes_after_what_was_in_it(host: Host) -> None:
    (host.root / "d").mkdir()
    (host.root / "d" / "conf").touch()
    with require.declare() as catalog:
        inside = require.file.absent(host.path("d/conf"))
        require.file.absent(host.path("d"), needs=[inside])
    assert host.converge(catalog).errors == ()
    assert not (host.root / "d").exists()


def test_the_directory_of_our_own_notes_may_be_declared(host: Host) -> None:
    with require.declare() as catalog:
        require.file.directory(str(host.state), owner=None, mode=0o751)
    assert host.converge(catalog).errors == ()
    assert host.state.stat().st_mode & 0o777 == 0o751


def test_a_handler_runs_once_after_all_changes_and_not_without_one(host: Host) -> None:
    with require.declare() as catalog:
        for name in ("a", "b"):
            require.file.file(
                host.path(name), content="", owner=None, notify=[note(host, "restarts")]
            )
    result = host.converge(catalog)
    assert [(each.key, each.status) for each in result.handlers] == [
        ("command.handler:restarts", "changed")
    ]
    assert host.read("restarts") == "ran\n"
    assert host.converge(catalog).handlers == ()
    assert host.read("restarts") == "ran\n"
    assert list((host.state / "pending").iterdir()) == []


def interrupted(host: Host) -> Catalog:
    """A file that calls for a restart, then a step in which the power goes, once."""
    with require.declare() as catalog:
        require.file.file(
            host.path("conf"), content="", owner=None, notify=[note(host, "restarts")]
        )
        require.command.command(
            "power cut",
            f"touch '{host.path('cut')}'; kill -9 $PPID",
            creates=host.path("cut"),
            user="",
        )
        require.file.file(host.path("after"), content="", owner=None)
    return catalog


def test_a_handler_of_an_interrupted_run_runs_in_the_next_one_exactly_once(host: Host) -> None:
    catalog = interrupted(host)
    first = host.converge(catalog)
    assert first.failed
    assert "was not seen" in first.errors[-1]
    assert (host.root / "conf").exists()
    assert not (host.root / "after").exists()
    assert not (host.root / "restarts").exists()
    second = host.converge(catalog)
    assert second.errors == ()
    assert second.last_run is not None
    assert (second.last_run.run, second.last_run.finished) == (first.run, False)
    assert statuses(second) == {"conf": "ok", "command:power cut": "ok", "after": "changed"}
    assert host.read("restarts") == "ran\n"
    assert host.converge(catalog).trips == 1
    assert host.read("restarts") == "ran\n"


def test_a_marker_that_was_left_is_shown_by_check_and_is_enough_to_apply(host: Host) -> None:
    catalog = interrupted(host)
    host.converge(catalog)
    (host.root / "after").touch()
    (host.root / "after").chmod(0o644)
    check = host.converge(catalog, check=True)
    assert [each.key for each in check.changes] == ["command.handler:restarts"]
    assert host.converge(catalog).trips == 2
    assert host.read("restarts") == "ran\n"


def test_a_handler_that_fails_is_an_error_and_is_tried_again(host: Host) -> None:
    handler = require.command.handler("reload", f"test -e '{host.path('ready')}'")
    with require.declare() as catalog:
        require.file.file(host.path("conf"), content="", owner=None, notify=[handler])
    first = host.converge(catalog)
    assert "command.handler:reload" in first.errors[0]
    assert host.converge(catalog).failed
    (host.root / "ready").touch()
    assert not host.converge(catalog).failed
    assert host.converge(catalog).trips == 1


def test_a_change_that_was_refused_calls_for_no_handler(host: Host) -> None:
    with require.declare() as catalog:
        require.file.file(
            host.path("conf"),
            content="",
            owner=None,
            validate=["/bin/false", "{}"],
            notify=[note(host, "restarts")],
        )
    assert host.converge(catalog).failed
    assert list((host.state / "pending").iterdir()) == []
    assert not (host.root / "restarts").exists()
