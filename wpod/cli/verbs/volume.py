"""The tables of what is done with named volumes."""

from __future__ import annotations

from wpod.cli import values
from wpod.cli.table import Completes, Kind, Option, Positional, Verb, flag

FILTERS = ("dangling", "driver", "label", "name", "scope")


def create() -> Verb:
    return Verb(
        ("volume", "create"),
        "Create a named volume",
        "wpod.commands.volume.create:execute",
        (
            Option(("driver", "d"), Kind.VALUE, "Driver: local is the only one", values.choice("local"), "DRIVER",
                   "local", "local only", choices=("local",), completes=Completes.WORDS),
            Option(("label", "l"), Kind.COMMAS, "Set a label", values.key_value, "KEY=VALUE"),
        ),
        (Positional("NAME", 0, 1),),
        examples=("wpod volume create data",),
    )  # fmt: skip


def ls() -> Verb:
    return Verb(
        ("volume", "ls"),
        "List volumes",
        "wpod.commands.volume.ls:execute",
        (
            Option(("filter", "f"), Kind.COMMAS,
                   f"Only those that match, e.g. dangling=true; keys: {', '.join(FILTERS)}", values.filter_term,
                   "KEY=VALUE"),
            Option(("format",), Kind.VALUE, "json, table, or a Go template", metavar="FORMAT"),
            flag("noheading", "Print no header line"),
            flag("quiet q", "Print only names"),
        ),
    )  # fmt: skip


def inspect() -> Verb:
    return Verb(
        ("volume", "inspect"),
        "Show all about volumes as JSON",
        "wpod.commands.volume.inspect:execute",
        (
            flag("all a", "Show all volumes"),
            Option(("format", "f"), Kind.VALUE, "json, or a Go template", metavar="FORMAT", default="json"),
        ),
        (Positional("VOLUME", 1, None, Completes.VOLUMES, ("all",)),),
    )


def rm() -> Verb:
    return Verb(
        ("volume", "rm"),
        "Remove volumes",
        "wpod.commands.volume.rm:execute",
        (
            flag("all a", "Remove all volumes"),
            flag("force f", "Remove the containers that use it too, and ignore volumes that aren't there"),
            Option(("time", "t"), Kind.VALUE, "Seconds of grace for running containers", values.stop_seconds,
                   "SECONDS", "10"),
        ),
        (Positional("VOLUME", 1, None, Completes.VOLUMES, ("all",)),),
    )  # fmt: skip


def prune() -> Verb:
    return Verb(
        ("volume", "prune"),
        "Remove volumes that no container uses",
        "wpod.commands.volume.prune:execute",
        (
            Option(("filter",), Kind.LIST, "Only those that match, e.g. label=test", values.filter_term, "KEY=VALUE"),
            flag("force f", "Don't ask first"),
        ),
    )


def exists() -> Verb:
    return Verb(
        ("volume", "exists"),
        "Tell by the exit status whether a volume is there (0 yes, 1 no)",
        "wpod.commands.volume.exists:execute",
        (),
        (Positional("VOLUME", 1, 1, Completes.VOLUMES),),
    )
