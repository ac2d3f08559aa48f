#!/bin/sh
# Builds the release programs and copies them to wpod/libexec. Incremental: a second run takes a second or two.
#
#   rust/build.sh            all programs
#   rust/build.sh runner     some of them, by package
#
# CARGO_TARGET_DIR is obeyed (default rust/target), CARGO_FLAGS goes to every cargo build.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
libexec=$here/../wpod/libexec
target_directory=${CARGO_TARGET_DIR:-$here/target}
triple=$(rustc -vV | sed -n 's/^host: //p')
mkdir -p "$libexec"

# build_static PACKAGE PROGRAM: a static program. The target is named, else build scripts would be static too;
# the GNU linker, because what the bundled one makes of these flags faults at start.
build_static() {
    RUSTFLAGS="-C target-feature=+crt-static -C relocation-model=static -C linker-features=-lld" \
        cargo build --locked --release --manifest-path "$here/Cargo.toml" --target "$triple" \
        --target-dir "$target_directory/static" ${CARGO_FLAGS:-} -p "$1"
    install_program "$target_directory/static/$triple/release/$2"
}

# build_dynamic PACKAGE PROGRAM: one that is linked with the system's libraries (LLVM).
build_dynamic() {
    cargo build --locked --release --manifest-path "$here/Cargo.toml" \
        --target-dir "$target_directory" ${CARGO_FLAGS:-} -p "$1"
    install_program "$target_directory/release/$2"
}

# build_library PACKAGE FILE NAME: a library that a program of the system's is made to load.
build_library() {
    cargo build --locked --release --manifest-path "$here/Cargo.toml" \
        --target-dir "$target_directory" ${CARGO_FLAGS:-} -p "$1"
    install_program "$target_directory/release/$2" "$3"
}

# install_program FILE [NAME]: replaced by renaming, so that a running program keeps its file.
install_program() {
    name=${2:-$(basename "$1")}
    if ! cmp -s "$1" "$libexec/$name"; then
        cp "$1" "$libexec/.$name.new"
        mv "$libexec/.$name.new" "$libexec/$name"
    fi
    # A caller that compares times must see that the program is up to date.
    touch "$libexec/$name"
}

[ $# -gt 0 ] || set -- runner monitor network meter pasta-pages aot-compiler
for package in "$@"; do
    case $package in
        runner) build_static runner wpod-runner ;;
        network) build_static network wpod-network ;;
        monitor) build_static monitor wpod-monitor ;;
        meter) build_static meter wpod-meter ;;
        pasta-pages) build_library pasta-pages libwpod_pasta_pages.so wpod-pasta-pages.so ;;
        aot-compiler) build_dynamic aot-compiler wpod-aot-compiler ;;
        *) echo "build.sh: no program for the package $package" >&2; exit 1 ;;
    esac
done
