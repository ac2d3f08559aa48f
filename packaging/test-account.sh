#!/bin/sh
# What tests as an unprivileged user need and distributions give: an account with subordinate ids, and
# /dev/fuse and /dev/net/tun open to all. Only root can do this; as a user it does nothing. Prints nothing.
set -eu
[ "$(id -u)" = 0 ] || exit 0
name=wpod-tester
if ! id "$name" >/dev/null 2>&1; then
    useradd --create-home --shell /bin/sh "$name"
fi
for file in /etc/subuid /etc/subgid; do
    grep -q "^$name:" "$file" 2>/dev/null && continue
    # Behind everything that was given out so far.
    next=$(awk -F: 'BEGIN { next_free = 100000 } $2 + $3 > next_free { next_free = $2 + $3 } END { print next_free }' "$file" 2>/dev/null || echo 100000)
    echo "$name:$next:65536" >> "$file"
done
for device in /dev/fuse /dev/net/tun; do
    [ ! -c "$device" ] || chmod 0666 "$device"
done
