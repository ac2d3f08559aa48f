"""wpod build"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass

from wpod import paths
from wpod.commands.image.progress import TransferDisplay
from wpod.commands.options import Options
from wpod.commands.request import assigned, platform
from wpod.commands.session import Session
from wpod.errors import ExitCode, NotSupportedYet, StoreError, UsageError
from wpod.model.request import PullPolicy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wpod.build.containerfile import Containerfile
    from wpod.build.ignorefile import IgnoreRules
    from wpod.operations.build import BaseImages, BuildRequest

_REMOTE = re.compile(r"[a-z][a-z0-9+.-]*://|git@|github\.com/", re.IGNORECASE)
_FILE_NAMES = ("Containerfile", "Dockerfile")
_IGNORE_NAMES = (".containerignore", ".dockerignore")
_STREAMS = ("/dev/stdin", "/dev/fd/", "/proc/self/fd/")
_POLICIES = {"true": PullPolicy.ALWAYS, "false": PullPolicy.MISSING}
_NOT_TAKEN = re.compile(r"[\ud800-\udfff]")


def execute(session: Session, options: Options, arguments: tuple[str, ...]) -> int:
    """The image's ID on stdout; the steps on stderr."""
    from wpod.operations.build import Listener, build
    from wpod.operations.precompile import precompile

    output, quiet = session.output, options.flag("quiet")
    request = _request(options, arguments)
    listener = Listener(
        say=(lambda _: None) if quiet else output.talk,
        warn=output.warning,
        progress=TransferDisplay(output, quiet),
    )
    built = build(session.store, request, listener)
    image = built.image
    if options.given("iidfile"):
        _write_id(options.text("iidfile"), image.image_id)
    if not quiet:
        output.talk(f"--> {image.image_id[:11]}")
        for name in request.names:
            output.talk(f"Successfully tagged {name}")
    output.line(image.image_id)
    precompile(session.store, image, known=built.runs_module)
    return ExitCode.SUCCESS


def _request(options: Options, arguments: tuple[str, ...]) -> BuildRequest:
    from wpod.operations.build import Additions, BuildRequest
    from wpod.storage.registry import names

    tags = options.texts("tag")
    references = tuple(dict.fromkeys(names.local(tag).stored for tag in tags))
    context, containerfile = _inputs(options, arguments)
    rules = _ignore_rules(options, context, containerfile)
    return BuildRequest(
        file=containerfile.parsed,
        context=context,
        rules=rules.rules,
        excluded_by=rules.name,
        names=references,
        shown_name=tags[0] if tags else "",
        arguments=assigned(options.texts("build-arg")),
        additions=Additions(
            tuple(assigned(options.texts("env")).items()), _pairs(options, "label"), _pairs(options, "annotation")
        ),
        target=options.text("target"),
        timestamp_seconds=options.number("timestamp") if options.given("timestamp") else None,
        platform=platform(options),
        base_images=_base_images(options),
    )


def _base_images(options: Options) -> BaseImages:
    from wpod.operations.build import BaseImages
    from wpod.storage.registry import auth

    word = options.text("pull")
    return BaseImages(
        policy=_POLICIES.get(word) or PullPolicy(word),
        tls_verify=options.flag("tls-verify") if options.given("tls-verify") else None,
        authfile=options.text("authfile"),
        credentials=auth.parse_pair(options.text("creds")) if options.given("creds") else None,
    )


def _pairs(options: Options, name: str) -> tuple[tuple[str, str], ...]:
    found = tuple((str(key), str(value)) for key, value in options.values(name, tuple))
    for pair in found:
        if _NOT_TAKEN.search("".join(pair)):
            raise UsageError(f"--{name} {'='.join(pair)!r:.100} is not UTF-8")
    return found


@dataclass(frozen=True)
class _Found:
    """The Containerfile, and where it is ("" for standard input)."""

    parsed: Containerfile
    path: str


def _inputs(options: Options, arguments: tuple[str, ...]) -> tuple[str, _Found]:
    """The context directory and the Containerfile. Without a CONTEXT it is the directory of --file, or `.`."""
    from wpod.build import containerfile
    from wpod.operations.build_context import open_context

    given = options.text("file")
    beside = "" if given in ("", "-") or given.startswith(_STREAMS) else os.path.dirname(given)
    context = arguments[0] if arguments else beside or "."
    if _REMOTE.match(context):
        raise NotSupportedYet(f"the context {context!r:.200}", hint="fetch it, and give its directory")
    if context == "-":
        raise NotSupportedYet("a context from standard input", hint="-f - takes the Containerfile from there")
    if _REMOTE.match(given):
        raise NotSupportedYet(f"--file {given!r:.200}", hint="fetch it first")
    context = paths.absolute(context)
    os.close(open_context(context))
    data, name, path = _containerfile(given, context)
    if not data.strip():
        raise UsageError(f"no contents in {name}")
    return context, _Found(containerfile.parse(data, name), path)


def _containerfile(given: str, context: str) -> tuple[bytes, str, str]:
    """Content, name for errors, path. A relative --file counts from here, else from the context (podman-build(1))."""
    from wpod.build.containerfile import LARGEST_FILE_BYTES

    limit = LARGEST_FILE_BYTES + 1
    if given == "-":
        return _read_descriptor(os.dup(0), limit), "standard input", ""
    if given and (os.path.lexists(given) or os.path.isabs(given)):
        return _read_named(given, limit), given, given
    for name in (given,) if given else _FILE_NAMES:
        data = _read_in_context(context, name, limit)
        if data is not None:
            return data, name, f"{context}/{name}"
    if given:
        raise UsageError(f"{given}: no such file or directory")
    raise UsageError(f"no Containerfile or Dockerfile in the context directory {context}", hint="-f names another file")


def _read_named(path: str, limit: int) -> bytes:
    """A file that the user named: links are followed, pipes are read where they are of this process."""
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY | (0 if path.startswith(_STREAMS) else os.O_NONBLOCK)
    try:
        descriptor = os.open(path, flags)
    except OSError as error:
        raise UsageError(f"{path}: {(error.strerror or str(error)).lower()}") from None
    if not path.startswith(_STREAMS) and not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise UsageError(f"{path} is not a regular file")
    return _read_descriptor(descriptor, limit)


def _read_in_context(context: str, name: str, limit: int) -> bytes | None:
    """A file of the context, which may be hostile: links stay inside. None where there is none."""
    from wpod.kernel import openat2

    root = os.open(context, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        descriptor = openat2.open_in_root(root, name, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise UsageError(f"{context}/{name}: {(error.strerror or str(error)).lower()}") from None
    finally:
        os.close(root)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise UsageError(f"{context}/{name} is not a regular file")
    return _read_descriptor(descriptor, limit)


def _read_descriptor(descriptor: int, limit: int) -> bytes:
    try:
        with os.fdopen(descriptor, "rb") as stream:
            return stream.read(limit)
    except OSError as error:
        raise UsageError(f"the Containerfile can't be read: {error.strerror}") from None


@dataclass(frozen=True)
class _Rules:
    rules: IgnoreRules
    name: str


def _ignore_rules(options: Options, context: str, found: _Found) -> _Rules:
    """--ignorefile, else the one beside the Containerfile, else the context's."""
    from wpod.build import ignorefile

    limit = ignorefile.LARGEST_FILE_BYTES + 1
    if options.given("ignorefile"):
        name = options.text("ignorefile")
        return _Rules(ignorefile.parse(_read_named(name, limit), name), name)
    for suffix in _IGNORE_NAMES if found.path else ():
        name = found.path + suffix
        if os.path.isfile(name) and not os.path.islink(name):
            return _Rules(ignorefile.parse(_read_named(name, limit), name), name)
    for name in _IGNORE_NAMES:
        data = _read_in_context(context, name, limit)
        if data is not None:
            return _Rules(ignorefile.parse(data, name), name)
    return _Rules(ignorefile.IgnoreRules(), "")


def _write_id(path: str, image_id: str) -> None:
    try:
        with open(path, "w") as file:
            file.write(f"sha256:{image_id}")
    except OSError as error:
        raise StoreError(f"--iidfile {path}: {error.strerror}") from None
