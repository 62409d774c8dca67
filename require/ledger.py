"""What becomes of each resource, noted as it becomes known; at the end it is the result."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

from require.catalog import Catalog
from require.planning import Planned
from require.resource import Change, NoChange, Resource, Unknown
from require.result import Outcome, Status
from require.secret import Secret, mask


class Ledger:
    """The outcomes of one run, with secrets masked.

    Args:
        catalog: whose secrets must not be in anything that is noted; `secrets` are those.
    """

    def __init__(self, catalog: Catalog) -> None:
        self.outcomes: dict[str, Outcome] = {}
        self.handlers: dict[str, Outcome] = {}
        self.errors: list[str] = []
        self.notes: list[str] = []
        self.held = ""
        self.secrets = list(_secrets(catalog))

    def mask(self, text: str) -> str:
        """Return a text without the secrets of the catalog."""
        return mask(text, self.secrets)

    def planned(self, each: Planned) -> None:
        """Note what a plan says of a resource."""
        resource, found = each.resource, each.plan
        status: Status = "ok"
        summary = diff = reason = ""
        if isinstance(found, Change):
            status, summary, diff = "would change", self.mask(found.summary), found.diff
        elif isinstance(found, Unknown):
            status, reason = "unknown", self.mask(found.reason)
            if found.blocked:
                self.errors.append(f"{resource.key} ({resource.where}): {reason}")
        self.outcomes[resource.key] = Outcome(
            resource.key,
            status,
            summary,
            self.mask(diff),
            reason,
            resource.role,
            str(resource.where),
        )

    def would_handle(self, planned: Sequence[Planned], waiting: Sequence[str]) -> None:
        """Note which handlers would run: those that wait, and those of what would change."""
        for key in waiting:
            summary = "an interrupted run left it to be done"
            self.handlers[key] = Outcome(key, "would change", summary)
        for each in planned:
            for handler in each.resource.notify if isinstance(each.plan, Change) else ():
                summary = f"after {each.resource.key}"
                self.handlers.setdefault(handler.key, Outcome(handler.key, "would change", summary))

    def known(self, resources: Iterable[Resource], steps: Iterable[str], whole: bool) -> None:
        """Note what a run was about that is known from the host's journal alone.

        Args:
            resources: what is declared now.
            steps: keys of what the run was to apply.
            whole: these are the resources that it was about; else only its steps are noted.
        """
        found = {each.key: each for each in resources}
        for key in dict.fromkeys((*found, *steps) if whole else steps):
            each = found.get(key)
            role, where = (each.role, str(each.where)) if each else ("", "")
            self.outcomes[key] = Outcome(key, "ok", role=role, where=where)

    def applied(self, reply: Mapping[str, Any]) -> None:
        """Note how the steps and handlers of a run ended.

        Args:
            reply: "results" and "handlers" by key, each "status" and perhaps "reason".
        """
        for key, result in reply["results"].items():
            self.set(key, result["status"], self.mask(result.get("reason", "")))
        for key, ran in reply["handlers"].items():
            reason = self.mask(ran.get("reason", ""))
            self.handlers[key] = Outcome(key, ran["status"], reason=reason)

    def set(self, key: str, status: Status, reason: str = "") -> None:
        """Note how one resource ended; what the plan said of it stays unless it is as declared."""
        former = self.outcomes[key]
        kept = status != "ok"
        summary = former.summary
        if status == "changed" and former.status == "unknown":
            summary = "made as declared, now that it could be known"
        self.outcomes[key] = Outcome(
            key,
            status,
            summary if kept else "",
            former.diff if kept else "",
            reason,
            former.role,
            former.where,
        )

    def unseen(self, keys: Iterable[str], reason: str) -> None:
        """Note of some resources that it is not known what became of them."""
        for key in keys:
            self.set(key, "unknown", reason)

    def lock_of(self, holder: Mapping[str, Any]) -> None:
        """Note that somebody else changes the host, and who."""
        self.held = holder.get("run", "")
        self.errors.append(
            f"the host is being changed by {holder.get('owner', 'someone')} (run "
            f"{self.held or '?'}, since {holder.get('at', '?')}, at most until "
            f"{holder.get('expires', '?')}): resume that run to see its end, then do this again"
        )

    def close(self) -> None:
        """Make an error of each resource and handler that failed."""
        for each in (*self.outcomes.values(), *self.handlers.values()):
            if each.status in ("failed", "skipped"):
                place = f" ({each.where})" if each.where else ""
                self.errors.append(f"{each.key}{place}: {each.reason}")


def says(each: Planned) -> str:
    """Return what still differs, for an error."""
    if isinstance(each.plan, NoChange):
        return "as declared"
    return each.plan.summary if isinstance(each.plan, Change) else each.plan.reason


def _secrets(catalog: Catalog) -> Iterator[Secret]:
    for resource in catalog:
        for field in fields(resource):
            value = getattr(resource, field.name)
            several = value if isinstance(value, tuple) else (value,)
            yield from (each for each in several if isinstance(each, Secret))
