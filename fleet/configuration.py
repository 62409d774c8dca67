"""A configuration: what hosts should be as it was at one commit, in one archive that the hangar keeps
for aircraft out of reach."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from fleet import envelope
from fleet.aboard.envelope import CONFIGURATION, Envelope, expect, opened
from fleet.aboard.errors import ManifestError
from fleet.aboard.world import run
from fleet.build_revision import git, resolve
from fleet.errors import FleetError
from fleet.inventory import TOP, Inventory

PARTS = ("fleet", "require", "roles", "templates")
BESIDE = ("enrolled/*.yml", "secrets/*.yml")
"""What belongs to an inventory and stands beside it: what was enrolled, what is encrypted."""
KIND = "configuration"
MAGIC = b"turnaround-configuration 1 "
"""What a sealed archive begins with; the envelope's length follows, in decimal, a line feed, the envelope."""

FOLDER, NAME = "inventory", "hosts.yml"


class Uncommitted(FleetError):
    """What is wanted here is in no commit, so nobody could say later what was applied."""


@dataclass(frozen=True)
class Configuration:
    """One configuration.

    Args:
        revision: the commit it is of.
        archive: gzip'd tar of `PARTS` and of the inventory, as `inventory/hosts.yml` and what stands
            beside it, the same bytes each time; behind its envelope once it is sealed.
    """

    revision: str
    archive: bytes

    @property
    def digest(self) -> str:
        """The SHA-256 of the archive, which names it."""
        return hashlib.sha256(self.archive).hexdigest()


def build(inventory: Inventory, top: Path = TOP) -> Configuration:
    """Returns the configuration that a fleet has here and now.

    Args:
        inventory: the fleet. An inventory that git is told to ignore, as the lab's is, is taken as it
            stands.
        top: the checkout with the roles.

    Raises:
        Uncommitted: roles, engine or inventory differ from the commit; names the files.

    Example:
        >>> build(inventory).revision  # doctest: +SKIP
        '4bb55946ff91…'
    """
    commit = resolve(top)
    _committed(top, PARTS)
    beside = inventory.path.parent
    kept = [inventory.path, *(path for part in BESIDE for path in sorted(beside.glob(part)))]
    if git(beside, "check-ignore", "--quiet", inventory.path.name).returncode:
        _committed(beside, [inventory.path.name, *BESIDE], "--ignored")
    with tempfile.TemporaryDirectory(prefix="turnaround-configuration-") as work:
        tree = Path(work)
        commit.export(PARTS, tree)
        for path in kept:
            inside = NAME if path == inventory.path else str(path.relative_to(beside))
            target = tree / FOLDER / inside
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
        return Configuration(commit.sha, _archive(tree))


def seal(built: Configuration, key: Path, fleet: str, by: str) -> Configuration:
    """Returns a configuration with an envelope in front, without which the hangar does not unpack it.

    Args:
        built: what was built.
        key: the signing key of ops (`fleet.envelope.key_in`).
        fleet: its name.
        by: who signs.

    Raises:
        FleetError: the key cannot be used.
    """
    said = Envelope(fleet, KIND, built.revision, built.digest, 0, envelope.now(), by)
    sealed = envelope.signed(said, key, CONFIGURATION)
    return replace(built, archive=MAGIC + b"%d\n" % len(sealed) + sealed + built.archive)


def unseal(sealed: bytes, revision: str, signers: Path, fleet_file: Path) -> bytes:
    """Returns the archive of a sealed configuration, after its signature was found to be good for it.

    Args:
        sealed: what waited.
        revision: the commit that it is to be of.
        signers: OpenSSH's file of allowed signers.
        fleet_file: the file with the name of the fleet that this host is of.

    Raises:
        ManifestError: it is not sealed, or by nobody who may; with what was expected and what to do.
    """
    source = f"envelope of configuration {revision[:12]}"
    head, _, rest = sealed.partition(b"\n")
    length = head.removeprefix(MAGIC).decode(errors="replace")
    if not head.startswith(MAGIC) or not length.isdecimal() or len(length) > 6:
        raise ManifestError(
            f"{source}: expected one, found none; queue it again with fab, which signs"
        )
    content, archive = rest[: int(length)], rest[int(length) :]
    found = opened(content, source, signers, CONFIGURATION, run)
    digest = hashlib.sha256(archive).hexdigest()
    expect(found, source, fleet_file, KIND, revision, digest)
    return archive


def _committed(folder: Path, paths: Sequence[str], *flags: str) -> None:
    status = git(folder, "status", "--porcelain", "--untracked-files=all", *flags, "--", *paths)
    if status.returncode:
        raise Uncommitted(
            f"{folder}: expected a checkout of git, found none",
            "only what is committed can wait for a host: put the inventory into git",
        )
    changed = [line[3:] for line in status.stdout.decode(errors="replace").splitlines()]
    if changed:
        more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
        raise Uncommitted(
            f"changed since the last commit: {', '.join(changed[:3])}{more}",
            "only what is committed can wait for a host: commit, then run the command again",
        )


def _archive(tree: Path) -> bytes:
    """The files in one order, with nothing in it that depends on when or where it was made."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(path for path in tree.rglob("*") if path.is_file()):
            member = tarfile.TarInfo(str(path.relative_to(tree)))
            member.size = path.stat().st_size
            with path.open("rb") as content:
                tar.addfile(member, content)
    return gzip.compress(packed.getvalue(), mtime=0)
