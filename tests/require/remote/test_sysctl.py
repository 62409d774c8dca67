"""Kernel settings: the running one and the one at boot, in a kernel made of files."""

from __future__ import annotations

from pathlib import Path

import pytest

import require
from require.errors import DeclarationError
from require.remote import sysctl
from require.remote.shell import Failed
from require.resource import Change, NoChange, Plan, Unknown


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """/proc/sys with some settings, and an empty /etc/sysctl.d beside it."""
    proc, kept = tmp_path / "proc", tmp_path / "sysctl.d"
    for path, value in {
        "net/ipv4/ip_forward": "0\n",
        "net/ipv4/tcp_rmem": "4096\t131072\t6291456\n",
        "net/ipv4/conf/eth0.5/forwarding": "0\n",
    }.items():
        (proc / path).parent.mkdir(parents=True, exist_ok=True)
        (proc / path).write_text(value)
    kept.mkdir()
    monkeypatch.setattr(sysctl, "PROC", str(proc))
    monkeypatch.setattr(sysctl, "KEPT", str(kept))
    return tmp_path


def setting(name: str, value: str | int, *, now: bool = True) -> require.Resource:
    with require.declare():
        return require.sysctl.setting(name, value, now=now)


def plan(resource: require.Resource) -> Plan:
    return resource.plan(sysctl.probe(resource.question()))


def bring(resource: require.Resource) -> None:
    spec = {**resource.question(), **resource.order()}
    sysctl.apply(spec, sysctl.probe(resource.question()))


def test_it_is_set_now_and_for_each_boot(kernel: Path) -> None:
    forward = setting("net.ipv4.ip_forward", 1)
    assert plan(forward) == Change("running 0 → 1, at boot not set → 1")
    bring(forward)
    assert plan(forward) == NoChange()
    assert (kernel / "proc/net/ipv4/ip_forward").read_text() == "1"
    kept = kernel / "sysctl.d/60-turnaround-net.ipv4.ip_forward.conf"
    assert kept.read_text() == "# Written by turnaround.\nnet.ipv4.ip_forward = 1\n"


def test_what_somebody_set_by_hand_is_put_back(kernel: Path) -> None:
    forward = setting("net.ipv4.ip_forward", 1)
    bring(forward)
    (kernel / "proc/net/ipv4/ip_forward").write_text("0\n")
    assert plan(forward) == Change("running 0 → 1")
    bring(forward)
    assert plan(forward) == NoChange()


def test_numbers_are_compared_whatever_stands_between_them(kernel: Path) -> None:
    assert plan(setting("net.ipv4.tcp_rmem", "4096  131072 6291456")) == Change(
        "at boot not set → 4096 131072 6291456"
    )


def test_an_interface_with_a_dot_in_its_name(kernel: Path) -> None:
    vlan = setting("net.ipv4.conf.eth0/5.forwarding", 1)
    bring(vlan)
    assert plan(vlan) == NoChange()
    assert (kernel / "proc/net/ipv4/conf/eth0.5/forwarding").read_text() == "1"


def test_a_setting_of_every_interface(kernel: Path) -> None:
    conf = kernel / "proc/net/ipv4/conf"
    for name, value in (("all", "0\n"), ("wg0", "2\n"), ("eth0.5", "1\n")):
        (conf / name).mkdir(exist_ok=True)
        (conf / name / "rp_filter").write_text(value)
    strict = setting("net.ipv4.conf.*.rp_filter", 1)
    assert plan(strict) == Change("running 0, 1, 2 → 1, at boot not set → 1")
    bring(strict)
    assert plan(strict) == NoChange()
    assert {(conf / name / "rp_filter").read_text() for name in ("all", "wg0")} == {"1"}
    assert (conf / "eth0.5/rp_filter").read_text() == "1\n", "what is right is not written"
    kept = kernel / "sysctl.d/60-turnaround-net.ipv4.conf.@.rp_filter.conf"
    assert kept.read_text().endswith("net.ipv4.conf.*.rp_filter = 1\n")
    (conf / "cabin0").mkdir()
    (conf / "cabin0/rp_filter").write_text("0\n")
    assert plan(strict) == Change("running 0, 1 → 1")


def test_the_kernel_of_another_is_left_alone(kernel: Path) -> None:
    for name in ("net.ipv4.ip_forward", "vm.none"):
        later = setting(name, 1, now=False)
        assert plan(later) == Change("at boot not set → 1")
        bring(later)
        assert plan(later) == NoChange()
    assert (kernel / "proc/net/ipv4/ip_forward").read_text() == "0\n"


def test_a_setting_that_this_kernel_lacks_is_told_and_not_guessed_at(kernel: Path) -> None:
    assert plan(setting("net.none", 1)) == Unknown(
        "this kernel has no setting net.none", blocked=True
    )


def test_a_value_that_the_kernel_refuses_is_a_failure_with_its_name(
    kernel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(handle: int, data: bytes) -> int:
        raise OSError(22, "Invalid argument")

    forward = setting("net.ipv4.ip_forward", "many")
    spec = {**forward.question(), **forward.order()}
    state = sysctl.probe(forward.question()) | {"kept": "many"}
    monkeypatch.setattr(sysctl.os, "write", refuses)
    with pytest.raises(Failed, match=r"does not take 'many' for net\.ipv4\.ip_forward: Invalid"):
        sysctl.apply(spec, state)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ip_forward", 1),
        ("net ipv4.x", 1),
        ("../etc.x", 1),
        ("net.x", ""),
        ("net.x", "a\x00"),
        ("*.x", 1),
    ],
)
def test_what_no_file_could_hold_is_refused(name: str, value: str | int) -> None:
    with pytest.raises(DeclarationError, match="wanted a"):
        setting(name, value)
