"""The tables of what concerns wpod itself."""

from __future__ import annotations

from wpod.cli import values
from wpod.cli.table import Completes, Kind, Option, Positional, Verb, flag

SHELLS = ("bash", "fish", "zsh")
_FORMAT = Option(("format", "f"), Kind.VALUE, "json, or a Go template", metavar="FORMAT")


def version() -> Verb:
    return Verb(
        ("version",),
        "Show the versions of wpod and its parts",
        "wpod.commands.system.version:execute",
        (_FORMAT,),
        examples=("wpod version", "wpod version -f '{{.Client.Version}}'"),
        note="without a Go version and a commit; the API version is podman's whose command line this is",
    )


def info() -> Verb:
    return Verb(
        ("info",),
        "Show what this machine offers to containers, and what it lacks",
        "wpod.commands.system.info:execute",
        (_FORMAT,),
        examples=(
            "wpod info",
            "wpod info -f '{{range .Wpod.Missing}}{{.What}}: {{.Hint}}{{println}}{{end}}'",
            "wpod info -f json",
        ),
        note="without what there is none of (conmon, slirp4netns, a socket); what only wpod knows is under Wpod",
    )


def doctor() -> Verb:
    return Verb(
        ("doctor",),
        "Name what this machine lacks for containers, and the command that brings it",
        "wpod.commands.system.doctor:execute",
        (_FORMAT,),
        examples=("wpod doctor", "wpod doctor -f '{{.Hint}}'"),
        note="the status is 1 where something is missing",
    )


def check() -> Verb:
    return Verb(
        ("system", "check"),
        "Check the store for damage, and repair it with --repair",
        "wpod.commands.system.check:execute",
        (
            flag("quick q", "Compare sizes only, not digests"),
            flag("repair r", "Repair what can be repaired"),
            flag("force f", "With --repair: remove what is damaged beyond repair"),
        ),
        examples=("wpod system check", "wpod system check --repair"),
    )


def completion() -> Verb:
    return Verb(
        ("completion",),
        "Print the script that completes wpod's command line in a shell (bash, fish, zsh)",
        "wpod.commands.completion:execute",
        (Option(("file", "f"), Kind.VALUE, "Write it to a file", values.not_empty, "FILE", completes=Completes.FILES),),
        (Positional("SHELL", 1, 1, Completes.WORDS, choices=SHELLS),),
        examples=(
            "source <(wpod completion bash)",
            "wpod completion fish -f ~/.config/fish/completions/wpod.fish",
            "wpod completion zsh -f /usr/local/share/zsh/site-functions/_wpod",
        ),
    )


def complete() -> Verb:
    return Verb(
        ("__complete",),
        "What the completion scripts ask: the words that may follow",
        "wpod.cli.completion:offer",  # not below `commands`: it asks the table itself
        (),
        (Positional("WORD", 0, None),),
        stop_at_first_positional=True,
        hot=True,
    )
