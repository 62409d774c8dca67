"""Whom content is for: the aircraft of one airline, with equal routes and languages, are one audience.

What passengers may see of it is decided aboard, by the filters of the catalogue; this decides what
travels. One manifest is made and signed for an audience, however many aircraft are in it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from common.schema import Aircraft
from common.schema import Item as CatalogueItem

__all__ = ["Audience", "audience_of"]


@dataclass(frozen=True)
class Audience:
    """An airline, the destinations that are flown to, the languages that are carried.

    No destinations means that the routes are not known, no languages that all are carried.
    """

    airline: str = ""
    destinations: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What its files are called: the first 12 digits of a SHA-256.

        >>> Audience("TA").name == Audience("TA").name, Audience("TA").name == Audience("IB").name
        (True, False)
        """
        return hashlib.sha256(json.dumps(self.json()).encode()).hexdigest()[:12]

    def json(self) -> dict[str, Any]:
        """As it stands in the manifest."""
        return asdict(self)

    def wants(self, item: CatalogueItem) -> bool:
        """Whether an item is for it.

        What is for certain airlines, routes or languages is; a region's language, `es-MX`, counts as
        the language itself.
        """
        return (
            (not item.airlines or self.airline in item.airlines)
            and _meet(item.destinations, self.destinations)
            and _meet(_bases(item.languages), _bases(self.languages))
        )


def _meet(some: Iterable[str], others: Iterable[str]) -> bool:
    one, other = set(some), set(others)
    return not one or not other or bool(one & other)


def _bases(languages: Iterable[str]) -> set[str]:
    return {language.split("-")[0].lower() for language in languages}


def audience_of(aircraft: Aircraft) -> Audience:
    """Return the audience that an aircraft is in, as the inventory says."""
    return Audience(
        aircraft.airline,
        tuple(sorted(set(aircraft.destinations))),
        tuple(sorted(set(aircraft.languages))),
    )
