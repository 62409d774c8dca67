"""What roles are given, and what a converge means for people and for the exit code."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import fleet.context
import require
from fleet.context import catalog, role_names
from fleet.converge import converge as converge_hosts
from fleet.converge import on_host, shortened
from fleet.errors import Exit, FleetError, HostKeyChanged, LinkLost, Offline, UsageError
from fleet.inventory import Group, Host, Inventory
from fleet.report import PlainReporter
from require.result import Event, LastRun, Outcome, Result

HOST = Host(
    "EC-TAA",
    ("aircraft",),
    ("base", "extra"),
    "10.0.0.2",
    tower="10.1.0.2",
    vars={"airline": "TA"},
    facts={"tower_key": "k"},
    line=7,
)


def fleet_of(*hosts: Host) -> Inventory:
    groups = {"aircraft": Group("aircraft", ())}
    return Inventory("lab", Path("inventory.yml"), groups, {host.name: host for host in hosts})


@pytest.fixture
def role(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes a role of a function, as a module of `roles/` would be."""

    def make(**functions: Callable[[Any], None]) -> None:
        modules = {}
        for name, function in functions.items():
            modules[name] = ModuleType(f"roles.{name}")
            modules[name].apply = function  # type: ignore[attr-defined]
        monkeypatch.setattr(fleet.context, "role_names", lambda: frozenset(modules))
        monkeypatch.setattr(
            fleet.context, "import_module", lambda name: modules[name.removeprefix("roles.")]
        )

    return make


def nothing(_: Any) -> None:
    pass


class TestTags:
    @pytest.fixture
    def fleet(self, role: Callable[..., None]) -> Inventory:
        def base(_: Any) -> None:
            require.file.file("/etc/base", content="x")

        def extra(_: Any) -> None:
            require.apt.packages(["nginx"])

        role(base=base, extra=extra)
        return fleet_of(HOST, replace(HOST, name="EC-TAB", roles=("base",)))

    def converge(self, fleet: Inventory, tags: str) -> list[Any]:
        class Unreached:
            def to(self, host: Host) -> Any:
                raise Offline(f"{host.name}: asked")

            def hang_up(self, host: Host) -> None:
                pass

        hosts = tuple(fleet.hosts.values())
        made = converge_hosts(
            fleet, hosts, Unreached(), lambda: PlainReporter(io.StringIO()), check=True, tags=tags
        )  # type: ignore[arg-type]
        return [each.status for each in made]

    def test_a_host_that_has_nothing_of_it_is_not_asked(self, fleet: Inventory) -> None:
        assert self.converge(fleet, "extra") == ["off-line", "no change"]
        assert self.converge(fleet, "apt , file") == ["off-line", "off-line"]

    @pytest.mark.parametrize("tags", ["extar", "base,systemd", ","])
    def test_a_tag_that_no_host_has_is_wrong_usage(self, fleet: Inventory, tags: str) -> None:
        with pytest.raises(UsageError, match=r"--tags: expected roles or nouns.*\n.*apt, base"):
            self.converge(fleet, tags)


@pytest.mark.parametrize("wrong", [{"slots": 0}, {"max_failed": "few"}, {"tags": "nix"}])
def test_what_is_wrong_is_found_before_anybody_waits_at_the_hangar(
    role: Callable[..., None], wrong: dict[str, Any]
) -> None:
    def away() -> None:
        raise AssertionError("somebody was queued")

    role(base=nothing, extra=nothing)
    with pytest.raises(UsageError, match="expected"):
        converge_hosts(
            fleet_of(HOST),
            [HOST],
            None,  # type: ignore[arg-type]
            lambda: PlainReporter(io.StringIO()),
            away=away,
            **wrong,
        )


class TestWhatARoleIsGiven:
    def test_the_host_its_variables_and_all_neighbours_with_their_facts(
        self, role: Callable[..., None]
    ) -> None:
        seen: list[Any] = []
        role(base=seen.append, extra=nothing)
        catalog(fleet_of(HOST), HOST)
        (context,) = seen
        assert (context.name, context.groups, context.tower) == (
            "EC-TAA",
            ("aircraft",),
            "10.1.0.2",
        )
        assert context.vars["airline"] == "TA"
        assert context.hosts["EC-TAA"].facts["tower_key"] == "k"
        assert context.hosts["EC-TAA"].tower == "10.1.0.2"

    def test_only_the_roles_asked_for_declare(self, role: Callable[..., None]) -> None:
        def base(_: Any) -> None:
            require.file.file("/etc/base", content="x")

        def extra(_: Any) -> None:
            require.file.file("/etc/extra", content="x")

        role(base=base, extra=extra)
        assert [each.key for each in catalog(fleet_of(HOST), HOST, ("extra",))] == [
            "file:/etc/extra"
        ]
        assert [each.role for each in catalog(fleet_of(HOST), HOST)] == ["base", "extra"]

    def test_a_variable_that_is_missing_is_named_with_the_host(
        self, role: Callable[..., None]
    ) -> None:
        role(base=lambda host: host.vars["airlin"], extra=nothing)
        with pytest.raises(
            UsageError, match=r"^inventory\.yml:7: expected the variable airlin"
        ) as caught:
            catalog(fleet_of(HOST), HOST)
        assert "did you mean airline?" in caught.value.what

    def test_a_role_that_does_not_exist_is_wrong_usage(self, role: Callable[..., None]) -> None:
        role(base=nothing, extras=nothing)
        with pytest.raises(UsageError, match=r"no role extra \(did you mean extras\?\)"):
            catalog(fleet_of(HOST), HOST)

    def test_what_two_roles_both_declare_is_told_before_anything_is_touched(
        self, role: Callable[..., None]
    ) -> None:
        def twice(_: Any) -> None:
            require.file.file("/etc/same", content="x")

        role(base=twice, extra=twice)
        with pytest.raises(
            UsageError, match="EC-TAA: role extra: file:/etc/same is declared twice"
        ):
            catalog(fleet_of(HOST), HOST)

    def test_the_real_roles_are_found(self) -> None:
        assert {"base", "tower", "hangar", "aircraft"} <= role_names()


class Line:
    """A connection that is never opened."""

    name = "EC-TAA"
    trips = 7
    traffic_bytes = 2000

    def shell(self, *_: Any, **__: Any) -> Any:
        raise self.error

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error


def converge(result: Result, *, check: bool = False, diff: bool = False) -> Any:
    def engine(*_: Any, **__: Any) -> Result:
        return result

    return on_host(Line(), require.Catalog(), lambda text: None, check=check, diff=diff, run=engine)  # type: ignore[arg-type]


LONG = "\n".join(["--- /etc/x (on the host)", *(f"+line {number}" for number in range(100))])
OK = Outcome("file:/etc/a", "ok")
CHANGED = Outcome("file:/etc/x", "changed", "content", LONG, role="base", where="roles/base.py:3")
WOULD = Outcome("file:/etc/x", "would change", "content", LONG, role="base")
UNKNOWN = Outcome("postgres.user:t", "unknown", reason="until PostgreSQL answers")


@pytest.mark.parametrize(
    ("result", "check", "code", "status"),
    [
        (Result("EC-TAA", False, (OK,)), False, 0, "no change"),
        (Result("EC-TAA", True, (OK,)), True, 0, "no change"),
        (Result("EC-TAA", False, (OK, CHANGED)), False, 0, "changed"),
        (Result("EC-TAA", True, (OK, WOULD)), True, 2, "would change"),
        (Result("EC-TAA", True, (OK, UNKNOWN)), True, 2, "would change"),
        (Result("EC-TAA", True, (OK, WOULD), errors=("hung",)), True, 4, "failed"),
        (Result("EC-TAA", False, (OK,), errors=("no disk",)), False, 4, "failed"),
        (Result("EC-TAA", False, (OK,), link_lost=True, errors=("?",)), False, 4, "failed"),
    ],
)
def test_what_a_result_means(result: Result, check: bool, code: int, status: str) -> None:
    outcome = converge(result, check=check)
    assert (outcome.code, outcome.status) == (Exit(code), status)


def test_a_check_shows_where_diffs_begin_and_diff_shows_them_whole() -> None:
    result = Result("EC-TAA", True, (WOULD,))
    assert any("--diff shows them" in line for line in converge(result, check=True).lines)
    assert "+line 99" in converge(result, check=True, diff=True).lines
    changed = Result("EC-TAA", False, (CHANGED,))
    assert converge(changed).lines == ("changed: file:/etc/x (base): content",)


def test_the_log_has_diffs_whole_and_all_else_that_is_shown() -> None:
    result = Result("EC-TAA", True, (WOULD,), errors=("no disk",), last_run=UNFINISHED)
    outcome = converge(result, check=True)
    assert "+line 99" in outcome.whole
    assert {each for each in outcome.lines if "--diff" not in each} <= set(outcome.whole)
    assert outcome.whole[-1] == "error: no disk"


def test_json_has_changes_and_what_it_cost() -> None:
    told = converge(Result("EC-TAA", True, (OK, WOULD), trips=1), check=True).as_json()
    assert [change["key"] for change in told["changes"]] == ["file:/etc/x"]
    assert told["resources"] == 2
    assert {"trips", "bytes", "seconds", "errors"} <= set(told)


UNFINISHED = LastRun("r7", "eva@gate", "2026-11-23T02:00:00Z", finished=False, running=False)
WENT_WELL = LastRun("r7", "eva@gate", "2026-11-23T02:00:00Z", finished=True, running=False)
BEFORE = "run before this one: r7 by eva@gate at 2026-11-23T02:00:00Z"


@pytest.mark.parametrize(
    ("last", "lines"),
    [
        (None, ()),
        (WENT_WELL, ()),
        (replace(WENT_WELL, finished=False), (f"{BEFORE} was cut short",)),
        (replace(WENT_WELL, finished=False, running=True), (f"{BEFORE} goes on",)),
        (
            replace(WENT_WELL, failed=("file:/etc/a", "systemd.restarted:nginx.service")),
            (f"{BEFORE} came to its end, failed: file:/etc/a, systemd.restarted:nginx.service",),
        ),
        (
            LastRun("r7", "", "", finished=False, running=False),
            ("run before this one: r7 by someone at a time that was not noted was cut short",),
        ),
    ],
)
def test_a_run_that_did_not_go_well_is_told_at_the_next_contact(
    last: LastRun | None, lines: tuple[str, ...]
) -> None:
    outcome = converge(Result("EC-TAA", False, (OK,), last_run=last))
    assert outcome.lines == lines
    told = json.loads(json.dumps(outcome.as_json()))["last_run"]
    assert told == (None if last is None else {**vars(last), "failed": list(last.failed)})


def test_a_diff_that_is_short_is_not_cut() -> None:
    assert shortened(["a", "b"], 2) == ["a", "b"]
    assert shortened(["a", "b", "c"], 2) == ["a", "b", "… 1 more lines; --diff shows them"]
    assert shortened(["a"], 0) == []


def ask(error: Exception) -> None:
    def engine(transport: require.Transport, *_: Any, **__: Any) -> Result:
        transport.call("true", b"", timeout_s=1)
        raise AssertionError("unreachable")

    on_host(Line(error), require.Catalog(), lambda text: None, run=engine)  # type: ignore[arg-type]


@pytest.mark.parametrize("error", [Offline("EC-TAA: away"), HostKeyChanged("EC-TAA: other key")])
def test_why_a_host_could_not_be_asked_is_not_lost_on_the_way(error: FleetError) -> None:
    with pytest.raises(type(error)) as caught:
        ask(error)
    assert caught.value is error


def test_a_link_that_broke_while_the_host_applied_is_off_line_and_not_failed() -> None:
    def engine(transport: require.Transport, *_: Any, **__: Any) -> Result:
        with pytest.raises(require.LinkLost):
            transport.call("apply", b"", timeout_s=1)
        return Result(
            "EC-TAA", False, (OK,), link_lost=True, errors=("the end was not seen",), run="r7"
        )

    line = Line(LinkLost("EC-TAA: cut"))
    outcome = on_host(line, require.Catalog(), lambda text: None, run=engine)  # type: ignore[arg-type]
    assert outcome.code == Exit.OFFLINE
    assert "goes on by itself" in outcome.detail
    assert outcome.remedy.startswith("fab resume --target EC-TAA --run r7 ")


def test_a_host_that_another_run_changes_says_how_to_see_its_end() -> None:
    outcome = converge(Result("EC-TAA", False, (OK,), errors=("it is being changed",), held="r6"))
    assert outcome.data["held"] == "r6"
    assert outcome.code == Exit.FAILED
    assert outcome.remedy == "fab resume --target EC-TAA --run r6 waits for its end"


def test_progress_is_said_in_a_line() -> None:
    said: list[str] = []

    def engine(*_: Any, progress: Callable[[Event], None], **__: Any) -> Result:
        progress(Event("EC-TAA", "probe", 0, 12))
        progress(Event("EC-TAA", "apply", 3, 12, "file:/etc/x", run="2026-1a2b"))
        progress(Event("EC-TAA", "verify"))
        return Result("EC-TAA", False, ())

    on_host(Line(), require.Catalog(), said.append, run=engine)  # type: ignore[arg-type]
    assert said == ["probe 0/12", "apply 3/12 file:/etc/x, run 2026-1a2b", "verify"]
