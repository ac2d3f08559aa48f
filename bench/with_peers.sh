#!/bin/sh
# with_peers.sh COMMAND [ARGUMENT...]: runs COMMAND where Debian's podman and crun work for comparison, also
# on a host with hybrid cgroups and without systemd: in a private mount namespace with the unified
# hierarchy hidden (crun refuses to work beside it), with cgroupfs as podman's cgroup manager, and files for
# its events and logs. Containers get an empty network namespace, as wpod's native ones do.
# As root, with podman and crun installed. podman's own store is used unless COMMAND says otherwise.
set -eu
if [ "${WITH_PEERS_INNER:-}" != 1 ]; then
    WITH_PEERS_INNER=1 exec unshare --mount --propagation private "$0" "$@"
fi
if grep -q ' /sys/fs/cgroup/unified ' /proc/mounts; then umount /sys/fs/cgroup/unified; fi
# A file per user, never removed while a container's monitor may read it.
configuration=/tmp/wpod-peers-$(id -u).conf
umask 022
cat > "$configuration.$$" <<'C'
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "crun"
[containers]
log_driver = "k8s-file"
default_ulimits = []
netns = "none"
C
mv "$configuration.$$" "$configuration"
unset WITH_PEERS_INNER
CONTAINERS_CONF=$configuration PODMAN_IGNORE_CGROUPSV1_WARNING=1 exec "$@"
