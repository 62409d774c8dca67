"""What the tests of whole converges share."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.require.host import Host


@pytest.fixture
def host() -> Iterator[Host]:
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # fsync costs nothing there
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        yield Host(Path(folder))
