"""What waits for an aircraft out of reach waits once, is applied as it was committed, and is forgotten."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, select, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from common.schema import Aircraft, Configuration, Wanted
from fleet import configuration
from hangar_app import converging, wanted, wanting, work
from hangar_app.performing import Tools, WorkFailed
from hangar_app.wanted import Package
from hangar_app.wanting import OrderError
from hangar_app.work import Claim
from tests.fleet.aboard.host import FLEET
from tests.fleet.aboard.signing import Signer, signer, trust

pytestmark = pytest.mark.postgres

REVISION = "4bb55946ff91000000000000000000000000beef"


def archive(**files: str) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content.encode()))
    return gzip.compress(packed.getvalue(), mtime=0)


def sealed(by: Signer, **files: str) -> Package:
    """As `fab converge` queues it."""
    built = configuration.Configuration(REVISION, archive(**files))
    return Package(REVISION, configuration.seal(built, by.key, FLEET, "ops@desk").archive)


OLD, NEW = Package(REVISION, archive(a="old")), Package(REVISION, archive(a="new"))


def order(package: Package | None = None, **words: Any) -> io.BytesIO:
    said: dict[str, Any] = {"operator": "ops@desk", **words}
    if package is not None:
        said = {
            "revision": package.revision,
            "digest": package.digest,
            "size": len(package.archive),
            **said,
        }
    return io.BytesIO(json.dumps(said).encode() + b"\n" + (package.archive if package else b""))


class TestOrders:
    def test_an_order_brings_its_archive(self) -> None:
        said, package = wanting.read(order(OLD, want=["EC-TAA"]))
        assert (said.want, package) == (["EC-TAA"], OLD)

    def test_an_archive_that_is_here_is_not_sent_again(self) -> None:
        said, package = wanting.read(order(OLD, want=["EC-TAA"], size=0))
        assert (said.digest, package) == (OLD.digest, None)

    @pytest.mark.parametrize(
        ("source", "said"),
        [
            (io.BytesIO(b""), "not as agreed"),
            (io.BytesIO(b"{}\n"), "operator"),
            (order(want=["../etc"]), r"want\.0"),
            (order(OLD, size=20 * 1024 * 1024), "size"),
            (order(OLD, want=["EC-TAA"], digest=NEW.digest), "expected an archive of"),
            (order(OLD, want=["EC-TAA"], revision=""), "expected an archive of"),
            (io.BytesIO(order(OLD, want=["EC-TAA"]).read()[:-1]), "expected an archive of"),
            (order(OLD, whom=["EC-TAA"]), "whom"),
        ],
    )
    def test_what_is_not_as_agreed_is_refused(self, source: io.BytesIO, said: str) -> None:
        with pytest.raises(OrderError, match=said):
            wanting.read(source)


@pytest.fixture
def fleet(session: Session) -> None:
    session.add_all(
        Aircraft(name=name, tower=f"10.100.64.{number}")
        for number, name in enumerate(("EC-TAA", "EC-TAB"), 11)
    )
    session.commit()


def carry_out(session: Session, source: io.BytesIO) -> dict[str, Any]:
    said = wanting.carry_out(session, *wanting.read(source))
    session.commit()
    return said


def rows(session: Session) -> dict[str, tuple[str, int]]:
    session.expire_all()
    return {
        one.aircraft: (one.configuration, one.failed) for one in session.scalars(select(Wanted))
    }


@pytest.mark.usefixtures("fleet")
class TestWaiting:
    def test_only_aircraft_of_the_fleet_can_wait(self, session: Session) -> None:
        said = carry_out(session, order(OLD, want=["EC-TAB", "EC-XXX", "EC-TAA"]))
        assert said == {"queued": ["EC-TAA", "EC-TAB"], "dropped": []}

    def test_a_newer_one_takes_the_place_and_begins_anew(self, session: Session) -> None:
        carry_out(session, order(OLD, want=["EC-TAA", "EC-TAB"]))
        wanted.failed(session, "EC-TAA", OLD.digest, "no disk")
        carry_out(session, order(NEW, want=["EC-TAA"]))
        assert rows(session) == {"EC-TAA": (NEW.digest, 0), "EC-TAB": (OLD.digest, 0)}

    def test_one_that_nobody_sent_cannot_wait(self, session: Session) -> None:
        said = carry_out(session, order(OLD, want=["EC-TAA"], size=0))
        assert said["queued"] == []

    def test_archives_that_nobody_waits_for_are_removed(self, session: Session) -> None:
        carry_out(session, order(OLD, want=["EC-TAA"]))
        carry_out(session, order(NEW, want=["EC-TAA"]))
        assert [one.digest for one in session.scalars(select(Configuration))] == [NEW.digest]
        drop = {"EC-TAA": NEW.digest, "EC-TAB": NEW.digest}
        assert carry_out(session, order(drop=drop))["dropped"] == ["EC-TAA"]
        assert list(session.scalars(select(Configuration))) == []

    def test_what_came_since_an_operator_looked_is_not_dropped(self, session: Session) -> None:
        carry_out(session, order(NEW, want=["EC-TAA"]))
        assert carry_out(session, order(drop={"EC-TAA": OLD.digest}))["dropped"] == []
        assert rows(session) == {"EC-TAA": (NEW.digest, 0)}

    def test_what_one_operator_keeps_another_does_not_remove_before_it_waits(
        self, session: Session, engine: Engine, clock: Callable[[], datetime]
    ) -> None:
        carry_out(session, order(OLD, want=["EC-TAA"]))
        wanted.keep(session, OLD, clock())
        with Session(engine) as other:
            other.execute(text("SET LOCAL lock_timeout = '20ms'"))
            with pytest.raises(OperationalError, match="lock timeout"):
                carry_out(other, order(NEW, want=["EC-TAA"]))
        assert wanted.want(session, OLD.digest, ["EC-TAB"], "ops@desk", clock()) == ["EC-TAB"]

    def test_a_retired_aircraft_waits_no_more(self, session: Session) -> None:
        carry_out(session, order(OLD, want=["EC-TAA"]))
        session.delete(session.get(Aircraft, "EC-TAA"))
        session.commit()
        assert rows(session) == {}

    def test_people_see_what_waits_since_when_and_why_it_failed(
        self, session: Session, clock: Callable[[], datetime]
    ) -> None:
        carry_out(session, order(OLD, want=["EC-TAA"]))
        wanted.failed(session, "EC-TAA", OLD.digest, "no disk")
        (seen,) = wanted.seen(session, clock()).values()
        assert (seen.digest, seen.revision, seen.operator, seen.failed, seen.reason) == (
            OLD.digest,
            REVISION,
            "ops@desk",
            1,
            "no disk",
        )


@pytest.mark.usefixtures("fleet")
class TestHeartbeats:
    def beat(self, app: Flask) -> None:
        answer = app.test_client().post(
            "/tower/v1/heartbeat",
            json={"node": "EC-TAA", "at": "2026-11-23T12:00:00Z", "syncing": True},
            headers={"X-Real-IP": "10.100.64.11"},
        )
        assert answer.status_code == 200, answer.text

    def test_the_next_heartbeat_starts_it(self, app: Flask, session: Session, queue) -> None:
        self.beat(app)
        assert "converge" not in queue.kinds
        carry_out(session, order(OLD, want=["EC-TAA"]))
        self.beat(app)
        self.beat(app)
        assert queue.kinds == ["converge"]

    def test_what_failed_too_often_waits_for_people(
        self, app: Flask, session: Session, queue
    ) -> None:
        carry_out(session, order(OLD, want=["EC-TAA"]))
        for _ in range(wanted.TRIES):
            wanted.failed(session, "EC-TAA", OLD.digest, "no disk")
        session.commit()
        self.beat(app)
        assert queue.kinds == []


class Says:
    """Stands in for the program: prints this, ends so, and remembers what it was given."""

    def __init__(self, code: int, *lines: str, stderr: str = "") -> None:
        self.code, self.lines, self.stderr = code, lines, stderr
        self.argv: Sequence[str] = ()
        self.found: dict[str, str] = {}
        self.environment: dict[str, str] = {}

    def __call__(
        self, argv: Sequence[str], folder: Path, environment: dict[str, str]
    ) -> tuple[int, str, str]:
        self.argv, self.environment = argv, environment
        self.found = {path.name: path.read_text() for path in folder.iterdir()}
        assert environment["PYTHONPATH"] == str(folder)
        return self.code, "\n".join(self.lines), self.stderr


def outcome(status: str, detail: str) -> str:
    return json.dumps({"host": "EC-TAA", "exit": 0, "status": status, "detail": detail})


@pytest.fixture(scope="module")
def eva() -> Signer:
    return signer()


@pytest.mark.usefixtures("fleet")
class TestApplying:
    @pytest.fixture
    def tools(self, tools: Tools, tmp_path: Path, eva: Signer) -> Tools:
        """With a folder of keys that says whom the hangar trusts."""
        trust(tmp_path, eva)
        key = tmp_path / "etc/turnaround/keys/dispatch_ed25519"
        return replace(tools, settings=tools.settings.model_copy(update={"dispatch_key": key}))

    @pytest.fixture
    def old(self, eva: Signer) -> Package:
        return sealed(eva, a="old")

    @pytest.fixture
    def claim(self, queued: Callable[..., Any], engine: Engine) -> Claim:
        id = queued(work.CONVERGE)
        return Claim(id, "EC-TAA", {})

    def test_it_runs_with_its_own_code_and_is_forgotten(
        self, tools: Tools, claim: Claim, session: Session, old: Package
    ) -> None:
        carry_out(session, order(old, want=["EC-TAA"]))
        program = Says(0, "warning: not JSON", outcome("changed", "2 of 72 resources"))
        done = converging.converge(tools, claim, program)
        assert done["progress"] == "changed: 2 of 72 resources"
        assert program.found == {"a": "old"}
        assert program.argv[1:4] == ["-m", "fleet.from_hangar", "EC-TAA"]
        assert program.argv[-1] == "ops@desk"
        assert program.environment["TURNAROUND_KEYS"] == str(tools.settings.dispatch_key.parent)
        assert rows(session) == {}

    def test_a_newer_one_that_came_meanwhile_goes_on_waiting(
        self, tools: Tools, claim: Claim, session: Session, old: Package
    ) -> None:
        carry_out(session, order(old, want=["EC-TAA"]))

        def program(*_: Any) -> tuple[int, str, str]:
            carry_out(session, order(NEW, want=["EC-TAA"]))
            return 0, outcome("changed", "x"), ""

        converging.converge(tools, claim, program)
        assert rows(session) == {"EC-TAA": (NEW.digest, 0)}

    def test_one_that_is_gone_again_goes_on_waiting(
        self, tools: Tools, claim: Claim, session: Session, old: Package
    ) -> None:
        carry_out(session, order(old, want=["EC-TAA"]))
        with pytest.raises(WorkFailed, match=r"off-line: no answer"):
            converging.converge(tools, claim, Says(3, outcome("off-line", "no answer")))
        assert rows(session) == {"EC-TAA": (old.digest, 0)}

    def test_one_that_another_run_holds_goes_on_waiting(
        self, tools: Tools, claim: Claim, session: Session, old: Package
    ) -> None:
        carry_out(session, order(old, want=["EC-TAA"]))
        held = json.loads(outcome("failed", "it is being changed")) | {"held": "r6"}
        with pytest.raises(WorkFailed, match=r"failed: it is being changed"):
            converging.converge(tools, claim, Says(4, json.dumps(held)))
        assert rows(session) == {"EC-TAA": (old.digest, 0)}

    @pytest.mark.parametrize(
        ("program", "reason"),
        [
            (Says(4, outcome("failed", "file:/etc/x: no disk")), "failed: file:/etc/x: no disk"),
            (Says(1, stderr="Traceback\nImportError: no fabric\n"), "exit 1: .*no fabric"),
            (Says(0), "exit 0: it gave no reason"),
        ],
    )
    def test_what_fails_is_counted_with_its_reason(
        self, tools: Tools, claim: Claim, session: Session, old: Package, program: Says, reason: str
    ) -> None:
        carry_out(session, order(old, want=["EC-TAA"]))
        with pytest.raises(WorkFailed, match=reason):
            converging.converge(tools, claim, program)
        assert rows(session) == {"EC-TAA": (old.digest, 1)}

    def test_nothing_is_run_when_nothing_waits(self, tools: Tools, claim: Claim) -> None:
        def never(*_: Any) -> tuple[int, str, str]:
            raise AssertionError("it was run")

        assert converging.converge(tools, claim, never)["progress"] == (
            "nothing waits for it any more"
        )

    def test_a_real_program_finds_its_own_fleet_first(
        self, tools: Tools, claim: Claim, session: Session, eva: Signer
    ) -> None:
        said = outcome("changed", "by the archive's own code")
        files = {"fleet/__init__.py": "", "fleet/from_hangar.py": f"print({said!r})\n"}
        carry_out(session, order(sealed(eva, **files), want=["EC-TAA"]))
        done = converging.converge(replace(tools), claim)
        assert done["progress"] == "changed: by the archive's own code"

    def test_what_nobody_signed_is_not_unpacked_and_the_reason_is_shown(
        self, tools: Tools, claim: Claim, session: Session
    ) -> None:
        def never(*_: Any) -> tuple[int, str, str]:
            raise AssertionError("it was run")

        carry_out(session, order(OLD, want=["EC-TAA"]))
        with pytest.raises(WorkFailed, match=r"refused: envelope of configuration .* found none"):
            converging.converge(tools, claim, never)
        assert rows(session) == {"EC-TAA": (OLD.digest, 1)}
        seen = wanted.seen(session, datetime(2030, 1, 1, tzinfo=UTC))["EC-TAA"]
        assert seen.reason.startswith("refused: envelope of configuration 4bb55946ff91: expected")

    def test_what_another_signed_is_not_unpacked(
        self, tools: Tools, claim: Claim, session: Session
    ) -> None:
        carry_out(session, order(sealed(signer(), a="old"), want=["EC-TAA"]))
        with pytest.raises(WorkFailed, match=r"refused: .* expected the signature of a key in"):
            converging.converge(tools, claim)
