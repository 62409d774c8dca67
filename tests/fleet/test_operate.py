"""Synchronising, status and logs: what hosts say, well or badly, and what becomes of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from fleet.channel import Completed
from fleet.errors import Exit, FleetError, Offline, UsageError
from fleet.inventory import Host, Inventory
from fleet.logs import command
from fleet.report import Outcome
from fleet.status import ago, ask, backup_line, told
from fleet.sync import aircraft_of, known_before, sync_now

TAA = Host("EC-TAA", ("aircraft",), (), "10.0.0.2")
TAB = Host("EC-TAB", ("aircraft",), (), "10.0.0.3")
HANGAR = Host("hangar", ("hangar",), (), "10.0.0.1")


class Says:
    """A connection whose host says this and ends so."""

    def __init__(self, *lines: str, exit: int = 0, stderr: str = "") -> None:
        self.lines, self.exit, self.stderr = lines, exit, stderr
        self.name = "EC-TAA"
        self.asked: list[Sequence[str]] = []

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout_s: float,
        on_line: Callable[[str], None] | None = None,
    ) -> Completed:
        self.asked.append(argv)
        for line in self.lines:
            if on_line:
                on_line(line)
        return Completed(self.exit, "\n".join(self.lines).encode(), self.stderr.encode())


def test_progress_is_shown_and_the_last_line_is_the_result() -> None:
    said: list[str] = []
    connection = Says(
        '{"step": "sealed 3 rows"}',
        "no json at all",
        '{"event": "pulling"}',
        '{"result": {"applied_rows": 12, "content_files": 0, "bytes_sent": 1834, "seconds": 1.25, '
        '"pushed": true}}',
    )
    outcome = sync_now(connection, TAA, said.append)
    assert said[:3] == ["sealed 3 rows", "no json at all", "pulling"]
    assert outcome.code == Exit.DONE
    assert outcome.detail == "12 applied rows, 1.8 kB sent, 1.2 seconds"
    assert outcome.data["result"]["applied_rows"] == 12
    assert connection.asked == [["sudo", "-n", "-u", "turnaround", "/opt/turnaround/bin/sync-now"]]


LACKS = {"down": {"cat": {"change_sets": 2, "rows": 30, "bytes": 8120, "oldest_s": 7300}}}


def test_what_it_lacks_is_said_until_it_has_been_applied() -> None:
    said: list[str] = []
    connection = Says(
        '{"progress": "pushed 1 change-sets"}',
        '{"progress": "applied 30 rows"}',
        '{"progress": "film Night 34 MB of 200 MB", "seen": {"files": 2}}',
        '{"progress": "film Night 99 MB of 200 MB", "seen": {"files": 1}}',
        '{"result": {"applied_rows": 30}}',
    )
    outcome = sync_now(connection, TAA, said.append, LACKS)
    lacks = "it lacks cat 2 change-sets, 30 rows, 8.1 kB, 2 h old"
    assert said[:4] == [
        lacks,
        f"pushed 1 change-sets; {lacks}",
        "applied 30 rows",
        "film Night 34 MB of 200 MB",
    ]
    assert outcome.data["seen"] == {"files": 1}
    assert outcome.data["before"]["down"] == LACKS["down"]


def test_what_it_lacks_has_come_when_content_moves_in_another_s_synchronisation() -> None:
    said: list[str] = []
    connection = Says(
        '{"progress": "waiting: a synchronisation is running already"}',
        '{"progress": "film Night 34 MB of 200 MB", "seen": {"moving": {"id": "…"}}}',
        '{"result": {}}',
    )
    sync_now(connection, TAA, said.append, LACKS)
    assert said[1].endswith("2 h old")
    assert said[2] == "film Night 34 MB of 200 MB"


def test_what_an_aircraft_says_while_it_synchronises_does_nothing_to_the_terminal() -> None:
    said: list[str] = []
    sync_now(Says('{"progress": "film \\u001b[2J"}', "\x1b]0;x\x07"), TAA, said.append)
    assert said
    assert all(line.isprintable() for line in said)


class Ways:
    """Connections of which each leads to this one."""

    def __init__(self, to: Says) -> None:
        self.to = lambda host: to


def before(hangar: Says, target: str) -> Any:
    hosts = {host.name: host for host in (TAA, TAB, HANGAR)}
    fleet = Inventory("lab", Path("inventory.yml"), {}, hosts)
    return known_before(fleet, Ways(hangar), [TAA, TAB], target)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("target", "quiet"), [("all", ["EC-TAB"]), ("EC-TAB", []), ("EC-TAA,EC-TAB", [])]
)
def test_who_is_silent_is_not_called_unless_it_is_named(target: str, quiet: list[str]) -> None:
    rows = [{"name": "EC-TAA", "seen_s_ago": 9}, {"name": "EC-TAB", "seen_s_ago": 7200}]
    known, silent = before(Says(json.dumps({"aircraft": rows})), target)
    assert set(known) == {"EC-TAA", "EC-TAB"}
    assert list(silent) == quiet


def test_a_hangar_that_does_not_tell_is_no_reason_not_to_call() -> None:
    said: list[str] = []
    known, silent = before(Says("nonsense"), "all")
    assert silent == {}
    outcome = sync_now(Says('{"result": {"applied_rows": 3}}'), TAA, said.append, known["EC-TAA"])
    assert said[0].startswith("what it lacks is not known: ")
    assert "before" not in outcome.data


def test_nothing_to_do_is_said() -> None:
    assert sync_now(Says('{"result": {"rows": 0}}'), TAA, print).detail == "nothing was due"


def test_problems_in_the_result_are_a_failure() -> None:
    outcome = sync_now(Says('{"result": {"problems": ["row 7 is bad"]}}'), TAA, print)
    assert (outcome.code, outcome.lines) == (Exit.FAILED, ("row 7 is bad",))


@pytest.mark.parametrize(
    ("connection", "reason"),
    [
        (Says('{"error": "the tower is down"}', exit=4), "the tower is down"),
        (Says('{"error": {"message": "the tower is down"}}', exit=4), "the tower is down"),
        (Says(exit=127, stderr="a\nsync-now: not found\n"), "sync-now: not found"),
        (Says(exit=-1), "it gave no reason"),
    ],
)
def test_a_failed_synchronisation_has_its_own_words_and_the_remedy(
    connection: Says, reason: str
) -> None:
    with pytest.raises(FleetError, match=reason) as caught:
        sync_now(connection, TAA, lambda text: None)
    assert "sends only the rest" in caught.value.remedy


def test_a_hangar_out_of_reach_of_the_aircraft_is_off_line_and_no_failure() -> None:
    said = '{"result": null, "error": {"code": "out_of_reach", "message": "no answer in 20 s"}}'
    with pytest.raises(Offline, match=r"EC-TAA: .*hangar.*: no answer in 20 s") as caught:
        sync_now(Says(said, exit=3), TAA, lambda text: None)
    assert Outcome.of("EC-TAA", caught.value).code == Exit.OFFLINE
    assert "sends only the rest" in caught.value.remedy


def test_only_aircraft_synchronise() -> None:
    assert aircraft_of([HANGAR, TAA]) == (TAA,)
    with pytest.raises(UsageError, match="hangar is none"):
        aircraft_of([HANGAR])


ROW: dict[str, Any] = {"name": "EC-TAA", "standing": "well", "behind": {"cat ↓": 2}}


def test_status_is_a_row_per_aircraft() -> None:
    rows = ask(Says(json.dumps({"now": "…", "aircraft": [ROW]})))  # type: ignore[arg-type]
    assert rows == [{"host": "EC-TAA", **ROW}]


@pytest.mark.parametrize("said", ["", "[]", "null", '{"aircraft": [{"no": "name"}]}'])
def test_a_status_that_is_none_is_an_error_with_the_remedy(said: str) -> None:
    with pytest.raises(FleetError, match="expected fleet-status to say") as caught:
        ask(Says(said))  # type: ignore[arg-type]
    assert "deploy-hangar" in caught.value.remedy


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (None, "never"),
        (0, "0 s ago"),
        (61, "1 min ago"),
        (7300, "2 h ago"),
        (90_000, "1 day ago"),
        (180_000, "2 days ago"),
    ],
)
def test_a_span_is_said_as_people_do(seconds: int | None, said: str) -> None:
    assert ago(seconds) == said


def test_logs_are_asked_for_by_unit_and_time() -> None:
    argv = command(20, "turnaround-api", "-10min")
    assert argv[-3:] == ["--lines=20", "--unit=turnaround-api", "--since=-10min"]
    assert command(1, "", "")[-1] == "--unit=turnaround-*"


@pytest.mark.parametrize("lines", [0, -1, 10_001])
def test_too_many_lines_are_wrong_usage(lines: int) -> None:
    with pytest.raises(UsageError, match="--lines: expected 1 to 10000"):
        command(lines, "", "")


@pytest.mark.parametrize(
    ("backup", "said", "good"),
    [
        (
            {"database_s": 7200, "files_s": 60, "wal_s": 0},
            "hangar: backup of database 2 h ago, files 1 min ago, WAL: all",
            True,
        ),
        (
            {"database_s": None, "files_s": 7200, "wal_s": 30},
            "hangar: backup of database never (too old), files 2 h ago (too old), WAL: 30 s ago",
            False,
        ),
        (
            {"database_s": 1, "files_s": 1, "wal_s": None},
            "hangar: backup of database 1 s ago, files 1 s ago, WAL: never (too old)",
            False,
        ),
    ],
)
def test_a_backup_that_is_too_old_is_said_to_be(
    backup: dict[str, int | None], said: str, good: bool
) -> None:
    assert backup_line("hangar", backup) == (said, good)


def test_a_hangar_without_a_backup_says_nothing_of_one() -> None:
    assert told(Says('{"aircraft": []}')) == ([], None)
