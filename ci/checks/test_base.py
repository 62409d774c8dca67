"""What every host must be."""

from __future__ import annotations

import pytest
from testinfra.host import Host

from common import migrate

pytestmark = pytest.mark.hosts


def test_systemd_is_content(host: Host) -> None:
    assert host.run("systemctl is-system-running").stdout.strip() == "running"


@pytest.mark.parametrize("name", ["rsync", "sudo", "nftables", "wireguard-tools", "postgresql"])
def test_package_is_installed(host: Host, name: str) -> None:
    assert host.package(name).is_installed


@pytest.mark.parametrize(
    "name",
    [
        "ssh",
        "nftables",
        "wg-quick@wg0",
        "postgresql",
        "redis-server",
        "nginx",
        "turnaround-aboard-recover.timer",
    ],
)
def test_service_runs_and_starts_at_boot(host: Host, name: str) -> None:
    service = host.service(name)
    assert service.is_running
    assert service.is_enabled


def test_only_a_key_of_the_inventory_lets_a_release_in(host: Host) -> None:
    signers = host.file("/etc/turnaround/keys/release_signers")
    assert (signers.user, signers.mode) == ("root", 0o644)
    assert signers.content_string.startswith('release namespaces="turnaround-release,')
    assert host.file("/etc/turnaround/fleet_name").content_string.strip()
    assert host.run("ssh-keygen -Y verify").rc != 127


def test_time_is_utc(host: Host) -> None:
    assert host.run("readlink /etc/localtime").stdout.strip() == "/usr/share/zoneinfo/Etc/UTC"


def test_addresses_can_be_bound_before_they_are_there(host: Host) -> None:
    assert host.sysctl("net.ipv4.ip_nonlocal_bind") == 1
    kept = host.run("grep -rh ip_nonlocal_bind /etc/sysctl.d").stdout.splitlines()
    assert kept == ["net.ipv4.ip_nonlocal_bind = 1"]


def test_nothing_is_forwarded(host: Host) -> None:
    chain = host.run("nft list chain inet turnaround forward").stdout
    assert "hook forward" in chain
    assert "policy drop" in chain
    assert "accept" not in chain


def test_nobody_logs_in_as_root_or_with_a_password(host: Host) -> None:
    said = host.run("sshd -T").stdout
    assert "permitrootlogin no" in said
    assert "passwordauthentication no" in said
    assert "kbdinteractiveauthentication no" in said
    assert host.run("passwd -S root").stdout.split()[1] == "L"


@pytest.mark.parametrize(
    ("path", "owner", "group", "mode"),
    [
        ("/etc/turnaround/app.env", "root", "turnaround", 0o640),
        ("/etc/turnaround/keys", "root", "turnaround", 0o750),
        ("/etc/turnaround/keys/tower.key", "root", "root", 0o600),
        ("/etc/turnaround/keys/secret_key", "root", "turnaround", 0o640),
        ("/etc/wireguard/wg0.conf", "root", "root", 0o600),
        ("/var/lib/turnaround", "root", "root", 0o755),
        ("/opt/turnaround", "root", "root", 0o755),
        ("/opt/turnaround/bin/aboard", "root", "root", 0o755),
    ],
)
def test_owner_and_mode(host: Host, path: str, owner: str, group: str, mode: int) -> None:
    file = host.file(path)
    assert (file.user, file.group, file.mode) == (owner, group, mode)


def test_the_private_key_of_the_tower_is_in_no_readable_file(host: Host) -> None:
    key = host.file("/etc/turnaround/keys/tower.key").content_string.strip()
    assert key
    assert host.run("grep -rlF -- %s /etc/wireguard /etc/systemd", key).stdout == ""


def test_the_database_is_ours_and_at_the_current_schema(host: Host) -> None:
    owner = host.run(
        'sudo -u postgres psql -XAtc "select pg_get_userbyid(datdba) from pg_database'
        " where datname = 'turnaround'\""
    )
    assert owner.stdout.strip() == "turnaround"
    revision = host.run("sudo -u turnaround psql -XAt turnaround -c 'table alembic_version'")
    assert revision.stdout.strip() == migrate.head()


def test_the_cache_answers_on_this_host_only(host: Host) -> None:
    listening = host.run("ss -Hltn 'sport = :6379'").stdout
    assert listening
    assert all(
        line.split()[3].startswith(("127.0.0.1:", "[::1]:")) for line in listening.splitlines()
    )


def test_a_handshake_with_the_tower_was_made(host: Host) -> None:
    lines = host.run("wg show wg0 latest-handshakes").stdout.strip().splitlines()
    assert lines
    assert all(int(line.split()[1]) > 0 for line in lines)
