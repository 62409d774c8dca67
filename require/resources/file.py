"""Files, templates, directories and links."""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from require import templates
from require.catalog import declared, template_folder
from require.diff import unified
from require.errors import DeclarationError
from require.resource import (
    Change,
    Handler,
    NoChange,
    Plan,
    Resource,
    Spec,
    State,
    Unknown,
    keys,
)
from require.secret import MASK, Secret

MAX_CONTENT_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class File(Resource):
    """Something at a path: a file with its content, a directory, a link, or nothing.

    Args:
        path: absolute path.
        kind: "file", "directory", "link" or "absent".
        content: bytes of a file.
        secrets: what of the content is secret; where there is any, no diff is shown and no text is
            asked back.
        target: what a link points to, as written.
        mode: permission bits; links and nothing have none.
        owner: user name, or None to leave it.
        group: group name, or None to leave it.
        validate: command to run before the new file is put in place; "{}" is its path, and a
            command without it finds the file where it belongs.
    """

    noun: ClassVar[str] = "file"
    wide: ClassVar[bool] = False

    path: str
    kind: str
    content: bytes = field(default=b"", repr=False)
    secrets: tuple[Secret, ...] = field(default=(), repr=False)
    target: str = ""
    mode: int = 0
    owner: str | None = None
    group: str | None = None
    validate: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        return f"file:{self.path}"

    @property
    def secret(self) -> bool:
        return bool(self.secrets)

    def natural_needs(self) -> tuple[str, ...]:
        # What is to be gone is gone before its directory is.
        parents = [] if self.kind == "absent" else [f"file:{posixpath.dirname(self.path)}"]
        owners = [f"user:{self.owner}", f"group:{self.group}", f"user:{self.group}"]
        return tuple(key for key in (*parents, *owners) if key != self.key)

    def question(self) -> Spec:
        spec: Spec = {"path": self.path}
        if self.kind == "file":
            spec["sha"] = hashlib.sha256(self.content).hexdigest()
            spec["text"] = not self.secret
        return spec

    def order(self) -> Spec:
        spec: Spec = {"kind": self.kind}
        if self.kind == "file":
            spec |= {"content": self.content, "validate": list(self.validate)}
            spec["secret"] = self.secret
        if self.kind == "link":
            spec["target"] = self.target
        if self.kind in ("file", "directory"):
            spec |= {"mode": self.mode, "owner": self.owner, "group": self.group}
        return spec

    def plan(self, state: State) -> Plan:
        found = state["kind"]
        if self.kind == "absent":
            return NoChange() if found == "absent" else Change(f"remove the {found}")
        if found == "directory" and self.kind != "directory":
            return Unknown(f"a directory is in the way of this {self.kind}: move it", blocked=True)
        if self.kind == "directory" and found not in ("directory", "absent"):
            return Unknown(f"a {found} is in the way of this directory: move it", blocked=True)
        if self.kind == "link":
            return self._plan_link(state)
        differs = [] if found == self.kind else [self._creates(found)]
        diff = ""
        if self.kind == "file" and (found != "file" or state["sha"] != self._sha()):
            if found == "file":
                differs.append("content")
            diff = self._diff(state)
        differs += self._attributes(state) if found == self.kind else []
        return Change(", ".join(differs), diff) if differs else NoChange()

    def _sha(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    def _creates(self, found: str) -> str:
        made = f"create the {self.kind}"
        return made if found == "absent" else f"{made} in place of a {found}"

    def _plan_link(self, state: State) -> Plan:
        if state["kind"] == "link":
            if state["target"] == self.target:
                return NoChange()
            return Change(f"link to {self.target} instead of {state['target']}")
        return Change(f"{self._creates(state['kind'])} to {self.target}")

    def _attributes(self, state: State) -> list[str]:
        differs = []
        if state["mode"] != self.mode:
            differs.append(f"mode {state['mode']:04o} → {self.mode:04o}")
        for name, wanted in (("owner", self.owner), ("group", self.group)):
            if wanted is not None and state[name] != wanted:
                differs.append(f"{name} {state[name]} → {wanted}")
        return differs

    def _diff(self, state: State) -> str:
        if self.secret:
            return f"(the content holds a secret: {MASK})\n"
        try:
            new = self.content.decode()
        except UnicodeDecodeError:
            return f"(not a text: {len(self.content)} bytes)\n"
        if state["kind"] == "file" and state.get("text") is None:
            return f"(the text on the host, {state['size']} bytes, is too large or not a text)\n"
        return unified(state.get("text") or "", new, self.path)


def file(
    path: str,
    *,
    content: str | bytes | Secret | templates.Rendered,
    mode: int = 0o644,
    owner: str | None = "root",
    group: str | None = "",
    validate: Sequence[str] = (),
    needs: Sequence[Resource] = (),
    notify: Sequence[Handler] = (),
) -> File:
    """Declare a file with this content. As declared: "no change".

    It is written beside its place, flushed to the disk and renamed, so that a power cut leaves the
    old or the new one. A link in its place is replaced, a directory is not.

    Args:
        path: absolute path; its directory exists or is declared too.
        content: what is in it, at most 4 MiB. A `Secret` is shown in no diff, and neither is a
            rendered template that printed one.
        mode: permission bits.
        owner: user name; None leaves it as it is.
        group: group name; "" is the group of the owner's name; None leaves it as it is.
        validate: command that must accept the new file before it is put in place; "{}" stands
            for the path of the new file. A command that nowhere says "{}" finds the new file where
            it belongs, which only it can see: so it judges the whole configuration (`nginx -t`).
        needs: resources that must be right first (the directory and the owner are known).
        notify: handlers to run after a change.

    Raises:
        DeclarationError: the path is not absolute, the content is too large, or the key is taken.

    Example:
        >>> require.file.file("/etc/sudoers.d/ops", content="ops ALL=(ALL) NOPASSWD: ALL\\n",
        ...     mode=0o440, validate=["visudo", "-cf", "{}"])
    """
    secrets: tuple[Secret, ...] = ()
    plain: str | bytes
    if isinstance(content, Secret):
        plain, secrets = content.reveal(), (content,)
    elif isinstance(content, templates.Rendered):
        plain, secrets = content.text, content.secrets
    else:
        plain = content
    data = plain.encode() if isinstance(plain, str) else plain
    if len(data) > MAX_CONTENT_BYTES:
        raise DeclarationError(f"file:{path}: {len(data)} bytes; at most {MAX_CONTENT_BYTES}")
    return declared(
        File(
            path=absolute(path),
            kind="file",
            content=data,
            secrets=secrets,
            mode=mode,
            owner=owner,
            group=_group(owner, group),
            validate=tuple(validate),
            needs=keys(needs),
            notify=tuple(notify),
        )
    )


def template(
    path: str,
    /,
    template: str,
    *,
    mode: int = 0o644,
    owner: str | None = "root",
    group: str | None = "",
    validate: Sequence[str] = (),
    needs: Sequence[Resource] = (),
    notify: Sequence[Handler] = (),
    **variables: Any,
) -> File:
    """Declare a file whose content is a Jinja2 template, rendered here and now.

    Args:
        path: absolute path on the host.
        template: path below the folder given to `require.declare(templates=…)`.
        mode, owner, group, validate, needs, notify: as for `file`.
        variables: what the template may use. An undefined one is an error; a `Secret` is written
            where the template prints it, and then the file is shown in no diff.

    Raises:
        DeclarationError: names the template and the line that does not render.

    Example:
        >>> require.file.template("/etc/nginx/sites-enabled/cabin", template="nginx/site.j2",
        ...     server_name="portal.aero", notify=[require.systemd.reloaded("nginx")])
    """
    return file(
        path,
        content=templates.render(template_folder(), template, variables),
        mode=mode,
        owner=owner,
        group=group,
        validate=validate,
        needs=needs,
        notify=notify,
    )


def directory(
    path: str,
    *,
    mode: int = 0o755,
    owner: str | None = "root",
    group: str | None = "",
    needs: Sequence[Resource] = (),
    notify: Sequence[Handler] = (),
) -> File:
    """Declare a directory; what is in it is left alone.

    Args:
        path: absolute path; its parent exists or is declared too.
        mode, owner, group, needs, notify: as for `file`.

    Raises:
        DeclarationError: the path is not absolute, or the key is taken.

    Example:
        >>> require.file.directory("/var/lib/turnaround/sync", owner="turnaround", mode=0o750)
    """
    return declared(
        File(
            path=absolute(path),
            kind="directory",
            mode=mode,
            owner=owner,
            group=_group(owner, group),
            needs=keys(needs),
            notify=tuple(notify),
        )
    )


def link(
    path: str,
    target: str,
    *,
    needs: Sequence[Resource] = (),
    notify: Sequence[Handler] = (),
) -> File:
    """Declare a symbolic link. A file in its place is replaced, a directory is not.

    Args:
        path: absolute path of the link.
        target: what it points to, written as given; it need not exist.
        needs, notify: as for `file`.

    Raises:
        DeclarationError: the path is not absolute, or the key is taken.

    Example:
        >>> require.file.link("/etc/nginx/sites-enabled/cabin", "../sites-available/cabin")
    """
    return declared(
        File(
            path=absolute(path),
            kind="link",
            target=target,
            needs=keys(needs),
            notify=tuple(notify),
        )
    )


def absent(
    path: str,
    *,
    needs: Sequence[Resource] = (),
    notify: Sequence[Handler] = (),
) -> File:
    """Declare that nothing is at a path. A directory is removed only when it is empty.

    Args:
        path: absolute path.
        needs, notify: as for `file`.

    Raises:
        DeclarationError: the path is not absolute, or the key is taken.

    Example:
        >>> require.file.absent("/etc/nginx/sites-enabled/default")
    """
    return declared(
        File(path=absolute(path), kind="absent", needs=keys(needs), notify=tuple(notify))
    )


def absolute(path: str) -> str:
    """Return a path that is absolute and plain.

    Raises:
        DeclarationError: it is not.
    """
    if not path.startswith("/") or path != posixpath.normpath(path) or "\0" in path:
        raise DeclarationError(f"{path!r}: wanted an absolute path without //, . and ..")
    return path


def _group(owner: str | None, group: str | None) -> str | None:
    return owner if group == "" else group
