"""Which of a group comes now, and why the rest waits: the link's rule, time, room, and what came wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from common.settings import Settings
from sync import holding, policy
from sync.manifest import File, Item
from sync.room import Room

__all__ = ["Choice", "Lately"]

# A blob that came wrong so often is not fetched again until another manifest is offered.
TRIES = 3


@dataclass
class Lately:
    """What a link gave lately: its interface, and bytes per second, 0 while that is not known.

    It outlives a manifest's `Choice`: where content made way for rows, what was too slow for an item
    before that is too slow after it.
    """

    interface: str = ""
    rate: float = 0.0


class Choice:
    """Judges the groups of one manifest, each by the link that there is when its turn comes.

    Args:
        settings: where content is, and the rules of links.
        state: keeps what waits and why.
        room: makes room.
        progress: told what waits.
        clock: time with zone.
        lately: what the link gave until now in this synchronisation.
    """

    def __init__(
        self,
        settings: Settings,
        state: holding.State,
        room: Room,
        progress: Callable[[str], None],
        clock: Callable[[], datetime],
        lately: Lately,
    ) -> None:
        self._settings, self._content = settings, settings.content_dir
        self._state, self._room, self._progress, self._clock = state, room, progress, clock
        self._policy, self._lately = policy.now(settings), lately

    def of(self, items: Sequence[Item], missing: Sequence[File]) -> tuple[list[Item], list[File]]:
        """Return which of a group to fetch now, and its files; the others wait, and it is kept why."""
        rate = self._look()
        chosen: list[Item] = []
        coming: dict[str, File] = {}
        for item in items:
            own = _own(item, missing)
            need = holding.missing_bytes(self._content, (own | coming).values())
            against = self._against(self._policy, item, own.values())
            if against:
                self.wait(item, missing, against, link=self._policy.interface)
            elif rate and self.late(item, need / rate):
                self.too_late(item, missing)
            elif kept := self._why_not(item, own, need):
                self.wait(item, missing, *kept)
            else:
                chosen.append(item)
                coming |= own
        return chosen, list(coming.values())

    def diverted(self, items: Sequence[Item], coming: Sequence[File]) -> bool:
        """Whether what is coming has to be judged anew: the way is another one, with another rule for it."""
        now = policy.now(self._settings)
        # While one way goes and another comes there is none for a moment.
        if now.interface in ("", self._policy.interface):
            return False
        return now.kib_s != self._policy.kib_s or any(
            self._against(now, item, _own(item, coming).values()) for item in items
        )

    def late(self, item: Item, left_s: float) -> bool:
        """Whether it ends before so many seconds have passed."""
        if item.valid_to is None:
            return False
        return (item.valid_to - self._clock()).total_seconds() <= left_s

    def gave(self, rate: float) -> None:
        """Take what the link gave now, in bytes per second."""
        self._lately.interface, self._lately.rate = self._policy.interface, rate

    def too_late(self, item: Item, missing: Iterable[File]) -> None:
        """Let an item wait that would come after its end, for the end of this link or of itself."""
        why = f"it would come after {item.valid_to:%d %b %H:%M}, when it ends"
        self.wait(item, missing, why, link=self._policy.interface)

    def wait(
        self, item: Item, missing: Iterable[File], why: str, room: int = 0, link: str = ""
    ) -> None:
        """Let an item wait for those of its files that are missing, of whatever group they are.

        Arguments: `room` and `link` are those of `holding.Waiting`.
        """
        size = holding.missing_bytes(self._content, _own(item, missing).values())
        self._progress(f"{item.kind} {item.id} waits: {why}")
        self._state.waiting.append(holding.Waiting(item.id, item.kind, size, why, room, link))

    def _look(self) -> float:
        """Look which way there is, and return what it gave lately."""
        self._policy = policy.now(self._settings)
        return self._lately.rate if self._lately.interface == self._policy.interface else 0.0

    def _against(self, by: policy.Policy, item: Item, own: Iterable[File]) -> str:
        # A rule is for an item, room and time are for all that come with it.
        return by.against(item.kind, holding.missing_bytes(self._content, own))

    def _why_not(self, item: Item, own: Mapping[str, File], need: int) -> tuple[str, int] | None:
        """Return why an item waits whatever the link is, and how much room it needs; None where it comes."""
        for sha256, file in own.items():
            if self._state.wrong.get(sha256, 0) >= TRIES:
                return (
                    f"{file.path} came wrong {TRIES} times: import it again; another manifest brings it",
                    0,
                )
        if not self._room.make(need, item, self._clock()):
            lacks = self._room.lacks(need)
            return (
                f"no room: it lacks {lacks / 1e6:.1f} MB, and nothing of lower priority can go",
                need + holding.reserve(self._content)[1],
            )
        return None


def _own(item: Item, among: Iterable[File]) -> dict[str, File]:
    lacking = {file.sha256: file for file in among}
    return {one.sha256: lacking[one.sha256] for one in item.files if one.sha256 in lacking}
