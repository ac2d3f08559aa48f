#!/bin/sh
# system-packages.sh SET...: makes sure that the Debian packages of each SET are installed.
# Sets: build, run, test, bench, vm. As root they are installed; as a user the missing ones are named.
# system-packages.sh --list SET: only names those of a set.
set -eu

packages_of() {
    case $1 in
    # WAMR's C sources (cmake, clang, bindgen's libclang), its compiler (LLVM), Python's headers and venv
    build) echo gcc libc6-dev make pkg-config cmake ninja-build clang lld llvm-19-dev libclang-19-dev libpolly-19-dev \
        libzstd-dev zlib1g-dev libsimde-dev ca-certificates ;;
    run) echo crun uidmap fuse-overlayfs passt nftables aardvark-dns ;;
    # guests: C for WASI, text modules, busybox, bash; a registry with a password; the three shells; terminals far away
    # (dropbear-bin: an SSH server and client as programs alone, no service comes with them)
    test) echo wasi-libc libclang-rt-14-dev-wasm32 wabt busybox-static zstd docker-registry apache2-utils openssl \
        podman golang-github-containers-common zsh fish bash-completion util-linux procps strace iproute2 \
        tmux dropbear-bin ;;
    demo) echo wasi-libc libclang-rt-14-dev-wasm32 busybox-static ;;
    bench) echo podman netavark slirp4netns golang-github-containers-common runc containerd mmdebstrap wrk bind9-dnsutils \
        python3-matplotlib ;;
    vm) echo qemu-system-x86 mmdebstrap openssh-client e2fsprogs kmod ;;
    *) echo "error: no set of packages is called $1" >&2; exit 2 ;;
    esac
}

available_only() { # packages that some suites have and others don't need (libpolly is part of LLVM elsewhere)
    for package in "$@"; do
        case $package in
        libpolly-*) apt-cache show "$package" >/dev/null 2>&1 && echo "$package" || true ;;
        *) echo "$package" ;;
        esac
    done
}

if [ "$1" = --list ]; then
    packages_of "$2"
    exit
fi

wanted=
for set in "$@"; do wanted="$wanted $(packages_of "$set")"; done
if [ "$(/usr/bin/python3 -c 'import sys; print(sys.version_info >= (3, 11))' 2>/dev/null || true)" = True ]; then
    wanted="$wanted python3-venv"
fi

command -v dpkg-query >/dev/null 2>&1 || {
    echo "warning: this is not Debian; make sure that these are there:$wanted" >&2
    exit 0
}
missing=
for package in $wanted; do
    case $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true) in
    installed) ;;
    *) missing="$missing $package" ;;
    esac
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ]; then
    echo "error: packages are missing:$missing" >&2
    echo "hint: sudo apt-get install --no-install-recommends$missing" >&2
    exit 1
fi
echo "installing:$missing" >&2
export DEBIAN_FRONTEND=noninteractive
[ -n "$(find /var/lib/apt/lists -name '*_Packages*' -print -quit 2>/dev/null)" ] || apt-get update -qq
# shellcheck disable=SC2046,SC2086
missing=$(available_only $missing)
# A list that is older than the mirror names files that are gone: once more after an update.
# shellcheck disable=SC2086
apt-get install -y -qq --no-install-recommends $missing >/dev/null || {
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends $missing >/dev/null
}
