#!/usr/bin/env bash
# Runs the project's Python: ci/python.sh ARGS… is .venv/bin/python ARGS…, after .venv was made what
# requirements/dev.txt says. Two of these may start at once, so the making is behind a lock.
set -euo pipefail
top=$(dirname "$(dirname "$(readlink -f "$0")")")
lock="$top/requirements/dev.txt"
venv="$top/.venv"
wanted=$(sha256sum "$lock" | cut -d' ' -f1)

# The lock, and the Python that it was made with: a machine may get another one under a checkout.
stamp() { echo "$wanted $("$venv/bin/python" -c 'import sys; print(*sys.version_info[:2])' 2>/dev/null)"; }
fresh() { [ -e "$venv/.made-from" ] && [ "$(cat "$venv/.made-from")" = "$(stamp)" ]; }

find_python() {
    for name in python3 python3.13 python3.12 python3.11; do
        if command -v "$name" >/dev/null &&
            "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$name"
            return
        fi
    done
    echo "turnaround: needs Python 3.11 or later, and found none on PATH. On Debian: apt-get install python3 python3-venv" >&2
    exit 4
}

install_venv() {
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
        echo "turnaround: $1 cannot make a virtual environment. On Debian, as root: apt-get install python3-venv" >&2
        exit 4
    fi
    echo "turnaround: installing python3-venv (apt-get, once)" >&2
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv >&2 ||
        { apt-get update -qq >&2 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv >&2; }
}

if ! fresh; then
    exec 9>"$top/.venv.lock"
    flock 9
    if ! fresh; then
        echo "turnaround: making .venv from requirements/dev.txt (once, about a minute)" >&2
        python=$(find_python)
        rm -rf "$venv"
        if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
            install_venv "$python"
        fi
        "$python" -m venv "$venv"
        "$venv/bin/python" -m pip install -qq --disable-pip-version-check --require-hashes \
            --requirement "$lock" >&2
        stamp >"$venv/.made-from"
    fi
    exec 9>&-
fi
export PYTHONPATH="$top${PYTHONPATH:+:$PYTHONPATH}"
exec "$venv/bin/python" "$@"
