"""WebAssembly modules in Python: inspect, validate, run and compile them with the engine of wpod."""

from os import PathLike
from typing import Literal, final

__version__: str
ENGINE_VERSION: str

_Kind = Literal["function", "table", "memory", "global"]
_Content = Literal[
    "module",
    "component",
    "other-version",
    "compiled",
    "elf",
    "text",
    "script",
    "empty",
    "truncated",
    "unknown",
]

class WamrError(Exception):
    """Base of all errors of this module. The text is one line."""

class InvalidModule(WamrError):
    """The bytes are not a WebAssembly module, or a broken one."""

class UnsupportedFeature(InvalidModule):
    """The module needs a feature that the engine lacks; the text names it."""

class InstantiationError(WamrError):
    """No instance can be made: unknown imports (named), too little memory, a trap in the start function."""

class CallFailed(WamrError):
    """A function isn't exported or takes other arguments, or a range is outside of the memory."""

class Trap(WamrError):
    """The guest trapped. The instance can still be called."""

    kind: Literal[
        "unreachable",
        "out-of-bounds-memory",
        "out-of-bounds-table",
        "divide-by-zero",
        "integer-overflow",
        "invalid-conversion",
        "indirect-call-type",
        "uninitialized-element",
        "stack-overflow",
        "other",
    ]
    function: str | None
    """The function that trapped, where the module has names."""

class CompileError(WamrError):
    """The AOT compiler failed; the text is its own."""

    exit_status: int | None
    """1 can't be compiled, 3 invalid module, 4 file error, 5 unsupported processor; None: killed."""

@final
class Import:
    """What a module wants from its host. `type` is in the words of the text format: `(i32, i32) -> (i32)`."""

    @property
    def module(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> _Kind: ...
    @property
    def type(self) -> str: ...
    @property
    def known(self) -> bool:
        """Whether this engine has a host function of that name and type."""

@final
class Export:
    """What a module offers."""

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> _Kind: ...
    @property
    def type(self) -> str: ...

@final
class MemoryLimits:
    """Limits of a linear memory in pages of 64 KiB; no maximum is None."""

    @property
    def minimum_pages(self) -> int: ...
    @property
    def maximum_pages(self) -> int | None: ...

@final
class Feature:
    """A proposal beyond WebAssembly 1.0 (`simd`, `tail-call`, `threads`, …) that a module uses."""

    @property
    def name(self) -> str: ...
    @property
    def supported(self) -> bool:
        """Whether this engine has it."""

@final
class RunResult:
    """How a WASI command ended, and what it wrote. 128+n is a signal n that it raised itself."""

    @property
    def exit_code(self) -> int: ...
    @property
    def stdout(self) -> bytes: ...
    @property
    def stderr(self) -> bytes: ...

@final
class Module:
    """A module that has been validated and loaded. May be used by several threads."""

    @staticmethod
    def load(data: bytes) -> Module:
        """Validate and load. Raises InvalidModule, UnsupportedFeature."""
    @property
    def imports(self) -> list[Import]: ...
    @property
    def exports(self) -> list[Export]: ...
    @property
    def memory(self) -> MemoryLimits | None:
        """Limits of the (first) memory, imported or own; None without one."""
    @property
    def wasi(self) -> Literal["preview1", "unstable"] | None:
        """The version of WASI that it imports from."""
    @property
    def features(self) -> list[Feature]:
        """In the order of their names."""
    def instantiate(self, *, max_memory_pages: int | None = None, stack_bytes: int = 1048576) -> Instance:
        """Make an instance. Raises InstantiationError.

        `max_memory_pages` caps the memory below the module's own maximum.
        """
    def run(
        self,
        arguments: list[str] = ...,
        environment: list[str] = ...,
        *,
        stdin: bytes | None = None,
        max_memory_pages: int | None = None,
    ) -> RunResult:
        """Run `_start` of a new instance as a WASI command in this process, with no directories.

        `arguments` is the whole argv, `environment` a list of NAME=VALUE. Each output stream takes 64 MiB.
        There is no limit of time. Raises InstantiationError (also where it isn't a command), Trap.
        """

@final
class Instance:
    """An instance of a module. Calls from several threads wait for each other."""

    def call(self, name: str, /, *arguments: int | float) -> int | float | tuple[int | float, ...] | None:
        """Call an exported function: None, its one result, or a tuple of several.

        Integers may be given signed or unsigned and come back signed. Raises CallFailed, Trap.
        """
    def read(self, address: int, size_bytes: int) -> bytes:
        """A copy of a range of the memory. Raises CallFailed where it reaches outside."""
    def write(self, address: int, data: bytes) -> None:
        """Store bytes. Raises CallFailed, and changes nothing, where they don't fit."""
    @property
    def memory_bytes(self) -> int: ...

def recognise(data: bytes) -> _Content:
    """What bytes are, told from their beginning alone; never raises."""

def validate(data: bytes) -> None:
    """Raise what `Module.load` would raise."""

def features(data: bytes) -> list[Feature]:
    """The features that a module uses, also one that the engine refuses. Raises InvalidModule."""

def compile(
    module_path: str | PathLike[str],
    output: str | PathLike[str],
    *,
    compiler: str | PathLike[str],
    digest: str | None = None,
    optimization: int | None = None,
) -> None:
    """Compile the module in a file to machine code, in the cache file `output`.

    Starts the program `compiler` (wpod-aot-compiler) and waits for it. `digest` (`sha256:HEX`) is what the
    module must have; it is computed where it isn't given. `optimization` is LLVM's level, 0 to 3; by default
    it depends on the module's size. Raises CompileError, OSError.
    """
