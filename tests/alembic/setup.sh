#!/bin/sh
# Makes the virtual environment of this project in the directory given, once per requirements.txt:
#   sh tests/alembic/setup.sh target/alembic
set -eu
if [ $# -ne 1 ]; then
    echo "usage: setup.sh DIRECTORY" >&2
    exit 1
fi
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
if [ -f "$1/requirements.txt" ] && cmp -s "$here/requirements.txt" "$1/requirements.txt"; then
    exit 0
fi
python3 -m venv "$1"
"$1/bin/python" -m pip install --quiet --disable-pip-version-check -r "$here/requirements.txt"
cp "$here/requirements.txt" "$1/requirements.txt"
