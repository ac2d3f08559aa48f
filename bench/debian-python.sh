#!/bin/sh
# debian-python.sh: a minimal Debian with python3 as the build context of an image, in build/bench/debian-python; prints
# it. Made with mmdebstrap from the mirror and the suite that this machine uses itself; what is there and was made by
# this very script is kept. Documentation and package lists are left out, as the small images of Debian leave them out.
# Only root can make it (owners of files, chroot).
set -eu
umask 022
export LC_ALL=C

here=$(cd "$(dirname "$0")" && pwd)
context=$(dirname "$here")/build/bench/debian-python

key=$(sha256sum < "$here/debian-python.sh" | cut -c1-64)
if [ "$(cat "$context/.key" 2>/dev/null || true)" = "$key" ]; then
    echo "$context"
    exit 0
fi

archive=$("$here/../packaging/debian-archive.sh")
read -r suite mirror signed_by <<F
$archive
F

rm -rf "$context"
mkdir -p "$context"
echo "making a Debian root from $mirror $suite (a minute)" >&2
mmdebstrap --quiet --variant=essential --include=python3-minimal --format=directory \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/info/*' \
    "$suite" "$context/rootfs" "deb [signed-by=$signed_by] $mirror $suite main" >&2
rm -rf "$context/rootfs/dev" "$context/rootfs/var/lib/apt/lists" "$context/rootfs/var/cache/apt"
mkdir "$context/rootfs/dev"
cat > "$context/Containerfile" <<C
FROM scratch
COPY rootfs/ /
CMD ["python3"]
C
echo "$key" > "$context/.key"
echo "$context"
