"""What sudo says when it does not let us be root: told as what it is, with what to do.

Our commands say `sudo -n`, so that it refuses at once instead of asking where nobody answers. A password
is never sent: what it would be typed into is the standard input that carries our programs.
"""

from __future__ import annotations

import re

from fleet.channel import Completed
from fleet.errors import AccessRefused

_REFUSED = re.compile(
    r"^(sudo: a password is required|sudo: .* must have a tty .*|sudo: .*no valid sudoers.*"
    r"|.* is not in the sudoers file.*|sorry, user .* is not allowed to execute .*)$",
    re.IGNORECASE | re.MULTILINE,
)
_MISSING = re.compile(r"\bsudo: (command )?not found$", re.MULTILINE)
# In the host's own language: one line of sudo's, and nothing came of the command. What begins with a
# program's path says that it is not there.
_IN_OTHER_WORDS = re.compile(r"\Asudo: (?!unknown user|/\S+: )[^\n]*\Z")


def refusal(done: Completed, host: str, user: str, place: str) -> AccessRefused | None:
    """Returns the error for a command that sudo did not let run; None when it ran.

    Args:
        done: how a command with `sudo -n` in it ended.
        host: its name.
        user: whom we came in as.
        place: where the host is.
    """
    said = done.stderr.decode(errors="replace").strip()
    again = f"or run: fab init-machine --host root@ADDRESS:22 --as {host}"
    if done.exit == 127 and _MISSING.search(said):
        return AccessRefused(
            f"{host}: there is no sudo at {place}", f"apt-get install sudo, {again}"
        )
    found = _REFUSED.search(said) or (not done.stdout and _IN_OTHER_WORDS.match(said))
    if done.exit != 1 or not found:
        return None
    return AccessRefused(
        f"{host}: sudo does not let {user}@{place} be root: {found[0]}",
        f"{user} needs this line in /etc/sudoers.d/{user} (no password is ever sent): "
        f"{user} ALL=(ALL:ALL) NOPASSWD: ALL; write it with visudo, {again}",
    )
