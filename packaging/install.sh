#!/bin/sh
# install.sh DIRECTORY PREFIX: puts wpod below DIRECTORY (which becomes PREFIX, by DESTDIR or in place).
#
#   PREFIX/lib/wpod          the package, its libraries and its executables (libexec), readable by all
#   PREFIX/bin/wpod          the command, which names a real interpreter
#   PREFIX/share             completions for bash, zsh and fish
#   PREFIX/lib/systemd       the unit wpod@.service, for the system's manager and for users'
#
# No virtual environment: it would hold absolute paths, and one directory on sys.path starts faster.
# Libraries come from build/site-packages, which this script fills once per lock file and interpreter.
set -eu
umask 022

here=$(cd "$(dirname "$0")" && pwd)
top=$(dirname "$here")
directory=$1
prefix=$2
python=$("$here/choose-python.sh")

for needed in wpod-runner wpod-monitor wpod-network wpod-meter wpod-aot-compiler wpod-pasta-pages.so; do
    [ -x "$top/wpod/libexec/$needed" ] || {
        echo "error: wpod/libexec/$needed is not built" >&2
        echo "hint: run: make build" >&2
        exit 1
    }
done

libraries=$top/build/site-packages
# One at a time: two installations would fill the same directory. Held to the end, for the copying reads it.
exec 9> "$libraries.lock"
flock 9
wheel=$(ls -t "$top"/build/wheels/pywamr-*.whl 2>/dev/null | head -n 1)
key=$(cat "$here/requirements.txt" ${wheel:+"$wheel"} | sha256sum | cut -c1-64)-$("$python" -I -c 'import sys; print(sys.implementation.cache_tag)')
if [ "$(cat "$libraries/.key" 2>/dev/null || true)" != "$key" ]; then
    rm -rf "$libraries" "$libraries.new"
    "$top/.venv/bin/python" -m pip --python "$python" install --quiet --disable-pip-version-check \
        --require-hashes --only-binary :all: --no-compile --target "$libraries.new" -r "$here/requirements.txt"
    if [ -n "$wheel" ]; then
        "$top/.venv/bin/python" -m pip --python "$python" install --quiet --disable-pip-version-check \
            --no-deps --no-compile --target "$libraries.new" "$wheel"
    fi
    rm -rf "$libraries.new/bin"
    "$python" -I -m compileall -q --invalidation-mode unchecked-hash "$libraries.new" >/dev/null || true
    echo "$key" > "$libraries.new/.key"
    mv "$libraries.new" "$libraries"
fi

target=$directory/lib/wpod
rm -rf "$target"
mkdir -p "$target" "$directory/bin" "$directory/share"
cp -R "$libraries/." "$target/"
rm -f "$target/.key"
(cd "$top" && find wpod \( -name __pycache__ -prune \) -o -type f -print | tar -cf - -T - ) | tar -xf - -C "$target" --no-same-owner
"$python" -I -m compileall -q --invalidation-mode unchecked-hash -s "$target" -p "$prefix/lib/wpod" "$target/wpod"
"$python" -I "$here/pack_modules.py" "$target/wpod"

cat > "$directory/bin/wpod" <<W
#!$python -IS
import sys
sys.path.append("$prefix/lib/wpod")
sys.argv[0] = "wpod"
from wpod.entry import run
run()
W
chmod 755 "$directory/bin/wpod"

completion() { # FILE DIRECTORY NAME
    [ -e "$top/completions/$1" ] || return 0
    mkdir -p "$directory/share/$2"
    cp "$top/completions/$1" "$directory/share/$2/$3"
}
completion wpod.bash bash-completion/completions wpod
completion _wpod zsh/site-functions _wpod
completion wpod.fish fish/vendor_completions.d wpod.fish
for manager in system user; do
    mkdir -p "$directory/lib/systemd/$manager"
    sed "s|/usr/local/bin/wpod|$prefix/bin/wpod|" "$here/units/wpod@.service" > "$directory/lib/systemd/$manager/wpod@.service"
done
chmod -R a+rX "$target"
