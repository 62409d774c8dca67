"""An inventory that the roles cannot use is told with file, line and what was expected, as wrong usage."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet.context import catalog, role_names
from fleet.errors import Exit, UsageError
from fleet.inventory import load

EXAMPLE = (Path(__file__).resolve().parents[2] / "inventory/example.yml").read_text()
CABIN = "cabin_address: 10.20.0.1 #"
ENDPOINT = 'tower_endpoint: "203.0.113.10:51820" #'
NETWORK = "tower_network: 10.64.0.0/16"
AN_ADDRESS = "an IPv4 address such as 10.20.0.1"
A_NETWORK = "an IPv4 network such as 10.64.0.0/16"
AN_ENDPOINT = "an address and a port such as 203.0.113.10:51820"


def declare(path: Path, name: str) -> None:
    inventory = load(path, roles=role_names())
    catalog(inventory, inventory.hosts[name])


@pytest.mark.parametrize("name", ["hangar", "EC-TAA"])
def test_the_example_is_one_that_the_roles_can_use(tmp_path: Path, name: str) -> None:
    path = tmp_path / "inventory.yml"
    path.write_text(EXAMPLE)
    declare(path, name)


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("hangar", "    tower: 10.64.0.1\n", "", ":21: expected tower for hangar"),
        ("EC-TAA", "    tower: 10.64.1.1\n", "", ":26: expected tower for EC-TAA"),
        (
            "EC-TAA",
            "    tower: 10.64.0.1\n",
            "",
            ":25: expected a host in the group hangar with a tower address, for EC-TAA to call",
        ),
        ("EC-TAA", CABIN, "#", ":26: expected the variable cabin_address for EC-TAA"),
        (
            "EC-TAA",
            CABIN,
            "cabin_address: the cabin #",
            f":15: expected cabin_address of EC-TAA to be {AN_ADDRESS}, found 'the cabin'",
        ),
        ("EC-TAA", CABIN, "cabin_address: 10.20 #", ":15: expected cabin_address of EC-TAA to be"),
        ("EC-TAA", CABIN, "cabin_address: 10 #", ", found 10"),
        (
            "EC-TAA",
            CABIN,
            "cabin_interface: the cabin\n      cabin_address: 10.20.0.1 #",
            ":15: expected cabin_interface of EC-TAA to be a network interface such as cabin0",
        ),
        (
            "EC-TAA",
            CABIN,
            "site_name: Portal\n      cabin_address: 10.20.0.1 #",
            ":15: expected site_name of EC-TAA to be a name such as portal.example.aero",
        ),
        (
            "EC-TAA",
            CABIN,
            "site_name: portal.example.aero\n      cabin_address: 10.20.0.1 #",
            ":27: expected the secret site_certificate for EC-TAA",
        ),
        ("EC-TAA", ENDPOINT, "#", ":26: expected the variable tower_endpoint for EC-TAA"),
        (
            "EC-TAA",
            ENDPOINT,
            "tower_endpoint: 203.0.113.10 #",
            f":17: expected tower_endpoint of EC-TAA to be {AN_ENDPOINT}, found '203.0.113.10'",
        ),
        ("EC-TAA", ENDPOINT, 'tower_endpoint: "203.0.113.10:70000" #', f"to be {AN_ENDPOINT}"),
        (
            "hangar",
            NETWORK,
            "tower_network: 10.64.0.0/99",
            f":6: expected tower_network of hangar to be {A_NETWORK}, found '10.64.0.0/99'",
        ),
        ("EC-TAA", NETWORK, "tower_network: 10.64.1.0/16", ":6: expected tower_network of EC-TAA"),
        ("EC-TAA", NETWORK, "tower_network: 10.64.0.0", f"to be {A_NETWORK}, found '10.64.0.0'"),
        (
            "hangar",
            "public_address: 203.0.113.10 }",
            "public_address: hangar.example }",
            ":24: expected public_address of hangar to be an IPv4 address",
        ),
        (
            "hangar",
            "  release_signers: [",
            "  signers: [",
            ":21: expected the variable release_signers for hangar, which a role needs, found none",
        ),
        (
            "EC-TAA",
            "release_signers: [ssh-ed25519",
            "release_signers: [ssh-rsa",
            ":8: expected release_signers of EC-TAA to be a list of public keys such as",
        ),
        ("hangar", "airline: TA", "airline: [TA]", ":4: expected airline of hangar to be text"),
        (
            "EC-TAA",
            "airline: TA",
            "airline: TA\n  links: {wwan0: {kbps: 2000}}",
            ":5: expected links of EC-TAA to be rules of interfaces such as",
        ),
        (
            "EC-TAA",
            "airline: TA",
            "airline: TA\n  links: {wwan0: {kbit: -1}}",
            ":5: expected links of EC-TAA to be rules of interfaces such as",
        ),
        ("hangar", "airline_name: Turnaround Air", "airline_name: ~", "in one line, found None"),
        (
            "hangar",
            "airline: TA",
            "airline: TA\n  destinations: TLS",
            ":5: expected destinations of EC-TAA to be a list of codes such as",
        ),
    ],
)
def test_a_fault_names_file_line_expected_and_found(
    tmp_path: Path, name: str, old: str, new: str, said: str
) -> None:
    assert EXAMPLE.count(old) == 1 or old.startswith("    tower:")
    path = tmp_path / "inventory.yml"
    path.write_text(EXAMPLE.replace(old, new))
    with pytest.raises(UsageError) as caught:
        declare(path, name)
    assert said in caught.value.what
    assert caught.value.what.startswith(f"{path}:")
    assert caught.value.exit_code == Exit.USAGE


def test_what_a_neighbour_lacks_is_told_of_the_neighbour(tmp_path: Path) -> None:
    path = tmp_path / "inventory.yml"
    text = EXAMPLE.replace("  airline: TA\n", "")
    path.write_text(text.replace("vars: { public", "vars: { airline: TA, public"))
    with pytest.raises(UsageError, match=":25: expected the variable airline for EC-TAA"):
        declare(path, "hangar")


def test_a_fleet_without_a_hangar_is_told(tmp_path: Path) -> None:
    path = tmp_path / "inventory.yml"
    before, _, rest = EXAMPLE.partition("  hangar:\n    groups:")
    path.write_text(
        before + "  EC-TAA:" + rest.partition("  EC-TAA:")[2].replace("via: hangar", "")
    )
    with pytest.raises(UsageError, match="expected a host in the group hangar"):
        declare(path, "EC-TAA")
