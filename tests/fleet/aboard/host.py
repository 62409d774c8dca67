"""A host for aboard's tests: real files; commands, answers over sockets, clocks and boots are told.

Its artifacts are signed by nobody, and its ssh-keygen takes that for good: what is signed in earnest is in
`tests.fleet.aboard.signing`.
"""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from fleet.aboard import envelope, lifecycle, state, store, stream
from fleet.aboard.envelope import Envelope
from fleet.aboard.manifest import Beside, File, Health, Manifest
from fleet.aboard.steps import Step
from fleet.aboard.trial import Result
from fleet.aboard.world import Completed, World

FLEET = "test"
COUNTERS = itertools.count(1_700_000_000)
SIGNATURE = envelope._armour(b"SSHSIG\0\0\0\1" + bytes(100))
SOCKET = "/run/turnaround/api.sock"
BESIDE = Beside("turnaround-api@.service", SOCKET)


class Cut(BaseException):
    """The power, or the process, is gone: nothing of ours may catch it."""


@dataclass(frozen=True)
class Built:
    """An artifact as a test made it: the manifest, and the bytes behind its hashes."""

    manifest: Manifest
    contents: Mapping[str, bytes]

    @property
    def version(self) -> str:
        return self.manifest.version

    def said(self, counter: int | None = None) -> Envelope:
        """What its envelope says, with the next counter that nobody had."""
        manifest = self.manifest
        digest = hashlib.sha256(manifest.dump()).hexdigest()
        counter = next(COUNTERS) if counter is None else counter
        at = "2026-01-01T00:00:00Z"
        return Envelope(FLEET, manifest.kind, manifest.version, digest, counter, at, "eva@desk")

    def head(self, sealed: bytes | None = None) -> bytes:
        """The stream's beginning: what is offered."""
        sealed = sealed or envelope.pack(self.said().text(), SIGNATURE)
        return b"".join(
            [
                stream.MAGIC,
                stream.pack(stream.MANIFEST, self.manifest.dump()),
                stream.pack(stream.ENVELOPE, sealed),
            ]
        )

    def frames(self, hashes: Iterable[str] | None = None, sealed: bytes | None = None) -> bytes:
        """The stream that carries it, with all files or those of these hashes."""
        chosen = self.contents if hashes is None else list(hashes)
        return b"".join(
            [self.head(sealed)]
            + [stream.pack(stream.FILE, self.contents[one]) for one in chosen]
            + [stream.pack(stream.END)]
        )


def wheel(files: Mapping[str, bytes]) -> bytes:
    """A zip of these files, the same bytes each time."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path, content in files.items():
            archive.writestr(zipfile.ZipInfo(path), content)
    return buffer.getvalue()


def build(number: int, kind: str = "onboard", files: Mapping[str, bytes] | None = None) -> Built:
    """An artifact whose version grows with its number; files ending in .whl are its wheels."""
    if files is None:
        files = {
            "wheels/app.whl": wheel({"app/__init__.py": f"number = {number}\n".encode()}),
            "wheels/library.whl": wheel({"library.py": b"same = True\n" * 50}),
            "static/page.html": b"<p>the same in all releases</p>" * 20,
        }
    entries = {path: hashlib.sha256(content).hexdigest() for path, content in files.items()}
    runs = kind != "html5"
    manifest = Manifest(
        kind=kind,
        version=f"202601010000{number:02d}-{number:012x}",
        revision=f"{number:040x}",
        python="3.13" if runs else None,
        platform="manylinux_2_28_x86_64" if runs else None,
        files=tuple(File(path, entries[path], len(content)) for path, content in files.items()),
        wheels=tuple(path for path in files if path.endswith(".whl")),
        setup=(("bin/python", "-m", "sync.setup"),) if runs else (),
        units=("turnaround-agent.service",) if runs else (),
        beside=(BESIDE,) if runs else (),
        health=Health(SOCKET, "/health") if runs else None,
    )
    return Built(manifest, {entries[path]: content for path, content in files.items()})


@dataclass
class Host:
    """One host; what it shall do wrong is said by its fields.

    Args:
        ill: versions whose application says that it is not well.
        spoilt: versions whose application is well until it serves, and then is not.
        dead: versions whose application does not come up.
        unstarted: versions that systemd cannot start.
        restless: versions that die and are started again, and are up whenever one looks.
        flapping: versions that are well every second time.
        setup: what the setup command answers.
        log: what each unit's processes printed.
        servers: the versions that run, each behind a path that stands for its socket.
        cut_at: the step at which everything ends.
    """

    root: Path
    ill: set[str] = field(default_factory=set)
    spoilt: set[str] = field(default_factory=set)
    dead: set[str] = field(default_factory=set)
    unstarted: set[str] = field(default_factory=set)
    restless: set[str] = field(default_factory=set)
    flapping: set[str] = field(default_factory=set)
    setup: Completed = field(default_factory=lambda: Completed(0, ""))
    log: dict[str, str] = field(default_factory=dict)
    cut_at: Step | None = None
    boot: int = 1
    clock_s: float = 100.0
    free_bytes: int = 1 << 40
    commands: list[list[str]] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    running: str | None = None
    servers: list[str] = field(default_factory=list)
    memory_free: float = 0.5
    asked: int = 0

    def __post_init__(self) -> None:
        (self.root / "run/turnaround").mkdir(parents=True)
        (self.root / "etc/turnaround/keys").mkdir(parents=True)
        (self.root / "etc/turnaround/keys/release_signers").touch()
        (self.root / "etc/turnaround/fleet_name").write_text(f"{FLEET}\n")
        (self.root / "etc/turnaround/app.env").write_text("# settings\nTURNAROUND_NODE='EC-TAA'\n")
        self.world = World(
            root=self.root,
            python_version="3.13",
            machine="x86_64",
            user=None,
            run=self._run,
            ask=self._ask,
            since_boot=lambda: self.clock_s,
            boot_id=lambda: f"boot-{self.boot}",
            now=lambda: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.clock_s),
            sleep=self._sleep,
            flush=lambda folder: None,
            free=lambda folder: self.free_bytes,
            memory=lambda: self.memory_free,
            at=self._at,
        )

    def close(self) -> None:
        self._stop(list(self.servers))
        shutil.rmtree(self.root)

    @property
    def served(self) -> str | None:
        """The version that answers where nginx asks; None when nobody does."""
        try:
            status, body = self.world.ask(self.world.inside(SOCKET), "/health", 5)
        except OSError:
            return None
        return str(json.loads(body)["version"]) if status in (200, 503) else None

    def accept(self, built: Built, frames: bytes | None = None) -> Result:
        """What `aboard accept` does with this artifact, of which only what is missing is sent."""
        lacking = store.missing(self.world, built.manifest)
        return lifecycle.accept(
            self.world, io.BytesIO(built.frames(lacking) if frames is None else frames)
        )

    def offer(self, built: Built) -> dict[str, object]:
        """What `aboard offer` answers to it."""
        return lifecycle.offer(self.world, io.BytesIO(built.head()))

    def reboot(self) -> list[Result]:
        """The power comes back: the units start with what is current, after `aboard recover`."""
        self._stop(list(self.servers))
        shutil.rmtree(self.root / "run/turnaround")
        (self.root / "run/turnaround").mkdir()
        self.boot += 1
        self.clock_s = 5.0
        self.cut_at = None
        results = lifecycle.recover(self.world)
        self.running = self.world.current("onboard")
        return [one for one in results if one.result != "stands"]

    def current(self, kind: str = "onboard") -> str | None:
        return self.world.current(kind)

    def stage(self, built: Built) -> str | None:
        record = state.load(self.world).get(built.manifest.kind, built.version)
        return record.stage if record else None

    def reason(self, built: Built) -> str:
        record = state.load(self.world).get(built.manifest.kind, built.version)
        return (record.reason or "") if record else ""

    def is_whole(self, version: str, kind: str = "onboard") -> bool:
        """Whether everything that its manifest names is in the release."""
        release = self.world.release(kind, version)
        manifest = store.manifest_of(release)
        plain = [one for one in manifest.files if one.path not in manifest.wheels]
        return (
            all(
                hashlib.sha256((release / one.path).read_bytes()).hexdigest() == one.sha256
                for one in plain
            )
            and (release / "lib/python3.13/site-packages/app/__init__.py").exists()
        )

    def _at(self, step: Step) -> None:
        self.steps.append(step)
        if step is self.cut_at:
            raise Cut(step)

    def _sleep(self, seconds: float) -> None:
        self.clock_s += seconds

    def _run(self, argv, *, timeout_s, user=None, env=None, cwd=None, stdin=None) -> Completed:  # type: ignore[no-untyped-def]
        if argv[0] == "ssh-keygen":
            return Completed(0, "")
        self.commands.append(list(argv))
        if argv[0].endswith("bin/python"):
            return Completed(0, "") if "compileall" in argv else self.setup
        units = [each for each in argv[2:] if not each.startswith("--")]
        versions = [
            each.partition("@")[2].removesuffix(".service") for each in units if "@" in each
        ]
        if argv[:2] == ["systemctl", "restart"]:
            self.running = self.current()
        elif argv[:2] == ["systemctl", "start"]:
            if self.unstarted & set(versions):
                return Completed(1, "Job for it failed.\nSee systemctl status.")
            self._start(versions)
        elif argv[:2] == ["systemctl", "stop"]:
            self._stop(versions)
            self.running = None if len(units) > len(versions) else self.running
        elif argv[:2] == ["systemctl", "list-units"]:
            return Completed(
                0, "\n".join(f"{BESIDE.instance(each)} loaded" for each in self.servers)
            )
        elif argv[:2] == ["systemctl", "show"]:
            return Completed(0, "\n".join(self._shown(unit) for unit in units))
        elif argv[0] == "journalctl":
            unit = argv[-1].removeprefix("_SYSTEMD_UNIT=")
            return Completed(0, self.log.get(unit, ""))
        return Completed(0, "")

    def _shown(self, unit: str) -> str:
        version = unit.partition("@")[2].removesuffix(".service") or self.running
        runs = version in self.servers if "@" in unit else version is not None
        state = "active" if runs and version not in self.dead else "failed"
        died = int(version in self.restless)
        return f"Id={unit}\nActiveState={state}\nNRestarts={died}\n"

    def _start(self, versions: Iterable[str]) -> None:
        for version in versions:
            if version not in self.servers:
                self._socket(version).touch(exist_ok=False)
                self.servers.append(version)

    def _stop(self, versions: Iterable[str]) -> None:
        for version in versions:
            if version in self.servers:
                self.servers.remove(version)
                self._socket(version).unlink(missing_ok=True)

    def _socket(self, version: str) -> Path:
        return self.world.inside(BESIDE.own(version))

    def _ask(self, path: Path, target: str, timeout_s: float) -> tuple[int, bytes]:
        """What the version says to which this path leads."""
        for version in self.servers:
            if path.samefile(self._socket(version)):
                return self.answer(version)
        raise ConnectionRefusedError(f"nobody listens on {path}")

    def answer(self, version: str) -> tuple[int, bytes]:
        """What a release says at /health."""
        self.asked += 1
        if version in self.dead:
            return 502, b"nobody"
        release = store.manifest_of(self.world.release("onboard", version))
        spoilt = version in self.spoilt and version == self.current()
        well = version not in self.ill and not spoilt
        well = well and not (version in self.flapping and self.asked % 2)
        body = {"healthy": well, "revision": release.revision, "version": version}
        return (200 if well else 503), json.dumps(body).encode()


def new_host() -> Host:
    """A host in a folder of its own; short, because a socket's path may have 107 bytes."""
    return Host(Path(tempfile.mkdtemp(prefix="aboard-", dir=memory())))


def memory() -> str | None:
    """A file system that has no disk to wait for, where the machine has one."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
