"""What `fab usage` prints: on a narrow terminal too, whole words in whole lines."""

from __future__ import annotations

import pytest

from fabfile import namespace
from fleet.usage import table


@pytest.mark.parametrize("width", [80, 100])
def test_no_line_is_longer_than_the_terminal(width: int) -> None:
    assert max(map(len, table("fab", namespace, width).splitlines())) <= width


def test_a_flag_stays_with_its_value() -> None:
    lines = table("fab", namespace, 80).splitlines()
    assert all(line.count("[") == line.count("]") for line in lines)
    at = next(number for number, line in enumerate(lines) if line.startswith("  fab logs"))
    assert lines[at + 1].startswith(" " * 12 + "[--")
