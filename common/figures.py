"""Spans, sizes and counts as people read them in narrow columns."""

from __future__ import annotations


def span(seconds: int | float | None) -> str:
    """Returns a span in at most six characters; a dash for none. Up to four days are said in hours.

    >>> span(7), span(4000), span(172_800), span(864_000), span(None)
    ('7 s', '1 h', '48 h', '10 d', '–')
    """
    if seconds is None:
        return "–"
    for length, unit, least in (
        (31_557_600, "y", 2),
        (86_400, "d", 4),
        (3600, "h", 0),
        (60, "min", 0),
    ):
        if (count := int(seconds // length)) > least:
            return f"{count} {unit}"
    return f"{int(seconds)} s"


def size(count: int | float | None) -> str:
    """Returns bytes in at most six characters; a dash for none.

    >>> size(900), size(2_500_000), size(999_999), size(0)
    ('900 B', '2.5 MB', '1.0 MB', '–')
    """
    left = float(count or 0)
    if not left:
        return "–"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        said = f"{left:.0f}" if unit == "B" or left >= 9.95 else f"{left:.1f}"
        if len(said) <= 3:
            break
        left /= 1000
    return f"{said} {unit}"


def figure(count: int | None) -> str:
    """Returns a count in at most five characters; a dash for none.

    >>> figure(12_345), figure(2_500_000), figure(98_765_432), figure(None)
    ('12345', '2500k', '98M', '–')
    """
    if not count:
        return "–"
    if count < 100_000:
        return str(count)
    return f"{count // 1000}k" if count < 10_000_000 else f"{count // 10**6}M"
