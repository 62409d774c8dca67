"""For any host and any wish: what the plan shows is what is done, and then nothing is left to do."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Any
from unittest import mock

from hypothesis import given
from hypothesis import strategies as st

import require
from require.remote import apt
from require.remote.shell import Done
from require.resource import Change, NoChange, Resource

NAMES = ("cabin", "galley", "pilot")
OFFERED = ("1:1.0-1", "1:1.2-1", "2.0")

Status = dict[str, tuple[str, str]]


class Dpkg:
    """A host's packages, without their files: name → status and version."""

    def __init__(self, packages: Status) -> None:
        self.packages = {"dpkg": ("ii ", "1.22"), **packages}

    def __call__(self, argv: Sequence[str], **named: Any) -> Done:
        words = argv[argv.index("--") + 1 :] if "--" in argv else []
        if argv[0] == "dpkg-query":
            found = [name for name in argv[3:] if name in self.packages]
            rows = ["\t".join((name, "amd64", *self.packages[name])) for name in found]
            return Done(argv, 0, "".join(f"{row}\n" for row in rows), "")
        if argv[:2] == ["apt-get", "install"]:
            for word in words:
                name, _, wished = word.partition("=")
                want = "h" if self.packages.get(name, ("", ""))[0].startswith("h") else "i"
                offered = [each for each in OFFERED if apt.matches(each, wished or "*")]
                self.packages[name] = (f"{want}i ", offered[-1])
        elif argv[0] == "apt-get" and "--simulate" not in argv:
            for name in words:
                if argv[1] == "purge":
                    del self.packages[name]
                else:
                    self.packages[name] = ("rc ", self.packages[name][1])
        elif argv[0] == "apt-mark":
            want = {"hold": "h", "unhold": "i"}[argv[1]]
            for name in words:
                status, version = self.packages[name]
                self.packages[name] = (want + status[1:], version)
        return Done(argv, 0, "", "")


starts = st.dictionaries(
    st.sampled_from(NAMES),
    st.tuples(
        st.sampled_from(["ii ", "hi ", "rc ", "iF ", "iU ", "iHR", "un "]),
        st.sampled_from(OFFERED),
    ),
)
names = st.lists(st.sampled_from(NAMES), min_size=1, unique=True)
versions = st.sampled_from(["", "=1:1.0-1", "=1:1*", "=2.0"])


@given(starts, names, st.data())
def test_what_is_shown_is_done_and_then_there_is_nothing_left(
    start: Status, chosen: list[str], data: st.DataObject
) -> None:
    with require.declare():
        wish: Resource = data.draw(
            st.sampled_from(
                [
                    require.apt.absent(chosen, purge=data.draw(st.booleans())),
                    require.apt.held(chosen, hold=data.draw(st.booleans())),
                    require.apt.packages([name + data.draw(versions) for name in chosen]),
                ]
            )
        )
    host = Dpkg(start)
    with mock.patch.object(apt, "run", host), mock.patch.object(apt, "_installed", None):
        state = apt.probe(wish.question())
        kept = deepcopy(state)
        plan = wish.plan(state)
        assert wish.plan(state) == plan
        assert state == kept
        before = deepcopy(host.packages)
        if isinstance(plan, Change):
            apt.apply({**wish.question(), **wish.order()}, state)
            assert host.packages != before
            assert wish.plan(apt.probe(wish.question())) == NoChange()
            assert all(
                name in plan.summary
                for name in NAMES
                if host.packages.get(name) != before.get(name)
            )
