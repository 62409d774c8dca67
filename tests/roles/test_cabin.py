"""The cabin side of an aircraft, and what both sites keep of whom they answer."""

from __future__ import annotations

import re
from typing import Any

import pytest

import require
from fleet.variables import Vars
from roles import certificate
from tests.roles.test_roles import ROLES, content, declared, fleet


def cabin(**given: Any) -> require.Catalog:
    hosts = fleet()
    hosts["EC-TAA"].vars.update(given)
    return declared(hosts["EC-TAA"])


@pytest.fixture
def named(monkeypatch: pytest.MonkeyPatch) -> require.Catalog:
    """An aircraft whose portal has a name and a certificate."""
    monkeypatch.setattr(Vars, "secret", lambda self, key: require.Secret(f"the {key}"))
    return cabin(site_name="portal.example.aero")


def test_phones_are_given_addresses_and_the_names_that_lead_to_the_portal() -> None:
    lines = content(cabin(), "/etc/turnaround/dnsmasq.conf").splitlines()
    assert "dhcp-range=10.1.11.100,10.1.11.250,255.255.255.0,1h" in lines
    assert "dhcp-lease-max=151" in lines
    assert "address=/#/" in lines
    assert "host-record=captive.apple.com,10.1.11.1" in lines
    assert not [line for line in lines if line.startswith(("server=", "dhcp-option=114"))]


def test_a_portal_with_a_certificate_is_told_to_phones_and_served_over_tls(
    named: require.Catalog,
) -> None:
    lines = content(named, "/etc/turnaround/dnsmasq.conf").splitlines()
    assert "dhcp-option=114,https://portal.example.aero/captive/api" in lines
    assert "host-record=portal.example.aero,10.1.11.1" in lines
    assert "listen 10.1.11.1:443 ssl" in content(named, "/etc/nginx/conf.d/turnaround.conf")
    assert "tcp dport { 80, 443 } accept" in content(named, "/etc/nftables.conf")
    assert 'PORTAL_URL="https://portal.example.aero"' in content(named, "/etc/turnaround/app.env")
    key: Any = named[f"file:{certificate.PATH}"]
    assert (key.mode, key.secret) == (0o600, True)


def test_without_a_name_there_is_no_certificate_and_no_tls() -> None:
    catalog = cabin()
    gone: Any = catalog[f"file:{certificate.PATH}"]
    assert gone.kind == "absent"
    assert "443" not in content(catalog, "/etc/nginx/conf.d/turnaround.conf")
    assert 'PORTAL_URL="http://10.1.11.1"' in content(catalog, "/etc/turnaround/app.env")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"cabin_network": "10.1.11.0/25"}, "expected 256 addresses or more"),
        ({"cabin_network": "10.1.12.0/24"}, "expected one of 10.1.12.1 to 10.1.12.99"),
        ({"cabin_address": "10.1.11.120"}, "expected one of 10.1.11.1 to 10.1.11.99"),
    ],
)
def test_a_cabin_without_room_is_refused(given: dict[str, str], said: str) -> None:
    with pytest.raises(require.DeclarationError, match=said):
        cabin(**given)


def test_neither_site_keeps_who_asked_for_what() -> None:
    for name in ROLES:
        text = content(declared(fleet()[name]), "/etc/nginx/conf.d/turnaround.conf")
        (form,) = re.findall(r"^log_format nobody '(.*)';$", text, re.MULTILINE)
        assert not re.search(r"\$(remote|http_|request |request$|args|request_uri|cookie)", form)
        for one in re.split(r"^server ", text, flags=re.MULTILINE)[1:]:
            assert re.search(r"access_log (off|\S+ nobody);", one)
            assert "server_tokens off;" in one
