"""A host whose files are not as aboard left them."""

from __future__ import annotations

from random import Random

from ci.faults.case import Case
from ci.faults.release.aftermath import finished, served, told_why
from ci.faults.release.artifacts import KIND
from ci.faults.release.stand import HOME, START, STOP, Stand
from ci.story.teller import NotSo

TOP = "/opt/turnaround"
LINK = f"{TOP}/current/{KIND}"
STATE = f"{HOME}/aboard/state.json"


def blob(stand: Stand, chance: Random) -> str:
    """A file of the store, which the next release shares, has another byte."""
    new = stand.make()
    sha256 = new.sums["pages/same.txt"]
    path = f"{TOP}/blobs/{sha256[:2]}/{sha256}"
    stand.shell(f"tr a-z b-za <{path} >{path[:-64]}x && mv {path[:-64]}x {path}")
    stand.deploy(new).expect("pages/same.txt", "damaged on this disk", "again", code=4)
    served(stand, stand.good)
    return finished(stand, new)


def no_link(stand: Stand, chance: Random) -> str:
    """`current` is gone, and the next release is a bad one: the old one is returned to all the same."""
    old, bad = stand.good, stand.make("agent-fails")
    stand.shell(f"rm {LINK}")
    stand.deploy(bad).expect("returned", code=4)
    served(stand, old)
    stand.shell(f"rm {LINK}")
    return finished(stand, stand.make())


def no_link_at_boot(stand: Stand, chance: Random) -> str:
    """`current` is gone when the power comes back."""
    stand.shell(f"rm {LINK}; sync")
    stand.power(on=False)
    stand.power(on=True)
    served(stand, stand.good)
    return finished(stand, stand.make())


def state(stand: Stand, chance: Random) -> str:
    """The state file cannot be read: that is said, with what to do, which then helps."""
    new = stand.make()
    text = chance.choice(["", "{", '{"format": 1, "kinds": {"onboard": []}}', "\\0\\0\\0\\0"])
    stand.shell(f"printf '{text}' >{STATE}")
    stand.deploy(new).expect("state.json", "move it away", code=4)
    if not stand.seen().serves(stand.good):
        raise NotSo(f"served is {stand.seen().served}")
    stand.shell(f"mv {STATE} {STATE}.away")
    fact = finished(stand, new)
    stand.shell(f"rm {STATE}.away")
    return fact


def manifest(stand: Stand, chance: Random) -> str:
    """The current release's manifest is no manifest any more."""
    old = stand.good
    stand.shell(f"echo '{{' >{LINK}/manifest.json")
    fact = finished(stand, stand.make())
    stand.shell(f"{STOP}; rm -rf {TOP}/releases/{KIND}/{old.version}; {START}")
    return fact


def former(stand: Stand, chance: Random) -> str:
    """The release to go back to lost its code: it never serves, and the present one stays."""
    lost = stand.good
    finished(stand, stand.make())
    stand.shell(f"rm -rf {TOP}/releases/{KIND}/{lost.version}/lib")
    stand.rollback().expect("refused", "turnaround-", "No module named", code=4)
    served(stand, stand.good)
    told_why(stand, lost, "No module named")
    return finished(stand, stand.make())


CASES = [
    Case(
        "a blob damaged",
        "a file of the store that the next release shares has other bytes",
        "exit 4 names it; the old release is served; the next run sends it again",
        blob,
        seeds=False,
    ),
    Case(
        "current is gone",
        "the link is removed; then comes a bad release, and then a good one",
        "the bad one is returned from to the one before; the good one is confirmed",
        no_link,
        seeds=False,
    ),
    Case(
        "current is gone at boot",
        "the link is removed, and the power goes and comes back",
        "the last good release is served",
        no_link_at_boot,
        seeds=False,
    ),
    Case(
        "state damaged",
        "the state file is empty, half, or something else",
        "exit 4 says what to do; the old release is served; that done, the next run finishes",
        state,
    ),
    Case(
        "manifest damaged",
        "the current release's manifest cannot be read",
        "the next release is confirmed",
        manifest,
        seeds=False,
    ),
    Case(
        "the release before damaged",
        "the release to go back to lost its code",
        "exit 4, refused, with the reason; the present one is served",
        former,
        seeds=False,
    ),
]
