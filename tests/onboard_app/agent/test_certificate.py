"""For how many days the portal's certificate holds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from onboard_app.agent.certificate import LOOK_EVERY_S, Certificates, not_after

NOW = datetime(2026, 11, 23, 2, tzinfo=UTC)
NAME = "portal.example.aero"


def certificate(ends: datetime) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    made = made.not_valid_before(datetime(2026, 1, 1, tzinfo=UTC)).not_valid_after(ends)
    return made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


@pytest.mark.parametrize("ends", [NOW + timedelta(days=47), datetime(2061, 2, 3, 4, 5, tzinfo=UTC)])
def test_its_end_is_read_in_both_forms(ends):
    assert not_after(certificate(ends)) == ends


class Shows:
    """A web server, which shows what it is told, and a clock."""

    def __init__(self, ends: datetime) -> None:
        self.der, self.seen, self.now_s = certificate(ends), [], 0.0

    def __call__(self, name, address):
        self.seen.append((name, address))
        if self.der is None:
            raise OSError("connection refused")
        return self.der

    def clock(self):
        return self.now_s


@pytest.fixture
def settings(new_settings):
    return new_settings(portal_url=f"https://{NAME}", cabin_address="10.20.0.1")


@pytest.mark.parametrize(("hours", "days"), [(49, 2), (47, 1), (-1, -1)])
def test_whole_days_are_left(settings, hours, days):
    server = Shows(NOW + timedelta(hours=hours))
    told = Certificates(settings, server, server.clock).told(NOW)
    assert told == {"certificates": {NAME: days}}
    assert server.seen == [(NAME, "10.20.0.1")]


def test_it_is_looked_at_once_an_hour_and_at_once_after_it_could_not_be_seen(settings):
    server = Shows(NOW + timedelta(days=9))
    good, server.der = server.der, None
    certificates = Certificates(settings, server, server.clock)
    assert certificates.told(NOW) == {}
    server.der = good
    assert certificates.told(NOW) == {"certificates": {NAME: 9}}
    server.der = certificate(NOW + timedelta(days=90))
    server.now_s = LOOK_EVERY_S - 1
    assert certificates.told(NOW + timedelta(days=1)) == {"certificates": {NAME: 8}}
    server.now_s = LOOK_EVERY_S
    assert certificates.told(NOW) == {"certificates": {NAME: 90}}
    assert len(server.seen) == 3


@pytest.mark.parametrize("der", [b"", b"HTTP/1.1 400 Bad Request", b"\x30\x03\x02\x01\x05"])
def test_what_is_none_is_left_out(settings, der):
    server = Shows(NOW)
    server.der = der
    assert Certificates(settings, server, server.clock).told(NOW) == {}


def test_where_the_portal_has_no_certificate_none_is_told(new_settings):
    server = Shows(NOW)
    plain = new_settings(portal_url="http://10.20.0.1", cabin_address="10.20.0.1")
    assert Certificates(plain, server).told(NOW) == {}
    assert server.seen == []
