"""The manifest of an artifact: which files, by hash, and what to do with them on a host."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from .errors import ManifestError

FORMAT = 2
MANIFEST_LIMIT = 4 << 20
FILES_LIMIT = 20_000
FILE_LIMIT = 2 << 30
TOTAL_LIMIT = 8 << 30

NAME = "manifest.json"
"""The manifest's own file name, in a build's folder and in a release."""

MAPS = "maps-"
"""What the kind of a bundle of maps begins with; its name follows."""

# What a host makes in a release itself. Files are laid down as links into the store, so that writing
# to one in such a place would change the store's.
_MADE_HERE = (NAME, f".{NAME}.tmp")
_MADE_FOR_PYTHON = ("bin", "lib", "pyvenv.cfg")

_KIND = re.compile(rf"(?:{MAPS})?[a-z][a-z0-9]{{0,25}}")
_VERSION = re.compile(r"\d{14}-[0-9a-f]{12}")
_REVISION = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_UNIT = re.compile(r"turnaround-[a-z0-9-]{1,64}\.service")
_TEMPLATE = re.compile(r"turnaround-[a-z0-9-]{1,64}@\.service")
_SOCKET = re.compile(r"/run/turnaround/[a-z0-9-]{1,32}\.sock")
_PYTHON = re.compile(r"3\.\d{1,2}")


@dataclass(frozen=True)
class File:
    """One file of an artifact: its place in the release, its hash, its size in bytes."""

    path: str
    sha256: str
    size: int


@dataclass(frozen=True)
class Health:
    """Where a release is asked whether it is well: a unix socket and a path of HTTP on it."""

    socket: str
    path: str


@dataclass(frozen=True)
class Beside:
    """A process that a new release starts beside the old one's, so that nobody waits for it.

    Args:
        unit: a systemd template; its instances are versions.
        socket: the link that nginx goes by; it names the socket of the version that serves.
    """

    unit: str
    socket: str

    def instance(self, version: str) -> str:
        """The unit of one version.

        Example:
            >>> Beside("turnaround-api@.service", "/run/turnaround/api.sock").instance("7")
            'turnaround-api@7.service'
        """
        return self.unit.replace("@.", f"@{version}.")

    def own(self, version: str) -> str:
        """The socket of one version.

        Example:
            >>> Beside("turnaround-api@.service", "/run/turnaround/api.sock").own("7")
            '/run/turnaround/api-7.sock'
        """
        return f"{self.socket.removesuffix('.sock')}-{version}.sock"


@dataclass(frozen=True)
class Manifest:
    """What an artifact consists of; see `parse` for what is checked.

    Args:
        kind: which `current/<kind>` it becomes: onboard, hangar, html5, maps-<name>.
        version: commit time and revision, `YYYYMMDDHHMMSS-<12 hex>`, UTC.
        revision: the full git revision it was built from; /health must name it.
        python: the minor version its wheels were chosen for ("3.13"), or None where no Python is in
            it.
        platform: the platform tag its wheels run on, or None.
        files: every file; paths are relative to the release.
        wheels: those of the files that are unpacked into site-packages instead of laid down as they
            are.
        setup: commands run in the release before the switch; the first word is relative to the
            release.
        units: systemd units that are restarted with this release.
        beside: processes that run beside those of the release before until it is left.
        health: None when nothing answers for it.
    """

    kind: str
    version: str
    revision: str
    python: str | None
    platform: str | None
    files: tuple[File, ...]
    wheels: tuple[str, ...]
    setup: tuple[tuple[str, ...], ...]
    units: tuple[str, ...]
    beside: tuple[Beside, ...]
    health: Health | None

    @property
    def sizes(self) -> dict[str, int]:
        """Size by hash: each distinct file once."""
        return {file.sha256: file.size for file in self.files}

    def dump(self) -> bytes:
        """The manifest as its canonical JSON: equal manifests give equal bytes."""
        document = {"format": FORMAT, **asdict(self)}
        return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False).encode() + b"\n"


def parse(text: bytes, source: str = "manifest") -> Manifest:
    """Read a manifest and check everything in it that a host will act on.

    Args:
        text: JSON, at most 4 MiB.
        source: how errors name it, for instance a path.

    Raises:
        ManifestError: naming the field, what was expected and what was found.

    Example:
        >>> parse(b'{"format": 7}')
        Traceback (most recent call last):
        ...
        aboard.errors.ManifestError: manifest: format: expected 2, found 7; …
    """
    if len(text) > MANIFEST_LIMIT:
        raise ManifestError(f"{source}: {len(text)} bytes; at most {MANIFEST_LIMIT} are read")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ManifestError(f"{source}: not JSON: {error}") from error
    if not isinstance(document, dict):
        raise ManifestError(f"{source}: expected an object, found {type(document).__name__}")
    if document.get("format") != FORMAT:
        raise ManifestError(
            f"{source}: format: expected {FORMAT}, found {document.get('format')!r}; "
            "converge the host so that its aboard is as new as the artifact, or build again"
        )
    return _Reader(document, source).manifest()


class _Reader:
    """Takes fields out of a decoded manifest, each with its check."""

    def __init__(self, document: Mapping[str, Any], source: str) -> None:
        self.document = document
        self.source = source

    def manifest(self) -> Manifest:
        files = tuple(self._file(n, entry) for n, entry in enumerate(self._list("files")))
        paths = [file.path for file in files]
        if not files or len(files) > FILES_LIMIT:
            raise self._error("files", f"1 to {FILES_LIMIT} files", len(files))
        if sum({file.sha256: file.size for file in files}.values()) > TOTAL_LIMIT:
            raise self._error("files", f"at most {TOTAL_LIMIT} bytes together", "more")
        self._no_clash(files)
        python = self._optional("python", _PYTHON)
        self._none_in(_MADE_HERE if python is None else (*_MADE_HERE, *_MADE_FOR_PYTHON), files)
        wheels = tuple(self._list("wheels"))
        for wheel in wheels:
            if wheel not in paths or not wheel.endswith(".whl"):
                raise self._error("wheels", "names of .whl files that `files` lists", wheel)
        setup = tuple(self._command(entry) for entry in self._list("setup"))
        if (wheels or setup) and python is None:
            raise self._error(
                "python", "a version, because there are wheels or setup commands", None
            )
        return Manifest(
            kind=self._matching("kind", _KIND),
            version=self._matching("version", _VERSION),
            revision=self._matching("revision", _REVISION),
            python=python,
            platform=self._optional("platform", re.compile(r"[a-z0-9_]{1,64}")),
            files=files,
            wheels=wheels,
            setup=setup,
            units=tuple(self._unit(unit) for unit in self._list("units")),
            beside=tuple(self._beside(entry) for entry in self._list("beside")),
            health=self._health(),
        )

    def _error(self, field: str, expected: str, found: object) -> ManifestError:
        return ManifestError(f"{self.source}: {field}: expected {expected}, found {found!r:.120}")

    def _matching(self, field: str, pattern: re.Pattern[str]) -> str:
        value = self.document.get(field)
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise self._error(field, f"text like {pattern.pattern}", value)
        return value

    def _optional(self, field: str, pattern: re.Pattern[str]) -> str | None:
        return None if self.document.get(field) is None else self._matching(field, pattern)

    def _list(self, field: str) -> list[Any]:
        value = self.document.get(field)
        if not isinstance(value, list):
            raise self._error(field, "a list", value)
        return value

    def _file(self, number: int, entry: object) -> File:
        if not isinstance(entry, dict):
            raise self._error(f"files[{number}]", "an object", entry)
        path, sha256, size = entry.get("path"), entry.get("sha256"), entry.get("size")
        if not isinstance(path, str) or not is_inside(path):
            raise self._error(f"files[{number}].path", "a plain path inside the release", path)
        if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
            raise self._error(f"{path}: sha256", "64 hexadecimal digits", sha256)
        if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= FILE_LIMIT:
            raise self._error(f"{path}: size", f"0 to {FILE_LIMIT} bytes", size)
        return File(path, sha256, size)

    def _no_clash(self, files: tuple[File, ...]) -> None:
        """Refuses two files at one place, a file in a folder's place, two sizes for one hash."""
        paths: set[str] = set()
        sizes: dict[str, int] = {}
        for file in files:
            if file.path in paths:
                raise self._error("files", "each path once", file.path)
            paths.add(file.path)
            if sizes.setdefault(file.sha256, file.size) != file.size:
                raise self._error(f"{file.path}: size", f"{sizes[file.sha256]}", file.size)
        for path in paths:
            parts = path.split("/")
            for depth in range(1, len(parts)):
                if "/".join(parts[:depth]) in paths:
                    raise self._error("files", "no file where another needs a folder", path)

    def _none_in(self, places: tuple[str, ...], files: tuple[File, ...]) -> None:
        for file in files:
            if (top := file.path.partition("/")[0]) in places:
                expected = f"a place that is not made on the host ({', '.join(places)})"
                raise self._error(file.path, expected, top)

    def _command(self, entry: object) -> tuple[str, ...]:
        if (
            not isinstance(entry, list)
            or not entry
            or not all(isinstance(word, str) and "\0" not in word for word in entry)
            or not is_inside(entry[0])
        ):
            raise self._error("setup", "commands that start with a path in the release", entry)
        return tuple(entry)

    def _unit(self, unit: object) -> str:
        if not isinstance(unit, str) or not _UNIT.fullmatch(unit):
            raise self._error("units", "units of ours, turnaround-….service", unit)
        return unit

    def _beside(self, entry: object) -> Beside:
        unit = entry.get("unit") if isinstance(entry, dict) else None
        socket = entry.get("socket") if isinstance(entry, dict) else None
        if not isinstance(unit, str) or not _TEMPLATE.fullmatch(unit):
            raise self._error("beside.unit", "a template of ours, turnaround-…@.service", unit)
        if not isinstance(socket, str) or not _SOCKET.fullmatch(socket):
            raise self._error("beside.socket", "a socket in /run/turnaround", socket)
        return Beside(unit, socket)

    def _health(self) -> Health | None:
        value = self.document.get("health")
        if value is None:
            return None
        socket = value.get("socket") if isinstance(value, dict) else None
        path = value.get("path") if isinstance(value, dict) else None
        if not isinstance(socket, str) or not re.fullmatch(r"/run/turnaround/[a-z0-9.-]+", socket):
            raise self._error("health.socket", "a socket in /run/turnaround", socket)
        if not isinstance(path, str) or not re.fullmatch(r"/[A-Za-z0-9/_.-]*", path):
            raise self._error("health.path", "an absolute path", path)
        return Health(socket, path)


def is_kind(text: str) -> bool:
    """Whether a text can be a kind of release.

    Example:
        >>> is_kind("onboard"), is_kind("maps-iberia"), is_kind("../etc")
        (True, True, False)
    """
    return bool(_KIND.fullmatch(text))


def is_inside(path: str) -> bool:
    """Whether a path is relative, plain, and stays below where it starts.

    Example:
        >>> is_inside("static/app.css"), is_inside("../etc/passwd"), is_inside("/etc/passwd")
        (True, False, False)
    """
    if not path or len(path.encode(errors="surrogatepass")) > 1024 or not path.isprintable():
        return False
    return "\\" not in path and all(part not in ("", ".", "..") for part in path.split("/"))
