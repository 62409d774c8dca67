"""Starts programs on the host: fixed environment, deadline, as any account."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
from collections.abc import Mapping, Sequence

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Refused(Exception):
    """A step that was not begun: nothing on the host was touched."""


class Failed(Exception):
    """A step that broke; what it did until then is done."""


class Done:
    """How a program ended: `code`, `out`, `err`."""

    def __init__(self, argv: Sequence[str], code: int, out: str, err: str) -> None:
        self.argv, self.code, self.out, self.err = argv, code, out, err

    def check(self) -> Done:
        """Return itself when the exit code is 0.

        Raises:
            Failed: it is not; says the program and its last words.
        """
        if self.code == 0:
            return self
        words = "\n".join((self.err.strip() or self.out.strip()).splitlines()[-12:])
        raise Failed(f"{' '.join(self.argv[:3])} ended with exit code {self.code}: {words}")


def run(
    argv: Sequence[str],
    stdin: str = "",
    timeout_s: float = 60,
    user: str = "",
    cwd: str = "/",
    env: Mapping[str, str] | None = None,
) -> Done:
    """Run one program to its end.

    Args:
        argv: program and arguments; never secrets.
        stdin: text for its standard input.
        timeout_s: seconds until it and all it started are killed.
        user: account it runs as; "" is ours.
        cwd: directory it runs in.
        env: more environment variables; ours are not inherited.

    Raises:
        Failed: it took too long.
        FileNotFoundError: there is no such program.
        KeyError: there is no such account.
    """
    me = os.geteuid()
    account = pwd.getpwnam(user) if user else _account(me)
    name, home = (account.pw_name, account.pw_dir) if account else (str(me), "/")
    environment = {"PATH": PATH, "LC_ALL": "C.UTF-8", "HOME": home, "USER": name, "LOGNAME": name}

    def become() -> None:
        if account is not None and account.pw_uid != me:
            os.initgroups(account.pw_name, account.pw_gid)
            os.setgid(account.pw_gid)
            os.setuid(account.pw_uid)
        os.umask(0o022)

    with subprocess.Popen(
        argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=cwd,
        env={**environment, **(env or {})},
        # A group of its own, to be stopped with all it started; our session, so that whoever stops
        # us finds it.
        process_group=0,
        preexec_fn=become,
    ) as process:
        try:
            out, err = process.communicate(stdin.encode(), timeout=timeout_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            raise Failed(f"{' '.join(argv[:3])} was stopped after {timeout_s:g} s") from None
    return Done(
        argv, process.returncode, out.decode(errors="replace"), err.decode(errors="replace")
    )


def _account(uid: int) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwuid(uid)
    except KeyError:
        return None
