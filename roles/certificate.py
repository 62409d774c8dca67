"""The certificate of the name by which people call a host; it comes from the inventory.

Key, certificate and chain are one secret and one file, so that no power cut leaves a key with another's
certificate: nginx would not start with them. None is made here: phones take the portal's address over TLS
that they trust or not at all (RFC 8908, section 4), and to passengers a warning is worse than plain HTTP.
"""

from __future__ import annotations

import require
from roles.context import Context

PATH = "/etc/turnaround/keys/site.pem"
# It loads key and chain as nginx does, and refuses a key that is not the certificate's.
FITS = "import ssl, sys; ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(sys.argv[1])"


def apply(host: Context) -> str:
    """Declares the certificate of a host that has a `site_name`, and returns that name, or "".

    Whoever has a name has the secret `site_certificate`. A new one is taken by a
    reload, which drops no request.

    Example: `certificate.apply(host)` is `"portal.example.aero"`.
    """
    name = host.vars.domain("site_name", "")
    if name:
        require.file.file(
            PATH,
            content=host.vars.secret("site_certificate"),
            mode=0o600,
            validate=["python3", "-IS", "-c", FITS, "{}"],
            notify=[require.nginx.taken()],
        )
    return name


def ends(name: str) -> None:
    """Declares that a host without a name keeps no certificate; to be called after what needed it."""
    if not name:
        require.file.absent(PATH)
