"""The engine: declare → probe → plan → apply → verify.

Here lives what turns a list of wishes about a host into as few trips to it as can be: the nouns
(`require.apt`, `require.file`, …), the catalog that collects them, the plan, the program that runs
on the host and the protocol of the transport that carries it. Nothing here knows which hosts exist,
what a release is, or how to reach a machine: that is `fleet`. Nothing of ours is imported, and
`require.remote` is standard library only, because it runs where nothing is installed.
"""

from __future__ import annotations

from require import resume, run, undo
from require.catalog import Catalog, declare
from require.errors import (
    CommandFailed,
    DeadlinePassed,
    DeclarationError,
    LinkLost,
    ProtocolError,
    RequireError,
    TransportError,
    Unreachable,
)
from require.resource import Handler, Resource
from require.resources import (
    apt,
    archive,
    command,
    file,
    host,
    line,
    nftables,
    nginx,
    postgres,
    python,
    redis,
    ssh,
    sysctl,
    systemd,
    user,
    wireguard,
)
from require.secret import Secret
from require.transport import CountingTransport, FakeTransport, LocalTransport, Transport

__all__ = [
    "Catalog",
    "CommandFailed",
    "CountingTransport",
    "DeadlinePassed",
    "DeclarationError",
    "FakeTransport",
    "Handler",
    "LinkLost",
    "LocalTransport",
    "ProtocolError",
    "RequireError",
    "Resource",
    "Secret",
    "Transport",
    "TransportError",
    "Unreachable",
    "apt",
    "archive",
    "command",
    "declare",
    "file",
    "host",
    "line",
    "nftables",
    "nginx",
    "postgres",
    "python",
    "redis",
    "resume",
    "run",
    "ssh",
    "sysctl",
    "systemd",
    "undo",
    "user",
    "wireguard",
]
