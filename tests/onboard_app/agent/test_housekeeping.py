"""The house is kept until the agent stops, whatever goes wrong once."""

from __future__ import annotations

import threading

from onboard_app.agent.housekeeping import keep_house


def test_it_goes_on_after_a_failure_and_ends_when_it_is_told() -> None:
    stop, looks = threading.Event(), []

    def keep() -> None:
        looks.append("look")
        if len(looks) == 1:
            raise OSError("the database is away")
        stop.set()

    keep_house(keep, stop, every_s=0)
    assert looks == ["look", "look"]
