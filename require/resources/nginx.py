"""Sites of nginx.

A site is a file in /etc/nginx/conf.d, which Debian's nginx.conf includes. It is put in place only when
`nginx -t` accepts the whole configuration with it, so what is refused leaves the old site serving.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from require import templates
from require.errors import DeclarationError
from require.resource import Handler, Resource
from require.resources import command, file

FOLDER = "/etc/nginx/conf.d"
ENABLED = "/etc/nginx/sites-enabled"

# A reload drops no request, but `nginx -s reload` ends with 0 whether it was taken or not: where an
# address is still held by a socket for all addresses, the old workers just go on. nginx tries such an
# address five times in 2.5 s. That the old workers accept no more is the sign of a reload that was
# taken; without it, a restart. But `nginx -t` lets an address pass that another program holds, and
# nginx would not start again with it, so then the old workers are left to serve.
_TAKE = r"""nginx -t -q
main=$(systemctl show --property=MainPID --value nginx.service)
accepting() { pgrep --parent "$main" --full 'nginx: worker process$' || true; }
if systemctl is-active --quiet nginx.service; then
    old=$(accepting)
    systemctl reload nginx.service
    for attempt in $(seq 20); do
        sleep 0.2
        now=$(accepting)
        if [ "$now" ] && ! echo "$now" | grep -qFx "$old"; then exit 0; fi
    done
    listens='(^|[[:space:];{])listen[[:space:]]+[^[:space:];]+'
    wanted=$(nginx -T 2>/dev/null | sed 's/#.*//' | grep -oE "$listens" |
        awk '$NF !~ /^unix:/ { print $NF (($NF ~ /^[0-9]+$|:[0-9]+$/) ? "" : ":80") }')
    set -f
    for held in $(ss -Hltnp | grep -v '("nginx",' | awk '{ print $4 }'); do
        port=${held##*:}
        for at in $wanted; do
            case $at/$held in
            [0-9*]*/"["*|"["*/[0-9]*) continue ;;
            "$held"/*|"$port"/*|"*:$port"/*|"0.0.0.0:$port"/*|"[::]:$port"/*) ;;
            *":$port"/[*0]*|*":$port/[::]"*) ;;
            *) continue ;;
            esac
            echo "nginx goes on as it was: another program holds $held, where it is to listen" >&2
            exit 1
        done
    done
fi
systemctl restart nginx.service
"""


def taken() -> Handler:
    """Return the handler by which nginx takes its configuration, for `notify=[…]`.

    It reloads, which drops no request, and restarts only where that was not enough: where an address
    is listened on that a socket for all addresses held, or the other way round. What `nginx -t` does
    not accept stops it before. Where another program holds an address it does neither: it goes on as
    it was, and that is an error.

    Example:
        >>> require.file.file("/etc/nginx/snippets/tls.conf", content="ssl_protocols TLSv1.3;\\n",
        ...     validate=["nginx", "-t"], notify=[require.nginx.taken()])
    """
    return command.handler("nginx takes its configuration", ["/bin/sh", "-e", "-c", _TAKE])


def site(
    name: str,
    /,
    *,
    content: str | None = None,
    template: str | None = None,
    needs: Sequence[Resource] = (),
    notify: Sequence[Handler] = (),
    **variables: Any,
) -> file.File:
    """Declare a site, in /etc/nginx/conf.d/NAME.conf.

    It is judged by `nginx -t` as part of the whole configuration, in its place, before it is put
    there; nginx then takes it as `taken` says. Sites are put in place one after the other, so one
    must not need what another that is declared after it brings.

    Args:
        name: of the site, in letters, digits and "_.-".
        content: text of the site; or
        template: path of a template below the folder of templates, rendered with `variables`.
        needs: resources that must be right first.
        notify: handlers to run after a change, besides nginx's own.
        variables: what the template may use.

    Raises:
        DeclarationError: neither or both of content and template; a template that does not render;
            a name that no file there could have.

    Example:
        >>> require.apt.packages(["nginx"])
        >>> require.nginx.absent_site("default")
        >>> require.nginx.site("cabin", template="nginx/cabin.conf.j2", address="10.20.0.1")
        >>> require.systemd.service("nginx")
    """
    return file.file(
        f"{FOLDER}/{_checked(name)}.conf",
        content=templates.given(f"nginx.site({name!r})", content, template, variables),
        validate=["nginx", "-t"],
        needs=needs,
        notify=(taken(), *notify),
    )


def absent_site(
    name: str,
    *,
    needs: Sequence[Resource] = (),
    notify: Sequence[Handler] = (),
) -> tuple[file.File, file.File]:
    """Declare that there is no such site: neither one of ours, nor one that a package enabled.

    Args:
        name: of the site; "default" is the one that Debian's package comes with, which listens on
            all addresses.
        needs: resources that must be right first.
        notify: handlers to run after a change, besides nginx's own.

    Raises:
        DeclarationError: a name that no file there could have.

    Example:
        >>> require.nginx.absent_site("default")
    """
    ours, enabled = f"{FOLDER}/{_checked(name)}.conf", f"{ENABLED}/{name}"
    both = (taken(), *notify)
    return (
        file.absent(ours, needs=needs, notify=both),
        file.absent(enabled, needs=needs, notify=both),
    )


def _checked(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", name):
        raise DeclarationError(f"{name!r} cannot be the name of a site: wanted a word like cabin")
    return name
