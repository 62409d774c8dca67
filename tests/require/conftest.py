"""What the tests of whole converges share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.require.host import Host


@pytest.fixture
def host(memory: Path) -> Host:
    return Host(memory)
