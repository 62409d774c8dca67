"""Puts the program for a host together: sources of `require.remote` and one request.

`COMMAND` starts a bootstrap of a few hundred characters as root; all else comes on standard input
as one compressed piece that is checked against its hash. Nothing is installed on the host and
nothing is left there. What a trip does not use is not sent: documentation and annotations never,
and a look carries no code that changes anything.
"""

from __future__ import annotations

import ast
import base64
import hashlib
import json
import shlex
import zlib
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from typing import Any

from require.secret import Secret
from require.shaking import shake

BOOTSTRAP = (
    "import sys,zlib,hashlib;I=sys.stdin.buffer;H=I.readline();N,S=H.decode().split();"
    "B=I.read(int(N));hashlib.sha256(B).hexdigest()==S or sys.exit('the program was cut');"
    "exec(zlib.decompress(B))"
)
COMMAND = f'r=; [ "$(id -u)" = 0 ] || r="sudo -n"; exec $r python3 -IS -c {shlex.quote(BOOTSTRAP)}'

# Modules that live in memory: a finder for them, as small as it can be.
_LOADER = """
import sys, importlib.machinery
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name in ("require", "require.remote") or name in M:
            package = name not in M
            return importlib.machinery.ModuleSpec(name, self, is_package=package)
    def create_module(self, spec):
        return None
    def exec_module(self, module):
        exec(compile(M.get(module.__name__, ""), module.__name__, "exec"), module.__dict__)
sys.meta_path.insert(0, Finder())
from require.remote import wire
D = wire.Decoder()
Q = D.load(R)
if Q["mode"] != "apply":
    importlib.import_module("require.remote." + Q["mode"]).main(Q, sys.stdout.buffer)
elif sys.argv[1:] == ["worker"]:
    from require.remote import worker
    worker.main(Q, D, sys.stdout.fileno())
else:
    from require.remote import launch
    launch.main(Q, sys.stdout.buffer, BOOT, H + B)
"""

_MADE_OF = {
    "apt_sources": "apt file",
    "archive": "file tarball",
    "host": "line",
    "line": "file",
    "nftables": "file ways",
    "postgres": "apt file psql postgres_files postgres_server",
    "redis": "file",
    "ssh": "file",
    "sysctl": "file",
    "undo": "file",
    "wireguard": "file",
}
_CORE_LOOK = ("wire", "look", "probing", "journal", "lock", "pending", "private", "shell")
_CORE_APPLY = (
    "wire",
    "launch",
    "worker",
    "probing",
    "journal",
    "kept",
    "lock",
    "pending",
    "private",
)


def look_payload(nouns: Iterable[str], request: Mapping[str, Any], mode: str = "look") -> bytes:
    """Return what goes to a host that is to be looked at.

    Args:
        nouns: nouns of the resources.
        request: "state_dir", "total_s", "resources", and what the mode needs.
        mode: the module whose `main` answers: look, collect or undo.
    """
    return _payload(_look_sources(tuple(sorted(set(nouns))), mode), {"mode": mode, **request})


def apply_payload(nouns: Iterable[str], request: Mapping[str, Any]) -> bytes:
    """Return what goes to a host that is to be changed.

    Args:
        nouns: nouns of the resources; those of handlers are added.
        request: see `require.planning.apply_request`.
    """
    nouns = tuple(sorted({*nouns, "systemd", "command"}))  # markers may be left of both
    return _payload(_apply_sources(nouns), {"mode": "apply", **request})


def read(payload: bytes) -> Any:
    """Return the request in a payload, secrets in the clear: for tests and for those who debug."""
    body = zlib.decompress(payload.partition(b"\n")[2])
    tree = ast.parse(body)
    values = {
        node.targets[0].id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    return json.loads(ast.literal_eval(values["R"]))


def _payload(sources: str, request: Mapping[str, Any]) -> bytes:
    text = json.dumps(request, default=_encode, separators=(",", ":"))
    body = zlib.compress(f"{sources}R = {text!r}\n{_LOADER}".encode(), 9)
    return f"{len(body)} {hashlib.sha256(body).hexdigest()}\n".encode() + body


def _encode(value: object) -> Any:
    """Turn what JSON does not know into what `require.remote.wire.Decoder` reads."""
    if isinstance(value, Secret):
        return {"$secret": value.reveal()}
    if isinstance(value, bytes):
        try:
            return {"$text": value.decode()}
        except UnicodeDecodeError:
            return {"$bytes": base64.b64encode(value).decode()}
    raise TypeError(f"{type(value).__name__} cannot be sent to a host")


@lru_cache
def _source(module: str) -> str:
    return (files("require.remote") / f"{module}.py").read_text()


@lru_cache
def _look_sources(nouns: tuple[str, ...], mode: str) -> str:
    modules = {*_CORE_LOOK, mode, *nouns, *_with((*nouns, mode))}
    roots = [(mode, "main"), ("wire", "Decoder")]
    roots += [(noun, name) for noun in (*nouns, mode) for name in ("probe", "prefetch")]
    return _assign({module: _source(module) for module in modules}, roots)


@lru_cache
def _apply_sources(nouns: tuple[str, ...]) -> str:
    modules = {*_CORE_APPLY, "shell", *nouns, *_with(nouns)}
    roots = [("worker", "main"), ("launch", "main"), ("wire", "Decoder")]
    roots += [(noun, name) for noun in nouns for name in ("probe", "prefetch", "apply", "handle")]
    return _assign({module: _source(module) for module in modules}, roots)


def _with(nouns: Iterable[str]) -> set[str]:
    """Nouns that other nouns are made of, and those that these are made of."""
    made_of = {each for noun in nouns for each in _MADE_OF.get(noun, "").split()}
    return made_of | _with(made_of) if made_of else made_of


def _assign(sources: Mapping[str, str], roots: Sequence[tuple[str, str]]) -> str:
    shaken = shake(sources, roots)
    modules = {f"require.remote.{name}": text for name, text in sorted(shaken.items())}
    return f"BOOT = {BOOTSTRAP!r}\nM = {modules!r}\n"
