"""Calling an aircraft: what it says is handed on, and each way to fail has its own sentence."""

from __future__ import annotations

import os
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from hangar_app.dispatch import LINE_LIMIT, DispatchFailed, Ended, Route, call_program, dispatch


@pytest.fixture
def route(tmp_path: Path) -> Route:
    return Route("EC-TAA", "10.100.64.11", tmp_path / "key", tmp_path / "known_hosts")


def saying(*lines: str, code: int | None = 0, stderr: str = "") -> Callable:
    """A call that says these lines and ends like this."""

    def call(_command: list[str], _deadline_s: float, line: Callable[[str], None]) -> Ended:
        for one in lines:
            line(one)
        return Ended(code, stderr)

    return call


def test_hands_on_progress_and_returns_the_last_line(route: Route) -> None:
    told: list[dict] = []
    call = saying('{"progress": "pushed"}', "a line of another kind", '{"result": {"rows": 12}}')
    assert dispatch(route, told.append, call) == {"result": {"rows": 12}}
    assert told == [{"progress": "pushed"}, {"result": {"rows": 12}}]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (
            saying(code=255, stderr="ssh: connect to host x port 22: No route to host\r\n"),
            "EC-TAA at 10.100.64.11 cannot be reached over SSH: .*No route to host",
        ),
        (
            saying(code=255, stderr="Host key verification failed.\n"),
            "another host key than the one it enrolled with.*enrol it again",
        ),
        (
            saying('{"error": "disk full: 3 files do not fit"}', code=4),
            r"could not synchronise \(exit 4\): disk full: 3 files do not fit",
        ),
        (
            saying('{"result": null, "error": {"code": "x", "message": "link cut"}}', code=4),
            r"\(exit 4\): link cut",
        ),
        (saying(code=4, stderr="Traceback\nOSError: x\n"), r"\(exit 4\): OSError: x"),
        (saying(code=1), "it gave no reason"),
        (saying(code=None), "still synchronising after 3600 s"),
    ],
)
def test_says_why_it_failed(route: Route, call: Callable, said: str) -> None:
    with pytest.raises(DispatchFailed, match=said):
        dispatch(route, lambda _: None, call)


def test_keeps_what_the_aircraft_said_last(route: Route) -> None:
    with pytest.raises(DispatchFailed) as failed:
        dispatch(route, lambda _: None, saying('{"step": "fetch", "files": 3}', code=4))
    assert failed.value.last == {"step": "fetch", "files": 3}


def test_trusts_only_the_host_keys_it_was_given(route: Route) -> None:
    command = route.command()
    assert "StrictHostKeyChecking=yes" in command
    assert f"UserKnownHostsFile={route.known_hosts}" in command
    assert "BatchMode=yes" in command


def test_cuts_a_program_at_its_deadline() -> None:
    said: list[str] = []
    program = [sys.executable, "-c", "import time; print(1, flush=True); time.sleep(60)"]
    assert call_program(program, 0.5, said.append).code is None
    assert said == ["1"]


def test_hands_lines_over_however_they_are_cut() -> None:
    said: list[str] = []
    script = "import os; [os.write(1, part) for part in (b'on', b'e\\ntw', b'o\\n')]; os._exit(3)"
    assert call_program([sys.executable, "-c", script], 10, said.append) == Ended(3, "")
    assert said == ["one", "two"]


@pytest.mark.parametrize("way", [1, 2])
def test_one_that_says_more_and_more_is_cut_and_fills_nothing(way: int) -> None:
    script = f"import os\nwhile True: os.write({way}, b'x' * 65536)"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.monotonic()
    ended = call_program([sys.executable, "-c", script], 1.5, lambda said: None)
    assert ended.code is None
    assert time.monotonic() - began < 5
    assert len(ended.stderr) <= LINE_LIMIT
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 8 * 1024


@dataclass
class Aircraft:
    """A real sshd on a loopback port whose key for us is forced to one command."""

    route: Route

    def forget(self) -> None:
        self.route.known_hosts.write_text("")


def _free_port() -> int:
    with socket.socket() as waiting:
        waiting.bind(("127.0.0.1", 0))
        return int(waiting.getsockname()[1])


def _sshd() -> str:
    found = "/usr/sbin/sshd"
    if not Path(found).exists():
        from fleet import packages

        packages.ensure(["openssh-server", "openssh-client"], purpose="calling an aircraft")
    return found


@pytest.fixture
def aircraft(tmp_path: Path) -> Iterator[Aircraft]:
    sshd = _sshd()
    port = _free_port()
    for name in ("host", "key"):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / name)], check=True
        )
    host, ours = ((tmp_path / f"{name}.pub").read_text().split() for name in ("host", "key"))
    known = tmp_path / "known_hosts"
    known.write_text(f"[127.0.0.1]:{port} {host[0]} {host[1]}\n")
    allowed = tmp_path / "authorized_keys"
    forced = "echo '{\\\"asked\\\": \\\"'$SSH_ORIGINAL_COMMAND'\\\"}'"
    allowed.write_text(f'restrict,command="{forced}" {ours[0]} {ours[1]}\n')
    Path("/run/sshd").mkdir(exist_ok=True) if os.geteuid() == 0 else None
    settings = {
        "Port": port,
        "ListenAddress": "127.0.0.1",
        "HostKey": tmp_path / "host",
        "AuthorizedKeysFile": allowed,
        "PidFile": "none",
        "StrictModes": "no",
        "UsePAM": "no",
        "PasswordAuthentication": "no",
        "PermitRootLogin": "yes",
    }
    options = [text for name, value in settings.items() for text in ("-o", f"{name}={value}")]
    server = subprocess.Popen(
        [sshd, "-D", "-e", "-f", "/dev/null", *options], stderr=subprocess.PIPE, text=True
    )
    assert server.stderr is not None
    for line in server.stderr:
        if "listening" in line:
            break
    user = "root" if os.geteuid() == 0 else os.environ["USER"]
    yield Aircraft(Route("EC-TAA", "127.0.0.1", tmp_path / "key", known, port, user))
    server.kill()
    server.communicate()


def test_a_real_call_asks_for_sync_now_and_nothing_else(aircraft: Aircraft) -> None:
    assert dispatch(aircraft.route, lambda _: None, deadline_s=20) == {"asked": "sync-now"}


def test_a_real_call_refuses_an_aircraft_whose_host_key_is_not_known(aircraft: Aircraft) -> None:
    aircraft.forget()
    with pytest.raises(DispatchFailed, match="another host key"):
        dispatch(aircraft.route, lambda _: None, deadline_s=20)
