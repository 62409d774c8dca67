"""The Redis server: what is planned for its file and for what runs."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

import require
from require.errors import DeclarationError
from require.resource import Change, NoChange, Plan, Unknown

TEXT = '# Written by turnaround.\nmaxmemory "67108864"\nsave ""\nappendonly "no"\n'
SHA = hashlib.sha256(TEXT.encode()).hexdigest()
RUNS = {"maxmemory": "67108864", "save": "", "appendonly": "no"}
KEY = "file:/etc/redis/turnaround.conf"


def seen(**more: Any) -> dict[str, Any]:
    file = {"kind": "file", "mode": 0o640, "owner": "root", "group": "redis", "sha": SHA, "size": 9}
    return file | {"running": RUNS} | more


CASES: dict[str, tuple[dict[str, Any], Plan]] = {
    "as declared": (seen(), NoChange()),
    "stopped, which is its unit's to mend": (seen(running=None), NoChange()),
    "set otherwise by hand": (
        seen(running=RUNS | {"maxmemory": "0", "save": "60 1"}),
        Change(
            "maxmemory 0 → 67108864 in the running server, save 60 1 → none in the running server"
        ),
    ),
    "wrong mode as well": (
        seen(mode=0o644, running=RUNS | {"appendonly": "yes"}),
        Change("mode 0644 → 0640, appendonly yes → no in the running server"),
    ),
    "not there, and no server": (
        {"kind": "absent", "running": None},
        Change(
            "create the file",
            "--- /etc/redis/turnaround.conf (on the host)\n"
            "+++ /etc/redis/turnaround.conf (declared)\n@@ -0,0 +1,4 @@\n"
            + "".join(f"+{line}\n" for line in TEXT.splitlines()),
        ),
    ),
    "a directory in its place": (
        seen(kind="directory"),
        Unknown("a directory is in the way of this file: move it", blocked=True),
    ),
}


def catalog(**given: Any) -> require.Catalog:
    with require.declare() as found:
        require.redis.server(**given)
    return found


@pytest.mark.parametrize(("state", "plan"), CASES.values(), ids=CASES)
def test_plan(state: dict[str, Any], plan: Plan) -> None:
    assert catalog(max_memory="64mb", persistence="none")[KEY].plan(state) == plan


def test_its_file_is_there_before_it_is_included() -> None:
    found = catalog(max_memory="64mb", persistence="none")
    settings: Any = found[KEY]
    assert settings.content.decode() == TEXT
    include = "line:/etc/redis/redis.conf:include /etc/redis/turnaround.conf"
    assert [each.key for each in found.ordered()] == [
        "apt.packages:redis-server",
        KEY,
        include,
        "systemd.service:redis-server.service",
    ]
    assert KEY in found.needs_of(found[include])


def test_without_settings_it_is_as_the_package_has_it() -> None:
    assert [each.key for each in catalog()] == [
        "apt.packages:redis-server",
        "systemd.service:redis-server.service",
    ]


@pytest.mark.parametrize(("given", "value"), [(0, "0"), (512, "512"), ("2gb", str(2 << 30))])
def test_memory_is_told_in_bytes(given: int | str, value: str) -> None:
    settings: Any = catalog(max_memory=given)[KEY]
    assert settings.settings == (("maxmemory", value),)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"max_memory": "64 MB"}, "wanted bytes or as in 64mb"),
        ({"max_memory": -1}, "wanted bytes or as in 64mb"),
        ({"policy": "allkeys-ttl"}, "wanted one of noeviction, allkeys-lru, "),
        ({"persistence": "yes"}, "wanted none, snapshots or log"),
    ],
)
def test_what_redis_would_not_take_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(DeclarationError, match=said):
        catalog(**given)
