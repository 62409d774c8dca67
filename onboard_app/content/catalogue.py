"""Choosing items and shaping them into offers: pure but for the two queries."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote
from uuid import UUID

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from common.schema import Asset, Item
from onboard_app.content.library import Complete

PAGES = {"film": "film", "newspaper": "paper"}
# The hangar names a page's image after the page and the number of all, `003-of-024.jpg`.
OF_ALL = re.compile(r"-of-(\d+)\.\w+$")


@dataclass(frozen=True)
class Wanted:
    """What somebody asks for; None is "any".

    An item without destinations is for all of them. One with destinations is shown only to whoever
    asks for one of these: without knowing where we fly to, it is not for us. The bus does not say
    where: only who asks with `?destination=TLS`, of the API or of the home page, is shown it. The
    same goes for airlines, where the aircraft knows its own. Whoever asks for a region's language,
    `es-MX`, is content with the language itself, `es`.
    """

    airline: str
    kind: str | None = None
    language: str | None = None
    destination: str | None = None
    text: str | None = None


@dataclass(frozen=True)
class Offer:
    """An item as a passenger sees it, in one language; addresses are paths on this host."""

    id: UUID
    kind: str
    title: str
    summary: str
    languages: tuple[str, ...]
    url: str
    poster: str | None
    stream: str | None
    document: str | None
    pages: tuple[str, ...]
    page_count: int

    def json(self) -> dict[str, Any]:
        """The offer as the API gives it."""
        return {
            "id": str(self.id),
            "kind": self.kind,
            "title": self.title,
            "summary": self.summary,
            "languages": list(self.languages),
            "url": self.url,
            "poster": self.poster,
            "stream": self.stream,
            "document": self.document,
            "pages": list(self.pages),
        }


def offers(
    session: Session, complete: Complete, wanted: Wanted, languages: Sequence[str], now: datetime
) -> list[Offer]:
    """What is on now, the most important first.

    Args:
        complete: the items whose files are aboard; no other is offered, nor one whose rows name other
            files than these.
        languages: in which languages to speak of it, the best first.
    """
    if not complete:
        return []
    chosen = select(Item).where(
        Item.published,
        or_(Item.valid_from.is_(None), Item.valid_from <= now),
        or_(Item.valid_to.is_(None), Item.valid_to > now),
        _for(Item.airlines, wanted.airline),
        _for(Item.destinations, wanted.destination),
    )
    if wanted.kind:
        chosen = chosen.where(Item.kind == wanted.kind)
    if wanted.language:
        base = wanted.language.split("-")[0]
        chosen = chosen.where(
            or_(_for(Item.languages, wanted.language), _for(Item.languages, base))
        )
    chosen = chosen.order_by(Item.priority, Item.updated_at.desc(), Item.id)
    items = [item for item in session.scalars(chosen) if item.id in complete]
    if wanted.text:
        items = [item for item in items if _says(item, wanted.text)]
    return _shaped(session, items, complete, languages)


def offer(
    session: Session,
    complete: Complete,
    item_id: UUID | None,
    airline: str,
    languages: Sequence[str],
    now: datetime,
) -> Offer | None:
    """One offer, or None when it is not on, or not aboard.

    The destination does not count here: whoever has the address was offered it.
    """
    if item_id is None or item_id not in complete:
        return None
    item = session.get(Item, item_id)
    if item is None or not item.published or (item.airlines and airline not in item.airlines):
        return None
    if (item.valid_from and now < item.valid_from) or (item.valid_to and now >= item.valid_to):
        return None
    return next(iter(_shaped(session, [item], complete, languages)), None)


def _for(column: Any, value: str | None) -> Any:
    everybody = func.cardinality(column) == 0
    return or_(everybody, column.contains([value])) if value else everybody


def _says(item: Item, text: str) -> bool:
    words = [*item.title.values(), *(item.summary or {}).values()]
    return any(text.casefold() in word.casefold() for word in words)


def _shaped(
    session: Session, items: Sequence[Item], complete: Complete, languages: Sequence[str]
) -> list[Offer]:
    """The items whose rows and files say the same: rows come before files, and both in parts."""
    files: dict[UUID, list[Asset]] = {item.id: [] for item in items}
    if items:
        found = select(Asset).where(Asset.item_id.in_(files))
        for asset in session.scalars(found.order_by(Asset.path)):
            files[asset.item_id].append(asset)
    return [
        shape(item, files[item.id], languages)
        for item in items
        if {asset.path: asset.sha256 for asset in files[item.id]} == complete[item.id]
    ]


def shape(item: Item, assets: Iterable[Asset], languages: Sequence[str]) -> Offer:
    """An item and its files as an offer."""
    by_role: dict[str, list[str]] = {}
    for asset in assets:
        by_role.setdefault(asset.role, []).append(asset.path)

    def address(path: str | None) -> str | None:
        return None if path is None else f"/media/{item.id}/{quote(path)}"

    pages = sorted(by_role.get("page", ()), key=_by_number)
    return Offer(
        id=item.id,
        kind=item.kind,
        title=spoken(item.title, languages),
        summary=spoken(item.summary or {}, languages),
        languages=tuple(item.languages),
        url=f"/{PAGES.get(item.kind, item.kind)}/{item.id}",
        poster=address(next(iter(by_role.get("poster", ())), None)),
        stream=address(_playlist(by_role.get("hls", ()))),
        document=address(next(iter(by_role.get("document", ())), None)),
        pages=tuple(f"/media/{item.id}/{quote(path)}" for path in pages),
        page_count=_count(pages),
    )


def _playlist(paths: Iterable[str]) -> str | None:
    """The stream's first playlist: the master if there is one."""
    lists = [path for path in paths if path.endswith(".m3u8")]
    masters = [path for path in lists if path.rsplit("/", 1)[-1] == "master.m3u8"]
    return next(iter(masters or lists), None)


def _by_number(path: str) -> list[tuple[int, str]]:
    """Sorts page-2 before page-10."""
    return [(int(part) if part.isdigit() else 0, part) for part in re.split(r"(\d+)", path)]


def _count(pages: Sequence[str]) -> int:
    """How many pages the document has, which may be more than there are images of."""
    told = [int(found[1]) for page in pages if (found := OF_ALL.search(page))]
    return max([len(pages), *told])


def spoken(texts: Mapping[str, str], languages: Sequence[str]) -> str:
    """The text in the best language there is.

    >>> spoken({"en": "News", "es": "Noticias"}, ["fr", "es", "en"])
    'Noticias'
    """
    for language in languages:
        for wanted in (language, language.split("-")[0]):
            if texts.get(wanted):
                return texts[wanted]
    return next((text for text in texts.values() if text), "")
