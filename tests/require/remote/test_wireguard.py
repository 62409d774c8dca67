"""A WireGuard interface on a real disk, in a kernel that is a variable; the look is the very script."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import require
from require.remote import shell, wireguard
from require.remote.shell import Failed, Refused
from require.resource import Change, NoChange
from require.resources.wireguard import Peer
from tests.require.remote.programs import Programs

TAB, TAC = (b64encode(name.ljust(32)).decode() for name in (b"EC-TAB", b"EC-TAC"))
DUMP = f"""private\tpublic\t51820\toff
{TAB}\tpreshared\t192.0.2.1:4\t10.64.2.1/32,10.64.3.0/24\t1795634121\t9\t9\t25
{TAC}\t(none)\t(none)\t10.64.4.1/32\t0\t0\t0\toff
"""
WG = f"""#!/bin/sh
case "$1" in
    show) cat <<'END' ;;
{DUMP}END
    pubkey) cat >/dev/null; echo public ;;
esac
"""


@pytest.fixture
def bin_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Programs of a host whose interface runs."""
    folder = tmp_path / "bin"
    folder.mkdir()
    scripts = {
        "wg": WG,
        "ip": "#!/bin/sh\necho '7: wg0    inet 10.64.1.1/16 scope global wg0'\n",
        "systemctl": "#!/bin/sh\nexit 0\n",
    }
    for name, text in scripts.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    monkeypatch.setattr(shell, "PATH", f"{folder}:/usr/bin:/bin")
    return folder


def spec(folder: Path) -> dict[str, Any]:
    key = str(folder / "key")
    return {"path": str(folder / "wg0.conf"), "sha": "", "text": True, "name": "wg0", "key": key}


@pytest.mark.usefixtures("bin_folder")
def test_a_look_tells_what_runs_and_nothing_secret(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("private\n")
    (tmp_path / "key").chmod(0o640)
    state = wireguard.probe(spec(tmp_path))
    assert state == {
        "kind": "absent",
        "unit": True,
        "key": "640",
        "running": {
            "own": True,
            "port": 51820,
            "addresses": ["10.64.1.1/16"],
            "peers": {
                TAB: [["10.64.2.1/32", "10.64.3.0/24"], "25"],
                TAC: [["10.64.4.1/32"], "off"],
            },
        },
    }
    said = shell.run(["sh", "-c", wireguard.LOOK, "sh", "wg0", str(tmp_path / "key")]).out
    assert "private" not in said
    assert "preshared" not in said


def test_a_look_does_not_fail_on_absence(tmp_path: Path, bin_folder: Path) -> None:
    for name in ("wg", "ip", "systemctl"):
        (bin_folder / name).write_text("#!/bin/sh\nexit 1\n")
    state = wireguard.probe(spec(tmp_path))
    assert state == {"kind": "absent", "unit": False, "key": None, "running": None}


def interface(folder: Path, peers: Sequence[Peer] = ()) -> Any:
    with require.declare():
        made = require.wireguard.interface(
            "wg0",
            address="10.64.1.1/16",
            peers=peers,
            private_key_file=str(folder / "key"),
        )
    return replace(made, path=str(folder / "wg0.conf"), owner=None, group=None)


def bring(made: Any, **looked: Any) -> dict[str, Any]:
    running = {"own": True, "port": 5, "addresses": ["10.64.1.1/16"], "peers": {}}
    found = {"kind": "absent", "unit": True, "key": "600", "running": running} | looked
    assert isinstance(made.plan(found), Change)
    wireguard.apply({**made.question(), **made.order()}, found)
    return found


def test_the_key_is_made_on_the_host_and_is_in_no_other_file(
    tmp_path: Path, programs: Programs
) -> None:
    programs.answer = lambda argv, stdin: (0, "made-here\n", "")
    bring(interface(tmp_path), unit=False, key=None, running=None)
    assert programs.started == [["wg", "genkey"]]
    assert (tmp_path / "key").read_text() == "made-here\n"
    for name in ("key", "wg0.conf"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
    assert "made-here" not in (tmp_path / "wg0.conf").read_text()


@pytest.mark.parametrize(("runs", "kept"), [("runs\n", "runs\n"), ("(none)\n", "new\n")])
def test_a_lost_key_is_the_one_that_runs(
    tmp_path: Path, programs: Programs, runs: str, kept: str
) -> None:
    programs.answer = lambda argv, stdin: (0, "new\n" if argv[1] == "genkey" else runs, "")
    bring(interface(tmp_path), key=None)
    assert (tmp_path / "key").read_text() == kept


def test_peers_are_handed_to_the_running_interface_with_its_key(
    tmp_path: Path, programs: Programs
) -> None:
    (tmp_path / "key").write_text("made-here\n")
    bring(interface(tmp_path, [Peer(TAB, ["10.64.2.1"])]))
    assert programs.started == [["wg", "syncconf", "wg0", "/dev/stdin"]]
    assert programs.stdin == [
        "[Interface]\nPrivateKey = made-here\n\n"
        f"[Peer]\nPublicKey = {TAB}\nAllowedIPs = 10.64.2.1/32\n"
    ]
    assert TAB in (tmp_path / "wg0.conf").read_text()


@pytest.mark.parametrize(
    "running",
    [None, {"own": True, "port": 5, "addresses": ["10.64.9.9/16"], "peers": {}}],
    ids=["gone", "another address"],
)
def test_it_is_started_again_only_where_it_must(
    tmp_path: Path, programs: Programs, running: Any
) -> None:
    (tmp_path / "key").write_text("made-here\n")
    bring(interface(tmp_path), running=running)
    assert programs.started == [["systemctl", "restart", "wg-quick@wg0.service"]]
    assert (tmp_path / "wg0.conf").exists()


def test_one_that_runs_without_its_unit_is_taken_down_for_it(
    tmp_path: Path, programs: Programs
) -> None:
    (tmp_path / "key").write_text("made-here\n")
    bring(interface(tmp_path), unit=False)
    assert programs.started[1:] == [
        ["ip", "link", "delete", "dev", "wg0"],
        ["systemctl", "restart", "wg-quick@wg0.service"],
    ]


def test_one_whose_unit_is_masked_runs_on(tmp_path: Path, programs: Programs) -> None:
    programs.answer = lambda argv, stdin: (1, "masked\n", "")
    with pytest.raises(Refused, match=r"systemctl unmask wg-quick@wg0\.service"):
        bring(interface(tmp_path), unit=False)
    assert programs.started == [["systemctl", "is-enabled", "wg-quick@wg0.service"]]


def test_what_wireguard_does_not_take_is_not_kept_for_the_next_boot(
    tmp_path: Path, programs: Programs
) -> None:
    (tmp_path / "key").write_text("made-here\n")
    programs.answer = lambda argv, stdin: (1, "", "Name or service not known: `nowhere:1'\n")
    with pytest.raises(Failed, match="Name or service not known"):
        bring(interface(tmp_path, [Peer(TAB, ["10.64.2.1"], endpoint="nowhere:1")]))
    assert not (tmp_path / "wg0.conf").exists()


def test_a_key_that_others_can_read_is_closed(tmp_path: Path, programs: Programs) -> None:
    (tmp_path / "key").write_text("made-here\n")
    (tmp_path / "key").chmod(0o644)
    made = interface(tmp_path)
    found = bring(made, key="644", unit=False, running=None)
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    (tmp_path / "wg0.conf").chmod(0o600)
    now = wireguard.file.probe(made.question())
    assert made.plan({**found, **now, "key": "600"}) == NoChange()
