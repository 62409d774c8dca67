"""From files by hash to a release directory: plain files, a Python environment, unpacked wheels."""

from __future__ import annotations

import errno
import os
import shutil
import zipfile
import zlib
from pathlib import Path

from . import disk, store
from .errors import AboardError, ManifestError
from .manifest import NAME, Manifest, is_inside
from .steps import Step
from .world import World

SOURCES = "app"
"""The folder of a release with our own packages, as plain files: of a change only what it touched travels."""

ANOTHER = "deploy another revision, or go back with fab rollback"
UNPACKED_LIMIT = 2 << 30
COMPILE_SECONDS = 300.0
_TO_SITE_PACKAGES = ("purelib", "platlib")
_PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# What zipfile lets through of an archive that is damaged, encrypted or made to be hostile.
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError)


def release(world: World, manifest: Manifest) -> Path:
    """Make the release's directory, whole or not at all; one that is there already stays.

    Returns:
        /opt/turnaround/releases/<kind>/<version>.

    Raises:
        ManifestError: a wheel would write outside the release, or the current release bears this
            version with other contents.
        AboardError: a file was damaged on the disk.
    """
    final = world.release(manifest.kind, manifest.version)
    if final.exists():
        if world.current(manifest.kind) == manifest.version:
            check_same(world, manifest)
        if _is_of(final, manifest):
            # Whoever made it may have been killed before its name was on the disk.
            disk.sync_folder(final.parent)
            return final
        disk.remove_tree(final)
    building = final.with_name(f"{final.name}.tmp")
    world.at(Step.UNPACK)
    shutil.rmtree(building, ignore_errors=True)
    # Nothing of it is synced one by one: the flush below brings all of it to the disk.
    building.mkdir(parents=True)
    _lay_down(world, manifest, building)
    if manifest.python is not None:
        _environment(world, manifest, building)
        world.at(Step.COMPILE)
        # Some wheels bring files for other Pythons, so a file that cannot be compiled is no error.
        # Root compiles: nothing of the caller's folder, nor of what is compiled, may run in it.
        compiler = [str(building / "bin/python"), "-I", "-S", "-m", "compileall", "-q", "-j", "0"]
        code = [str(building / part) for part in ("lib", SOURCES) if (building / part).exists()]
        world.run(
            [*compiler, "-s", str(building), "-p", str(final), *code],
            timeout_s=COMPILE_SECONDS,
            cwd=building,
        )
    (building / NAME).write_bytes(manifest.dump())
    world.at(Step.FLUSH)
    world.flush(building)
    world.at(Step.PLACE)
    building.rename(final)
    disk.sync_folder(final.parent)
    return final


def _is_of(release: Path, manifest: Manifest) -> bool:
    try:
        return store.manifest_of(release) == manifest
    except (FileNotFoundError, ManifestError):
        return False


def _lay_down(world: World, manifest: Manifest, building: Path) -> None:
    """Links every file that is not a wheel to its place; the store keeps the bytes once."""
    for file in manifest.files:
        if file.path not in manifest.wheels:
            target = building / file.path
            target.parent.mkdir(parents=True, exist_ok=True)
            os.link(store.verified(world, file), target)


def _environment(world: World, manifest: Manifest, building: Path) -> None:
    """Makes a virtual environment by hand: for `python -m venv` Debian wants one more package."""
    library = building / "lib" / f"python{manifest.python}" / "site-packages"
    library.mkdir(parents=True)
    (building / "bin").mkdir(exist_ok=True)
    (building / "bin/python").symlink_to(world.python)
    (building / "bin/python3").symlink_to("python")
    (building / "pyvenv.cfg").write_text(
        f"home = {world.python.parent}\n"
        "include-system-site-packages = false\n"
        f"version = {manifest.python}\n"
    )
    # Where site-packages is relative to the release, so that it may be moved into its place.
    (library / "turnaround.pth").write_text(f"../../../{SOURCES}\n")
    by_path = {file.path: file for file in manifest.files}
    room = UNPACKED_LIMIT
    for wheel in manifest.wheels:
        room -= unpack_wheel(store.verified(world, by_path[wheel]), wheel, library, room)


def unpack_wheel(archive: Path, name: str, library: Path, room: int) -> int:
    """Unpack a wheel into site-packages.

    Code goes there whether it lies at the wheel's top or in its purelib or platlib folder; scripts,
    headers and data are left out, because our units start modules.

    Args:
        archive: the wheel's file.
        name: how errors call it.
        library: site-packages.
        room: how many bytes may be written at most.

    Returns:
        The bytes written.

    Raises:
        ManifestError: it is no wheel, leaves its place, is too large, or brings a file that is
            there.
    """
    written = 0
    try:
        with zipfile.ZipFile(archive) as wheel:
            for entry in wheel.infolist():
                if (path := _place_of(entry, name)) is None:
                    continue
                written += entry.file_size
                if written > room:
                    raise ManifestError(f"{name}: unpacks to more than {UNPACKED_LIMIT} bytes")
                target = library / path
                target.parent.mkdir(parents=True, exist_ok=True)
                with wheel.open(entry) as source, target.open("xb") as file:
                    shutil.copyfileobj(source, file)
                if entry.external_attr >> 16 & 0o111:
                    target.chmod(0o755)
    except _DAMAGED as error:
        raise ManifestError(f"{name}: not a wheel: {error or type(error).__name__}") from error
    except FileExistsError as error:
        raise ManifestError(
            f"{name}: another wheel has brought {error.filename} already"
        ) from error
    except NotADirectoryError as error:
        raise ManifestError(
            f"{name}: another file is in the place of a folder of {error.filename}"
        ) from error
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        raise ManifestError(f"{name}: not a wheel: it points before its beginning") from error
    return written


def _place_of(entry: zipfile.ZipInfo, name: str) -> str | None:
    """Where below site-packages an entry belongs; None for what is left out."""
    path = entry.filename
    if not is_inside(path.rstrip("/")) or (entry.external_attr >> 28) == 0o12:
        raise ManifestError(
            f"{name}: holds {path!r}, which would leave the release; nothing was switched"
        )
    if entry.compress_type not in _PACKED:
        raise ManifestError(
            f"{name}: not a wheel: {path!r} is compressed by method {entry.compress_type}, expected "
            "deflate or none"
        )
    if entry.is_dir():
        return None
    top, _, rest = path.partition("/")
    if top.endswith(".data"):
        scheme, _, inner = rest.partition("/")
        return inner if scheme in _TO_SITE_PACKAGES else None
    return path


def check_same(world: World, manifest: Manifest) -> None:
    """Refuse an artifact whose version is current here with other contents.

    Raises:
        ManifestError: it is.
        AboardError: nobody can say, because what is current cannot be read.
    """
    try:
        here = store.manifest_of(world.release(manifest.kind, manifest.version))
    except (OSError, ManifestError) as error:
        raise AboardError(f"what is current cannot be read: {error}; {ANOTHER}") from error
    if here != manifest:
        raise ManifestError(
            f"{manifest.kind} {manifest.version} is current here with other contents; one "
            "version is one set of files: commit, build and send the new revision"
        )


def check_room(world: World, manifest: Manifest) -> None:
    """Refuse an artifact for another kind of host, or one for which the disk has no room.

    Raises:
        ManifestError: other Python or other processor.
        AboardError: too little room; the text says how much is needed and how much there is.
    """
    if manifest.python not in (None, world.python_version):
        raise ManifestError(
            f"{manifest.kind} {manifest.version} is for Python {manifest.python}; here "
            f"{world.python} is {world.python_version}"
        )
    if manifest.platform is not None and not manifest.platform.endswith(world.machine):
        raise ManifestError(
            f"{manifest.kind} {manifest.version} is for {manifest.platform}; "
            f"this host is {world.machine}"
        )
    wheels = sum(file.size for file in manifest.files if file.path in manifest.wheels)
    # Unpacked and compiled, wheels take five times their size; the rest is for the database.
    needed = sum(store.missing(world, manifest).values()) + 6 * wheels + (64 << 20)
    there = world.home
    while not there.exists():
        there = there.parent
    if (free := world.free(there)) < needed:
        raise AboardError(
            f"{manifest.kind} {manifest.version} needs {needed >> 20} MiB on {there}, free are "
            f"{free >> 20} MiB; nothing was changed: make room and run again"
        )
