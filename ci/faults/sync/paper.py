"""An editor's newspaper of one file, published at the hangar: `paper.py SEED BYTES`.

It is sent to the hangar as it is, and runs there with its release.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from random import Random

from common.database import engine_for, session
from common.schema import Asset, Item
from common.settings import Settings
from sync import hangar, publish


def main(seed: str, size: int) -> None:
    """Publishes it, and seals its rows; prints what is wrong with that."""
    settings = Settings.load()
    engine = engine_for(settings)
    with tempfile.TemporaryDirectory() as folder:
        given = Path(folder) / "paper.pdf"
        given.write_bytes(Random(seed).randbytes(size))
        sha256, size = publish.store(settings, given)
    with session(engine) as database:
        item = Item(kind="newspaper", title={"en": seed}, published=True, priority=50)
        database.add(item)
        database.flush()
        file = {"path": given.name, "sha256": sha256, "size": size, "mime": "application/pdf"}
        database.add(Asset(item_id=item.id, role="document", **file))
    for problem in publish.publish(engine, settings):
        print(problem)
    hangar.refresh(engine, settings)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
