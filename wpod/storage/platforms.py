"""Which entry of an index to take (image-spec, image-index.md)."""

from __future__ import annotations

import os

from wpod.errors import InvalidImage, UsageError
from wpod.model.image import Platform
from wpod.storage.documents import INDEX_TYPES, Index, IndexEntry

_ARCHITECTURES = {
    "x86_64": Platform("linux", "amd64"),
    "aarch64": Platform("linux", "arm64", "v8"),
    "armv7l": Platform("linux", "arm", "v7"),
    "armv6l": Platform("linux", "arm", "v6"),
    "i686": Platform("linux", "386"),
    "ppc64le": Platform("linux", "ppc64le"),
    "riscv64": Platform("linux", "riscv64"),
    "s390x": Platform("linux", "s390x"),
}
_WASM_SYSTEMS = ("wasip1", "wasi", "js", "wasip2", "linux")  # WASI preview 1 first: it is what the engine speaks
_SAME = {"x86_64": "amd64", "x86-64": "amd64", "aarch64": "arm64"}


def host() -> Platform:
    """This machine's platform, in Go's names."""
    machine = os.uname().machine
    return _ARCHITECTURES.get(machine, Platform("linux", machine))


def parse(text: str) -> Platform:
    """--platform OS/ARCH[/VARIANT]. Raises UsageError."""
    parts = text.lower().split("/")
    if not 2 <= len(parts) <= 3 or not all(part.replace("_", "").replace("-", "").isalnum() for part in parts):
        raise UsageError(
            f"platform {text!r:.100} is not OS/ARCH[/VARIANT]", hint="for example linux/amd64, wasip1/wasm"
        )
    return Platform(parts[0], _SAME.get(parts[1], parts[1]), parts[2] if len(parts) == 3 else "")


def choose(index: Index, wanted: Platform | None, what: str) -> IndexEntry:
    """The entry for the wanted platform; else this machine's; else WebAssembly, which any machine runs.

    Raises InvalidImage that lists what there is.
    """
    entries = [entry for entry in index.entries if not _is_attestation(entry)]
    platforms = [wanted] if wanted is not None else [host()]
    for platform in platforms:
        found = _best(entries, platform)
        if found is not None:
            return found
    if wanted is None:
        for system in _WASM_SYSTEMS:
            for entry in entries:
                if entry.platform and entry.platform.architecture in ("wasm", "wasm32") and entry.platform.os == system:
                    return entry
        if len(entries) == 1 and entries[0].platform is None:
            return entries[0]
    listed = ", ".join(sorted({str(entry.platform) for entry in entries if entry.platform}))[:300] or "none"
    raise InvalidImage(
        f"{what} is not there for {wanted or host()}; it is for: {listed}", hint="choose one with --platform"
    )


def _best(entries: list[IndexEntry], platform: Platform) -> IndexEntry | None:
    same = [
        entry for entry in entries
        if entry.platform and (entry.platform.os, entry.platform.architecture) == (platform.os, platform.architecture)
    ]  # fmt: skip
    exact = [entry for entry in same if entry.platform and entry.platform.variant == platform.variant]
    if exact:
        return exact[0]
    if platform.variant and platform.architecture != "arm64":
        plain = [entry for entry in same if entry.platform and not entry.platform.variant]
        return plain[0] if plain else None
    return same[0] if same else None


def _is_attestation(entry: IndexEntry) -> bool:
    platform = entry.platform
    if entry.descriptor.media_type in INDEX_TYPES:
        return False
    return platform is not None and platform.os == "unknown" and platform.architecture == "unknown"


def is_wasm(platform: Platform) -> bool:
    """Whether images of this platform hold WebAssembly."""
    return platform.architecture in ("wasm", "wasm32")
