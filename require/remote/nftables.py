"""The firewall's rules: the twin of `require.resources.nftables`."""

from __future__ import annotations

from typing import Any

from require.remote import file, ways
from require.remote.shell import Failed, Refused, run

# Without counters, and without the elements of named sets: they change by themselves.
LIST = ["nft", "--stateless", "--terse", "list", "ruleset"]
# What the kernel makes of a file's rules, told by a network with nothing in it.
APART = 'nft -f "$1"; exec nft --stateless --terse list ruleset'


def probe(spec: dict[str, Any]) -> dict[str, Any]:
    """Look at the file and, where that is as wished, at the rules that run.

    Args:
        spec: as of a file.

    Returns:
        As of a file; where its content is as wished also "nft": whether there is such a program;
        where other rules run "running" and "declared", both as the kernel lists them.

    Raises:
        Failed: the rules cannot be compared.
    """
    state = file.probe(spec)
    if state.get("sha") != spec["sha"]:
        return state
    try:
        running = run(LIST).check().out
    except FileNotFoundError:
        return state | {"nft": False}
    declared = run(["unshare", "--net", "sh", "-ec", APART, "sh", spec["path"]])
    if declared.code != 0:
        raise Failed(
            "the rules cannot be loaded into an empty network, to be compared with those that run "
            f"(iif and oif need the interface there: write iifname, oifname): {declared.err[-500:]}"
        )
    state["nft"] = True
    if running != declared.out:
        state |= {"running": running, "declared": declared.out}
    return state


def apply(spec: dict[str, Any], state: dict[str, Any]) -> None:
    """Load the rules, all or none of them, and keep them for the next boot.

    What is new is loaded first and kept when the kernel has taken it, so that no boot ever finds
    rules that cannot be loaded. Before that it is tried whether they let in again whoever is in.

    Args:
        spec: as of a file.
        state: what `probe` saw just now.

    Raises:
        Refused: as of a file; the kernel did not take the rules, or they would shut out somebody
            who is connected by SSH, and the old ones run.
        Failed: the kernel did not take them from the file.
    """
    shut = ways.shut(spec["content"].decode())
    if shut:
        raise Refused(
            f"these rules would shut out {'; '.join(shut)}: let that side answer the port, or come in "
            "by another way and end this connection"
        )
    new = state.get("sha") != spec["sha"]
    file.apply({**spec, "validate": ["nft", "-f", "{}"]}, state)
    if not new:
        run(["nft", "-f", spec["path"]]).check()
