#!/bin/sh
# Checks what `make build` can't install itself, before anything is done: rustc with cargo, and Python.
# Each failure names the fix.
set -eu

here=$(dirname "$0")
needed=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$here/../rust/Cargo.toml")

fail() {
    echo "error: $1" >&2
    echo "hint: $2" >&2
    exit 1
}

rust_hint="install Rust $needed or newer with rustup (rustup update stable); Debian 12's own rustc is too old"
command -v rustc >/dev/null 2>&1 || fail "rustc is not installed" "$rust_hint"
command -v cargo >/dev/null 2>&1 || fail "cargo is not installed" "$rust_hint"
found=$(rustc --version | cut -d' ' -f2 | cut -d- -f1)
oldest=$(printf '%s\n%s\n' "$needed" "$found" | sort -V | head -n 1)
[ "$oldest" = "$needed" ] || fail "rustc is $found, wpod needs $needed or newer" "$rust_hint"

"$here/choose-python.sh" >/dev/null
