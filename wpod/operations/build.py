"""Build an image: stages one after the other, a layer for each COPY and ADD, everything recorded at the end.

Layers are written in the staging area and moved to the blobs when all stages are done, so a failure, Ctrl-C or
kill -9 before leaves nothing that the next sweep of the staging area doesn't take. The lease is held from the
first base image to the record. What an image is made of depends on its base, its files, the instructions and
the time alone: the same input with the same --timestamp gives the same digest.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from wpod.build import documents, stages
from wpod.build.containerfile import Containerfile, Instruction
from wpod.build.ignorefile import IgnoreRules
from wpod.build.image_settings import Arguments, ImageSettings, absolute
from wpod.build.stages import SCRATCH, CopyStep, Plan, Stage
from wpod.errors import InvalidImage, NotThere, RegistryError, UsageError
from wpod.model.image import Descriptor, Image, Platform
from wpod.model.request import PullPolicy
from wpod.operations.build_context import Context, Source, TreeSource
from wpod.operations.build_files import FileJob, Place, add_files, read_file, spool
from wpod.operations.build_stage import MissingDirectory, StageLayer, StageResult, from_image
from wpod.operations.pull import PullRequest, pull
from wpod.runtime.choose import WASM_MAGIC
from wpod.storage import documents as stored
from wpod.storage import image_record, platforms
from wpod.storage.digests import digest_of
from wpod.storage.documents import Manifest
from wpod.storage.file_tree import FileTree
from wpod.storage.layout import store_error, write_atomically
from wpod.storage.registry.auth import Credentials
from wpod.storage.registry.events import Progress, silent
from wpod.storage.store import Store

_LARGEST_MODULE = 1 << 30


@dataclass(frozen=True)
class BaseImages:
    """How base images are got: as `operations.pull`."""

    policy: PullPolicy = PullPolicy.MISSING
    tls_verify: bool | None = None
    authfile: str = ""
    credentials: Credentials | None = None


@dataclass(frozen=True)
class Additions:
    """What the command line adds to the built image, each in its order."""

    environment: tuple[tuple[str, str], ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    annotations: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class BuildRequest:
    """`names` are full references; `shown_name` is the first one as it was typed.

    `excluded_by` names the file that `rules` are from. `platform` None is this machine's, or the base image's.
    """

    file: Containerfile
    context: str
    rules: IgnoreRules
    excluded_by: str = ""
    names: tuple[str, ...] = ()
    shown_name: str = ""
    arguments: Mapping[str, str] = field(default_factory=dict)
    additions: Additions = Additions()
    target: str = ""
    timestamp_seconds: int | None = None
    platform: Platform | None = None
    base_images: BaseImages = BaseImages()


@dataclass(frozen=True)
class Listener:
    """Who hears of the progress: lines of talk, warnings, transfers."""

    say: Callable[[str], None] = lambda _: None
    warn: Callable[[str], None] = lambda _: None
    progress: Progress = silent


@dataclass(frozen=True)
class Built:
    """The new image. `runs_module`: its entrypoint is known to be a wasm module."""

    image: Image
    runs_module: bool


def build(store: Store, request: BuildRequest, listener: Listener) -> Built:
    """The new image, recorded with its names.

    Raises UsageError that names FILE:LINE, NotSupportedYet, what `pull` raises, InvalidImage, StoreError; nothing
    is left behind then.
    """
    arguments = Arguments(request.arguments, _builtin_arguments(request.platform))
    plan = stages.plan(request.file, arguments, request.target)
    context = Context(request.context, request.rules, request.excluded_by, listener.warn)
    try:
        with store.lease(), store.layout.staging("build") as directory:
            return _Build(store, request, listener, _Work(plan, arguments, context, directory)).run()
    finally:
        context.close()


def _builtin_arguments(wanted: Platform | None) -> dict[str, str]:
    """The predefined platform ARGs (Dockerfile reference, "Automatic platform ARGs")."""
    found: dict[str, str] = {}
    for prefix, platform in (("TARGET", wanted or platforms.host()), ("BUILD", platforms.host())):
        found |= {
            f"{prefix}PLATFORM": str(platform), f"{prefix}OS": platform.os, f"{prefix}ARCH": platform.architecture,
            f"{prefix}VARIANT": platform.variant,
        }  # fmt: skip
    return found


@dataclass(frozen=True)
class _Work:
    """What one build works with."""

    plan: Plan
    arguments: Arguments
    context: Context
    directory: str


class _Build:
    """One build, the lease held."""

    def __init__(self, store: Store, request: BuildRequest, listener: Listener, work: _Work) -> None:
        self._store = store
        self._request = request
        self._listener = listener
        self._work = work
        self._results: dict[int, StageResult] = {}
        self._images: dict[str, StageResult] = {}
        stamp = request.timestamp_seconds
        self._now_nanoseconds = time.time_ns() if stamp is None else stamp * 1_000_000_000
        self._created = _rfc3339(self._now_nanoseconds)
        self._place = Place(work.directory, work.context, self._now_nanoseconds, stamp, listener.warn)

    def run(self) -> Built:
        for index in self._work.plan.needed:
            self._stage(index)
        unused = self._work.arguments.unused
        if unused:
            self._listener.warn(f"one or more build args were not consumed: [{' '.join(unused)}]")
        last = self._work.plan.stages[self._work.plan.needed[-1]]
        self._listener.say(f"{self._prefix(last)}COMMIT {self._request.shown_name}".rstrip())
        result = self._results[last.index]
        runs_module = _runs_module(result, self._place)
        return Built(self._commit(result), runs_module)

    def _stage(self, index: int) -> StageResult:
        """The stage's result, built where it isn't yet (a trigger of a base image may ask for any earlier one)."""
        if index in self._results:
            return self._results[index]
        stage, name = self._work.plan.stages[index], self._request.file.name
        for instruction in stage.instructions:
            stages.check(instruction, name)
        result, triggers = self._begin(stage)
        last = index == self._work.plan.needed[-1]
        added = self._added_labels(stage) if last else ()
        instructions = (*stages.triggers_of(triggers, stage, name), *stage.instructions, *added)
        self._step(stage, 1, len(instructions) + 1, stage.shown)
        for number, instruction in enumerate(instructions, 2):
            self._step(stage, number, len(instructions) + 1, instruction.original)
            self._instruction(stage, result, instruction)
        self._results[index] = result
        return result

    def _added_labels(self, stage: Stage) -> list[Instruction]:
        """--label as podman does it: a LABEL instruction for each at the end."""
        found = []
        for key, value in self._request.additions.labels:
            quoted = tuple(_quoted(text, self._request.file.escape) for text in (key, value))
            found.append(Instruction("LABEL", (), "", quoted, False, f'LABEL "{key}"="{value}"', stage.line))
        return found

    def _step(self, stage: Stage, number: int, count: int, original: str) -> None:
        self._listener.say(f"{self._prefix(stage)}STEP {number}/{count}: {original}")

    def _prefix(self, stage: Stage) -> str:
        total = len(self._work.plan.stages)
        return f"[{stage.index + 1}/{total}] " if total > 1 else ""

    def _begin(self, stage: Stage) -> tuple[StageResult, tuple[str, ...]]:
        """What the stage is based on, and the triggers that this brings."""
        name = self._request.file.name
        if stage.base_stage is not None:
            base = self._stage(stage.base_stage)
            return base.derived(), base.settings.triggers
        try:
            platform = platforms.parse(stage.platform) if stage.platform else self._request.platform
            if stage.base == SCRATCH:
                return StageResult(ImageSettings(platform or platforms.host()), _tree=FileTree()), ()
            base = self._image(stage.base, platform)
            if base.module:
                raise InvalidImage(f"{stage.base} is a single wasm module, not an image of layers",
                                   hint="FROM scratch, and COPY the module --from it")  # fmt: skip
        except (InvalidImage, NotThere, RegistryError, UsageError) as error:
            raise stages.located(error, _from_instruction(stage), name) from error
        return base.derived(), base.settings.triggers

    def _image(self, name: str, platform: Platform | None) -> StageResult:
        """An image of the store, pulled where the policy says so."""
        key = f"{name} {platform}"
        if key not in self._images:
            how = self._request.base_images
            asked = PullRequest(name, how.policy, platform, how.tls_verify, how.authfile, how.credentials)
            image = pull(self._store, asked, self._listener.progress)
            self._images[key] = from_image(self._store, image, name)
        return self._images[key]

    def _instruction(self, stage: Stage, result: StageResult, instruction: Instruction) -> None:
        brings_layer = instruction.name in ("COPY", "ADD")
        try:
            if brings_layer:
                step = stages.copy_step(instruction, result.settings, self._request.file.escape)
                words = self._copy(stage, result, instruction, step)
            else:
                result.settings.apply(instruction, self._work.arguments, self._request.file.escape)
                words = instruction.original
        except (ValueError, InvalidImage, NotThere, RegistryError, UsageError) as error:
            raise stages.located(error, instruction, self._request.file.name) from error
        if instruction.name == "WORKDIR":
            settings = result.settings
            result.missing.append(MissingDirectory(instruction, settings.working_directory, settings.user))
        entry = documents.HistoryEntry(words, result.settings.author, result.comment, not brings_layer)
        result.history.append(entry.document(self._created))
        result.comment = ""

    def _copy(self, stage: Stage, result: StageResult, instruction: Instruction, step: CopyStep) -> str:
        """Make the layer of a COPY or ADD; returns what history shows of it."""
        job = FileJob(result.tree, step, self._source(stage, step), tuple(result.missing))
        added = add_files(job, self._place, f"the layer of {instruction.name} in line {instruction.line}")
        result.missing.clear()
        written = added.layer
        descriptor = Descriptor(f"{stored.OCI_LAYER}+gzip", written.digest, written.size_bytes)
        result.layers.append(StageLayer(descriptor, written.diff_id, written.path))
        return f"{instruction.name} {added.kind}:{written.diff_id.removeprefix('sha256:')} in {step.shown} "

    def _source(self, stage: Stage, step: CopyStep) -> Source:
        if not step.source:
            return self._work.context
        index = self._work.plan.earlier_stage(step.source, stage.index)
        if index is not None:
            return TreeSource(self._stage(index).tree, f"stage {step.source}", self._listener.warn)
        if self._work.plan.is_stage(step.source):
            raise ValueError(f"--from={step.source} is not a stage before this one")
        image = self._image(step.source, self._request.platform)
        return TreeSource(image.tree, f"image {step.source}", self._listener.warn)

    def _commit(self, result: StageResult) -> Image:
        request = self._request
        result.settings.environment.update(request.additions.environment)
        config = documents.config(
            result.settings, [layer.diff_id for layer in result.layers], result.history, self._created
        )
        manifest = stored.manifest_document(
            stored.as_oci(
                Manifest(
                    stored.OCI_MANIFEST,
                    Descriptor(stored.OCI_CONFIG, digest_of(config), len(config)),
                    tuple(layer.descriptor for layer in result.layers),
                    {**result.annotations, **dict(request.additions.annotations)},
                )
            )
        )
        checked = stored.parse_manifest(manifest, stored.OCI_MANIFEST)
        if not isinstance(checked, Manifest):
            raise InvalidImage("the built manifest is an index")
        image = image_record.make_image(checked, manifest, config)
        try:
            self._keep(result, config, manifest)
            return self._store.images.record(image, request.names)
        except BaseException:
            with contextlib.suppress(OSError), open(self._store.layout.sweep_note, "wb"):
                pass  # blobs that are in place already go with the next command that writes
            raise

    def _keep(self, result: StageResult, config: bytes, manifest: bytes) -> None:
        for layer in result.layers:
            if layer.path.startswith(self._work.directory + "/"):
                self._store.blobs.adopt(layer.path, layer.descriptor)
        for data in (config, manifest):
            path = self._place.new_path("document")
            try:
                write_atomically(path, data)
            except OSError as error:
                raise store_error(error, path) from error
            self._store.blobs.adopt(path, Descriptor("", digest_of(data), len(data)))


def _runs_module(result: StageResult, place: Place) -> bool:
    """Whether the entrypoint is a module by its first bytes, where the files are known anyway."""
    words = result.settings.entrypoint or result.settings.command
    if not words or not result.tree_is_known:
        return False
    with spool(place) as taken:
        head = read_file(result.tree, taken, absolute(words[0], result.settings.working_directory), _LARGEST_MODULE)
    return head.startswith(WASM_MAGIC)


def _from_instruction(stage: Stage) -> Instruction:
    return Instruction("FROM", (), "", (), False, stage.shown, stage.line)


def _quoted(text: str, escape: str) -> str:
    """A word that `expand` turns into this text."""
    return '"' + "".join(escape + one if one in ('"', "$", escape) else one for one in text) + '"'


def _rfc3339(nanoseconds: int) -> str:
    """As Go writes it: UTC, the fraction without zeros at its end."""
    whole, fraction = divmod(nanoseconds, 1_000_000_000)
    try:
        text = datetime.fromtimestamp(whole, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    except (ValueError, OverflowError, OSError):
        raise UsageError(f"the timestamp {whole} is out of range") from None
    digits = f"{fraction:09d}".rstrip("0")
    return f"{text}.{digits}Z" if digits else f"{text}Z"
