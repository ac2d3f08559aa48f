"""The tables of what concerns wpod itself."""

from __future__ import annotations

from wpod.cli import values
from wpod.cli.table import Completes, Kind, Option, Positional, Verb, flag

SHELLS = ("bash", "fish", "zsh")
_FORMAT = Option(("format", "f"), Kind.VALUE, "json, or a Go template", metavar="FORMAT")


def version() -> Verb:
    return Verb(("version",), "Show the versions of wpod and its parts", "wpod.commands.system.version:execute",
                (_FORMAT,))  # fmt: skip


def info() -> Verb:
    return Verb(
        ("info",),
        "Show what this machine offers to containers, and what it lacks",
        "wpod.commands.system.info:execute",
        (_FORMAT,),
        examples=("wpod info", "wpod info -f '{{.Wpod.Cgroups.Mode}}'"),
    )


def check() -> Verb:
    return Verb(
        ("system", "check"),
        "Check the store, and repair it with --repair",
        "wpod.commands.system.check:execute",
        (
            flag("quick q", "Sizes only, no digests"),
            flag("repair r", "Mend what can be mended"),
            flag("force f", "With --repair: remove what is damaged"),
        ),
        examples=("wpod system check", "wpod system check --repair"),
    )


def completion() -> Verb:
    return Verb(
        ("completion",),
        "Print the completion script of a shell",
        "wpod.commands.completion:execute",
        (Option(("file", "f"), Kind.VALUE, "Write it to a file", values.not_empty, "FILE", completes=Completes.FILES),),
        (Positional("SHELL", 1, 1, Completes.WORDS),),
        examples=("wpod completion bash >/etc/bash_completion.d/wpod",),
    )


def complete() -> Verb:
    return Verb(
        ("__complete",),
        "What the completion scripts ask: the words that may follow",
        "wpod.commands.completion:offer",
        (),
        (Positional("WORD", 0, None),),
        stop_at_first_positional=True,
    )
