"""From what was seen to what is to be done. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from require.catalog import Catalog
from require.remote.wire import digest
from require.resource import Change, NoChange, Plan, Resource, Spec, State, Unknown
from require.secret import MASK

Answer = Mapping[str, Any]


@dataclass(frozen=True)
class Planned:
    """One resource, what was seen of it, and what follows.

    Args:
        resource: as declared.
        state: as seen; None when looking failed.
        plan: the difference.
    """

    resource: Resource
    state: State | None
    plan: Plan

    @property
    def blocked(self) -> bool:
        """Nothing can be done about it in this run."""
        return isinstance(self.plan, Unknown) and self.plan.blocked

    @property
    def step(self) -> bool:
        """The host is asked to apply it."""
        return not isinstance(self.plan, NoChange) and not self.blocked


def questions(resources: Sequence[Resource]) -> list[Spec]:
    """Return what the host is asked, one entry per resource."""
    return [
        {
            "key": each.key,
            "noun": each.noun,
            "spec": each.question(),
            "timeout": each.probe_timeout_s,
        }
        for each in resources
    ]


def declares(resources: Sequence[Resource]) -> str:
    """Return a digest of all that is declared; secrets are masked first."""
    wishes = [[each.key, each.question(), each.order()] for each in resources]
    return hashlib.sha256(json.dumps(wishes, default=_opaque).encode()).hexdigest()


def _opaque(value: object) -> str:
    return hashlib.sha256(value).hexdigest() if isinstance(value, bytes) else MASK


def plan(resources: Sequence[Resource], answers: Sequence[Answer]) -> list[Planned]:
    """Compare every resource with what was seen of it.

    Args:
        resources: in the order they were asked.
        answers: one per resource, {"state": …} or {"failed": reason}.
    """
    planned = []
    for resource, answer in zip(resources, answers, strict=True):
        state = answer.get("state")
        if state is None:
            found = answer.get("failed", "no answer")
            reason = f"{found}; see on the host what keeps it, and converge again"
            planned.append(Planned(resource, None, Unknown(reason, blocked=True)))
        else:
            planned.append(Planned(resource, state, resource.plan(state)))
    return planned


def apply_request(
    catalog: Catalog, planned: Sequence[Planned], only: frozenset[str] | None = None
) -> Spec:
    """Return the part of a request to apply that follows from a plan.

    Args:
        catalog: knows who needs whom.
        planned: every resource of the host, in order.
        only: keys of the steps to apply; None: all that differ.

    Returns:
        "resources": the questions, for a step also "order", "expect" (digest of the state that
        the plan was made for, None for an unknown), "notify", "wide"; "needs" by key;
        "handlers" by key; "bad": keys that cannot be known.
    """
    resources = questions([each.resource for each in planned])
    for entry, each in zip(resources, planned, strict=True):
        if not each.step or (only is not None and each.resource.key not in only):
            continue
        entry["order"] = each.resource.order()
        entry["expect"] = digest(each.state) if isinstance(each.plan, Change) else None
        entry["notify"] = [handler.key for handler in each.resource.notify]
        entry["wide"] = each.resource.wide
    return {
        "resources": resources,
        "needs": {each.key: list(catalog.needs_of(each)) for each in catalog},
        "handlers": {
            handler.key: {
                "key": handler.key,
                "noun": handler.noun,
                "spec": dict(handler.spec),
                "before": list(handler.before),
            }
            for handler in catalog.handlers()
        },
        "bad": [each.resource.key for each in planned if each.blocked],
    }
