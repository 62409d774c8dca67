"""An inventory with secrets for tests: keys of its own, a recipient or two, and what is asked of it."""

from __future__ import annotations

from pathlib import Path

from fleet.age import new_identity
from fleet.context import contexts
from fleet.inventory import Inventory, load
from fleet.secrets_edit import put
from require import Secret

HOSTS = """\
fleet: safe
vars: {airline: TA}
groups:
  iberia: {children: [aircraft]}
  aircraft: {hosts: ["EC-*"], roles: [base]}
  hangar: {}
hosts:
  hangar: {groups: [hangar], address: 10.0.0.1}
  EC-TAA: {address: 10.0.0.2}
  EC-TAB: {address: 10.0.0.3}
"""


class Safe:
    """The folder of an inventory; eva reads all levels unless a test says otherwise."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.path = folder, folder / "inventory.yml"
        self.path.write_text(HOSTS)
        (folder / "secrets").mkdir()
        (folder / "keys").mkdir()
        self.key, self.public = new_identity()
        self.use(self.key)
        self.recipients(f'eva: {{key: {self.public}, reads: ["*"]}}\n')

    def use(self, key: str) -> None:
        """Makes this the key of whoever we are."""
        path = self.folder / "keys/age.key"
        path.touch()
        path.chmod(0o600)
        path.write_text(key)

    def recipients(self, text: str) -> None:
        (self.folder / "secrets/recipients.yml").write_text(text)

    def load(self) -> Inventory:
        return load(self.path)

    def put(self, level: str, name: str, value: str) -> str:
        return put(self.load(), level, name, value)

    def file(self, level: str) -> Path:
        return self.folder / f"secrets/{level}.yml"

    def secret(self, host: str, name: str) -> Secret:
        """What a role of this host is given."""
        return contexts(self.load())[host].vars.secret(name)
