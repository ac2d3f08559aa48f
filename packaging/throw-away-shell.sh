#!/bin/sh
# A shell whose wpod is this checkout's and whose store goes away with it, containers included.
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
store=$(mktemp -d "${TMPDIR:-/tmp}/wpod-shell-XXXXXX")
leave() {
    WPOD_ROOT=$store "$top/.venv/bin/wpod" rm --force --all --time 0 >/dev/null || true
    rm -rf "$store"
}
trap leave EXIT INT TERM HUP
echo "The store is $store; it goes away when you leave this shell." >&2
PATH=$top/.venv/bin:$PATH WPOD_ROOT=$store "${SHELL:-/bin/sh}" -i || true
