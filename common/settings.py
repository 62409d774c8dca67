"""What a host's application is told by its environment (`/etc/turnaround/app.env`)."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

__all__ = ["NODE_NAME", "Settings", "SettingsError", "node_name"]

NODE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,30}")
DRIVER = "postgresql+psycopg2://"


class SettingsError(Exception):
    """The environment does not describe a host; the message names each variable and the remedy."""


def node_name(name: str) -> str:
    """Return `name` when it can be the name of a host, a folder and a ledger's peer.

    Raises `ValueError` otherwise: names become path components, so they are checked at the edge.

    >>> node_name("EC-TAA")
    'EC-TAA'
    """
    if not NODE_NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no host's name (letters, digits and '-', 31 at most)")
    return name


def _explicit_driver(url: str) -> str:
    # SQLAlchemy chooses another driver when none is named, and only psycopg2 is in our artifacts.
    if not url.startswith(DRIVER):
        raise ValueError(f"must begin with {DRIVER}")
    return url


class LinkRule(BaseModel):
    """What may pass over a link: a rate in kbit/s, the most megabytes of an item that are still to come,
    the kinds of content; None where there is no bound. `name` is what people call such a link."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = "this link"
    kbit: Annotated[int, Field(gt=0)] | None = None
    largest_mb: Annotated[int, Field(gt=0)] | None = None
    kinds: tuple[str, ...] | None = None


class Settings(BaseSettings):
    """One host's settings, read from `TURNAROUND_…` variables.

    >>> Settings(node="EC-TAA", role="aircraft").sync_dir
    PosixPath('/var/lib/turnaround/sync')
    """

    model_config = SettingsConfigDict(env_prefix="TURNAROUND_", frozen=True, extra="ignore")

    node: Annotated[str, AfterValidator(node_name)]
    role: Literal["aircraft", "hangar"]
    airline: str = "TA"
    airline_name: str = "Turnaround Air"
    language: str = "en"

    database_url: Annotated[str, AfterValidator(_explicit_driver)] = DRIVER + "/turnaround"
    redis_url: str = "redis://127.0.0.1:6379/0"

    state_dir: Path = Path("/var/lib/turnaround")
    current_dir: Path = Path("/opt/turnaround/current")
    run_dir: Path = Path("/run/turnaround")
    secret_key_file: Path = Path("/etc/turnaround/keys/secret_key")

    hangar_url: str = ""
    hangar_ssh: str = ""
    ssh_key: Path = Path("/etc/turnaround/keys/sync_ed25519")
    known_hosts: Path = Path("/etc/turnaround/keys/known_hosts")
    signers: Path = Path("/etc/turnaround/keys/sync_signers")
    tower_endpoint: str = ""
    links: dict[str, LinkRule] = {}
    portal_url: str = ""
    cabin_address: str = ""
    serial_port: str = "/dev/ttyAVIONICS"
    serial_baud: int = 115200

    fleet_file: Path = Path("/etc/turnaround/fleet.json")
    dispatch_key: Path = Path("/etc/turnaround/keys/dispatch_ed25519")

    @property
    def content_dir(self) -> Path:
        """Films and newspapers: `blobs`, `staging`, `versions`, `current`."""
        return self.state_dir / "content"

    @property
    def artifacts_dir(self) -> Path:
        """What campaigns ship: `blobs`, and a folder for each kind."""
        return self.state_dir / "artifacts"

    @property
    def sync_dir(self) -> Path:
        """Change-sets: `outbox`, `inbox`, `tmp`."""
        return self.state_dir / "sync"

    def secret_key(self) -> str:
        """Return the text that signs sessions; raises `SettingsError` when it cannot be read."""
        try:
            key = self.secret_key_file.read_text().strip()
        except OSError as error:
            raise SettingsError(
                f"{self.node}: cannot read the secret key {self.secret_key_file} "
                f"({error.strerror}); converge this host, which makes it"
            ) from error
        if len(key) < 32:
            raise SettingsError(
                f"{self.node}: {self.secret_key_file} holds {len(key)} characters, expected 32 or "
                "more; remove it and converge this host, which makes a new one"
            )
        return key

    @classmethod
    @lru_cache(maxsize=1)
    def load(cls) -> Settings:
        """Return this process's settings, read once; raises `SettingsError` with what is wrong."""
        try:
            return cls()  # type: ignore[call-arg]  # the environment gives node and role
        except ValidationError as error:
            wrong = "; ".join(
                f"TURNAROUND_{'_'.join(str(part) for part in one['loc']).upper()}: {one['msg']}"
                for one in error.errors()
            )
            raise SettingsError(
                f"settings are not complete: {wrong}. They come from /etc/turnaround/app.env "
                "(EnvironmentFile of our units); converge this host to write it"
            ) from None
