"""The cellular modem: nothing on the box touches it by itself, and it has a name that stays.

Whether it may be on is the agent's to say, who asks the avionics first. What comes with a desktop would
switch it on at boot, aloft as well, and write to its port in the middle of the agent's words.
"""

from __future__ import annotations

import re

import require
from roles.context import Context

RULES = "/etc/udev/rules.d/70-turnaround-modem.rules"
NAME = "ttyMODEM"


def apply(host: Context) -> None:
    """Declares that nobody else uses the modem, and /dev/ttyMODEM where the inventory says which it is.

    `modem_at_port` is vendor, product and interface of its AT port on USB, as `lsusb -t` shows them:
    "2c7c:0125:02".
    """
    require.apt.absent(["modemmanager", "network-manager"])
    # Whatever brings them back must not start them.
    require.systemd.masked("ModemManager")
    require.systemd.masked("NetworkManager")
    port = host.vars.text("modem_at_port", "")
    if not port:
        require.file.absent(RULES)
        return
    if not (found := re.fullmatch(r"([0-9a-f]{4}):([0-9a-f]{4}):([0-9a-f]{2})", port)):
        raise require.DeclarationError(
            f"modem_at_port: expected vendor:product:interface such as 2c7c:0125:02, found {port!r}"
        )
    vendor, product, interface = found.groups()
    for folder in ("/etc/udev", "/etc/udev/rules.d"):
        require.file.directory(folder)
    require.file.file(
        RULES,
        content=f'SUBSYSTEM=="tty", ATTRS{{idVendor}}=="{vendor}", ATTRS{{idProduct}}=="{product}", '
        f'ENV{{ID_USB_INTERFACE_NUM}}=="{interface}", SYMLINK+="{NAME}", GROUP="dialout", MODE="0660", '
        'ENV{ID_MM_DEVICE_IGNORE}="1"\n',
    )
