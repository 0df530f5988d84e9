#!/bin/sh
# Makes a virtual environment in DIR with the first usable Python (3.11 or newer).
# usage: tools/make_venv.sh DIR        PYTHON=/path/to/python names one yourself
set -eu
venv=$1
wanted="3.11"

usable() {
    # Runs it: a name on PATH may be a shim of a version manager with nothing behind it.
    "$1" -c 'import sys, ssl, sqlite3; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

find_python() {
    for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11 /usr/bin/python3 /usr/local/bin/python3}; do
        if usable "$candidate"; then
            # The interpreter itself, not a shim that depends on the directory we are in.
            "$candidate" -c 'import sys; print(sys.executable)'
            return 0
        fi
    done
    return 1
}

can_install() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1
}

apt_install() {
    echo "installing $* with apt-get" >&2
    export DEBIAN_FRONTEND=noninteractive
    apt-get install -y -q --no-install-recommends "$@" >&2 ||
        { apt-get update -q >&2 && apt-get install -y -q --no-install-recommends "$@" >&2; }
}

if ! python=$(find_python); then
    if [ -z "${PYTHON:-}" ] && can_install && apt_install python3 python3-venv && python=$(find_python); then
        :
    else
        echo "No usable Python $wanted or newer (with ssl and sqlite3) was found${PYTHON:+: PYTHON=$PYTHON is not one}." >&2
        echo "Install one (Debian: apt-get install python3 python3-venv), or say where it is: make PYTHON=/path/to/python" >&2
        exit 1
    fi
fi

if ! "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then
    # Debian keeps venv and ensurepip in a package of its own.
    package=$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
    if ! { can_install && apt_install "$package"; }; then
        echo "$python cannot make virtual environments. On Debian: apt-get install $package" >&2
        exit 1
    fi
fi

echo "making $venv with $("$python" --version) ($python)"
rm -rf "$venv"
"$python" -m venv "$venv"
