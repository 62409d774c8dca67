"""What the tests of the nouns share."""

from __future__ import annotations

import pytest

from require.remote import (
    apt,
    command,
    host,
    nftables,
    postgres_server,
    psql,
    python,
    redis,
    ssh,
    systemd,
    user,
    wireguard,
)
from tests.require.remote.programs import Programs


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch) -> Programs:
    """The host's programs, replaced in every noun."""
    fake = Programs()
    for module in (
        apt,
        command,
        host,
        nftables,
        postgres_server,
        psql,
        python,
        redis,
        ssh,
        systemd,
        user,
        wireguard,
    ):
        monkeypatch.setattr(module, "run", fake)
    return fake
