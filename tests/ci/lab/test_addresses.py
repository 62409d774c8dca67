"""Names and addresses of a lab."""

from __future__ import annotations

import ipaddress

import pytest

from ci.lab.addresses import (
    MAX_AIRCRAFT,
    PHONES,
    SLOTS,
    CabinClient,
    Plan,
    check_name,
    owned_interface,
    owned_namespace,
    tail,
)
from ci.lab.errors import LabMisuse

LONGEST = "abcdefgh"


def phones(plan: Plan) -> list[CabinClient]:
    """All phones of the largest lab."""
    numbers = range(1, MAX_AIRCRAFT + 1)
    return [plan.cabin_client(number, phone) for number in numbers for phone in PHONES]


def test_an_aircraft_stands_on_ramp_cell_and_cabin_and_the_hangar_on_cell_alone():
    plan = Plan("lab", 3)
    assert [port.inside for port in plan.hangar.ports] == ["cell0"]
    first = plan.aircraft(1)
    assert {port.inside: port.address for port in first.ports} == {
        "ramp0": "10.103.1.11/24",
        "cell0": "10.103.2.11/24",
        "cabin0": "10.103.101.1/24",
    }
    assert (first.tower, first.relay_port) == ("10.103.64.11", 51811)


def test_only_the_hangar_has_a_way_out_on_the_cellular_side():
    plan = Plan("lab", 0)
    assert plan.hangar.port("cell0").gateway == "10.100.2.1"
    assert plan.aircraft(1).port("cell0").gateway == ""


def test_all_cellular_ports_are_isolated():
    assert all(host.port("cell0").isolated for host in Plan("lab", 0).hosts(3))


def test_no_interface_name_is_longer_than_linux_takes():
    plan = Plan(LONGEST, 0)
    names = list(plan.bridges(MAX_AIRCRAFT))
    names += [port.outside for host in plan.hosts(MAX_AIRCRAFT) for port in host.ports]
    names += [client.outside for client in phones(plan)]
    assert max(len(name) for name in names) <= 15


def test_every_name_that_a_lab_makes_is_found_again_by_its_patterns():
    plan = Plan(LONGEST, 0)
    clients = phones(plan)
    names = [*plan.bridges(MAX_AIRCRAFT), *(client.outside for client in clients)]
    hosts = [plan.vault, *plan.hosts(MAX_AIRCRAFT)]
    names += [port.outside for host in hosts for port in host.ports]
    assert all(owned_interface(LONGEST).fullmatch(name) for name in names)
    assert all(owned_namespace(LONGEST).fullmatch(client.namespace) for client in clients)


@pytest.mark.parametrize("name", ["lab2-cell", "lab-cellar", "eth0", "lab", "lab-c1x", "xlab-c1"])
def test_what_belongs_to_others_is_not_taken_for_the_labs(name: str):
    assert not owned_interface("lab").fullmatch(name)


def test_all_addresses_of_all_aircraft_are_different_and_inside_the_labs_network():
    for slot in (SLOTS[0], SLOTS[-1]):
        plan = Plan("lab", slot)
        hosts = plan.hosts(MAX_AIRCRAFT)
        addresses = [port.ip for host in hosts for port in host.ports] + [h.tower for h in hosts]
        addresses += [client.address.partition("/")[0] for client in phones(plan)]
        assert len(set(addresses)) == len(addresses)
        network = ipaddress.ip_network(plan.network)
        assert all(ipaddress.ip_address(address) in network for address in addresses)


def test_tails_are_different():
    tails = [tail(number) for number in range(1, MAX_AIRCRAFT + 1)]
    assert tails[:3] == ["EC-TAA", "EC-TAB", "EC-TAC"]
    assert len(set(tails)) == len(tails)


@pytest.mark.parametrize("name", ["", "Lab", "lab-1", "1lab", "ninechars", "lab/..", "läb"])
def test_a_name_that_cannot_be_is_refused_with_what_it_must_be(name: str):
    with pytest.raises(LabMisuse, match="at most 7 letters or digits"):
        check_name(name)
