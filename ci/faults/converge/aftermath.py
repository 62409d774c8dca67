"""What must hold after every fault, whatever it was."""

from __future__ import annotations

from ci.faults.converge import wanted
from ci.faults.converge.seen import Seen
from ci.faults.converge.stand import Stand
from ci.faults.under_test import Said
from ci.story.teller import NotSo

TRIES = 3
AGAIN = ("converge again", "is being changed by")


def ends_well(stand: Stand, generation: int) -> str:
    """Sees that the host is half nowhere, that the next run finishes, and that nothing is left; tells how.

    Args:
        stand: its host was `stand.generation`, and was to be `generation` when the fault came.
        generation: becomes the stand's.

    Raises:
        NotSo: one of it does not hold.
    """
    whole(stand.seen(), stand.generation, generation)
    again = _next_run(stand, generation)
    assert again.result is not None
    after = as_declared(stand, generation)
    stand.generation = generation
    last = again.result.last_run
    cut = last is not None and not last.finished
    restarts(after, generation, most=2 if cut else 1)
    if again.outcome.status == "no change":
        return "it had ended well by itself"
    return "it was cut short, and the next run finished it" if cut else "the next run did it"


def _next_run(stand: Stand, generation: int) -> Said:
    """Converges once nothing is going on; one that was on its way to its start is waited for as ops would."""
    for _ in range(TRIES):
        stand.quiet()
        said = stand.operate(wanted.catalog(generation))
        if said.code != 4 or not any(words in said.text for words in AGAIN):
            break
    said.expect(code=0)
    return said


def as_declared(stand: Stand, generation: int) -> Seen:
    """Sees that one more converge finds nothing to change, and that nothing is left."""
    stand.operate(wanted.catalog(generation), check=True).expect("no change", code=0)
    seen = stand.quiet()
    if not seen.is_of(generation):
        raise NotSo(f"after the next run the host is not as declared: {seen}")
    if seen.left:
        raise NotSo(f"after the next run there is left {seen.left}")
    return seen


def whole(seen: Seen, *generations: int) -> None:
    """Sees that each file is wholly one of these generations."""
    if halves := seen.halves(*generations):
        raise NotSo(f"neither old nor new: {', '.join(halves)}")


def restarts(seen: Seen, generation: int, most: int = 1) -> None:
    """Sees that the unit was restarted after the last change, and how often."""
    final = wanted.told(generation)
    count = seen.told.count(final)
    if not seen.told or seen.told[-1] != final or not 1 <= count <= most:
        raise NotSo(
            f"the unit was restarted {count} times after the last change, expected 1"
            f"{f' to {most}' if most > 1 else ''}; at last it saw "
            f"{'that' if seen.told and seen.told[-1] == final else 'something older'}"
        )
