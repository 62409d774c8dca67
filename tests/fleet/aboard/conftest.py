from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fleet.aboard.host import Host, new_host


@pytest.fixture
def host() -> Iterator[Host]:
    host = new_host()
    yield host
    host.close()
