"""Where packages come from: repositories with their keys, preferences among them, a proxy.

They are declared as `require.apt.repository`, `require.apt.preference` and `require.apt.proxy`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from require import openpgp
from require.catalog import declared
from require.errors import DeclarationError
from require.resource import Change, Handler, NoChange, Plan, Resource, Spec, State, Unknown, keys
from require.resources import file

CONF = "/etc/apt/apt.conf.d"
PROXY = f"{CONF}/30turnaround-proxy"
KEYRINGS = "/etc/apt/keyrings"
SOURCES = "/etc/apt/sources.list.d"
PREFERENCES = "/etc/apt/preferences.d"

# apt passes over a file whose name has anything else in it.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_URI = re.compile(r"(https?|file|copy):/[\x21\x23-\x7e]*")
_SUITE = re.compile(r"\./|(\./)?[A-Za-z0-9][A-Za-z0-9._+~/-]*")
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+~/-]*")


@dataclass(frozen=True, kw_only=True)
class Repository(Resource):
    """A source of packages: its file, its key's file if that is ours, and its index once fetched.

    Args:
        name: of its file.
        source: the file that names it.
        keyring: the file with its key; None when the key is another file's.
    """

    noun: ClassVar[str] = "apt_sources"

    name: str
    source: file.File
    keyring: file.File | None = None

    @property
    def key(self) -> str:
        return f"apt.repository:{self.name}"

    @property
    def _files(self) -> tuple[file.File, ...]:
        return (self.source,) if self.keyring is None else (self.keyring, self.source)

    def natural_needs(self) -> tuple[str, ...]:
        return (f"file:{PROXY}",)

    def question(self) -> Spec:
        return {"files": [each.question() for each in self._files]}

    def order(self) -> Spec:
        return {"orders": [each.order() for each in self._files]}

    def plan(self, state: State) -> Plan:
        summaries, diff = [], ""
        for each, found in zip(self._files, state["files"], strict=True):
            plan = each.plan(found)
            if isinstance(plan, Unknown):
                return Unknown(f"{each.path}: {plan.reason}", plan.blocked)
            if isinstance(plan, Change):
                summaries.append(f"{each.path}: {plan.summary}")
                diff += plan.diff
        return Change(", ".join(summaries), diff) if summaries else NoChange()


def repository(
    name: str,
    *,
    uris: Sequence[str],
    suites: Sequence[str],
    components: Sequence[str] = (),
    key: str,
    architectures: Sequence[str] = (),
    needs: Sequence[Resource] = (),
    notify: Sequence[Handler] = (),
) -> Repository:
    """Declare a source of packages. As declared: "no change", and nothing is fetched.

    It is /etc/apt/sources.list.d/NAME.sources, with its key in /etc/apt/keyrings/NAME.asc, which is
    trusted for this source only. Before they are put in place its index is fetched: one that cannot
    be reached, or is not signed by this key, changes nothing and is an error, so that a wrong source
    never stands in the way of the others. Packages that come from it name it in their `needs`. To
    take it away again, declare both files with `require.file.absent`.

    Args:
        name: letters, digits, "-" and "_".
        uris: where it is, http:, https:, file: or copy:; without passwords, which belong in
            /etc/apt/auth.conf.d.
        suites: "trixie", or for a flat one its folder, "./".
        components: "main", …; none for a flat one.
        key: its armoured public key, one block or several after another, or the absolute path of a
            keyring that is on the host.
        architectures: "amd64", …; none: the host's.
        needs: resources that must be right first.
        notify: handlers to run after a change.

    Raises:
        DeclarationError: a field that sources.list(5) does not allow, or a key that is no armoured
            public key.

    Example:
        >>> cabin = require.apt.repository("cabin", uris=["https://cabin.example/debian"],
        ...     suites=["trixie"], components=["main"], key=Path("cabin.asc").read_text())
        >>> backports = require.apt.repository("backports", uris=["http://mirror.example/debian"],
        ...     suites=["trixie-backports"], components=["main"],
        ...     key="/usr/share/keyrings/debian-archive-keyring.gpg")
        >>> require.apt.packages(["galley=1.4*", "golang-go"], needs=[cabin, backports])
    """
    place = f"apt.repository({name!r})"
    if not _NAME.fullmatch(name):
        raise DeclarationError(f'{place}: wanted a name of letters, digits, "-" and "_"')
    _all(place, "uris", uris, _URI, 'such as "https://host/debian"')
    if any(re.match(r"[a-z]+://[^/]*@", uri) for uri in uris):
        raise DeclarationError(
            f"{place}: its file can be read by all: a password belongs in /etc/apt/auth.conf.d"
        )
    _all(place, "suites", suites, _SUITE, 'such as "trixie"')
    flat = [suite for suite in suites if suite.endswith("/")]
    _all(place, "components", components, _WORD, 'such as "main"', bool(flat))
    _all(place, "architectures", architectures, _WORD, 'such as "amd64"', True)
    if flat and (components or len(flat) < len(suites)):
        raise DeclarationError(
            f'{place}: a suite that ends with "/" is flat: it has no components, and none beside it'
        )
    signed_by, keyring = key, None
    if not key.startswith("/"):
        signed_by = f"{KEYRINGS}/{name}.asc"
        keyring = _file(signed_by, _key(place, key))
    fields = {
        "Types": "deb",
        "URIs": " ".join(uris),
        "Suites": " ".join(suites),
        "Components": " ".join(components),
        "Architectures": " ".join(architectures),
        "Signed-By": file.absolute(signed_by),
    }
    lines = [f"{field}: {value}\n" for field, value in fields.items() if value]
    text = "".join(("# Written by turnaround.\n", *lines))
    return declared(
        Repository(
            name=name,
            source=_file(f"{SOURCES}/{name}.sources", text),
            keyring=keyring,
            needs=keys(needs),
            notify=tuple(notify),
        )
    )


def preference(
    name: str,
    *,
    packages: Sequence[str],
    pin: str,
    priority: int,
    needs: Sequence[Resource] = (),
    notify: Sequence[Handler] = (),
) -> file.File:
    """Declare which versions of some packages are preferred, in /etc/apt/preferences.d/NAME.pref.

    Declare it before the packages it is about, or name it in their `needs`.

    Args:
        name: letters, digits, "-" and "_".
        packages: package names, or patterns such as "linux-image-*" and "*".
        pin: as in apt_preferences(5): "release n=trixie-backports", "version 1.26.*", "origin HOST".
        priority: −1 never; 100 only where it is installed so; 500 as any; 990 before others; above
            1000 even in place of a newer one.
        needs, notify: as for `repository`.

    Raises:
        DeclarationError: a field that apt_preferences(5) does not allow.

    Example:
        >>> require.apt.preference("no-snap", packages=["snapd"], pin="release *", priority=-1)
    """
    place = f"apt.preference({name!r})"
    if not _NAME.fullmatch(name):
        raise DeclarationError(f'{place}: wanted a name of letters, digits, "-" and "_"')
    _all(place, "packages", packages, re.compile(r"[a-z0-9*?.+:-]+"), 'such as "linux-image-*"')
    if not re.fullmatch(r"(release|version|origin) \S[ -~]*", pin):
        raise DeclarationError(f'{place}: pin={pin!r}: wanted such as "release n=trixie"')
    if priority == 0:
        raise DeclarationError(f"{place}: apt gives the priority 0 no meaning")
    text = f"Package: {' '.join(packages)}\nPin: {pin}\nPin-Priority: {priority}\n"
    return file.file(
        f"{PREFERENCES}/{name}.pref",
        content=f"Explanation: Written by turnaround.\n{text}",
        needs=needs,
        notify=notify,
    )


def proxy(url: str, *, needs: Sequence[Resource] = (), notify: Sequence[Handler] = ()) -> file.File:
    """Declare the proxy that apt fetches by. Packages and repositories declared here wait for it.

    It is for http: and https: alike, as apt takes the one for the other.

    Args:
        url: "http://host:port", without a password: the file can be read by all.
        needs, notify: as for `repository`.

    Raises:
        DeclarationError: no such URL.

    Example:
        >>> require.apt.proxy("http://10.100.64.1:3142")
    """
    if not re.fullmatch(r"https?://[A-Za-z0-9.\[\]:-]+/?", url):
        raise DeclarationError(f'apt.proxy({url!r}): wanted "http://host:port"')
    text = f'// Written by turnaround.\nAcquire::http::Proxy "{url}";\n'
    return file.file(PROXY, content=text, needs=needs, notify=notify)


def _file(path: str, text: str) -> file.File:
    """Return a file that is not declared by itself."""
    return file.File(
        path=path, kind="file", content=text.encode(), mode=0o644, owner="root", group="root"
    )


def _key(place: str, key: str) -> str:
    """Return a key's text, each block of it checked."""
    end = "-----END PGP PUBLIC KEY BLOCK-----"
    blocks = [f"{block}{end}" for block in key.split(end)[:-1]] or [key]
    for block in blocks:
        why = openpgp.refusal(block)
        if why:
            raise DeclarationError(
                f"{place}: key= is {why}: wanted what `gpg --armor --export` prints, or a path"
            )
    return "".join(f"{block.strip()}\n" for block in blocks)


def _all(
    place: str,
    field: str,
    words: Sequence[str],
    pattern: re.Pattern[str],
    wanted: str,
    none: bool = False,
) -> None:
    """Check a list of words; none at all only if that may be."""
    wrong = isinstance(words, str) or (not words and not none)
    if wrong or not all(pattern.fullmatch(word) for word in words):
        raise DeclarationError(f"{place}: {field}={words!r}: wanted a list of words {wanted}")
