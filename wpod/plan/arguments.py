"""What the guest executes and where: entrypoint, command, environment, working directory."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable

from wpod.errors import UsageError
from wpod.model.image import ImageConfig
from wpod.model.request import ProcessOptions

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def command_line(
    config: ImageConfig, process: ProcessOptions, arguments: tuple[str, ...], fallback: tuple[str, ...] = ()
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Entrypoint and command, as podman joins them: the user's entrypoint drops the image's command.

    `fallback` is the entrypoint of images whose configuration names none (wasm artifacts). Raises
    UsageError where nothing is left to execute.
    """
    if process.entrypoint is not None:
        entrypoint, command = process.entrypoint, arguments
    else:
        entrypoint = config.entrypoint or (() if config.command or arguments else fallback)
        entrypoint = entrypoint or fallback
        command = arguments or config.command
    if not entrypoint and not command:
        raise UsageError(
            "no command or entrypoint provided, and the image names none",
            hint="wpod run IMAGE COMMAND, or --entrypoint",
        )
    if not (*entrypoint, *command)[0]:
        raise UsageError("the command is empty")
    return entrypoint, command


def merge_environment(image: Iterable[str], user: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """NAME=VALUE of the image, the user's over it; entries of the image without = are passed over."""
    merged: dict[str, str] = {}
    for setting in image:
        name, equals, value = setting.partition("=")
        if equals and name:
            merged[name] = value
    for name, value in user:
        merged[name] = value
    return tuple(f"{name}={value}" for name, value in merged.items())


def native_environment(settings: tuple[str, ...], hostname: str, home: str, terminal: bool) -> tuple[str, ...]:
    """What a native container gets beside its settings, where it doesn't set it itself (podman does the same)."""
    names = {setting.partition("=")[0] for setting in settings}
    standard = [("PATH", DEFAULT_PATH), ("container", "wpod"), ("HOME", home), ("HOSTNAME", hostname)]
    if terminal:
        standard.append(("TERM", "xterm"))
    return (*(f"{name}={value}" for name, value in standard if name not in names), *settings)


def absolute_directory(path: str) -> str:
    """A working directory of the guest: absolute and normal; relative ones start at /, .. never leaves it."""
    return posixpath.normpath(posixpath.join("/", path)).replace("//", "/")


def program_candidates(program: str, working_directory: str, environment: tuple[str, ...]) -> tuple[str, ...]:
    """Where the program may be in the container's root, in the order of execvp(3).

    A plain name is looked for along the guest's PATH, then (wasm images name their module so) in the
    working directory and the root.
    """
    if "/" in program:
        return (absolute_directory(posixpath.join(working_directory, program)),)
    search = next((s.partition("=")[2] for s in environment if s.startswith("PATH=")), DEFAULT_PATH)
    directories = [part for part in search.split(":") if part.startswith("/")]
    places = [*directories, working_directory, "/"]
    return tuple(dict.fromkeys(absolute_directory(posixpath.join(place, program)) for place in places))
