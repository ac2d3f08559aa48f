"""wpod save"""

from __future__ import annotations

from wpod.commands.options import Options
from wpod.commands.session import Session
from wpod.errors import ExitCode, UsageError


def execute(session: Session, options: Options, arguments: tuple[str, ...]) -> int:
    """The archive to --output, or its bytes to stdout; nothing else on stdout."""
    from wpod.operations.save import ArchiveFormat, SaveRequest, save_to_file, save_to_stream

    format_ = ArchiveFormat(options.text("format"))
    request = SaveRequest(arguments, format_, options.flag("multi-image-archive"))
    path = options.text("output")
    if path:
        save_to_file(session.store, request, path)
    elif format_ is ArchiveFormat.OCI_DIRECTORY:
        raise UsageError("oci-dir is a directory, not a stream", hint="name it with --output")
    elif session.output.terminal:
        raise UsageError("refusing to save to terminal", hint="use --output, or redirect standard output")
    else:
        save_to_stream(session.store, request, session.output.write)
    return ExitCode.SUCCESS
