#!/bin/sh
# vm-image.sh DIRECTORY: a Debian system for tests/vm: kernel, initrd and disk image, no boot loader.
#
# Made with mmdebstrap from the mirror and the suite that this machine uses itself, so that the installed wpod finds
# the Python that it was built for. What is there and was made by this very script is kept. Accounts: root,
# `tester` (lingers) and `visitor` (doesn't), reached by ssh with DIRECTORY/key. Only root can make it (owners of
# files, chroot); anybody can boot it (tests/vm/machine.py).
set -eu
umask 022
export LC_ALL=C

here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
directory=$(cd "$1" && pwd)
kernel=linux-image-cloud-$(dpkg --print-architecture)
disk_size=3G

# What the tests need (systemd with a bus for each user, delegation, ssh), what wpod needs, and what the initrd needs.
packages="systemd systemd-sysv dbus dbus-user-session libpam-systemd udev kmod openssh-server iproute2 procps
    python3 golang-github-containers-common ca-certificates busybox-static $("$here/system-packages.sh" --list run)"

key=$({ echo "$packages"; cat "$here/vm-image.sh"; } | sha256sum | cut -c1-64)
[ "$(cat "$directory/.key" 2>/dev/null || true)" != "$key" ] || exit 0
[ "$(id -u)" = 0 ] || {
    echo "error: the image of the virtual machine can only be made by root" >&2
    echo "hint: sudo packaging/vm-image.sh $1" >&2
    exit 1
}

archive=$("$here/debian-archive.sh" 2>/dev/null) || {
    apt-get update -qq
    archive=$("$here/debian-archive.sh")
}
read -r suite mirror signed_by <<F
$archive
F

echo "making the virtual machine's disk from $mirror $suite (minutes)" >&2
rm -f "$directory/.key" "$directory"/warm.*
[ -f "$directory/key" ] || ssh-keygen -q -t ed25519 -N '' -C wpod-vm -f "$directory/key"
root=$directory/root
rm -rf "$root"
# The kernel without what its package pulls in: it needs neither an initramfs generator nor a boot loader here.
# (mmdebstrap runs this with the new root as $1, while apt can still be used in it.)
# shellcheck disable=SC2016
download_kernel='mkdir -m 777 "$1/kernel" && chroot "$1" sh -c "
    cd /kernel && apt-get -qq download \$(apt-cache depends '$kernel' | sed -n \"s/.*Depends: \(linux-image-.*\)/\1/p\" | head -n 1)"'
# shellcheck disable=SC2086
mmdebstrap --quiet --mode=root --variant=minbase --format=directory \
    --aptopt='Acquire::Check-Valid-Until "false"' --aptopt='Acquire::Languages "none"' \
    --dpkgopt=force-unsafe-io --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    --include="$(echo $packages | tr ' ' ',')" --customize-hook="$download_kernel" \
    "$suite" "$root" "deb [signed-by=$signed_by] $mirror $suite main"

dpkg-deb --extract "$root"/kernel/*.deb "$root/kernel/x"
release=$(basename "$root"/kernel/x/boot/vmlinuz-*)
release=${release#vmlinuz-}
cp "$root/kernel/x/boot/vmlinuz-$release" "$directory/vmlinuz"
mkdir -p "$root/usr/lib/modules"
mv "$(find "$root/kernel/x" -type d -path "*/modules/$release" -print -quit)" "$root/usr/lib/modules/"
rm -rf "$root/kernel"
# Unpacking a module costs an emulated machine more than reading it.
find "$root/usr/lib/modules" -name '*.ko.xz' -exec xz -d {} +
depmod -b "$root/usr" "$release"

# The initrd: busybox, and the modules that it takes to see the disk and the network.
modules=$(modprobe -d "$root" -S "$release" -D -a virtio_pci virtio_blk virtio_net ext4 | sed -n 's/^insmod //p' | awk '!seen[$1]++ { print $1 }')
initrd=$directory/initrd.d
rm -rf "$initrd"
mkdir -p "$initrd/bin" "$initrd/dev" "$initrd/proc" "$initrd/sys" "$initrd/new" "$initrd/modules"
cp "$root/bin/busybox" "$initrd/bin/busybox"
number=100
for module in $modules; do
    cp "$module" "$initrd/modules/$number-$(basename "$module")"
    number=$((number + 1))
done
cat > "$initrd/init" <<'I'
#!/bin/busybox sh
busybox() { /bin/busybox "$@"; }
busybox mount -t devtmpfs dev /dev
busybox mount -t proc proc /proc
busybox mount -t sysfs sys /sys
for module in /modules/*; do busybox insmod "$module"; done
tries=0
until [ -b /dev/vda ] || [ "$tries" = 100 ]; do busybox sleep 0.1; tries=$((tries + 1)); done
busybox mount -t ext4 -o rw,noatime /dev/vda /new || { echo "no root file system"; busybox poweroff -f; }
busybox ip link set lo up
busybox ip address add 10.0.2.15/24 dev eth0
busybox ip link set eth0 up
busybox umount /proc
busybox umount /sys
busybox mount --move /dev /new/dev
exec /bin/busybox switch_root /new /sbin/init
I
chmod 755 "$initrd/init"
(cd "$initrd" && find . | "$root/bin/busybox" cpio -o -H newc 2>/dev/null) > "$directory/initrd"
rm -rf "$initrd"

echo wpod-vm > "$root/etc/hostname"
echo "127.0.0.1 localhost wpod-vm" > "$root/etc/hosts"
tr -d - < /proc/sys/kernel/random/uuid > "$root/etc/machine-id"
for name in tester visitor; do chroot "$root" useradd --create-home --shell /bin/sh "$name"; done
for home in root home/tester home/visitor; do
    install -d -m 700 "$root/$home/.ssh"
    install -m 600 "$directory/key.pub" "$root/$home/.ssh/authorized_keys"
    chown -R --reference="$root/$home" "$root/$home/.ssh"
done
install -d "$root/var/lib/systemd/linger" "$root/etc/ssh/sshd_config.d" "$root/etc/systemd/journald.conf.d"
touch "$root/var/lib/systemd/linger/tester"
printf '%s\n' 'UseDNS no' 'PrintMotd no' 'PrintLastLog no' 'PasswordAuthentication no' 'MaxStartups 100' \
    > "$root/etc/ssh/sshd_config.d/vm.conf"
# On disk users have a journal that they may read. (Debian's package makes the directory in a machine that runs.)
install -d -m 2755 -g "$(sed -n 's/^systemd-journal:[^:]*:\([0-9]*\):.*/\1/p' "$root/etc/group")" "$root/var/log/journal"
printf '[Journal]\nStorage=persistent\nSystemMaxUse=64M\n' > "$root/etc/systemd/journald.conf.d/vm.conf"
# Emulated processors are slow: nothing runs that no test needs, and nobody loses patience.
for kind in system user; do
    install -d "$root/etc/systemd/$kind.conf.d"
    printf '[Manager]\nDefaultTimeoutStartSec=300s\nDefaultTimeoutStopSec=60s\n' > "$root/etc/systemd/$kind.conf.d/vm.conf"
done
for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service \
    fstrim.timer getty@tty1.service serial-getty@ttyS0.service systemd-timesyncd.service systemd-firstboot.service \
    systemd-update-utmp.service systemd-remount-fs.service systemd-binfmt.service proc-sys-fs-binfmt_misc.automount \
    systemd-random-seed.service sys-kernel-config.mount sys-kernel-debug.mount sys-kernel-tracing.mount \
    modprobe@configfs.service modprobe@drm.service modprobe@efi_pstore.service; do
    ln -sf /dev/null "$root/etc/systemd/system/$unit"
done
chroot "$root" systemctl --quiet enable ssh.service
rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/*.bin

rm -f "$directory/disk.img"
mke2fs -q -t ext4 -F -L wpod-vm -O '^has_journal,^metadata_csum' -E lazy_itable_init=1,nodiscard -m 0 \
    -d "$root" "$directory/disk.img" "$disk_size"
rm -rf "$root"
echo "$key" > "$directory/.key"
