"""What must hold after every fault, whatever it was."""

from __future__ import annotations

from ci.faults.release.artifacts import Made
from ci.faults.release.seen import Seen
from ci.faults.release.stand import Stand
from ci.story.teller import NotSo, eventually

SERVED_S = 30.0  # after a boot: services start, and what was on trial is returned from


def served(stand: Stand, *allowed: Made, over: bool = True) -> Made:
    """Sees that exactly one of these releases is served, whole, and that all agree about which.

    Args:
        stand: where.
        allowed: the old and the new one.
        over: also that no trial is left; a trial whose aboard was killed has its time.

    Returns:
        The one that is served.

    Raises:
        NotSo: it is none of them, or some of each.
    """
    stand.quiet()

    def look() -> Made:
        seen = stand.seen()
        for made in allowed:
            if seen.serves(made):
                _agrees(seen, made, over)
                return made
        raise NotSo(f"served is {seen.served}, current is {seen.current or 'nothing'}")

    what = "the old or the new release is served"
    try:
        found = eventually(what, look, within_s=SERVED_S, every_s=0.2)
    except NotSo as error:
        raise NotSo(f"{error}; aboard said by itself: {stand.by_itself()}") from None
    assert isinstance(found, Made)
    return found


def _agrees(seen: Seen, made: Made, over: bool) -> None:
    stages = ("confirmed",) if over else ("confirmed", "trial")
    in_trial = not over and seen.records.get(seen.current, {}).get("stage") == "trial"
    if seen.current != made.version and not in_trial:
        raise NotSo(f"{made.version} is served, and current is {seen.current}")
    if not seen.is_whole(made):
        raise NotSo(f"{made.version} is served, and is not whole")
    if seen.stage(made) not in stages:
        raise NotSo(f"{made.version} is served, and the state says {seen.stage(made)}")
    if over and "trial" in [each["stage"] for each in seen.records.values()]:
        raise NotSo(f"a trial is left: {seen.records}")


def finished(stand: Stand, new: Made) -> str:
    """Sees that the next run of the same deploy finishes, and leaves nothing; tells how.

    Raises:
        NotSo: it does not.
    """
    said = stand.deploy(new)
    said.expect(code=0)
    served(stand, new)
    seen = stand.seen()
    if said.outcome.status != "no change" and seen.halves:
        raise NotSo(f"after the next run there is left {seen.halves}")
    stand.good = new
    return (
        "it was current already"
        if said.outcome.status == "no change"
        else "the next run finished it"
    )


def told_why(stand: Stand, bad: Made, *words: str) -> None:
    """Sees that `fab releases` tells why a release was returned from.

    Raises:
        NotSo: it does not.
    """
    reason = stand.reason(bad)
    if not reason or not any(word in reason for word in words):
        raise NotSo(f"{bad.version}: expected one of {words} for a reason, found {reason!r}")
