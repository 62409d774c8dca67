"""The host that the table `release` acts on: a bare one with aboard and the units of a release."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import require
from ci.faults.release import held
from ci.faults.release.artifacts import AGENT, BESIDE, FLEET, KIND, PACKAGE, SOCKET, Made, make
from ci.faults.release.seen import PROGRAM, Seen
from ci.faults.under_test import HOST, Said, UnderTest
from ci.faults.way import Way
from ci.story.teller import NotSo, eventually
from fleet import release, release_commands
from fleet.aboard.steps import Step
from fleet.context import TEMPLATES, contexts
from fleet.errors import FleetError
from fleet.inventory import load
from fleet.report import Outcome
from fleet.ssh import Connection
from roles import aboard, services

QUIET_S = 60.0
HOME = "/var/lib/turnaround"
ABOARD = "/opt/turnaround/bin/aboard"
# The host has our interpreter's program in a place of its own, and every order goes through it.
HELD = f'#!/bin/sh\nexec /usr/bin/python3 -B -I {held.PLACE} "$@"\n'
# First who starts the others: what it has asked for a moment ago would cancel their stop.
STOP = (
    "systemctl stop turnaround-aboard-recover.timer turnaround-aboard-recover.service"
    f"; systemctl stop '{BESIDE}@*' {AGENT}"
)
# What runs beside is started by aboard, as at boot. The table starts the timer more often than systemd likes.
START = (
    f"{ABOARD} recover; systemctl reset-failed turnaround-aboard-recover.timer"
    f"; systemctl start turnaround-aboard-recover.timer {AGENT}"
)
_AGENT = f"""\
[Unit]
Description=The second unit of the releases of the fault tables
ConditionPathExists=/opt/turnaround/current/{KIND}
StartLimitIntervalSec=0

[Service]
Type=oneshot
RemainAfterExit=yes
User=turnaround
WorkingDirectory=/opt/turnaround/current/{KIND}
ExecStart=/opt/turnaround/current/{KIND}/bin/python -m {PACKAGE}.agent

[Install]
WantedBy=multi-user.target
"""
FORGET = (
    f"{STOP}; rm -rf /opt/turnaround/releases /opt/turnaround/current /opt/turnaround/blobs"
    f" {HOME}/aboard; systemctl reset-failed"
)

OnStep = Callable[[str], None]


@dataclass
class Stand(UnderTest):
    """A host; `good` is the release that it serves while nothing is wrong, `number` the last one made."""

    number: int = 0
    good: Made = field(init=False)

    # What it is.

    @property
    def builds(self) -> Path:
        return self.lab.directory / "builds"

    @property
    def _signer(self) -> Path:
        return self.lab.ops_key.with_name("signing_ed25519")

    @property
    def _hold(self) -> Path:
        """As it is seen from outside: so it can be set while the host has no power."""
        return self.lab.host(HOST).tree.root / str(held.HOLD).lstrip("/")

    def make(self, behaviour: str = "good") -> Made:
        """Makes the next artifact."""
        self.number += 1
        return make(self.number, self.builds, self._signer, behaviour)

    def declared(self) -> require.Catalog:
        """Declares what a release needs of a host, with the roles' own parts where there are some."""
        # Apart from the lab's own, beside which are secrets of groups that are not here.
        inventory = self.lab.directory / "table" / "inventory.yml"
        inventory.parent.mkdir(exist_ok=True)
        host = f"{HOST}: {{groups: [bare], address: 127.0.0.1}}"
        signer = self._signer.with_suffix(".pub").read_text().strip()
        inventory.write_text(
            f"fleet: {FLEET}\nvars: {{release_signers: ['{signer}']}}\n"
            f"groups:\n  bare: {{}}\nhosts:\n  {host}\n"
        )
        with require.declare(templates=TEMPLATES, role="faults") as declared:
            require.apt.packages(["sudo"])
            require.user.user("turnaround", system=True, home=HOME)
            for folder in (
                HOME,
                "/etc/turnaround",
                "/etc/turnaround/keys",
                "/opt/turnaround",
                "/opt/turnaround/bin",
            ):
                require.file.directory(folder)
            require.file.file("/etc/turnaround/app.env", content='TURNAROUND_NODE="EC-TAA"\n')
            require.file.file(
                "/etc/tmpfiles.d/turnaround.conf",
                content="d /run/turnaround 1775 root turnaround -\n",
            )
            require.file.directory("/run/turnaround", group="turnaround", mode=0o1775)
            aboard.apply(contexts(load(inventory))[HOST])
            services.beside(
                BESIDE,
                kind=KIND,
                description="The application of the fault tables",
                command=f"{PACKAGE} {SOCKET.removesuffix('.sock')}-%i.sock",
                finish_s=5,
            )
            require.systemd.unit(AGENT, content=_AGENT)
            require.systemd.service(AGENT.removesuffix(".service"), running=None)
        return declared

    # What ops do.

    def deploy(
        self,
        made: Made,
        way: Way | None = None,
        on_step: OnStep = lambda step: None,
        over: Callable[[Connection], release.Link] = lambda link: link,
    ) -> Said:
        """Ships as `fab deploy` does, and returns what ops are told.

        Args:
            made: what.
            way: over it; None goes straight.
            on_step: is told what is being done.
            over: stands between ops and the connection.
        """
        return self._order(way, lambda link: release.deploy(over(link), made.artifact, on_step))

    def rollback(self, way: Way | None = None, on_step: OnStep = lambda step: None) -> Said:
        """Goes back as `fab rollback` does."""
        return self._order(way, lambda link: release.rollback(link, KIND, on_step))

    def _order(self, way: Way | None, order: Callable[[Connection], release.Outcome]) -> Said:
        connection = self.connection(way)
        try:
            return Said(release_commands.told(HOST, [order(connection)]))
        except FleetError as error:
            return Said(Outcome.of(HOST, error))
        finally:
            connection.close()

    def reason(self, made: Made) -> str:
        """What `fab releases` gives as the reason of a release that was returned from."""
        connection = self.connection()
        try:
            listed = release.releases(connection)
        finally:
            connection.close()
        return next((one.reason or "" for one in listed if one.version == made.version), "")

    # What is done to it.

    @contextlib.contextmanager
    def held(self, step: Step) -> Iterator[None]:
        """Has aboard wait before a step, each time it comes there, until `go_on`, or the power goes."""
        self._hold.write_text(step.label)
        try:
            yield
        finally:
            self.go_on()

    def go_on(self) -> None:
        """Lets aboard go on."""
        self._hold.unlink(missing_ok=True)

    def power(self, on: bool) -> None:
        super().power(on)
        if not on:
            self.go_on()

    # How it is seen.

    def seen(self) -> Seen:
        """Looks at the host."""
        return Seen.of(self.shell(f"exec /usr/bin/python3 - <<'END'\n{PROGRAM}\nEND\n"))

    def quiet(self) -> Seen:
        """Waits until aboard does nothing, and looks at the host."""

        def look() -> Seen | None:
            found = self.seen()
            return None if found.working else found

        seen = eventually("aboard is done", look, within_s=QUIET_S, every_s=0.1)
        assert isinstance(seen, Seen)
        return seen

    def by_itself(self) -> str:
        """What aboard said at last of its own accord: at boot, or in the minutes since."""
        said = self.shell("journalctl -q -b -o cat -n 3 -u turnaround-aboard-recover.service")
        return " / ".join(said.splitlines())

    # Where rows begin.

    def settle(self) -> None:
        """Makes the host able to take releases, and gives it the first."""
        self.operate(self.declared()).expect(code=0)
        self._hold.parent.mkdir(parents=True, exist_ok=True)
        program = self.lab.host(HOST).tree.root / held.PLACE.lstrip("/")
        program.write_bytes(Path(held.__file__).read_bytes())
        self.shell(f"cat >{ABOARD} <<'END'\n{HELD}END\n")
        self._first()

    def mend(self) -> None:
        """Makes the host as if it never had a release, and gives it one."""
        self.power(on=False)
        self.power(on=True)
        self.shell(FORGET)
        self._first()

    def _first(self) -> None:
        self.good = self.make()
        said = self.deploy(self.good)
        said.expect(code=0)
        if not self.seen().serves(self.good):
            raise NotSo(f"the host serves no first release: {said.text}; {self.seen()}")
