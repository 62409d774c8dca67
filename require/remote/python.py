"""Python virtual environments: the twin of `require.resources.python`."""

from __future__ import annotations

import os
import pwd
import re
import sys
from importlib.util import find_spec
from typing import Any

from require.remote.shell import Refused, run


def probe(spec: dict[str, Any]) -> dict[str, Any]:
    """Look at an environment without starting its Python.

    Args:
        spec: "path", "names" (normalised) of packages.

    Returns:
        "made": it is there, with pip; "ensurepip": one can be made; "installed": versions of
        those names that are installed whole.
    """
    path = spec["path"]
    found = _installed(path)
    made = os.access(f"{path}/bin/python", os.X_OK) and "pip" in found
    installed = {name: found[name] for name in spec["names"] if name in found}
    return {"made": made, "ensurepip": find_spec("ensurepip") is not None, "installed": installed}


def _installed(path: str) -> dict[str, str]:
    """Return name → version of every package. pip writes RECORD last, so without it one is not
    whole."""
    found = {}
    try:
        pythons = [name for name in os.listdir(f"{path}/lib") if name.startswith("python")]
    except OSError:
        return {}
    for python in pythons:
        packages = f"{path}/lib/{python}/site-packages"
        for entry in os.listdir(packages) if os.path.isdir(packages) else ():
            name, dash, version = entry.removesuffix(".dist-info").partition("-")
            whole = os.path.exists(f"{packages}/{entry}/RECORD")
            if entry.endswith(".dist-info") and dash and whole:
                found[re.sub(r"[-_.]+", "-", name).lower()] = version
    return found


def apply(spec: dict[str, Any], state: dict[str, Any]) -> None:
    """Make the environment and install what is missing, from the wheelhouse only.

    Args:
        spec: the question and "wheelhouse", "pins", "owner".
        state: what `probe` saw just now.

    Raises:
        Refused: python3-venv, the owner or the parent directory is missing.
        Failed: with pip's own words.
    """
    path = spec["path"]
    try:
        owner = pwd.getpwnam(spec["owner"])
    except KeyError:
        raise Refused(f"there is no user {spec['owner']}") from None
    if not state["made"]:
        if not state["ensurepip"]:
            version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
            raise Refused(
                f"this host's Python cannot make environments: the package {version}-venv is "
                'missing, declare require.apt.packages(["python3-venv"])'
            )
        if not os.path.isdir(os.path.dirname(path)):
            raise Refused(f"there is no directory {os.path.dirname(path)}: declare it")
        if not os.path.isdir(path):
            os.mkdir(path, 0o755)
            os.chown(path, owner.pw_uid, owner.pw_gid)
        run([sys.executable, "-m", "venv", path], user=spec["owner"], timeout_s=300).check()
    if spec["pins"]:
        pip = [f"{path}/bin/python", "-m", "pip", "--disable-pip-version-check", "--no-input"]
        install = ["install", "--quiet", "--no-index", "--find-links", spec["wheelhouse"]]
        run([*pip, *install, *spec["pins"]], user=spec["owner"], timeout_s=1200).check()
    os.sync()
