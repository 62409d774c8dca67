"""Files of systemd's units: their names and texts, and what must be said of each of them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from require.errors import DeclarationError
from require.remote.systemd import UNITS
from require.resource import Handler, Resource
from require.resources import file
from require.templates import Rendered

DAEMON_RELOAD = Handler("systemd", {"verb": "daemon-reload"}, before=("systemd.", "command:"))

_NAME = re.compile(r"[A-Za-z0-9_.@\\:-]+")
_SUFFIX = re.compile(r".*\.(service|socket|timer|path|mount|automount|swap|target|slice|scope)")
# `systemd-analyze verify` ends with 1 for a program or a unit that is not there yet, and with 0 for a
# value that it cannot read; so its words decide. What it does not know is let through: a newer
# systemd may, and that is what it does itself. It reads units by name only, hence FILE:NAME.
_JUDGE = """own=${2%%@*} bad=0
refuse() { echo "${line#*/systemd-analyze-*/}"; bad=1; }
systemd-analyze verify --man=no "$1:$2" 2>&1 | {
while IFS= read -r line; do case $line in
*Unknown*|*"not known"*) ;;
*/systemd-analyze-*/"$2":*gnoring*) refuse;;
"$own"*efusing*|"Unit $own"*" bad unit file setting"*|"Unit $own"*" failed to load"*) refuse;;
esac; done
exit $bad
}"""


def full_name(name: str) -> str:
    """Return a unit's name with its suffix; ".service" may be left out.

    Raises:
        DeclarationError: no unit can have it.
    """
    full = name if _SUFFIX.fullmatch(name) else f"{name}.service"
    if not _NAME.fullmatch(full):
        raise DeclarationError(f"{name!r} cannot be the name of a unit")
    return full


def started_name(name: str) -> str:
    """Return the full name of a unit that can be started, which a template cannot.

    Raises:
        DeclarationError: no unit can have it, or it is a template.
    """
    full = full_name(name)
    if "@." in full:
        raise DeclarationError(f"{full} is a template: wanted one of its units, as wg-quick@wg0")
    return full


def put(
    name: str,
    text: str | Rendered,
    needs: Sequence[Resource] = (),
    notify: Sequence[Handler] = (),
) -> file.File:
    """Declare a unit's file. It is refused where systemd would not load it, or would pass over a
    line because it cannot read the value.

    Args:
        name: with its suffix.
        text: what is in it.
        needs, notify: see `require.systemd.unit`.
    """
    return file.file(
        f"{UNITS}/{name}",
        content=text,
        validate=("sh", "-c", _JUDGE, "systemd-analyze", "{}", name),
        needs=needs,
        notify=(DAEMON_RELOAD, *notify),
    )


def timer(
    what: str,
    *,
    unit: str,
    on_calendar: str,
    on_boot: str,
    every: str,
    persistent: bool,
    randomized_delay: str,
    description: str,
) -> str:
    """Return a timer's file; what is "" is left out.

    Args:
        what: names it in an error.
        unit, on_calendar, …: see `require.systemd.timer`.

    Raises:
        DeclarationError: nothing says when; `persistent` without `on_calendar`; a line break.
    """
    if not (on_calendar or on_boot or every):
        raise DeclarationError(
            f"{what}: wanted on_calendar=, on_boot= or every=: nothing says when"
        )
    if persistent and not on_calendar:
        raise DeclarationError(f"{what}: only a time of on_calendar= can be persistent")
    when = {
        "OnCalendar": on_calendar,
        "OnBootSec": on_boot,
        # Counted from a last time alone, there would be no first one.
        "OnActiveSec": "" if on_calendar or on_boot else every,
        "OnUnitActiveSec": every,
        "Persistent": "yes" if persistent else "",
        "RandomizedDelaySec": randomized_delay,
        "Unit": unit,
    }
    return _text(description, {"Timer": when, "Install": {"WantedBy": "timers.target"}})


def oneshot(argv: Sequence[str], *, user: str, description: str) -> str:
    """Return the file of a service that runs a command to its end.

    Args:
        argv: program and arguments.
        user: account it runs as; "" is root.
        description: one line for people.

    Raises:
        DeclarationError: a line break in user or description.
    """
    does = {"Type": "oneshot", "User": user, "ExecStart": exec_line(argv)}
    return _text(description, {"Service": does})


def _text(description: str, more: Mapping[str, Mapping[str, str]]) -> str:
    sections = {"Unit": {"Description": description.replace("%", "%%")}, **more}
    return "\n".join(
        f"[{section}]\n" + "".join(_setting(*each) for each in settings.items() if each[1])
        for section, settings in sections.items()
    )


def _setting(name: str, value: str) -> str:
    if "\n" in value or value.endswith("\\"):
        raise DeclarationError(f"{name}={value!r}: wanted one line")
    return f"{name}={value}\n"


def exec_line(argv: Sequence[str]) -> str:
    """Return program and arguments as `ExecStart=` reads them, nothing of them expanded.

    Source: systemd.service(5), "Command lines".

    Example:
        >>> exec_line(["/bin/echo", "50 %", "$HOME"])
        '/bin/echo "50 %%" "$$HOME"'
    """
    return " ".join(_word(each) for each in argv)


def _word(word: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9_./:,=+-]+", word):
        return word
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return '"' + escaped.replace("%", "%%").replace("$", "$$") + '"'
