"""The example inventory is one that loads, with roles that exist."""

from __future__ import annotations

from pathlib import Path

from fleet import inventory

TOP = Path(__file__).resolve().parents[2]


def test_the_example_inventory_loads() -> None:
    loaded = inventory.load(TOP / "inventory" / "example.yml")
    assert list(loaded.hosts) == ["hangar", "EC-TAA", "EC-TAB"]
    assert loaded.hosts["EC-TAB"].vars["airline"] == "TA"
    for host in loaded.hosts.values():
        for role in host.roles:
            assert (TOP / "roles" / f"{role}.py").exists()
