#!/bin/sh
# make-environment.sh DIRECTORY: a virtual environment for development with exactly the versions of
# requirements-development.txt, hashes checked. One that is there and still fits is kept.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
directory=$1
lock=$here/requirements-development.txt

python=$("$here/choose-python.sh")
if ! "$directory/bin/python" -I -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    echo "making $directory with $python" >&2
    rm -rf "$directory"
    "$python" -m venv "$directory"
fi
"$directory/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$lock"
# The checkout itself, by a path file: an editable install would put its own import hook into every start.
site=$("$directory/bin/python" -I -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
dirname "$here" > "$site/wpod-checkout.pth"
cat > "$directory/bin/wpod" <<W
#!$directory/bin/python
import sys
sys.argv[0] = "wpod"
from wpod.entry import run
run()
W
chmod 755 "$directory/bin/wpod"
