"""What a WebAssembly module is and wants, for `image inspect` and for refusing it with a reason.

The only module that imports pywamr, which costs a few milliseconds: nothing on the way of a start with a
filled cache imports it.
"""

from __future__ import annotations

import pywamr

from wpod.enumeration import Enum
from wpod.errors import StoreError
from wpod.frozen import frozen

# Larger files are not modules that anybody means to run, and reading them would take the memory.
MODULE_LIMIT_BYTES = 512 * 1024 * 1024
PAGE_BYTES = 64 * 1024


class WasiVersion(Enum):
    """Which version of WASI a module imports from."""

    NONE = "none"
    UNSTABLE = "unstable"
    PREVIEW1 = "preview1"
    COMPONENT = "0.2"


@frozen
class ImportReport:
    """`type` as in the text format: `(i32) -> (i32)`. `known`: the engine has it."""

    module: str
    name: str
    kind: str
    type: str
    known: bool


@frozen
class ExportReport:
    """What a module offers; `type` as in ImportReport."""

    name: str
    kind: str
    type: str


@frozen
class ModuleReport:
    """Everything that is known of a module without running it.

    `problem` is one line where the engine refuses it, and None where it loads. `features` are names of
    proposals beyond WebAssembly 1.0, `missing_features` those of them that the engine lacks.
    """

    wasi: WasiVersion
    imports: tuple[ImportReport, ...] = ()
    exports: tuple[ExportReport, ...] = ()
    memory_minimum_bytes: int = 0
    memory_maximum_bytes: int | None = None
    features: tuple[str, ...] = ()
    missing_features: tuple[str, ...] = ()
    problem: str | None = None

    @property
    def unknown_imports(self) -> tuple[str, ...]:
        return tuple(f"{wanted.module}.{wanted.name}" for wanted in self.imports if not wanted.known)

    @property
    def is_command(self) -> bool:
        """Whether it has what a container runs: an exported function `_start`."""
        return any(offered.name == "_start" and offered.kind == "function" for offered in self.exports)


def engine_version() -> str:
    """The version of WAMR's sources that the engine is built from."""
    return pywamr.ENGINE_VERSION


def inspect_module(path: str) -> ModuleReport:
    """Read and load the module in a file. Raises StoreError where the file can't be read.

    A file that is no module is a report with a `problem`, not an error.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(MODULE_LIMIT_BYTES + 1)
    except OSError as error:
        raise StoreError(f"module {path} can't be read: {error.strerror}") from None
    if len(data) > MODULE_LIMIT_BYTES:
        return ModuleReport(WasiVersion.NONE, problem=f"larger than {MODULE_LIMIT_BYTES} bytes")
    return inspect_bytes(data)


def describe(report: ModuleReport) -> dict[str, object]:
    """The report as `image inspect` shows it under `Wpod.Module`."""
    return {
        "Wasi": report.wasi.value,
        "Command": report.is_command,
        "MemoryMinimumBytes": report.memory_minimum_bytes,
        "MemoryMaximumBytes": report.memory_maximum_bytes,
        "Imports": [
            {"Module": one.module, "Name": one.name, "Kind": one.kind, "Type": one.type, "Known": one.known}
            for one in report.imports
        ],
        "UnknownImports": list(report.unknown_imports),
        "Exports": [{"Name": one.name, "Kind": one.kind, "Type": one.type} for one in report.exports],
        "Features": list(report.features),
        "MissingFeatures": list(report.missing_features),
        "Problem": report.problem,
    }


def inspect_bytes(data: bytes) -> ModuleReport:
    """As `inspect_module`, of bytes."""
    if pywamr.recognise(data) == "component":
        problem = "a WASI 0.2 component, which needs an engine for components"
        return ModuleReport(WasiVersion.COMPONENT, problem=problem)
    try:
        module = pywamr.Module.load(data)
    except pywamr.WamrError as error:
        return _refused(data, str(error))
    memory = module.memory
    features = module.features
    return ModuleReport(
        wasi=WasiVersion(module.wasi or "none"),
        imports=tuple(
            ImportReport(wanted.module, wanted.name, wanted.kind, wanted.type, wanted.known)
            for wanted in module.imports
        ),
        exports=tuple(ExportReport(offered.name, offered.kind, offered.type) for offered in module.exports),
        memory_minimum_bytes=memory.minimum_pages * PAGE_BYTES if memory else 0,
        memory_maximum_bytes=(
            memory.maximum_pages * PAGE_BYTES if memory and memory.maximum_pages is not None else None
        ),
        features=tuple(feature.name for feature in features),
        missing_features=tuple(feature.name for feature in features if not feature.supported),
    )


def _refused(data: bytes, problem: str) -> ModuleReport:
    """A module that the engine refuses can still be read for its features, if it is well-formed."""
    try:
        features = pywamr.features(data)
    except pywamr.WamrError:
        return ModuleReport(WasiVersion.NONE, problem=problem)
    missing = tuple(feature.name for feature in features if not feature.supported)
    return ModuleReport(
        WasiVersion.NONE,
        features=tuple(feature.name for feature in features),
        missing_features=missing,
        problem=problem if not missing else f"the module needs what the engine lacks: {', '.join(missing)}",
    )
