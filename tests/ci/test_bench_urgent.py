"""The rows of `inv bench.sync`'s noun `urgent`."""

from __future__ import annotations

import pytest

from ci.bench.sync.urgent import table
from ci.bench.sync.use import WAYS
from ci.story.urgent import LINK, Published, Seen

FILM, PAPER = Published("f", "", 40, 0.0), Published("p", "", 10, 0.0)


@pytest.mark.parametrize(
    ("paper_s", "order", "met"), [(21, "pf", True), (21.1, "pf", False), (15, "fp", False)]
)
def test_the_newspaper_has_a_tenth_more_than_rsync_alone_and_ten_seconds(
    paper_s: float, order: str, met: bool
) -> None:
    seen = Seen(FILM, PAPER, paper_s=paper_s, plain_s=10, received=55, order=list(order))
    rows = table(seen, "no cut")
    assert all(row.met is not False for row in rows) is met
    assert rows[-1].value == pytest.approx(1.1)


def test_the_link_is_one_of_those_whose_use_is_measured() -> None:
    assert LINK in [vars(way) for way in WAYS]
