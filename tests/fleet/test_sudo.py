"""A sudo that does not let us be root is told at once: which host, which account, what to do."""

from __future__ import annotations

from collections.abc import Iterator

import paramiko
import pytest

import require
from fleet.channel import Completed
from fleet.converge import on_host
from fleet.errors import AccessRefused
from fleet.ssh import Connection, Endpoint
from fleet.sudo import refusal
from tests.fleet.keys import new_key
from tests.fleet.server import Loopback, ssh_server


@pytest.mark.parametrize(
    ("exit", "stdout", "stderr", "said"),
    [
        (1, "", "sudo: a password is required\n", "a password is required"),
        (1, "", "sudo: unable to resolve host x\nsudo: a password is required\n", "a password"),
        (1, "", "ops is not in the sudoers file.\nThis incident has been reported.", "not in the"),
        (1, "", "Sorry, user ops is not allowed to execute '/bin/sh' as root on x.", "not allowed"),
        (1, "", "sudo: sorry, you must have a tty to run sudo", "a tty"),
        (1, "", "sudo: se requiere una contraseña", "se requiere"),
        (127, "", "sh: 1: exec: sudo: not found", "there is no sudo"),
        (127, "", "bash: line 1: sudo: command not found", "there is no sudo"),
        (1, "", "sudo: unknown user turnaround", None),
        (1, "", "sudo: /opt/turnaround/bin/wanting: command not found\n", None),
        (1, "", "sudo: unable to resolve host x\nno such unit", None),
        (1, "out", "sudo: unable to resolve host x", None),
        (3, "", "sudo: a password is required", None),
        (127, "", "sh: 1: python3: not found", None),
        (0, "", "sudo: unable to resolve host x", None),
    ],
)
def test_sudos_words_and_those_of_what_it_ran_are_told_apart(
    exit: int, stdout: str, stderr: str, said: str | None
) -> None:
    done = Completed(exit, stdout.encode(), stderr.encode())
    found = refusal(done, "EC-TAA", "ops", "10.0.0.2")
    assert (found is None) == (said is None)
    if found is not None and said is not None:
        assert found.what.startswith("EC-TAA: ")
        assert "10.0.0.2" in found.what
        assert said in found.what
        assert "fab init-machine" in found.remedy


@pytest.fixture
def connection() -> Iterator[tuple[Loopback, Connection]]:
    key: paramiko.PKey = new_key()
    with ssh_server(key, host_key=new_key()) as server:
        end = Endpoint("EC-TAA", "127.0.0.1", server.port, "ops", key, server.host_key_line)
        opened = Connection(end)
        server.answer = lambda command, stdin: (1, b"", b"sudo: a password is required\n")
        yield server, opened
        opened.close()


def test_a_converge_is_refused_with_the_line_that_is_missing(
    connection: tuple[Loopback, Connection],
) -> None:
    with require.declare() as declared:
        require.file.file("/etc/motd", content="x")
    with pytest.raises(AccessRefused, match="EC-TAA: sudo does not let ops@127") as caught:
        on_host(connection[1], declared, lambda text: None)
    assert "ops ALL=(ALL:ALL) NOPASSWD: ALL" in caught.value.remedy
    assert len(connection[0].commands) == 1


def test_a_command_without_sudo_may_say_what_it_wants(
    connection: tuple[Loopback, Connection],
) -> None:
    assert connection[1].run(["cat", "/var/log/auth.log"], timeout_s=5).exit == 1
