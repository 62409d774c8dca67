"""While a key of the tower is changed an aircraft finds the pair that the hangar takes, whatever is cut."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet.aboard import tower
from fleet.aboard.tower import TRIES, Pair, Ways, configured, follow, pairs

OLD, NEW, HANGAR, NEXT = (f"{letter * 42}A=" for letter in "onhx")
CONFIGURATION = f"""# Written by turnaround.
[Interface]
Address = 10.1.64.11/24
PostUp = wg set %i private-key /etc/turnaround/keys/tower.key

# hangar
[Peer]
PublicKey = {HANGAR}
AllowedIPs = 10.1.64.1/32
Endpoint = 203.0.113.10:51820
PersistentKeepalive = 15
"""


class Tower:
    """An interface and a hangar that takes one pair; the world ends after `steps` looks."""

    def __init__(self, folder: Path, takes: tuple[str, str], steps: int = 100) -> None:
        self.folder, self.takes, self.steps = folder, takes, steps
        self.pair = (OLD, HANGAR)
        self.used: list[str] = []
        (folder / "tower.key").write_text(f"{OLD}\n")
        (folder / "wg0.conf").write_text(CONFIGURATION)

    def use(self, text: str) -> None:
        self.used.append(text)
        values = dict(line.split(" = ") for line in text.splitlines() if " = " in line)
        self.pair = (values["PrivateKey"], values["PublicKey"])

    def answered(self, hangar: str) -> bool:
        assert hangar == "10.1.64.1"
        return self.pair == self.takes

    def pause(self, seconds: float) -> None:
        self.steps -= 1
        if not self.steps:
            for path in self.folder.glob("*.next"):
                path.unlink()

    def follow(self) -> None:
        follow(Ways(self.use, self.answered, self.pause), self.folder, self.folder / "wg0.conf")


def test_without_a_change_there_is_nothing_to_do(tmp_path: Path) -> None:
    made = Tower(tmp_path, takes=("none", "none"))
    made.follow()
    assert made.used == []


@pytest.mark.parametrize("files", [{"tower.key.next": NEW}, {"tower.hangar.next": NEXT}])
def test_while_the_hangar_answers_nothing_is_touched(tmp_path: Path, files: dict[str, str]) -> None:
    made = Tower(tmp_path, takes=(OLD, HANGAR))
    for name, text in files.items():
        (tmp_path / name).write_text(f"{text}\n")
    made.follow()
    assert made.used == []


@pytest.mark.parametrize("takes", [(NEW, HANGAR), (OLD, NEXT), (NEW, NEXT)])
def test_the_pair_that_the_hangar_takes_is_found(tmp_path: Path, takes: tuple[str, str]) -> None:
    made = Tower(tmp_path, takes)
    (tmp_path / "tower.key.next").write_text(f"{NEW}\n")
    (tmp_path / "tower.hangar.next").write_text(f"{NEXT}\n")
    made.follow()
    assert made.pair == takes
    assert len(made.used) < 4


def test_a_hangar_that_goes_back_is_followed_back(tmp_path: Path) -> None:
    made = Tower(tmp_path, takes=(NEW, HANGAR))
    (tmp_path / "tower.key.next").write_text(f"{NEW}\n")
    made.steps = 2 * TRIES
    made.follow()
    assert made.pair == made.takes
    (tmp_path / "tower.key.next").write_text(f"{NEW}\n")
    made.takes, made.steps = (OLD, HANGAR), 4 * TRIES
    made.follow()
    assert made.pair == (OLD, HANGAR)


def test_one_silence_is_no_reason_to_change_anything(tmp_path: Path) -> None:
    made = Tower(tmp_path, takes=(NEW, HANGAR), steps=TRIES - 1)
    (tmp_path / "tower.key.next").write_text(f"{NEW}\n")
    made.follow()
    assert made.used == []


def test_the_peer_stays_as_declared_but_for_its_key(tmp_path: Path) -> None:
    Tower(tmp_path, takes=(OLD, HANGAR))
    text = configured(Pair(tmp_path / "tower.key", NEXT), CONFIGURATION)
    assert text == (
        f"[Interface]\nPrivateKey = {OLD}\n\n[Peer]\nPublicKey = {NEXT}\nAllowedIPs = 10.1.64.1/32\n"
        "Endpoint = 203.0.113.10:51820\nPersistentKeepalive = 15\n"
    )


def test_a_hangar_without_a_peer_leaves_one_pair(tmp_path: Path) -> None:
    (tmp_path / "tower.key").write_text(OLD)
    assert pairs(tmp_path, CONFIGURATION) == [Pair(tmp_path / "tower.key", HANGAR)]


@pytest.mark.parametrize(
    ("error", "expected"),
    [(ConnectionRefusedError(), True), (TimeoutError(), False), (OSError(126, "no key"), False)],
)
def test_that_nothing_listens_is_an_answer(
    monkeypatch: pytest.MonkeyPatch, error: OSError, expected: bool
) -> None:
    def connect(place: tuple[str, int], timeout: float) -> None:
        raise error

    monkeypatch.setattr(tower.socket, "create_connection", connect)
    assert tower.answered("10.1.64.1") is expected
