"""The gate: an aircraft's key pushes into its inbox and pulls from its outbox, and nothing else."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from sync import files, gate
from sync.gate import Refusal, restricted

pytestmark = pytest.mark.slow

TOP = Path(__file__).parents[2]


def knock(state: Path, asked: str | None, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "TURNAROUND_STATE_DIR": str(state)}
    environment |= {"PYTHONPATH": str(TOP)}
    if asked is not None:
        environment["SSH_ORIGINAL_COMMAND"] = asked
    return subprocess.run(
        [sys.executable, "-m", "sync.gate", *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_push_is_led_to_the_inbox_and_a_pull_to_the_outbox() -> None:
    push = restricted("EC-TAA", "rsync --server -tr . ./", "/s")
    pull = restricted("EC-TAA", "rsync --server --sender -tr . ./", "/s")
    assert push == ["/usr/bin/rrsync", "-wo", "-no-del", "-munge", "/s/sync/inbox/EC-TAA"]
    assert pull == ["/usr/bin/rrsync", "-ro", "/s/sync/outbox/EC-TAA"]


@pytest.mark.parametrize(
    "asked",
    ["", "sh", "scp -f /etc/passwd", "rsync --daemon", "rsync", "'", "bash -c 'rsync --server'"],
)
def test_anything_but_rsync_is_refused(asked: str) -> None:
    with pytest.raises(Refusal, match="this key runs rsync only"):
        restricted("EC-TAA", asked, "/s")


@pytest.mark.parametrize("name", ["", "..", "../hangar", "EC TAA", "-ro", "a/b"])
def test_a_name_that_is_no_aircraft_is_refused(name: str) -> None:
    with pytest.raises(Refusal, match="no aircraft's name"):
        restricted(name, "rsync --server . .", "/s")


def test_a_refusal_is_one_sentence_and_an_exit_code(tmp_path: Path) -> None:
    for asked, arguments, reason in (
        (None, ["EC-TAA"], "has no shell"),
        ("id", ["EC-TAA"], "not 'id'"),
        ("rsync --server . .", [], "expected one argument"),
        ("rsync --server --sender -tr . .", ["EC-TAA"], "EC-TAA has no folder here yet"),
    ):
        done = knock(tmp_path, asked, *arguments)
        assert done.returncode == 1
        assert done.stderr.startswith("turnaround: refused: ")
        assert reason in done.stderr
        assert done.stderr.count("\n") == 1
    assert not (tmp_path / "sync").exists()


@dataclass(frozen=True)
class Thief:
    """Whoever holds the keys of EC-TAA: a real rsync at one end, the gate at the other."""

    state: Path
    own: Path

    def rsync(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        ssh = [sys.executable, str(Path(__file__).with_name("fake_ssh.py"))]
        shell = shlex.join([*ssh, str(self.state), "EC-TAA", "0"])
        return subprocess.run(
            ["rsync", "-rt", "-e", shell, *arguments],
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def thief(tmp_path: Path) -> Thief:
    """A hangar with two aircraft; each has a file in its inbox and in its outbox."""
    for folder in ("inbox", "outbox"):
        for name in ("EC-TAA", "EC-TAB"):
            (tmp_path / "sync" / folder / name).mkdir(parents=True)
            (tmp_path / "sync" / folder / name / "letter").write_text(f"{folder} of {name}")
    own = tmp_path / "own"
    own.mkdir()
    return Thief(tmp_path, own)


def test_an_aircraft_reads_its_own_outbox(thief: Thief) -> None:
    assert thief.rsync("hangar:./", f"{thief.own}/").returncode == 0
    assert (thief.own / "letter").read_text() == "outbox of EC-TAA"


@pytest.mark.parametrize("path", ["../EC-TAB/", "./../EC-TAB/letter", "../../inbox/EC-TAA/"])
def test_an_aircraft_reads_nothing_else(thief: Thief, path: str) -> None:
    done = thief.rsync(f"hangar:{path}", f"{thief.own}/")
    assert done.returncode != 0
    assert "rrsync" in done.stderr
    assert list(thief.own.iterdir()) == []


def test_an_absolute_path_is_one_below_its_own_outbox(thief: Thief) -> None:
    secret = thief.state / "secret"
    secret.write_text("secret")
    assert thief.rsync(f"hangar:{secret}", f"{thief.own}/").returncode != 0
    assert thief.rsync("hangar:/letter", f"{thief.own}/").returncode == 0
    assert (thief.own / "letter").read_text() == "outbox of EC-TAA"


def test_an_aircraft_writes_its_own_inbox_and_removes_nothing(thief: Thief) -> None:
    (thief.own / "news").write_text("new")
    inbox = thief.state / "sync" / "inbox"
    assert thief.rsync(f"{thief.own}/", "hangar:./").returncode == 0
    assert (inbox / "EC-TAA" / "news").read_text() == "new"
    assert thief.rsync(f"{thief.own}/", "hangar:../EC-TAB/").returncode != 0
    refused = thief.rsync("--delete", f"{thief.own}/", "hangar:./")
    assert refused.returncode != 0
    assert "option --delete has been disabled" in refused.stderr
    assert (inbox / "EC-TAA" / "letter").exists()
    assert [path.name for path in (inbox / "EC-TAB").iterdir()] == ["letter"]


def test_a_link_that_is_pushed_leads_nowhere(thief: Thief) -> None:
    (thief.own / "out").symlink_to("../../outbox/EC-TAB")
    assert thief.rsync("-l", f"{thief.own}/", "hangar:./").returncode == 0
    pushed = thief.state / "sync" / "inbox" / "EC-TAA" / "out"
    assert pushed.is_symlink()
    assert not pushed.exists()
    assert [*files.epoch_folders(pushed), *files.epoch_folders(pushed.parent)] == []


def push(command: list[str], inbox: str) -> int:
    with gate.alone(f"{inbox}.push") as note:
        return gate.watched(command, inbox, note)


def test_a_full_inbox_takes_no_more_and_says_whose_fault_it_may_be(
    thief: Thief, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox = str(thief.state / "sync" / "inbox" / "EC-TAA")
    gate.room(inbox)
    monkeypatch.setattr(gate, "MOST_BYTES", 1)
    with pytest.raises(Refusal, match=r"the inbox holds .* and may hold 0 MB"):
        gate.room(inbox)
    monkeypatch.undo()
    monkeypatch.setattr(gate, "MOST_FILES", 1)
    with pytest.raises(Refusal, match="in 2 files"):
        push(["false"], inbox)


def test_a_push_that_fills_the_inbox_is_stopped_with_all_that_it_started(
    thief: Thief, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "MOST_BYTES", 100_000)
    monkeypatch.setattr(gate, "LOOK_S", 0.01)
    inbox = thief.state / "sync" / "inbox" / "EC-TAA"
    # Its child is what writes, as of rrsync.
    endless = f"while sleep 0.01; do head -c 30000 /dev/zero >>{inbox}/flood; done"
    with pytest.raises(Refusal, match="the inbox holds"):
        push(["sh", "-c", f"({endless}) & wait"], str(inbox))
    size = (inbox / "flood").stat().st_size
    time.sleep(0.1)
    assert (inbox / "flood").stat().st_size == size < 10**6


def test_a_push_is_stopped_when_its_box_is_retired(
    thief: Thief, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "LOOK_S", 0.01)
    inbox = thief.state / "sync" / "inbox" / "EC-TAA"
    kept = inbox.with_name("kept")
    # Who is in the folder stays in it when it gets another name.
    pushing = f"cd {inbox}; mv {inbox} {kept}; while sleep 0.01; do echo more >>flood; done"
    with pytest.raises(Refusal, match="is there no more"):
        push(["timeout", "5", "sh", "-c", pushing], str(inbox))


def test_one_file_fills_the_inbox_and_not_the_disk(
    thief: Thief, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "MOST_BYTES", 1 << 20)
    monkeypatch.setattr(gate, "LOOK_S", 60)
    inbox = thief.state / "sync" / "inbox" / "EC-TAA"
    (inbox / "before").write_bytes(bytes(1 << 18))
    with pytest.raises(Refusal, match="the inbox holds 1 MB"):
        push(["dd", "if=/dev/zero", f"of={inbox}/flood", "bs=64k"], str(inbox))
    assert (1 << 19) < (inbox / "flood").stat().st_size <= (1 << 20) - (1 << 18)


def test_a_push_ends_the_former_one_of_the_same_aircraft(thief: Thief) -> None:
    inbox = str(thief.state / "sync" / "inbox" / "EC-TAA")
    # As one whose connection was cut: it waits for what does not come, and so does what it started.
    script = (
        "import sys; from sync import gate\n"
        "with gate.alone(sys.argv[1]) as note:\n"
        "    sys.exit(gate.watched(['sh', '-c', 'echo up; sleep 60; echo late'], sys.argv[2], note))"
    )
    former = subprocess.Popen(
        [sys.executable, "-c", script, f"{inbox}.push", inbox], cwd=TOP, stdout=subprocess.PIPE
    )
    assert former.stdout is not None
    assert former.stdout.readline() == b"up\n"
    began = time.monotonic()
    assert push(["true"], inbox) == 0
    assert time.monotonic() - began < gate.FORMER_S
    # All of it has let go of its output, unfinished.
    assert former.communicate(timeout=10)[0] == b""


def test_a_former_push_that_does_not_end_is_said(
    thief: Thief, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "FORMER_S", 0.1)
    note = str(thief.state / "push")
    with gate.alone(note), pytest.raises(Refusal, match="does not end"), gate.alone(note):
        pass
    # Who was killed holds nothing.
    with gate.alone(note):
        pass


def test_what_a_power_cut_left_is_swept_before_the_next_push(thief: Thief) -> None:
    folder = thief.state / "sync" / "inbox" / "EC-TAA" / "use"
    folder.mkdir()
    (folder / ".000000000001.cs.AbC123").write_bytes(b"x")
    (folder / "000000000001.cs").write_bytes(b"y")
    assert thief.rsync(f"{thief.own}/", "hangar:./").returncode == 0
    assert [path.name for path in folder.iterdir()] == ["000000000001.cs"]


@pytest.mark.parametrize(
    "option",
    [
        "--temp-dir=../../outbox/EC-TAB",
        "--backup-dir=../EC-TAB",
        "--partial-dir=/tmp",
        "--log-file=/tmp/log",
        "--link-dest=../EC-TAB",
        "--copy-dest=/etc",
        "--files-from=/etc/passwd",
        "--write-batch=/tmp/batch",
        "--remove-source-files",
        "--write-devices",
    ],
)
def test_an_option_that_leads_elsewhere_touches_nothing_there(thief: Thief, option: str) -> None:
    (thief.own / "news").write_text("new")
    elsewhere = [thief.state / "sync" / "inbox" / "EC-TAB", thief.state / "sync" / "outbox"]
    before = [sorted(path.rglob("*")) for path in elsewhere]
    asked = f"rsync --server -tr {option} . ./"
    done = knock(thief.state, asked, "EC-TAA")
    assert done.returncode != 0
    assert [sorted(path.rglob("*")) for path in elsewhere] == before
    assert not Path("/tmp/log").exists()
    assert not Path("/tmp/batch").exists()


def test_a_folder_that_is_pushed_over_a_link_stays_inside(thief: Thief) -> None:
    """First a link, then a folder of its name with a file in it."""
    (thief.own / "out").symlink_to("../../outbox/EC-TAB")
    assert thief.rsync("-l", f"{thief.own}/", "hangar:./").returncode == 0
    (thief.own / "out").unlink()
    (thief.own / "out").mkdir()
    (thief.own / "out" / "letter").write_text("forged")
    thief.rsync("-K", f"{thief.own}/", "hangar:./")
    outbox = thief.state / "sync" / "outbox" / "EC-TAB" / "letter"
    assert outbox.read_text() == "outbox of EC-TAB"


def test_a_device_or_a_pipe_is_not_taken_for_a_change_set(thief: Thief) -> None:
    os.mkfifo(thief.own / "000000000001.cs")
    thief.rsync("-D", f"{thief.own}/", "hangar:./")
    assert list(files.change_sets(thief.state / "sync" / "inbox" / "EC-TAA")) == []


def test_what_cannot_be_counted_takes_no_more(
    thief: Thief, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden = thief.state / "sync" / "inbox" / "EC-TAA" / "hidden"
    hidden.mkdir()
    scan = os.scandir

    def closed(path: str) -> object:
        if path == str(hidden):
            raise PermissionError(13, "Permission denied", path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", closed)
    with pytest.raises(Refusal, match="holds what cannot be read"):
        gate.room(str(hidden.parent))


def test_a_push_may_not_reserve_room() -> None:
    with pytest.raises(Refusal, match="--preallocate"):
        restricted("EC-TAA", "rsync --server -tr --preallocate . ./", "/s")


def test_a_list_in_one_piece_is_asked_for_in_words_that_the_gate_takes(thief: Thief) -> None:
    assert (
        thief.rsync("--no-inc-recursive", "--delete", "hangar:./", f"{thief.own}/").returncode == 0
    )
    assert (thief.own / "letter").exists()


def test_the_gate_loads_nothing_but_the_standard_library() -> None:
    script = (
        "import sys, sync.gate; "
        "print([name for name in ('sqlalchemy', 'common', 'pydantic') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=TOP, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
