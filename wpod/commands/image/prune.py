"""wpod image prune"""

from __future__ import annotations

from wpod.commands.options import Options
from wpod.commands.session import Session
from wpod.errors import ExitCode, UsageError


def execute(session: Session, options: Options, _arguments: tuple[str, ...]) -> int:
    """The IDs of what was removed."""
    from wpod.operations.remove_image import prune_images

    for key, _value in options.values("filter", tuple):
        raise UsageError(f"the filter {key!r} is not supported by image prune")
    all_unused = options.flag("all")
    what = "without at least one container associated to them" if all_unused else "which are dangling"
    if not options.flag("force") and not session.output.confirm(
        f"WARNING! This command removes all images {what}.\nAre you sure you want to continue? [y/N] "
    ):
        return ExitCode.SUCCESS
    removed, _collected = prune_images(session.store, all_unused=all_unused)
    for image_id in removed:
        session.output.line(image_id)
    return ExitCode.SUCCESS
