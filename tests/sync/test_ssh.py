"""The same link through a real sshd on the loopback: keys, host keys, the forced command."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from ci.story.teller import eventually
from common.settings import Settings
from sync.rsync import LinkLost, Refused, link_for

pytestmark = pytest.mark.slow

TOP = Path(__file__).parents[2]
SSHD = "/usr/sbin/sshd"


def keygen(path: Path) -> str:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    return path.with_suffix(".pub").read_text().strip()


@pytest.fixture
def gate_settings(
    tmp_path: Path, new_settings: Callable[..., Settings]
) -> Iterator[tuple[Settings, Path]]:
    """An aircraft's settings and the state folder of a hangar whose sshd runs on this machine."""
    hangar = tmp_path / "hangar"
    hangar.mkdir()
    Path("/run/sshd").mkdir(exist_ok=True)
    host_key, key = keygen(hangar / "host"), keygen(tmp_path / "key")
    command = (
        f"env PYTHONPATH={TOP} TURNAROUND_STATE_DIR={hangar} {sys.executable} -m sync.gate EC-TAA"
    )
    allowed = hangar / "authorized_keys"
    allowed.write_text(f'restrict,command="{command}" {key}\n')
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    user = pwd.getpwuid(os.geteuid()).pw_name
    options = {
        "Port": port,
        "ListenAddress": "127.0.0.1",
        "HostKey": hangar / "host",
        "AuthorizedKeysFile": allowed,
        "StrictModes": "no",
        "UsePAM": "no",
        "PidFile": "none",
        "PermitRootLogin": "forced-commands-only",
    }
    config = hangar / "sshd_config"
    config.write_text("".join(f"{name} {value}\n" for name, value in options.items()))
    assert SSHD is not None
    server = subprocess.Popen([SSHD, "-D", "-f", str(config)], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.01)
    known = tmp_path / "known_hosts"
    known.write_text(f"[127.0.0.1]:{port} {host_key}\n")
    # A control socket's path is short, and pytest's folders are not.
    run = Path(f"/tmp/ta-{os.getpid()}")
    run.mkdir()
    yield (
        new_settings(
            hangar_ssh=f"{user}@127.0.0.1:{port}",
            ssh_key=tmp_path / "key",
            known_hosts=known,
            run_dir=run,
        ),
        hangar,
    )
    server.terminate()
    server.wait()
    shutil.rmtree(run)


def test_one_connection_serves_a_push_and_a_pull(
    gate_settings: tuple[Settings, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Our account has none to log in with, and ssh would start what makes its connection with it.
    monkeypatch.setenv("SHELL", "/usr/sbin/nologin")
    settings, hangar = gate_settings
    outbox, offered = tmp_path / "outbox", hangar / "sync" / "outbox" / "EC-TAA"
    (outbox / "use").mkdir(parents=True)
    (outbox / "use" / "1.cs").write_bytes(b"up")
    (outbox / "use" / "1.cs").chmod(0o444)
    (hangar / "sync" / "inbox" / "EC-TAA").mkdir(parents=True)
    (offered / "down" / "cat").mkdir(parents=True)
    (offered / "down" / "cat" / "1.cs").write_bytes(b"down")
    link = link_for(settings)
    try:
        link.open()
        link.push(outbox)
        (socket_file,) = settings.run_dir.iterdir()
        moved = link.pull(tmp_path / "inbox")
    finally:
        link.close()
    assert moved.received < 1000
    # The master answers that it ends, and then does.
    eventually(
        "the connection is gone", lambda: not socket_file.exists(), within_s=10, every_s=0.05
    )
    arrived = hangar / "sync" / "inbox" / "EC-TAA" / "use" / "1.cs"
    assert arrived.read_bytes() == b"up"
    assert (tmp_path / "inbox" / "down" / "cat" / "1.cs").read_bytes() == b"down"
    # Whoever the aircraft's own folder admits may read what arrived and remove it.
    assert arrived.stat().st_mode & 0o777 == 0o644
    assert arrived.parent.stat().st_mode & 0o777 == 0o777


def test_a_wrong_host_key_is_refused(gate_settings: tuple[Settings, Path], tmp_path: Path) -> None:
    settings, _ = gate_settings
    other = keygen(tmp_path / "other")
    host = settings.known_hosts.read_text().split(" ")[0]
    settings.known_hosts.write_text(f"{host} {other}\n")
    with pytest.raises(Refused, match=r"Host key verification failed.*Converging"):
        link_for(settings).pull(tmp_path / "inbox")


def test_a_key_that_is_not_enrolled_is_refused(
    gate_settings: tuple[Settings, Path], tmp_path: Path
) -> None:
    settings, hangar = gate_settings
    (hangar / "authorized_keys").write_text("")
    with pytest.raises(Refused, match=r"Permission denied \(publickey.*enrolled"):
        link_for(settings).pull(tmp_path / "inbox")


def test_a_hangar_that_does_not_answer_is_a_lost_link(
    gate_settings: tuple[Settings, Path], tmp_path: Path
) -> None:
    settings, _ = gate_settings
    nowhere = settings.model_copy(update={"hangar_ssh": "root@127.0.0.1:9"})
    with pytest.raises(LinkLost, match="run sync-now again when the tower answers"):
        link_for(nowhere).pull(tmp_path / "inbox")


def test_a_session_that_is_killed_leaves_nothing_running(
    gate_settings: tuple[Settings, Path], tmp_path: Path
) -> None:
    settings, hangar = gate_settings
    film = hangar / "sync" / "outbox" / "EC-TAA" / "down" / "film"
    film.parent.mkdir(parents=True)
    film.write_bytes(os.urandom(8 << 20))
    program = (
        "import sys; from pathlib import Path; from sync.rsync import Link; import json\n"
        "link = Link(sys.argv[1], json.loads(sys.argv[2])); link.open()\n"
        # Half a minute at this rate.
        "link._run(['-rt', '--bwlimit=256', f'{link.host}:./', sys.argv[3]])"
    )
    link = link_for(settings)
    # The connection outlives its last use for a while, in which the next run would take it up.
    words = [word.replace("ControlPersist=20", "ControlPersist=1") for word in link.shell]
    running = subprocess.Popen(
        [sys.executable, "-c", program, link.host, json.dumps(words), f"{tmp_path}/inbox/"], cwd=TOP
    )
    try:
        eventually(
            "it is on its way", lambda: list(tmp_path.glob("inbox/down/.film.*")), within_s=20
        )
        assert _of(settings.run_dir)
    finally:
        running.kill()
        running.wait()
    eventually("all that it started is gone", lambda: not _of(settings.run_dir), within_s=20)


def _of(run_dir: Path) -> list[bytes]:
    """The processes whose words name the folder of a control socket: rsync, its ssh, and the master."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            words = path.read_bytes()
            if bytes(run_dir) in words:
                found.append(words)
    return found
