"""What git says of a revision: its name, its time, its files. The working tree is never looked at."""

from __future__ import annotations

import io
import subprocess
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from fleet.aboard.manifest import is_inside
from fleet.build_deadline import deadline
from fleet.errors import FleetError, UsageError


@dataclass(frozen=True)
class Revision:
    """One commit.

    Args:
        top: the checkout whose history it is in.
        sha: its full name.
        epoch_s: its commit time, seconds since 1970.
    """

    top: Path
    sha: str
    epoch_s: int

    @property
    def version(self) -> str:
        """The version of what is built from it: `YYYYMMDDHHMMSS-<12 hex>`, UTC."""
        return f"{datetime.fromtimestamp(self.epoch_s, UTC):%Y%m%d%H%M%S}-{self.sha[:12]}"

    def export(self, paths: Sequence[str], into: Path) -> None:
        """Write the files of these paths as they are in the commit.

        Raises:
            FleetError: the commit has none at one of the paths.
        """
        listed = git(self.top, "ls-tree", "-z", "--name-only", self.sha, "--", *paths)
        missing = set(paths) - {name.decode() for name in listed.stdout.split(b"\0")}
        if missing:
            raise FleetError(
                f"revision {self.sha[:12]} has no {', '.join(sorted(missing))}",
                "build a revision that has what this artifact is made of",
            )
        archive = git(self.top, "archive", "--format=tar", self.sha, "--", *paths)
        if archive.returncode:
            raise FleetError(f"git archive {self.sha[:12]}: {_said(archive)}")
        unpack(archive.stdout, into, f"revision {self.sha[:12]}")


def unpack(archive: bytes, into: Path, source: str) -> None:
    """Write the files and folders of a tar.

    Args:
        archive: what `git archive` gave.
        into: where to; made when it is missing.
        source: how errors call it.

    Raises:
        FleetError: it holds a link or a device, or a path that would leave the folder.
    """
    with tarfile.open(fileobj=io.BytesIO(archive)) as tree:
        for member in tree:
            target = into / member.name
            content = tree.extractfile(member) if member.isreg() else None
            if not is_inside(member.name) or not (content or member.isdir()):
                raise FleetError(
                    f"{source}: {member.name} is no plain file below its folder",
                    "an artifact consists of plain files: put one there, commit and build again",
                )
            folder = target.parent if content else target
            folder.mkdir(parents=True, exist_ok=True)
            if content:
                target.write_bytes(content.read())
                target.chmod(0o755 if member.mode & 0o100 else 0o644)


def resolve(top: Path, name: str = "HEAD") -> Revision:
    """The commit that a name stands for.

    Args:
        top: the checkout.
        name: a branch, a tag, a hash, HEAD.

    Raises:
        UsageError: nothing of that name is in this checkout.

    Example:
        >>> resolve(Path("."), "HEAD").version  # doctest: +SKIP
        '20260101120000-0123456789ab'
    """
    question = ["rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}"]
    found = git(top, *question)
    if found.returncode:
        reason = f": {_said(found)}" if found.stderr else ""
        raise UsageError(
            f"{name!r} is no revision in {top}{reason}",
            "a branch, a tag or a commit that git log shows here; fetch it first if it is elsewhere",
        )
    sha = found.stdout.decode().strip()
    shown = git(top, "show", "--no-patch", "--format=%ct", sha)
    return Revision(top, sha, int(shown.stdout))


def git(top: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Run git in a folder and return how it ended, whatever its exit code.

    Raises:
        FleetError: there is no git, or it took too long.
    """
    try:
        with deadline(f"git {arguments[0]} in {top}"):
            return subprocess.run(
                ["git", "-C", str(top), *arguments], capture_output=True, check=False, timeout=300
            )
    except FileNotFoundError as error:
        raise FleetError("git is not installed", "on Debian: apt-get install git") from error


def _said(done: subprocess.CompletedProcess[bytes]) -> str:
    return done.stderr.decode(errors="replace").strip() or f"exit code {done.returncode}"
