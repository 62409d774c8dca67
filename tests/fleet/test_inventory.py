"""The inventory: every fault has file, line, expected and found; variables come from where they should."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet.errors import Exit, UsageError
from fleet.inventory import find, load, read_facts

GOOD = """\
fleet: lab
vars: {airline: TA, language: en, country: NO}
groups:
  hangar: {roles: [base, tower, hangar]}
  aircraft:
    roles: [base, tower, aircraft]
    vars: {language: es, via: hangar}
hosts:
  hangar: {groups: [hangar], address: 10.100.2.2, tower: 10.100.64.1}
  EC-TAA:
    groups: [aircraft]
    address: 10.100.64.11
    tower: 10.100.64.11
    vars: {cabin_address: 10.100.101.1, language: ca, endpoint: "10.100.2.1:51811"}
  EC-TAB: {groups: [aircraft], address: 10.100.64.12, tower: 10.100.64.12, via: hangar}
"""
KEY = "AAAAC3NzaC1lZDI1NTE5AAAAIH4DkQ5Zt3VYq9nJp1aFhHh4eQnI0Wk9e6oN4b3o2h1Q"


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "inventory.yml"
    path.write_text(text)
    return path


def test_a_good_inventory_is_read_in_the_order_of_the_file(tmp_path: Path) -> None:
    fleet = load(written(tmp_path, GOOD))
    assert list(fleet.hosts) == ["hangar", "EC-TAA", "EC-TAB"]
    assert [host.name for host in fleet.in_group("aircraft")] == ["EC-TAA", "EC-TAB"]
    assert fleet.hosts["EC-TAA"].roles == ("base", "tower", "aircraft")
    assert fleet.hosts["hangar"].via is None
    assert fleet.hosts["EC-TAB"].user == "ops"


def test_variables_of_a_host_go_over_its_groups_and_those_over_all(tmp_path: Path) -> None:
    hosts = load(written(tmp_path, GOOD)).hosts
    languages = {name: host.vars["language"] for name, host in hosts.items()}
    assert languages == {"hangar": "en", "EC-TAA": "ca", "EC-TAB": "es"}
    path, own = tmp_path / "inventory.yml", hosts["EC-TAA"].origins["language"]
    assert str(own) == f"host EC-TAA ({path}:14)"
    assert [(each.value, str(each)) for each in own.overridden()] == [
        ("es", f"group aircraft ({path}:7)"),
        ("en", f"all ({path}:2)"),
    ]
    assert str(hosts["EC-TAB"].origins["airline"]) == f"all ({path}:2)"


def test_via_may_come_from_the_group(tmp_path: Path) -> None:
    assert load(written(tmp_path, GOOD)).hosts["EC-TAA"].via == "hangar"


def test_the_way_to_a_host_may_have_any_number_of_hops(tmp_path: Path) -> None:
    text = GOOD.replace("tower: 10.100.64.1}", "tower: 10.100.64.1, via: gate}")
    fleet = load(written(tmp_path, f"{text}  gate: {{groups: [], address: 10.9.9.9}}\n"))
    assert [hop.name for hop in fleet.way_to(fleet.hosts["EC-TAA"])] == ["gate", "hangar"]
    assert fleet.way_to(fleet.hosts["gate"]) == ()


def test_a_circle_is_told_once_whoever_leads_into_it(tmp_path: Path) -> None:
    text = GOOD.replace("tower: 10.100.64.1}", "tower: 10.100.64.1, via: EC-TAB}")
    with pytest.raises(UsageError) as caught:
        load(written(tmp_path, text))
    assert caught.value.what.count("a circle") == 1


def test_words_stay_words_in_yaml(tmp_path: Path) -> None:
    extra = "vars: {country: NO, at: 10:30, day: 2026-11-23, on: yes, n: 12, x: 0.5, t: true, z: ~}"
    shared = load(written(tmp_path, GOOD.replace(GOOD.splitlines()[1], extra))).hosts["hangar"].vars
    assert dict(shared) == {
        "country": "NO",
        "at": "10:30",
        "day": "2026-11-23",
        "on": "yes",
        "n": 12,
        "x": 0.5,
        "t": True,
        "z": None,
    }


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "fleet: lab",
            "flet: lab",
            ":1: expected one of fleet, groups, hosts, ssh_config, vars, found 'flet' (did you mean fleet?)",
        ),
        ("fleet: lab\n", "", ":1: expected a key fleet, found none"),
        (
            "roles: [base, tower, hangar]",
            "roles: base",
            ":4: expected a list of roles, found 'base'",
        ),
        (
            "tower, hangar]",
            "tower, hanger]",
            ":4: expected a role (aircraft, base, hangar, tower), found 'hanger' (did you mean hangar?)",
        ),
        (
            "groups: [hangar]",
            "groups: [hangars]",
            ":9: expected a group (hangar, aircraft), found 'hangars' (did you mean hangar?)",
        ),
        ("groups: [hangar], ", "", ":9: expected groups for hangar, found none"),
        ("address: 10.100.2.2, ", "", ":9: expected address for hangar, found none"),
        ("address: 10.100.2.2,", "adress: 10.100.2.2,", "found 'adress' (did you mean address?)"),
        (
            "address: 10.100.2.2,",
            "address: 'two words',",
            ":9: expected an address, found 'two words'",
        ),
        (
            "address: 10.100.2.2,",
            "address: 10.100.2.2, port: 70000,",
            ":9: expected a port, 1 to 65535, found '70000'",
        ),
        (
            "address: 10.100.2.2,",
            "address: 10.100.2.2, user: Root,",
            ":9: expected a user name, found 'Root'",
        ),
        (
            "tower: 10.100.64.1}",
            "tower: 10.100.64}",
            ":9: expected a tower address such as 10.100.64.11, found '10.100.64'",
        ),
        ("tower: 10.100.64.1}", 'tower: "fd00::1"}', ":9: expected a tower address such as"),
        (
            "tower: 10.100.64.1}",
            "tower: 10.100.64.11}",
            ":11: expected a tower address of its own, found 10.100.64.11, which is hangar's",
        ),
        (
            "address: 10.100.2.2,",
            "address: 10.100.64.12,",
            ":15: expected an address of its own, found 10.100.64.12, which is hangar's",
        ),
        (
            ".12, via: hangar",
            ".12, via: hanger",
            ":15: expected via to name a host, found 'hanger' (did you mean hangar?)",
        ),
        (
            "10.100.64.12, via: hangar",
            "10.100.64.12, via: EC-TAB",
            ":15: expected via to end at a host that is reached directly, found a circle: "
            "EC-TAB → EC-TAB",
        ),
        (
            "tower: 10.100.64.1}",
            "tower: 10.100.64.1, via: EC-TAB}",
            ":9: expected via to end at a host that is reached directly, found a circle: "
            "hangar → EC-TAB → hangar",
        ),
        ("  EC-TAB: {", "  EC TAB: {", ":15: expected a host name of letters, digits and dashes"),
        ("  EC-TAB: {", "  all: {", "and not `all`, found 'all'"),
        ("  EC-TAB: {", "  aircraft: {", "a group with other hosts in it, found 'aircraft'"),
        (
            "  EC-TAB: {",
            "  EC-TAA: {",
            ":15: expected EC-TAA once, found it again (first on line 10)",
        ),
        ("hosts:", "hosts: [", "expected YAML, found: "),
        (
            "vars: {airline: TA,",
            "vars: {airline: !!python/name:os.system TA,",
            ":2: expected text, a number, true, false or null",
        ),
        (
            "vars: {airline: TA,",
            "vars: {airline: !!int TA,",
            ":2: expected a number, or text in quotes, found 'TA'",
        ),
        (
            "vars: {airline: TA, language: en, country: NO}",
            "vars: nothing",
            ":2: expected variables by name, found 'nothing'",
        ),
    ],
)
def test_a_fault_names_file_line_expected_and_found(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    assert old in GOOD
    path = written(tmp_path, GOOD.replace(old, new, 1))
    with pytest.raises(UsageError) as caught:
        load(path, roles=("base", "tower", "hangar", "aircraft"))
    assert said in caught.value.what
    assert caught.value.what.startswith(f"{path}:")
    assert caught.value.exit_code == Exit.USAGE


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    text = GOOD.replace("address: 10.100.2.2", "adress: 10.100.2.2").replace(
        "via: hangar}\n", "via: x}\n"
    )
    with pytest.raises(UsageError) as caught:
        load(written(tmp_path, text))
    assert len(caught.value.what.splitlines()) >= 2


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", ":1: expected fleet, groups and hosts, found an empty file"),
        (b"fleet: lab\nvars: {a: \xff}\n", ":2: expected UTF-8 text"),
        (b"a: &a [*a]\n", "values, found more"),
        (b"x" * ((1 << 20) + 1), "expected at most 1048576 bytes"),
        (b"- a\n", ":1: expected fleet, vars, groups and hosts, found a list"),
    ],
)
def test_what_is_no_inventory_at_all_is_refused(tmp_path: Path, raw: bytes, said: str) -> None:
    path = tmp_path / "inventory.yml"
    path.write_bytes(raw)
    with pytest.raises(UsageError) as caught:
        load(path)
    assert said in caught.value.what


def test_facts_of_first_contact_are_merged(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD)
    (tmp_path / "enrolled").mkdir()
    (tmp_path / "enrolled/EC-TAA.yml").write_text(f"host_key: ssh-ed25519 {KEY}\n")
    hosts = load(path).hosts
    assert hosts["EC-TAA"].facts == {"host_key": f"ssh-ed25519 {KEY}"}
    assert [host.enrolled for host in hosts.values()] == [False, True, False]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("host_key: nonsense\n", ":1: expected a host key, found 'nonsense'"),
        ("enrolled_at: 2026-11-23T02:00:00Z\ntower_key: short\n", ":2: expected a tower key"),
        ("hostkey: x\n", "(did you mean host_key?)"),
    ],
)
def test_facts_that_were_altered_are_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "EC-TAA.yml"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        read_facts(path)
    assert said in caught.value.what


class TestWhichInventory:
    def test_the_flag_goes_over_the_environment_and_that_over_the_lab(self, tmp_path: Path) -> None:
        lab = tmp_path / ".lab/one/inventory.yml"
        lab.parent.mkdir(parents=True)
        named, given = tmp_path / "named.yml", tmp_path / "given.yml"
        for path in (lab, named, given):
            path.write_text("")
        in_lab = {"LAB_NAME": "one"}
        assert find(None, in_lab, tmp_path) == lab
        assert find(None, {**in_lab, "FLEET_INVENTORY": str(named)}, tmp_path) == named
        assert find(str(given), {"FLEET_INVENTORY": str(named)}, tmp_path) == given

    def test_a_missing_one_says_where_it_was_looked_for(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError) as caught:
            find(None, {}, tmp_path)
        assert ".lab/lab/inventory.yml" in caught.value.what
        assert "lab.up" in caught.value.remedy
