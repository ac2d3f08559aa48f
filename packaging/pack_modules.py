"""pack_modules.py DIRECTORY: puts all modules of the package there into one file, as wpod/packed.py reads them.

They have been compiled already (compileall, by the same interpreter): what is packed is what would be found beside it.
"""

from __future__ import annotations

import importlib.util
import marshal
import sys
from pathlib import Path
from types import CodeType

_HEAD_BYTES = 16  # of a .pyc: what follows is the code (PEP 552)


def main(package: Path) -> None:
    """Write the file. Raises OSError where a module was not compiled."""
    sys.path.insert(0, str(package.parent))
    from wpod import packed

    found: dict[str, tuple[CodeType, bool]] = {}
    for source in sorted(package.rglob("*.py")):
        compiled = Path(importlib.util.cache_from_source(str(source)))
        words = source.relative_to(package.parent).with_suffix("").parts
        is_package = words[-1] == "__init__"
        found[".".join(words[:-1] if is_package else words)] = _code_of(compiled), is_package
    (package / packed.FILE).write_bytes(packed.pack(found))


def _code_of(compiled: Path) -> CodeType:
    code = marshal.loads(compiled.read_bytes()[_HEAD_BYTES:])  # noqa: S302 - just compiled from our own source
    assert isinstance(code, CodeType)
    return code


if __name__ == "__main__":
    main(Path(sys.argv[1]))
