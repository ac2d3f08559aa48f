#!/bin/sh
# Prints the absolute path of the Python that wpod shall run on: a real interpreter, 3.11 or newer.
#
# $PYTHON first, then the system's own, which every user can read; a version manager's shim costs 35 ms
# at each start, and its interpreters often lie in a home directory that other users can't enter.
set -eu

minimum_major=3
minimum_minor=11

real_interpreter() {
    "$1" -I -c "import sys
if sys.version_info < ($minimum_major, $minimum_minor): sys.exit(1)
print(sys.executable)" 2>/dev/null
}

for candidate in ${PYTHON:+"$PYTHON"} /usr/bin/python3 /usr/local/bin/python3 \
    python3.14 python3.13 python3.12 python3.11 python3; do
    if found=$(real_interpreter "$candidate"); then
        echo "$found"
        exit 0
    fi
done
echo "error: wpod needs Python $minimum_major.$minimum_minor or newer; found: $(python3 --version 2>&1 || echo none)" >&2
echo "hint: install it (apt-get install python3, or from python.org) or name one: make PYTHON=/path/to/python3.11" >&2
exit 1
