#!/bin/sh
# Builds pywamr's wheel into build/wheels and puts it into the development environment.
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$top/build/wheels"
rm -f "$top"/build/wheels/pywamr-*.whl
"$top/.venv/bin/maturin" build --quiet --locked --release --interpreter "$top/.venv/bin/python" \
    --manifest-path "$top/rust/pywamr/Cargo.toml" --out "$top/build/wheels"
"$top/.venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --force-reinstall \
    "$top"/build/wheels/pywamr-*.whl
