"""Who gets in, what is known of it afterwards, and what installs itself."""

from __future__ import annotations

import uuid

import pytest
from testinfra.host import Host

pytestmark = pytest.mark.hosts


def test_nobody_has_a_password(host: Host) -> None:
    states = [line.split()[:2] for line in host.check_output("passwd -Sa").splitlines()]
    assert states
    assert {state for _, state in states} == {"L"}


def test_what_sudo_ran_is_in_the_journal_with_the_caller(host: Host) -> None:
    word = uuid.uuid4().hex
    host.check_output("su - ops -c %s", f"sudo -n /bin/echo {word}")
    said = host.check_output("journalctl -t sudo -o cat -S -1min")
    lines = [line for line in said.splitlines() if f"COMMAND=/bin/echo {word}" in line]
    assert lines
    assert all(line.split()[0] == "ops" and "USER=root" in line for line in lines)
    assert "EXIT=0" in lines[-1]


def test_sudo_hands_on_nothing_of_the_callers_environment(host: Host) -> None:
    set_here = "LD_PRELOAD=x PYTHONPATH=/tmp DISPLAY=:1 TURNAROUND_NODE=me"
    said = host.check_output("su - ops -c %s", f"{set_here} sudo -n env")
    names = {line.partition("=")[0] for line in said.splitlines()}
    assert names.isdisjoint({"LD_PRELOAD", "PYTHONPATH", "DISPLAY", "TURNAROUND_NODE"})
    assert host.run("visudo -c").rc == 0
    assert "Always run commands in a pseudo-tty" in host.check_output("sudo -V")


def test_security_updates_are_all_that_may_come_by_themselves(host: Host) -> None:
    said = host.check_output("apt-config dump Unattended-Upgrade").splitlines()
    origins = [
        line for line in said if "Origins" in line and '::"' not in line and '""' not in line
    ]
    assert len([line for line in origins if "origin=" in line]) == 1
    assert "label=Debian-Security" in "".join(origins)
    assert 'Unattended-Upgrade::Automatic-Reboot "false";' in said


def test_an_aircraft_installs_nothing_by_itself(aircraft: Host) -> None:
    for timer in ("apt-daily.timer", "apt-daily-upgrade.timer"):
        assert not aircraft.service(timer).is_enabled
        assert not aircraft.service(timer).is_running
    assert aircraft.file("/opt/turnaround/bin/upgrade").mode == 0o755


def test_logs_are_bounded(host: Host) -> None:
    said = host.check_output("systemd-analyze cat-config systemd/journald.conf").splitlines()
    for line in ("Storage=persistent", "ForwardToSyslog=no", "SystemMaxUse=200M"):
        assert line in said
    assert host.file("/var/log/journal").is_directory
    assert host.service("logrotate.timer").is_running
    assert "maxsize 20M" in host.file("/etc/logrotate.conf").content_string.splitlines()
    assert host.run("logrotate --debug /etc/logrotate.conf").rc == 0


def test_the_language_is_nobodys(host: Host) -> None:
    assert "LANG=C.UTF-8" in host.file("/etc/default/locale").content_string
    assert host.check_output("hostname") == host.backend.get_hostname()
