"""Whose signatures count in synchronisation: a file of OpenSSH's allowed signers, at either end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import require

PATH = "/etc/turnaround/keys/sync_signers"
NAMESPACE = "turnaround-sync"


def apply(known: Mapping[str, Sequence[str]]) -> None:
    """Declares who may sign, by the name of the host: each of its keys, two while one is changed.

    It is a role of its own by name, so that a change of keys can converge it alone.
    """
    with require.declare("signers"):
        require.file.file(
            PATH,
            content="".join(
                f'{name} namespaces="{NAMESPACE}" {key}\n'
                for name, keys in known.items()
                for key in keys
            ),
        )
