"""The agent's loop, with a hangar and synchronisations that do what the test says."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from itertools import pairwise

import pytest

from onboard_app.agent.hangar import Ack, Applied, Reply, Unheard, Urgent
from onboard_app.agent.loop import Agent

ACK = Ack(epoch="e", seq=4, sha256="f")


class Hangar:
    """Answers with the replies it was given, the last one for ever; None is silence."""

    def __init__(self, *replies):
        self.replies, self.bodies = list(replies), []

    def beat(self, body):
        self.bodies.append(body)
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if reply is None:
            raise Unheard("no answer")
        return reply


class Syncs:
    def __init__(self):
        self.running, self.starts = False, 0

    def start(self):
        self.starts += 1
        return True


class Bench:
    """An agent on a clock that moves by what it waits."""

    def __init__(self, *replies, accept=None, answer=None, hurry=None, rows=None):
        self.hangar, self.syncs, self.now, self.accepted = Hangar(*replies), Syncs(), 0.0, []
        self.answered, self.hurried, self.healed, self.asked = [], [], [], []
        self.agent = Agent(
            self.hangar,
            lambda: {"syncing": self.syncs.running, "up": {"use": {"epoch": "e"}}},
            accept or self.accepted.append,
            self.syncs,
            hurry or self.hurried.append,
            clock=lambda: self.now,
            chance=lambda: 0.5,
            answer=answer or self.answered.append,
            heal=lambda *told: self.healed.append(told),
            rows=rows or self.asked.append,
        )

    def turn(self):
        wait = self.agent.turn()
        self.now += wait
        return wait


def test_it_beats_at_the_interval_the_hangar_asks_for():
    bench = Bench(Reply(interval_s=7))
    assert [bench.turn() for _ in range(3)] == [7, 7, 7]


def test_in_silence_it_waits_longer_and_is_back_at_once():
    bench = Bench(Reply(interval_s=2), None, None, None, Reply(interval_s=2))
    assert [bench.turn() for _ in range(5)] == [2, 3, 6, 7.5, 2]


def test_hours_of_silence_are_one_line_in_the_log(caplog):
    caplog.set_level("INFO")
    bench = Bench(None)
    for _ in range(50):
        bench.turn()
    assert len(caplog.records) == 1


def test_what_is_due_starts_a_synchronisation():
    bench = Bench(Reply(due=["cat"]))
    bench.turn()
    assert bench.syncs.starts == 1


def test_what_was_due_while_one_ran_starts_no_other_when_that_has_just_ended():
    bench = Bench(Reply(due=["cat"]))
    bench.syncs.running = True
    beat = bench.hangar.beat

    def ends_meanwhile(body):
        bench.syncs.running = False
        return beat(body)

    bench.hangar.beat = ends_meanwhile
    bench.turn()
    assert bench.syncs.starts == 0
    bench.turn()
    assert bench.syncs.starts == 1


def test_the_next_beat_says_what_was_heard():
    bench = Bench(Reply(due=["cat"]), None, Reply(due=[]))
    for _ in range(4):
        bench.turn()
    assert [body["heard"] for body in bench.hangar.bodies] == [[], ["cat"], ["cat"], []]


def test_with_nothing_due_nothing_starts():
    bench = Bench(Reply())
    bench.turn()
    assert bench.syncs.starts == 0


def test_heartbeats_go_on_while_it_synchronises_and_say_so():
    bench = Bench(Reply(due=["content"]))
    bench.turn()
    bench.syncs.running = True
    for _ in range(10):
        bench.turn()
    assert bench.syncs.starts == 1
    assert [body["syncing"] for body in bench.hangar.bodies[:3]] == [False, True, True]


def test_one_that_does_not_help_is_not_started_at_every_beat():
    bench = Bench(Reply(interval_s=5, due=["content"]))
    for _ in range(40):
        bench.turn()
    assert 4 <= bench.syncs.starts <= 7, "in 200 s, each pause twice the last"


def test_after_something_helped_the_next_starts_at_once():
    bench = Bench(Reply(due=["cat"]), Reply(due=["cat"]), Reply(), Reply(due=["up"]), Reply())
    for _ in range(4):
        bench.turn()
    assert bench.syncs.starts == 3


def test_fresh_content_does_not_wait_behind_usage_that_is_always_due():
    busy = [Reply(due=["up"])] * 200
    bench = Bench(*busy, Reply(due=["up", "content"]))
    for _ in busy:
        bench.turn()
    before = bench.syncs.starts
    assert before < 12
    bench.turn()
    assert bench.syncs.starts == before + 1


def test_acknowledgements_are_taken_once():
    bench = Bench(Reply(acks={"use": ACK}))
    for _ in range(3):
        bench.turn()
    assert bench.accepted == [{"use": {"epoch": "e", "seq": 4, "sha256": "f"}}]


def test_acknowledgements_that_could_not_be_taken_are_tried_again():
    tries = []

    def accept(acks):
        tries.append(acks)
        if len(tries) == 1:
            raise RuntimeError("the database is away")

    bench = Bench(Reply(acks={"use": ACK}), accept=accept)
    for _ in range(3):
        assert bench.turn() == 5.0
    assert len(tries) == 2


def test_it_stops_when_it_is_told_to_and_wakes_when_something_ended():
    bench, wake, stop = Bench(Reply(interval_s=3600)), threading.Event(), threading.Event()
    beaten = threading.Semaphore(0)
    turn = bench.agent.turn
    bench.agent.turn = lambda: (turn(), beaten.release())[0]
    thread = threading.Thread(target=bench.agent.run, args=(wake, stop, lambda: None))
    thread.start()
    assert beaten.acquire(timeout=5)
    wake.set()
    assert beaten.acquire(timeout=5), "an hour early"
    stop.set()
    wake.set()
    thread.join(5)
    assert not thread.is_alive()


def test_it_gives_signs_of_life_while_it_waits_for_an_hour():
    bench, signs, stop = Bench(Reply(interval_s=3600)), [], threading.Event()

    class Wake:
        def wait(self, seconds):
            bench.now += seconds
            return False

        def clear(self):
            stop.set()

    bench.agent.run(Wake(), stop, lambda: signs.append(bench.now))
    assert signs[-1] == 3600
    assert max(later - sooner for sooner, later in pairwise(signs)) <= 30


@pytest.mark.parametrize("due", [["up"], ["usr", "content"]])
def test_what_exactly_is_due_makes_no_difference(due):
    bench = Bench(Reply(due=due))
    bench.turn()
    assert bench.syncs.starts == 1


def test_what_the_hangar_lacks_is_answered_and_a_failure_keeps_nothing_up():
    needs = {"usage_event": datetime(2026, 11, 26, 8, tzinfo=UTC)}
    bench = Bench(Reply(), Reply(needs=needs, due=["up"]))
    bench.turn()
    assert bench.answered == []
    bench.turn()
    assert bench.answered == [needs]

    def broken(needs):
        raise OSError("the database is away")

    bench = Bench(Reply(needs=needs, due=["up"]), answer=broken)
    bench.turn()
    assert bench.syncs.starts == 1


URGENT = Urgent(version="v", priority=10)


def test_what_is_more_urgent_is_passed_on_while_it_synchronises():
    bench = Bench(Reply(due=["content"]), Reply(due=["content"], urgent=URGENT))
    for _ in range(2):
        bench.turn()
        bench.syncs.running = True
    assert bench.hurried == [{"version": "v", "priority": 10, "valid_to": None}]
    assert bench.syncs.starts == 1


def test_one_that_cannot_be_passed_on_stops_no_heartbeat(caplog):
    def hurry(_):
        raise OSError(28, "No space left on device")

    bench = Bench(Reply(urgent=URGENT, due=["cat"]), hurry=hurry)
    assert bench.turn() == 5.0
    assert bench.syncs.starts == 1
    assert "No space left" in caplog.text


def during(*dues, interval_s=5):
    """What was asked of a synchronisation that ran all the time, and when."""
    bench = Bench(*(Reply(interval_s=interval_s, due=list(due)) for due in dues))
    bench.syncs.running, said = True, []
    for _ in dues:
        before = len(bench.asked)
        at = bench.now
        bench.turn()
        said += [(at, asked) for asked in bench.asked[before:]]
    assert bench.syncs.starts == 0
    return said


def test_rows_that_become_due_while_it_synchronises_are_passed_on_and_withdrawn():
    dues = [["content"], ["up", "content"], ["content"], ["cat", "usr", "content"]]
    assert during(*dues) == [(0, []), (5, ["up"]), (10, []), (15, ["cat", "usr"])]


def test_rows_that_stay_due_are_passed_on_ever_less_often():
    said = during(*[["up", "content"]] * 200)
    assert [at for at, _ in said] == [0, 60, 180, 420, 720]


def test_rows_that_become_due_beside_them_wait_for_none_of_that():
    assert during(["up"], ["up"], ["up", "cat"]) == [(0, ["up"]), (10, ["up", "cat"])]


def test_while_nothing_synchronises_no_rows_are_passed_on():
    bench = Bench(Reply(due=["up"]))
    for _ in range(3):
        bench.turn()
    assert bench.asked == []


def test_rows_that_cannot_be_passed_on_stop_no_heartbeat(caplog):
    def rows(_):
        raise OSError(28, "No space left on device")

    bench = Bench(Reply(due=["up"]), rows=rows)
    bench.syncs.running = True
    assert bench.turn() == 5.0
    assert "No space left" in caplog.text


def test_what_the_hangar_wants_anew_is_told_with_what_it_was_told():
    former = {"use": {"0a1b2c3d": Applied(seq=4, sha256="f")}}
    bench = Bench(Reply(), Reply(wants={"use": "snapshot"}, former=former), Reply())
    for _ in range(3):
        bench.turn()
    told = {"use": {"0a1b2c3d": {"seq": 4, "sha256": "f"}}}
    assert bench.healed == [({"use": {"epoch": "e"}}, ["use"], told)]


def test_a_database_that_is_away_is_healed_with_a_later_reply():
    bench = Bench(Reply(wants={"use": "snapshot"}))

    def away(*_):
        raise OSError("no database")

    bench.agent._heal = away
    assert bench.turn() == 5
