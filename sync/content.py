"""Content files aboard: fetched in the order of their urgency, checked, shown when complete.

The invariant: an item is visible only while all its files are here with the right hashes, and the
step from one set of items to the next is one rename. Files are known by their SHA-256, so a file
that is here already is never sent again, whatever it is called.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from common.clock import utc_now
from common.settings import Settings
from sync import files, holding, shown, tree
from sync.choice import TRIES, Choice, Lately
from sync.manifest import File, Item, Manifest
from sync.overtake import Overtaking
from sync.plan import plan
from sync.room import Room, wanted
from sync.rsync import Link, Moved, NoRoom
from sync.watch import Watch

__all__ = ["Received", "receive"]

# On a full disk nothing can be moved out of the way: so much of what came makes that possible.
MOVING_ROOM = 2**20
_FULL = {errno.ENOSPC, errno.EDQUOT}


@dataclass
class Received:
    """What a session fetched: files and bytes on the link, and in words what is not right.

    `overtaken`: it stopped because something more urgent is offered, or rows are due; nothing is wrong
    with that.
    """

    version: str = ""
    files: int = 0
    moved: Moved = field(default_factory=Moved)
    switches: int = 0
    overtaken: bool = False
    problems: list[str] = field(default_factory=list)

    def then(self, later: Received) -> Received:
        """Both together: what is not right is what was not right at last."""
        return Received(
            later.version,
            self.files + later.files,
            self.moved + later.moved,
            self.switches + later.switches,
            later.overtaken,
            later.problems,
        )


def receive(
    settings: Settings,
    link: Link,
    progress: Callable[[str], None],
    *,
    clock: Callable[[], datetime] = utc_now,
    overtaking: Overtaking | None = None,
    lately: Lately | None = None,
) -> Received:
    """Fetch what the manifest names and is not here, group by group, and show it.

    It may be killed anywhere; the next call sends only what is missing. Arguments: `lately` is what the
    link gave until now in this synchronisation, and is kept up to date. Raises what `Link` raises.

    >>> receive(settings, link, print)  # doctest: +SKIP
    newspaper: 2 files, 3.1 MB
    Received(version='5f0c…', files=2, …)
    """
    content = settings.content_dir
    files.make_folder(content)
    state = holding.read(content)
    state.refused, manifest = holding.accept(settings), holding.offered(settings)
    foreign = holding.foreign(settings, manifest) if manifest else ""
    state.refused = state.refused or foreign
    problems = [state.refused] if state.refused else []
    if manifest is None or foreign:
        if problems:
            state.write(content)
        return Received(problems=problems)
    state.follow(manifest.version)
    received = Received(manifest.version, problems=[*problems, *manifest.refused])
    following = _Following(
        settings,
        link,
        progress,
        clock,
        overtaking or Overtaking(settings),
        lately or Lately(),
        manifest,
        state,
        received,
    )
    try:
        following.go()
    finally:
        shown_now = tree.shown(content)
        gone = {one.id: one for one in (*state.evicted, *following.room.evicted)}
        state.evicted = [one for one in gone.values() if one.id not in shown_now]
        try:
            state.write(content)
        except OSError as error:
            received.problems.append(
                f"what waits cannot be kept, the next heartbeat is wrong: {error}"
            )
    return received


class _Following:
    """One manifest, followed to its end or until it is overtaken."""

    def __init__(
        self,
        settings: Settings,
        link: Link,
        progress: Callable[[str], None],
        clock: Callable[[], datetime],
        overtaking: Overtaking,
        lately: Lately,
        manifest: Manifest,
        state: holding.State,
        received: Received,
    ) -> None:
        self._settings, self._content, self._link = settings, settings.content_dir, link
        self._progress, self._clock, self._overtaking = progress, clock, overtaking
        self._manifest, self._state, self._received = manifest, state, received
        self.room = Room(settings, manifest)
        self._choice = Choice(settings, state, self.room, progress, clock, lately)

    def go(self) -> None:
        """Fetch all that may come, or stop where something more urgent is offered or rows are due."""
        self._show()
        self._tidy()
        gone = -1
        # What had to go is offered still: it is judged anew, and waits.
        while gone < len(self.room.evicted) and not self._received.overtaken:
            gone = len(self.room.evicted)
            self._state.waiting.clear()
            self._pass()
        if not self._received.overtaken:
            self._tidy()
            self._received.overtaken = self._overtaking.due(self._manifest.version, None)

    def _pass(self) -> None:
        todo, waiting = self._manifest.items, self._state.waiting
        while todo and not self._received.overtaken:
            before = len(waiting)
            self._go_through(replace(self._manifest, items=todo))
            # A file comes with the first item that has it: where that waits, the others ask for it.
            waits = {one.id for one in waiting[before:]}
            lost = {
                file.sha256
                for item in self._manifest.items
                if item.id in waits
                for file in item.files
            }
            waits = {one.id for one in waiting}
            todo = tuple(
                item
                for item in self._manifest.items
                if item.id not in waits and any(file.sha256 in lost for file in item.files)
            )

    def _go_through(self, manifest: Manifest) -> None:
        for group in plan(manifest, self._have, self._clock()):
            todo: tuple[Sequence[Item], Sequence[File]] = group
            while todo[1]:
                due = self._overtaking.due(self._manifest.version, todo[0][0].urgency)
                if due or self._overtaking.rows_due():
                    self._received.overtaken = True
                    return
                todo = self._bring(*todo)
                if self._received.overtaken:
                    return

    def _bring(
        self, items: Sequence[Item], missing: Sequence[File]
    ) -> tuple[Sequence[Item], Sequence[File]]:
        """Bring what may come of a group; returns what is to be judged anew, as the way is another one."""
        chosen, coming = self._choice.of(items, missing)
        if not coming:
            return (), ()
        kinds = ", ".join(sorted({item.kind for item in chosen}))
        size = sum(file.size for file in coming)
        self._progress(f"{kinds}: {len(coming)} files, {size / 1e6:.1f} MB")
        diverted = self._fetch(chosen, coming)
        # After each group: the newspaper is there to read before the film has come.
        self._show()
        return (chosen, coming) if diverted else ((), ())

    def _have(self, file: File) -> bool:
        return holding.have(self._content, file)

    def _fetch(self, items: Sequence[Item], coming: Sequence[File]) -> bool:
        """Fetch a group and take what came of it; once more when room had to be made first.

        Returns whether it was ended because the way is another one.
        """
        watch = self._watch(items, coming)
        for once_more in (True, False):
            try:
                moved = self._transfer(coming, watch)
                break
            except NoRoom as error:
                self._give_back(coming, MOVING_ROOM)
                need = holding.missing_bytes(self._content, coming)
                if not once_more or not self.room.make(need, items[0], self._clock()):
                    self._give_up(items, coming, str(error))
                    return False
        self._received.moved += moved
        # Also where it ended by itself just then: that version is not asked for a second time.
        self._received.overtaken = watch.overtaken
        if watch.settled():
            self._choice.gave(watch.rate())
        if watch.late and moved.stopped:
            for item in items:
                self._choice.too_late(item, coming)
        if watch.grew:
            self._is_wrong(watch.grew, f"more than its {watch.grew.size} bytes came")
        if not moved.stopped:
            for file in coming:
                self._received.files += self._take(file, moved.problem)
        return watch.diverted and moved.stopped

    def _watch(self, items: Sequence[Item], coming: Sequence[File]) -> Watch:
        def overtaken(left_s: float) -> bool:
            return self._overtaking.due(self._manifest.version, items[0].urgency, left_s)

        def hopeless(left_s: float) -> bool:
            return all(self._choice.late(item, left_s) for item in items)

        def diverted() -> bool:
            return self._choice.diverted(items, coming)

        rows_due = self._overtaking.rows_due
        return Watch(self._content, coming, overtaken, hopeless, diverted, rows_due)

    def _transfer(self, coming: Sequence[File], watch: Watch) -> Moved:
        moved = self._link.fetch(
            (file.sha256 for file in coming),
            self._content / "staging",
            largest=max(file.size for file in coming),
            stop=watch,
        )
        # rsync tells no figures when it is stopped; what came lies in the staging folder.
        return replace(moved, received=watch.came) if moved.stopped else moved

    def _give_up(self, items: Sequence[Item], coming: Sequence[File], why: str) -> None:
        """Let a group wait that the disk does not take, and give back what it took: rows need it."""
        for item in items:
            self._choice.wait(item, coming, why, holding.missing_bytes(self._content, coming))
        self._give_back(coming)

    def _give_back(self, coming: Sequence[File], most: int | None = None) -> None:
        """Shorten what was received, by so many bytes at most; it goes on from there."""
        for file in coming:
            size = holding.staged_bytes(self._content, file)
            staged = self._content / "staging" / file.sha256
            if size and not staged.is_symlink():
                os.truncate(staged, max(0, size - (most or size)))

    def _take(self, file: File, unmoved: str) -> bool:
        """Move a staged file among the blobs when it is what it should be; else say what is wrong.

        Arguments: `unmoved` is why some file of the group did not come over, '' when all should be here.
        """
        staged = self._content / "staging" / file.sha256
        if staged.is_symlink() or (staged.exists() and not staged.is_file()):
            self._is_wrong(file, "expected a file, found something else")
            return False
        size = holding.staged_bytes(self._content, file)
        if not staged.exists() or (size < file.size and unmoved):
            why = unmoved or "The hangar offers it and does not have it: publish it anew"
            self._received.problems.append(f"{file.path}: {file.sha256} did not come. {why}")
            return False
        if size != file.size:
            self._is_wrong(file, f"expected {file.size} bytes, found {size}")
            return False
        found = files.sha256_of(staged)
        if found != file.sha256:
            self._is_wrong(file, f"expected sha256 {file.sha256}, found {found}")
            return False
        staged.chmod(0o644)
        files.fsync(staged)
        files.move(staged, tree.blob_path(self._content, file.sha256))
        return True

    def _is_wrong(self, file: File, found: str) -> None:
        tree.remove(self._content / "staging" / file.sha256)
        tries = self._state.wrong[file.sha256] = self._state.wrong.get(file.sha256, 0) + 1
        then = "fetches it again" if tries < TRIES else "lets it wait for another manifest"
        self._received.problems.append(
            f"{file.path}: {found}. It was removed; the next synchronisation {then}"
        )

    def _show(self) -> None:
        for _ in range(2):
            try:
                self._received.switches += shown.show(self._settings, self._manifest, self._clock())
                return
            except OSError as error:
                if error.errno not in _FULL:
                    raise
                said = error
            # What is shown stays; what was shown before it may go.
            self.room.clear(self._clock())
        self._received.problems.append(f"what came cannot be shown, the disk is full: {said}")

    def _tidy(self) -> None:
        with tree.locked(self._content):
            tree.tidy(self._content, wanted(self._manifest, self._clock()))
