"""A push that the hangar does not take: what comes down comes all the same, and nothing counts as pushed."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from sync import files, publish, seal, session, state, tree
from sync import hangar as hangar_side
from sync.gate import MOST_FILES
from sync.rsync import Link, LinkLost, Moved
from tests.sync.ends import End, add_events, ids, link_to, run
from tests.sync.test_content import add_item

pytestmark = [pytest.mark.postgres, pytest.mark.slow]


@pytest.fixture
def film(hangar: End) -> str:
    """A film that the hangar offers, and a row of its catalogue."""
    run(
        hangar,
        "insert into aircraft (name, tower, airline) values ('EC-TAA', 'a', 'TA')",
        "insert into survey (id, question, choices) values (gen_random_uuid(), '{}', '[]')",
    )
    film = str(add_item(hangar, 1, {"film.mp4": b"film"}))
    hangar_side.refresh(hangar.engine, hangar.settings)
    publish.publish(hangar.engine, hangar.settings)
    return film


@contextmanager
def _at_its_bound(inbox: Path) -> Iterator[None]:
    (inbox / "stands").mkdir(parents=True)
    for number in range(MOST_FILES + 1):
        os.close(os.open(inbox / "stands" / str(number), os.O_CREAT))
    yield
    subprocess.run(["rm", "-r", str(inbox / "stands")], check=True)


@contextmanager
def _on_a_full_disk(inbox: Path) -> Iterator[None]:
    if os.geteuid():
        pytest.skip("only root may mount")
    inbox.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "small", str(inbox)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(inbox)], check=True)


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        (_at_its_bound, "hangar refused: the inbox holds"),
        (_on_a_full_disk, "hangar: the disk there takes no more"),
    ],
)
def test_what_the_hangar_does_not_take_keeps_nothing_back_that_it_sends(
    aircraft: End,
    hangar: End,
    film: str,
    trouble: Callable[[Path], AbstractContextManager[None]],
    said: str,
) -> None:
    add_events(aircraft, 5000)
    link, inbox = link_to(hangar, "EC-TAA"), files.inbox(hangar.settings, "EC-TAA")
    with trouble(inbox):
        report = session.run(aircraft.settings, aircraft.engine, link=link)
        assert (report.pushed, len(report.problems)) == (False, 1)
        assert said in report.problems[0]
        assert "enrolled" not in report.problems[0]
        assert ids(aircraft, "survey") == ids(hangar, "survey")
        assert list(tree.shown(aircraft.settings.content_dir)) == [film]
        assert not state.local_state(aircraft.engine, aircraft.settings)["pushed"]
    again = session.run(aircraft.settings, aircraft.engine, link=link)
    assert (again.pushed, again.problems) == (True, [])
    hangar_side.ingest(hangar.engine, hangar.settings, "EC-TAA")
    assert ids(hangar) == ids(aircraft)


def test_a_link_that_is_lost_in_the_push_ends_the_session(
    aircraft: End, hangar: End, film: str
) -> None:
    add_events(aircraft, 5)
    seal.seal_all(aircraft.engine, aircraft.settings)
    good = link_to(hangar, "EC-TAA")

    class Cut(Link):
        def push(self, folder: Path) -> Moved:
            raise LinkLost("cut")

    with pytest.raises(LinkLost, match="cut"):
        session.run(aircraft.settings, aircraft.engine, link=Cut(good.host, good.shell))
    assert tree.shown(aircraft.settings.content_dir) == {}
