#!/bin/sh
# prepare.sh NAME: compiles the example NAME and lays out its build context in build/examples/NAME; prints it.
# wasm examples need clang with wasi-libc, or Go 1.21; busybox needs Debian's busybox-static; debian takes bash
# and coreutils with their libraries from this machine. What is newer than its sources is kept.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
name=$1
source=$here/$name
context=$(dirname "$here")/build/examples/$name

fresh() { # FILE: it is there and newer than every source
    [ -e "$1" ] && [ -z "$(find "$source" "$here/prepare.sh" -type f -newer "$1" -print -quit)" ]
}

copy_program() { # PROGRAM: it and the libraries it needs, under their own paths
    mkdir -p "$context/rootfs$(dirname "$1")"
    cp "$1" "$context/rootfs$1"
    for library in $(ldd "$1" 2>/dev/null | grep -o '/[^ ]*'); do
        [ -e "$context/rootfs$library" ] && continue
        mkdir -p "$context/rootfs$(dirname "$library")"
        cp -L "$library" "$context/rootfs$library"
    done
}

skeleton() {
    rm -rf "$context/rootfs"
    mkdir -p "$context/rootfs/bin" "$context/rootfs/etc" "$context/rootfs/root" "$context/rootfs/tmp"
    chmod 1777 "$context/rootfs/tmp"
    echo 'root:x:0:0:root:/root:/bin/sh' > "$context/rootfs/etc/passwd"
    echo 'root:x:0:' > "$context/rootfs/etc/group"
}

mkdir -p "$context"
case $name in
hello-c | counter)
    fresh "$context/main.wasm" || clang --target=wasm32-wasi -O2 -Wl,--strip-debug -o "$context/main.wasm" "$source/main.c"
    ;;
hello-go)
    fresh "$context/main.wasm" || (cd "$source" &&
        GOOS=wasip1 GOARCH=wasm go build -trimpath -ldflags='-s -w' -o "$context/main.wasm" .)
    ;;
busybox)
    if ! fresh "$context/rootfs/bin/busybox"; then
        skeleton
        cp "$(command -v busybox)" "$context/rootfs/bin/busybox"
        for applet in sh ls cat cp mv rm mkdir echo sleep ps id env grep sed awk wc head tail sort vi top uname hostname; do
            ln -s busybox "$context/rootfs/bin/$applet"
        done
        touch "$context/rootfs/bin/busybox"
    fi
    ;;
debian)
    if ! fresh "$context/rootfs/etc/debian_version"; then
        skeleton
        for program in /bin/bash /bin/cat /bin/ls /bin/sleep /bin/mkdir /bin/rm /bin/cp /bin/date /usr/bin/env \
            /usr/bin/id /usr/bin/wc /usr/bin/sort /usr/bin/head /usr/bin/tail; do
            copy_program "$program"
        done
        ln -sf bash "$context/rootfs/bin/sh"
        cp /etc/debian_version "$context/rootfs/etc/debian_version"
        touch "$context/rootfs/etc/debian_version"
    fi
    ;;
*)
    echo "error: there is no example $name" >&2
    exit 125
    ;;
esac
cp "$source/Containerfile" "$context/Containerfile"
echo "$context"
