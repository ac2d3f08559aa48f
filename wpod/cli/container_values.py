"""Values that only `run` and `create` take: mounts, limits, security, the choice of the image.

The parsers give the frozen pieces of `wpod.model.request`. As in `values`, ValueError carries the reason
alone and nothing is looked up, but a relative source of a bind mount is made absolute here, as podman does.
"""

from __future__ import annotations

import json
import os

from wpod.cli import values
from wpod.errors import NotSupportedYet
from wpod.model import ids
from wpod.model.image import Platform
from wpod.model.request import AotPolicy, MountKind, MountRequest, PullPolicy, UlimitRequest

_MOUNT_WORDS = ("nosuid", "suid", "nodev", "dev", "noexec", "exec")
_PROPAGATION = ("private", "rprivate", "slave", "rslave", "shared", "rshared", "unbindable", "runbindable")
_BIND_WORDS = ("bind", "rbind")
_LABEL_WORDS = ("z", "Z")  # SELinux labels: without SELinux there is nothing to change, as in podman
_VOLUME_WORDS = ("copy", "nocopy")
_LATER_WORDS = ("U", "O", "chown", "idmap", "upperdir", "workdir")
_ULIMITS = (
    "as", "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss",
    "rtprio", "rttime", "sigpending", "stack",
)  # fmt: skip
_MOUNT_KEYS = {"src": "source", "dst": "target", "destination": "target", "readonly": "ro", "volume-nocopy": "nocopy"}


def volume(text: str) -> MountRequest:
    """-v: `SOURCE:TARGET[:OPTIONS]`, `NAME:TARGET[:OPTIONS]` or `TARGET` (an anonymous volume)."""
    fields = text.split(":")
    if len(fields) > 3:
        raise ValueError("must be [SOURCE:]TARGET[:OPTIONS]")
    source, target = ("", fields[0]) if len(fields) == 1 else (fields[0], fields[1])
    if len(fields) > 1 and not source:
        raise ValueError("has an empty source")
    words = [word for word in fields[2].split(",") if word] if len(fields) == 3 else []
    kind = MountKind.BIND if source.startswith(("/", ".")) else MountKind.VOLUME
    return _mount(kind, source, target, words)


def mount(text: str) -> MountRequest:
    """--mount: `type=bind|volume|tmpfs,source=…,target=…[,OPTION…]`."""
    given: dict[str, str] = {}
    for field in values.comma_fields(text):
        key, equals, value = field.partition("=")
        key = _MOUNT_KEYS.get(key, key)
        if key in given:
            raise ValueError(f"gives {key} twice")
        given[key] = value if equals else "true"
    type_ = given.pop("type", "volume")
    if type_ not in ("bind", "volume", "tmpfs"):
        if type_ in ("devpts", "image", "ramfs", "glob"):
            raise NotSupportedYet(f"--mount type={type_}")
        raise ValueError(f"has an unknown type {type_}: must be bind, volume or tmpfs")
    kind = MountKind(type_)
    source, target = given.pop("source", ""), given.pop("target", "")
    if not target:
        raise ValueError("has no target")
    if kind is MountKind.BIND and not source:
        raise ValueError("has no source")
    if kind is MountKind.TMPFS and source:
        raise ValueError("has a source, which a tmpfs can't have")
    return _mount(kind, source, target, _mount_words(kind, given))


def tmpfs(text: str) -> MountRequest:
    """--tmpfs: `TARGET[:OPTIONS]`."""
    target, _, words = text.partition(":")
    return _mount(MountKind.TMPFS, "", target, [word for word in words.split(",") if word])


def ulimit(text: str) -> UlimitRequest:
    """`NAME=SOFT[:HARD]`; -1 is unlimited."""
    name, equals, limits = text.partition("=")
    name = name.lower().removeprefix("rlimit_")
    if name == "host":
        raise NotSupportedYet("--ulimit host")
    if not equals or name not in _ULIMITS:
        raise ValueError(f"must be NAME=SOFT[:HARD] with NAME one of {', '.join(_ULIMITS)}")
    soft_text, colon, hard_text = limits.partition(":")
    soft = values.whole(soft_text)
    hard = values.whole(hard_text) if colon else soft
    if soft < -1 or hard < -1:
        raise ValueError("must not be below -1")
    if hard != -1 and (soft == -1 or soft > hard):
        raise ValueError(f"has a soft limit above the hard one ({soft} > {hard})")
    return UlimitRequest(name, soft, hard)


def platform(text: str) -> Platform:
    """`OS/ARCH[/VARIANT]`."""
    parts = text.split("/")
    if len(parts) not in (2, 3) or not all(part.isascii() and part.replace("-", "").isalnum() for part in parts):
        raise ValueError("must be OS/ARCH[/VARIANT]")
    return Platform(*(part.lower() for part in parts))


def platform_part(text: str) -> str:
    """--os, --arch, --variant."""
    if not (text.isascii() and text.replace("-", "").replace("_", "").isalnum()):
        raise ValueError("must be letters and digits")
    return text.lower()


def pull_policy(text: str) -> PullPolicy:
    """--pull; `ifnotpresent` and `ifnewer` are podman's other words for missing and newer."""
    try:
        return PullPolicy({"ifnotpresent": "missing", "ifnewer": "newer"}.get(text.lower(), text.lower()))
    except ValueError:
        raise ValueError("must be always, missing, never or newer") from None


def aot_policy(text: str) -> AotPolicy:
    """--wasm-aot."""
    try:
        return AotPolicy(text)
    except ValueError:
        raise ValueError("must be auto, off or require") from None


def entrypoint(text: str) -> tuple[str, ...]:
    """A JSON array of strings, or one word; nothing clears the image's."""
    if text.startswith("["):
        try:
            words = json.loads(text)
        except (ValueError, RecursionError):
            words = None
        if isinstance(words, list) and all(isinstance(word, str) for word in words):
            return tuple(_without_nul(word) for word in words)
    return (_without_nul(text),) if text else ()


def security_option(text: str) -> tuple[str, str]:
    """`no-new-privileges` and `seccomp=…`; what confinement can't be given is refused by name."""
    key, separator, value = text.partition("=") if "=" in text else text.partition(":")
    if key == "no-new-privileges":
        return key, str(values.boolean(value) if separator else True)
    if key == "seccomp" and value:
        return key, value if value == "unconfined" else _absolute(value)
    if (key, value) in (("label", "disable"), ("apparmor", "unconfined")):
        return key, value  # what wpod does anyway: it sets neither
    if key in ("label", "apparmor", "mask", "unmask", "proc-opts", "systempaths"):
        raise NotSupportedYet(f"--security-opt {key}")
    raise ValueError("must be no-new-privileges or seccomp=unconfined or seccomp=FILE")


def log_option(text: str) -> int:
    """`max-size=SIZE` so far: bytes at which the log is rotated."""
    key, equals, value = text.partition("=")
    if key in ("path", "tag", "label", "size"):
        raise NotSupportedYet(f"--log-opt {key}")
    if key != "max-size" or not equals:
        raise ValueError("must be max-size=SIZE")
    return values.size(value)


def log_driver(text: str) -> str:
    """k8s-file (json-file is podman's other word for it) or none."""
    if text in ("k8s-file", "json-file"):
        return "k8s-file"
    if text in ("journald", "passthrough", "passthrough-tty"):
        raise NotSupportedYet(f"--log-driver {text}", hint="k8s-file and none work so far")
    return values.choice("k8s-file", "none")(text)


def _mount_words(kind: MountKind, given: dict[str, str]) -> list[str]:
    words: list[str] = []
    for key, value in given.items():
        if key in ("ro", "rw"):
            words.append("ro" if values.boolean(value) == (key == "ro") else "rw")
        elif key == "bind-propagation" and kind is MountKind.BIND:
            words.append(value)
        elif key == "bind-nonrecursive" and kind is MountKind.BIND:
            words.append("bind" if values.boolean(value) else "rbind")
        elif key == "relabel" and value in ("shared", "private"):
            words.append("z")
        elif key in ("tmpfs-size", "tmpfs-mode") and kind is MountKind.TMPFS:
            words.append(f"{key.removeprefix('tmpfs-')}={value}")
        elif key in ("nocopy", *_MOUNT_WORDS, *_LATER_WORDS):
            words.append(key if values.boolean(value) else "")
        else:
            raise ValueError(f"has an unknown option {key}")
    return [word for word in words if word]


def _mount(kind: MountKind, source: str, target: str, words: list[str]) -> MountRequest:
    if not target.startswith("/"):
        raise ValueError(f"has a target that is not an absolute path: {target!r}")
    _without_nul(source + target)
    target = os.path.normpath("/" + target.lstrip("/"))
    if target == "/":
        raise ValueError("has / as its target")
    if kind is MountKind.VOLUME and source:
        ids.check_name(source, "volume")
    if "ro" in words and "rw" in words:
        raise ValueError("is both ro and rw")
    allowed = (
        _MOUNT_WORDS
        + {
            MountKind.BIND: _PROPAGATION + _BIND_WORDS + _LABEL_WORDS,
            MountKind.VOLUME: _PROPAGATION + _VOLUME_WORDS + _LABEL_WORDS,
            MountKind.TMPFS: (*_PROPAGATION, "notmpcopyup", "tmpcopyup"),
        }[kind]
    )
    read_only, size_bytes, mode = False, 0, None
    options: list[str] = []
    for word in words:
        key, equals, value = word.partition("=")
        if word in ("ro", "rw"):
            read_only = word == "ro"
        elif kind is MountKind.TMPFS and equals and key == "size":
            size_bytes = values.size(value)
        elif kind is MountKind.TMPFS and equals and key == "mode":
            mode = _mode(value)
        elif key in _LATER_WORDS:
            raise NotSupportedYet(f"the mount option {key}")
        elif word in allowed:
            options.append(word)
        else:
            raise ValueError(f"has an unknown option {word}")
    if kind is MountKind.BIND:
        source = _absolute(source)
    return MountRequest(kind, source, target, read_only, tuple(options), size_bytes, mode)


def _mode(text: str) -> int:
    if not text or len(text) > 5 or text.strip("01234567"):
        raise ValueError(f"has a mode that is not octal: {text!r}")
    return int(text, 8)


def _absolute(path: str) -> str:
    try:
        return os.path.abspath(path)
    except FileNotFoundError:
        raise ValueError("is a relative path, and the working directory is gone") from None


def _without_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("must not hold a NUL character")
    return text
