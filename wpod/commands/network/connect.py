"""wpod network connect"""

from __future__ import annotations

from wpod.commands.options import Options
from wpod.commands.session import Session
from wpod.errors import ExitCode
from wpod.model.network import Attachment


def execute(session: Session, options: Options, arguments: tuple[str, ...]) -> int:
    """Without a word, as podman."""
    from wpod.operations import network_records

    attachment = Attachment(
        network=arguments[0],
        addresses=tuple(text for text in (options.text("ip"), options.text("ip6")) if text),
        mac=options.text("mac-address"),
        aliases=options.texts("alias"),
    )
    network_records.connect(session.store, arguments[1], attachment)
    return ExitCode.SUCCESS
