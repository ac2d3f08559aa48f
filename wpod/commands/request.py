"""From the options of `run` and `create` to the frozen request that operations work on.

Files named on the command line (--env-file, --label-file) are read here, in podman's syntax; what stands on the
command line wins over them.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from wpod.commands.network_request import network_options
from wpod.commands.options import Options
from wpod.errors import UsageError
from wpod.model.image import Platform
from wpod.model.request import (
    AotPolicy,
    EngineOptions,
    IdentityOptions,
    ImageOptions,
    LimitOptions,
    LogOptions,
    MountRequest,
    ProcessOptions,
    PullPolicy,
    RunRequest,
    SecurityOptions,
    StorageOptions,
    UlimitRequest,
)

_FILE_LIMIT_BYTES = 16 << 20


def run_request(options: Options, arguments: tuple[str, ...], runtime: str = "") -> RunRequest:
    """Everything the user said about one new container; `arguments` are IMAGE and the guest's.

    `runtime` is the OCI runtime (the global --runtime). Raises UsageError for options that contradict
    each other and for files that can't be read.
    """
    _check_conflicts(options)
    return RunRequest(
        image=arguments[0],
        arguments=arguments[1:],
        remove=options.flag("rm"),
        identity=_identity(options),
        process=_process(options),
        storage=_storage(options),
        limits=_limits(options),
        security=_security(options),
        image_options=image_options(options),
        engine=EngineOptions(
            aot=options.value("wasm-aot", AotPolicy) or AotPolicy.AUTO, kind=options.text("kind"), runtime=runtime
        ),
        log=_log(options),
        network=network_options(options),
    )


def image_options(options: Options) -> ImageOptions:
    """Which image and how to get it: --pull, --platform or --os/--arch/--variant, --tls-verify, --authfile, -q."""
    return ImageOptions(
        pull=options.value("pull", PullPolicy) or PullPolicy.MISSING,
        platform=platform(options),
        tls_verify=options.flag("tls-verify") if options.given("tls-verify") else None,
        authfile=options.text("authfile"),
        quiet=options.flag("quiet"),
    )


def platform(options: Options) -> Platform | None:
    """--platform, or what --os, --arch and --variant make of this machine's platform; None where none is given."""
    whole = options.value("platform", Platform)
    parts = [options.text(name) for name in ("os", "arch", "variant")]
    if whole is not None and any(parts):
        raise UsageError("--platform can't be used with --arch, --os or --variant")
    if whole is not None or not any(parts):
        return whole
    machine = os.uname().machine
    own = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}.get(machine, machine)
    from wpod.storage import platforms

    return platforms.parse("/".join(part for part in (parts[0] or "linux", parts[1] or own, parts[2]) if part))


def environment(options: Options) -> tuple[tuple[str, str], ...]:
    """--env-file, then --env, later ones winning; a NAME alone is taken from wpod's environment or left out."""
    merged: dict[str, str] = {}
    for path in options.texts("env-file"):
        for line in _lines(path, "env-file"):
            _assign(merged, line, f"{path}: {line!r}")
    return tuple({**merged, **assigned(options.texts("env"))}.items())


def assigned(texts: Iterable[str]) -> dict[str, str]:
    """Variables of NAME=VALUE, NAME and PREFIX*, the latter two from wpod's environment; later ones win."""
    merged: dict[str, str] = {}
    for text in texts:
        _assign(merged, text, text)
    return merged


def _check_conflicts(options: Options) -> None:
    if options.flag("replace") and not options.text("name"):
        raise UsageError("--replace needs --name")
    memory, swap = options.number("memory"), options.number("memory-swap")
    if swap > 0 and not memory:
        raise UsageError("--memory-swap needs --memory")
    if swap > 0 and swap < memory:
        raise UsageError("--memory-swap must not be below --memory: it is memory and swap together")
    names = [one.name for one in options.values("ulimit", UlimitRequest)]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"--ulimit gives {name} twice")
    targets = [one.target for one in options.values("volume", MountRequest)]
    targets += [one.target for name in ("mount", "tmpfs") for one in options.values(name, MountRequest)]
    for target in targets:
        if targets.count(target) > 1:
            raise UsageError(f"{target}: duplicate mount destination")


def _identity(options: Options) -> IdentityOptions:
    labels: dict[str, str] = {}
    for path in options.texts("label-file"):
        for line in _lines(path, "label-file"):
            key, _, value = line.partition("=")
            if key.split() != [key]:
                raise UsageError(f"--label-file {path}: {line!r:.200} is not KEY=VALUE with a KEY without blanks")
            labels[key] = value
    labels.update(dict(_pairs(options, "label")))
    return IdentityOptions(
        name=options.text("name"),
        replace=options.flag("replace"),
        hostname=options.text("hostname"),
        labels=tuple(labels.items()),
        annotations=tuple(dict(_pairs(options, "annotation")).items()),
        cidfile=options.text("cidfile"),
    )


def _process(options: Options) -> ProcessOptions:
    entrypoints = options.values("entrypoint", tuple)
    return ProcessOptions(
        entrypoint=entrypoints[-1] if entrypoints else None,
        environment=environment(options),
        working_directory=options.text("workdir"),
        user=options.text("user"),
        stop_signal=options.text("stop-signal"),
        stop_timeout_seconds=options.number("stop-timeout"),
        timeout_seconds=options.number("timeout"),
        interactive=options.flag("interactive"),
        terminal=options.flag("tty"),
    )


def _storage(options: Options) -> StorageOptions:
    mounts = [mount for name in ("mount", "volume", "tmpfs") for mount in options.values(name, MountRequest)]
    return StorageOptions(
        mounts=tuple(mounts), read_only=options.flag("read-only"), no_hosts=options.flag("no-hosts")
    )  # fmt: skip


def _limits(options: Options) -> LimitOptions:
    return LimitOptions(
        memory_bytes=options.number("memory"),
        memory_swap_bytes=options.number("memory-swap"),
        cpu_quota_microseconds=options.number("cpus"),
        cpu_shares=options.number("cpu-shares"),
        pids=options.number("pids-limit"),
        ulimits=options.values("ulimit", UlimitRequest),
    )


def _security(options: Options) -> SecurityOptions:
    chosen = dict(_pairs(options, "security-opt"))
    return SecurityOptions(
        capabilities_added=options.texts("cap-add"),
        capabilities_dropped=options.texts("cap-drop"),
        no_new_privileges=chosen.get("no-new-privileges") == "True",
        seccomp_profile=chosen.get("seccomp", ""),
        privileged=options.flag("privileged"),
    )


def _log(options: Options) -> LogOptions:
    driver = options.text("log-driver")
    sizes = options.values("log-opt", int)
    return LogOptions(driver=driver, max_bytes=sizes[-1]) if sizes else LogOptions(driver=driver)


def _pairs(options: Options, name: str) -> list[tuple[str, str]]:
    return [(str(key), str(value)) for key, value in options.values(name, tuple)]


def _assign(merged: dict[str, str], text: str, shown: str) -> None:
    name, equals, value = text.partition("=")
    if not name or "\0" in text:
        raise UsageError(f"invalid environment variable {shown}: must be NAME or NAME=VALUE")
    if equals:
        merged[name] = value
    elif name.endswith("*"):
        merged.update((own, found) for own, found in os.environ.items() if own.startswith(name[:-1]))
    elif name in os.environ:
        merged[name] = os.environ[name]


def _lines(path: str, option: str) -> Iterable[str]:
    """Lines without leading blanks; empty ones and those that begin with # are left out (podman-run(1))."""
    try:
        with open(path, "rb") as file:
            data = file.read(_FILE_LIMIT_BYTES + 1)
    except OSError as error:
        raise UsageError(f"--{option} {path}: {error.strerror}") from None
    if len(data) > _FILE_LIMIT_BYTES:
        raise UsageError(f"--{option} {path} is larger than {_FILE_LIMIT_BYTES >> 20} MiB")
    text = data.decode("utf-8", "surrogateescape").removeprefix("\ufeff")
    stripped = (line.lstrip().rstrip("\r") for line in text.split("\n"))
    return [line for line in stripped if line and not line.startswith("#")]
