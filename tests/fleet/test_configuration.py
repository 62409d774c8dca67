"""A configuration is of one commit, the same bytes each time, and of nothing that is in no commit."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from fleet.aboard.envelope import CONFIGURATION, RELEASE, Envelope
from fleet.aboard.errors import ManifestError
from fleet.build_revision import unpack
from fleet.configuration import MAGIC, PARTS, Configuration, Uncommitted, build, seal, unseal
from fleet.inventory import Inventory
from tests.fleet.aboard.host import FLEET
from tests.fleet.aboard.signing import Signer, signer, trust
from tests.fleet.repository import Repository


@pytest.fixture
def checkout(tmp_path: Path) -> Repository:
    made = Repository(tmp_path / "checkout")
    for part in PARTS:
        made.write(f"{part}/x.py", f"name = {part!r}\n")
    made.write(".gitignore", ".lab\n")
    made.write("inventory/hosts.yml", "fleet: x\n")
    made.write("inventory/enrolled/EC-TAA.yml", "host_key: k\n")
    made.write("inventory/keys/ops_ed25519", "private\n")
    made.commit()
    return made


def of(checkout: Repository, path: str = "inventory/hosts.yml") -> Configuration:
    return build(Inventory("x", checkout.top / path), checkout.top)


def names(configuration: Configuration) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(configuration.archive)) as tar:
        return tar.getnames()


def test_it_holds_roles_engine_and_inventory_and_no_key(checkout: Repository) -> None:
    made = of(checkout)
    assert made.revision == checkout.git("rev-parse", "HEAD")
    assert names(made) == [
        "fleet/x.py",
        "inventory/enrolled/EC-TAA.yml",
        "inventory/hosts.yml",
        "require/x.py",
        "roles/x.py",
        "templates/x.py",
    ]


def test_it_is_the_same_bytes_each_time(checkout: Repository, tmp_path: Path) -> None:
    assert of(checkout).digest == of(checkout).digest
    unpack(of(checkout).archive, tmp_path / "out", "a configuration")
    assert (tmp_path / "out/roles/x.py").read_text() == "name = 'roles'\n"


@pytest.mark.parametrize(
    "path",
    ["roles/x.py", "templates/new.j2", "inventory/hosts.yml", "inventory/enrolled/EC-TAB.yml"],
)
def test_what_is_in_no_commit_is_named(checkout: Repository, path: str) -> None:
    checkout.write(path, "changed\n")
    with pytest.raises(
        Uncommitted, match=rf"changed since the last commit: .*{path.split('/')[-1]}"
    ):
        of(checkout)


def test_what_was_removed_and_not_committed_is_named(checkout: Repository) -> None:
    (checkout.top / "inventory/enrolled/EC-TAA.yml").unlink()
    with pytest.raises(Uncommitted, match=r"changed since the last commit: .*EC-TAA\.yml"):
        of(checkout)


def test_what_git_ignores_beside_an_inventory_that_it_does_not_is_named(
    checkout: Repository,
) -> None:
    checkout.write(".gitignore", ".lab\nEC-*.yml\n")
    checkout.commit()
    checkout.write("inventory/enrolled/EC-TAB.yml", "host_key: k\n")
    with pytest.raises(Uncommitted, match=r"changed since the last commit: .*EC-TAB\.yml"):
        of(checkout)


def test_an_inventory_that_is_named_from_here_is_looked_at_too(
    checkout: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkout.write("inventory/hosts.yml", "changed\n")
    monkeypatch.chdir(checkout.top)
    with pytest.raises(Uncommitted, match=r"changed since the last commit: .*hosts\.yml"):
        build(Inventory("x", Path("inventory/hosts.yml")), checkout.top)


def test_what_an_editor_left_beside_it_is_no_part_of_it(checkout: Repository) -> None:
    before = of(checkout).digest
    checkout.write("inventory/enrolled/.EC-TAA.yml.swp", "x\n")
    assert of(checkout).digest == before


def test_what_is_no_part_of_it_may_differ(checkout: Repository) -> None:
    before = of(checkout).digest
    checkout.write("onboard_app/__init__.py", "changed\n")
    checkout.write("inventory/keys/ops_ed25519", "changed\n")
    assert of(checkout).digest == before


def test_an_inventory_that_git_ignores_is_taken_as_it_stands(checkout: Repository) -> None:
    checkout.write(".lab/lab/inventory.yml", "fleet: lab\n")
    first = of(checkout, ".lab/lab/inventory.yml")
    checkout.write(".lab/lab/inventory.yml", "fleet: other\n")
    second = of(checkout, ".lab/lab/inventory.yml")
    assert (first.revision, first.digest != second.digest) == (second.revision, True)


def test_an_inventory_outside_git_cannot_wait(checkout: Repository, tmp_path: Path) -> None:
    alone = tmp_path / "alone"
    alone.mkdir()
    (alone / "hosts.yml").write_text("fleet: x\n")
    with pytest.raises(Uncommitted, match="expected a checkout of git"):
        build(Inventory("x", alone / "hosts.yml"), checkout.top)


@pytest.fixture(scope="module")
def eva() -> Signer:
    return signer()


BUILT = Configuration("4bb5594" + "0" * 33, b"an archive" * 50)


def opened(root: Path, sealed: bytes, revision: str = BUILT.revision) -> bytes:
    """What the hangar's worker would unpack."""
    keys = root / "etc/turnaround/keys"
    return unseal(sealed, revision, keys / "release_signers", keys.parent / "fleet_name")


def test_what_a_signer_sealed_is_opened(tmp_path: Path, eva: Signer) -> None:
    trust(tmp_path, eva)
    sealed = seal(BUILT, eva.key, FLEET, "eva@desk")
    assert sealed.digest != BUILT.digest
    assert opened(tmp_path, sealed.archive) == BUILT.archive


def test_what_is_not_sealed_for_it_is_refused(tmp_path: Path, eva: Signer) -> None:
    trust(tmp_path, eva)
    sealed = seal(BUILT, eva.key, FLEET, "eva@desk").archive
    other = seal(BUILT, eva.key, "other", "eva@desk").archive
    theirs = seal(BUILT, signer().key, FLEET, "eva@desk").archive
    release = Envelope(FLEET, "configuration", BUILT.revision, BUILT.digest, 0, "", "eva@desk")
    content = eva.sign(release, RELEASE)
    for archive, said in (
        (BUILT.archive, "expected one, found none; queue it again with fab, which signs"),
        (MAGIC + b"x\n" + BUILT.archive, "expected one, found none"),
        (theirs, "expected the signature of a key in .*release_signers"),
        (MAGIC + b"%d\n" % len(content) + content + BUILT.archive, f"as {CONFIGURATION}, found"),
        (other, "for the fleet test, found one for other"),
        (sealed[:-1], "for the sha256 .*, found one for"),
        (sealed[:-1] + b"?", "for the sha256 .*, found one for"),
    ):
        with pytest.raises(ManifestError, match=said):
            opened(tmp_path, archive)
    with pytest.raises(ManifestError, match=f"for the version {'0' * 40}, found one for 4bb55"):
        opened(tmp_path, sealed, "0" * 40)
