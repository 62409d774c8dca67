"""The lab's own authority, and the certificate that its aircraft show in their cabins.

Real ones come from an authority that phones know, and reach the inventory by `inv secrets.edit`; from there
on all is the same.
"""

from __future__ import annotations

from pathlib import Path

from ci.lab import shell
from fleet import secrets_edit
from fleet.aboard import disk
from fleet.age import new_identity
from fleet.inventory import load

PORTAL = "portal.turnaround.example"
SECRET = "site_certificate"
LEVEL = "group-aircraft"
DAYS = 90
_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


def authority(directory: Path) -> Path:
    """Returns the certificate of the lab's authority; its key is beside it.

    Args:
        directory: the lab's.
    """
    path = directory / "keys" / "authority.pem"
    if not path.exists():
        new = path.with_suffix(".new")
        words = ["-subj", f"/CN=lab {directory.name}", "-days", str(DAYS)]
        key = str(path.with_suffix(".key"))
        shell.run(["openssl", "req", "-x509", *_KEY, "-keyout", key, "-out", str(new), *words])
        new.rename(path)
    return path


def signed(directory: Path, name: str, days: int = DAYS) -> str:
    """Returns a new key and its certificate for a name, one after the other in PEM.

    Args:
        directory: the lab's.
        name: of the host, as people call it.
        days: for so long it holds.
    """
    path = authority(directory)
    by = ["-CA", str(path), "-CAkey", str(path.with_suffix(".key"))]
    ends = ["-addext", "basicConstraints=critical,CA:FALSE"]
    words = ["-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}", "-days", str(days)]
    return shell.run(
        ["openssl", "req", "-x509", *_KEY, "-keyout", "-", "-out", "-", *by, *ends, *words]
    )


def give(inventory: Path) -> None:
    """Puts the portal's certificate among the secrets of the aircraft, once; ops can read it."""
    fleet = load(inventory)
    if SECRET in fleet.secrets.at(LEVEL):
        return
    if not fleet.secrets.recipients:
        key, public = new_identity()
        disk.write(inventory.parent / "keys" / "age.key", [key.encode()], 0o600)
        path = fleet.secrets.recipients_path
        path.parent.mkdir(exist_ok=True)
        path.write_text(f'ops: {{ key: {public}, reads: ["*"] }}\n')
    secrets_edit.put(load(inventory), LEVEL, SECRET, signed(inventory.parent, PORTAL))
