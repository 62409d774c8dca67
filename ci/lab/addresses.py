"""Names and addresses of a lab: everything follows from its name and its slot. Pure."""

from __future__ import annotations

import re
import string
from dataclasses import dataclass

from ci.lab.errors import LabMisuse

# A bridge is called <lab>-cab<NN>, and Linux takes 15 characters; so 8 for the lab and 99 aircraft.
NAME = re.compile(r"[a-z][a-z0-9]{0,7}")
MAX_AIRCRAFT = 99
SLOTS = range(100)
RELAY_PORT = 51810
WIREGUARD_PORT = 51820
PHONES = (1, 2)


@dataclass(frozen=True)
class Port:
    """One network port of a host: its name inside, the cable's end outside, the bridge it goes to."""

    inside: str
    outside: str
    bridge: str
    address: str  # with prefix length
    gateway: str = ""
    isolated: bool = False
    address6: str = ""  # with prefix length; without one the port speaks no IPv6

    @property
    def ip(self) -> str:
        """The address without its prefix length."""
        return self.address.partition("/")[0]


@dataclass(frozen=True)
class HostPlan:
    """One host of the lab, as planned: number 0 is the hangar, 1 and up are aircraft."""

    name: str
    number: int
    ports: tuple[Port, ...]
    tower: str

    @property
    def is_aircraft(self) -> bool:
        return self.number > 0

    @property
    def relay_port(self) -> int:
        """The UDP port of the machine where this aircraft's cellular link begins."""
        return RELAY_PORT + self.number

    def port(self, inside: str) -> Port:
        """Returns the port with that name, such as `cell0`."""
        return next(port for port in self.ports if port.inside == inside)

    @property
    def first_contact(self) -> str:
        """The address where a bare host is reached first: the ramp, or the hangar's public side."""
        return self.ports[0].ip


@dataclass(frozen=True)
class Plan:
    """All names and addresses of one lab.

    Args:
        lab: the lab's name, at most 8 characters.
        slot: which of the machine's lab subnets it has; slot 0 is 10.100.0.0/16.

    >>> plan = Plan("lab", 0)
    >>> plan.aircraft(1).name, plan.aircraft(1).port("cell0").address, plan.cell_machine
    ('EC-TAA', '10.100.2.11/24', '10.100.2.1')
    """

    lab: str
    slot: int

    @property
    def k(self) -> int:
        return 100 + self.slot

    @property
    def network(self) -> str:
        return f"10.{self.k}.0.0/16"

    @property
    def tower_network(self) -> str:
        return f"10.{self.k}.64.0/24"

    @property
    def ramp_network(self) -> str:
        return f"10.{self.k}.1.0/24"

    @property
    def cell_machine(self) -> str:
        """The machine's address on the cellular network: there the relay listens."""
        return f"10.{self.k}.2.1"

    @property
    def hangar(self) -> HostPlan:
        cell = Port(
            inside="cell0",
            outside=f"{self.lab}-c0",
            bridge=f"{self.lab}-cell",
            address=f"10.{self.k}.2.2/24",
            gateway=self.cell_machine,
            isolated=True,
        )
        return HostPlan("hangar", 0, (cell,), tower=f"10.{self.k}.64.1")

    @property
    def vault(self) -> HostPlan:
        """The other place, where the hangar's backups go: a host that nobody but it has any use for."""
        cell = Port(
            inside="cell0",
            outside=f"{self.lab}-v0",
            bridge=f"{self.lab}-cell",
            address=f"10.{self.k}.2.3/24",
        )
        return HostPlan("vault", 0, (cell,), tower="")

    def aircraft(self, number: int) -> HostPlan:
        """Returns the plan of aircraft 1, 2, …"""
        last = 10 + number
        ramp = Port(
            inside="ramp0",
            outside=f"{self.lab}-r{number}",
            bridge=f"{self.lab}-ramp",
            address=f"10.{self.k}.1.{last}/24",
            gateway=f"10.{self.k}.1.1",
        )
        cell = Port(
            inside="cell0",
            outside=f"{self.lab}-c{number}",
            bridge=f"{self.lab}-cell",
            address=f"10.{self.k}.2.{last}/24",
            isolated=True,
        )
        cabin = Port(
            inside="cabin0",
            outside=f"{self.lab}-b{number}",
            bridge=self.cabin_bridge(number),
            address=f"10.{self.k}.{100 + number}.1/24",
            address6=f"fd00:{self.k}:{100 + number}::1/64",
        )
        return HostPlan(tail(number), number, (ramp, cell, cabin), tower=f"10.{self.k}.64.{last}")

    def hosts(self, aircraft: int) -> list[HostPlan]:
        """Returns the hangar and that many aircraft."""
        return [self.hangar, *(self.aircraft(number) for number in range(1, aircraft + 1))]

    def cabin_network(self, number: int) -> str:
        return f"10.{self.k}.{100 + number}.0/24"

    def cabin_bridge(self, number: int) -> str:
        return f"{self.lab}-cab{number}"

    def bridges(self, aircraft: int) -> dict[str, str]:
        """Returns every bridge with the machine's own address on it."""
        cabins = {
            self.cabin_bridge(number): f"10.{self.k}.{100 + number}.254/24"
            for number in range(1, aircraft + 1)
        }
        return {
            f"{self.lab}-ramp": f"10.{self.k}.1.1/24",
            f"{self.lab}-cell": f"{self.cell_machine}/24",
            **cabins,
        }

    def cabin_client(self, number: int, phone: int = 1) -> CabinClient:
        """Returns the first or the second phone in the cabin of that aircraft."""
        letter = {1: "p", 2: "q"}[phone]
        return CabinClient(
            namespace=f"{self.lab}-cabin{number}{letter}",
            outside=f"{self.lab}-{letter}{number}",
            bridge=self.cabin_bridge(number),
            address=f"10.{self.k}.{100 + number}.{49 + phone}/24",
            gateway=f"10.{self.k}.{100 + number}.1",
            address6=f"fd00:{self.k}:{100 + number}::{49 + phone}/64",
        )


@dataclass(frozen=True)
class CabinClient:
    """A network namespace that stands for a passenger's phone."""

    namespace: str
    outside: str
    bridge: str
    address: str
    gateway: str
    address6: str


def tail(number: int) -> str:
    """Returns the tail sign of aircraft 1, 2, …

    >>> tail(1), tail(2), tail(27)
    ('EC-TAA', 'EC-TAB', 'EC-TBA')
    """
    row, column = divmod(number - 1, 26)
    return f"EC-T{string.ascii_uppercase[row]}{string.ascii_uppercase[column]}"


def check_name(name: str) -> str:
    """Returns the lab's name, or says what a name must be.

    Raises:
        LabMisuse: the name is empty, too long, or not of lower-case letters and digits.
    """
    if not NAME.fullmatch(name):
        raise LabMisuse(
            f"LAB_NAME is {name!r}; expected a lower-case letter and then at most 7 letters or digits",
            "interface names are short: choose one like lab2",
        )
    return name


def owned_interface(lab: str) -> re.Pattern[str]:
    """Returns the pattern of every interface that a lab of this name makes on the machine."""
    return re.compile(rf"{re.escape(lab)}-(ramp|cell|cab\d{{1,2}}|[rcbpqv]\d{{1,2}})")


def owned_namespace(lab: str) -> re.Pattern[str]:
    """Returns the pattern of the network namespaces of a lab of this name."""
    return re.compile(rf"{re.escape(lab)}-cabin\d{{1,2}}[pq]")
