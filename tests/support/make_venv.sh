#!/usr/bin/env bash
# make_venv.sh FOLDER: creates a virtual environment with pip and Python 3.11 or newer.
# An existing environment that works is not changed.
set -euo pipefail
folder=$1

works() { [ -x "$folder/bin/python" ] && "$folder/bin/python" -m pip --version >/dev/null 2>&1; }
works && exit 0

find_python() {
    local name
    for name in "${PYTHON:-python3}" python3 python3.14 python3.13 python3.12 python3.11; do
        if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$name"
            return
        fi
    done
    return 1
}

python=$(find_python) || {
    echo "tinyfactory needs Python 3.11 or newer, and none was found on the PATH." >&2
    echo "Install one (on Debian 12 or newer: apt-get install python3 python3-venv), or name one:" >&2
    echo "    make PYTHON=/path/to/python3" >&2
    exit 1
}

# On Debian, venv is in a package of its own, python3-venv.
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    package=$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "Installing $package ..." >&2
        export DEBIAN_FRONTEND=noninteractive
        apt-get update -qq >&2
        apt-get install -y -qq --no-install-recommends "$package" >/dev/null
    else
        echo "$python cannot make virtual environments. On Debian or Ubuntu, once:" >&2
        echo "    sudo apt-get install $package" >&2
        exit 1
    fi
fi

"$python" -m venv --clear "$folder"
