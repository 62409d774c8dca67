"""How a synchronisation goes is told while it runs, and can break nothing of it."""

from __future__ import annotations

import threading

import pytest

from onboard_app.agent import watching
from onboard_app.agent.watching import watched
from sync.onlooker import Seen


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr(watching, "FIRST_S", 0.001)
    monkeypatch.setattr(watching, "EVERY_S", 0.001)
    monkeypatch.setattr(watching, "SHARE", 0.0)


def test_only_what_has_changed_is_told():
    looks = iter([Seen(), Seen(files=1), Seen(files=1), Seen(files=1), Seen(files=2)])
    told, enough = [], threading.Event()

    def look():
        seen = next(looks, None)
        if seen is None:
            enough.set()
            return Seen(files=2)
        return seen

    with watched(look, told.append):
        assert enough.wait(10)
    assert [one.files for one in told] == [1, 2]


def test_a_look_that_fails_ends_the_looking_and_nothing_else(caplog):
    tried = threading.Event()

    def look():
        tried.set()
        raise OSError("no disk")

    with watched(look, print):
        assert tried.wait(10)
    assert "is not told any more: no disk" in caplog.text


def test_the_work_s_own_error_comes_through_and_the_looking_ends_with_it():
    with pytest.raises(KeyError), watched(Seen, print):
        raise KeyError
    assert "onlooker" not in {thread.name for thread in threading.enumerate()}
