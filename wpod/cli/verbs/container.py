"""The tables of what is done with containers."""

from __future__ import annotations

from wpod.cli import values
from wpod.cli.table import Completes, Kind, Option, Positional, Verb, flag, section
from wpod.cli.verbs.container_options import (
    STOP_SECONDS,
    cidfiles,
    filters,
    latest,
    running_options,
)

PS_FILTERS = ("ancestor", "before", "exited", "id", "label", "name", "network", "since", "status", "until",
              "volume")  # fmt: skip
PS_SORT = ("command", "created", "id", "image", "memory", "names", "runningfor", "size", "status")
WAIT_CONDITIONS = ("configured", "created", "exited", "initialized", "removing", "running", "stopped", "stopping",
                   "unknown")  # fmt: skip
STATS_OUTPUTS = ("csv", "json", "openmetrics")
MEMORY_FORMATS = ("json", "text")
TOP_FORMATS = ("json", "svg", "table")
INSPECT_TYPES = ("all", "container", "image", "network", "volume")


def run() -> Verb:
    from wpod.cli.verbs.container_options import creating_options

    return Verb(
        ("run",),
        "Create a container from an image and start it",
        "wpod.commands.container.run:execute",
        (
            *creating_options(
                flag("detach d", "Run in the background and print the container's ID"),
                Option(("scale",), Kind.VALUE, "With --detach: start N containers, NAME-1 to NAME-N, or none of them",
                       values.scale, "N"),
            ),
            *section("Taken for podman's sake", (
                flag("sig-proxy", "Pass signals on to the guest (always so)",
                     note="always on: wpod becomes the guest's process"),
                Option(("detach-keys",), Kind.VALUE, "Only empty: there is nothing to detach from",
                       parse=_no_detach_keys, metavar="KEYS", note="only the empty value"),
            )),
        ),
        (Positional("IMAGE", 1, 1, Completes.IMAGES), Positional("ARGUMENT", 0, None)),
        stop_at_first_positional=True,
        hot=True,
        examples=(
            "wpod run --rm IMAGE",
            "wpod run -it --rm IMAGE sh",
            "wpod run -d --name web -v ./data:/data:ro -e PORT=8080 IMAGE serve --verbose",
            "wpod run --rm --memory 64m --read-only IMAGE",
            "wpod run -d --scale 100 --name worker IMAGE",
        ),
    )  # fmt: skip


def create() -> Verb:
    from wpod.cli.verbs.container_options import creating_options

    return Verb(
        ("create",),
        "Create a container from an image without starting it",
        "wpod.commands.container.create:execute",
        creating_options(),
        (Positional("IMAGE", 1, 1, Completes.IMAGES), Positional("ARGUMENT", 0, None)),
        stop_at_first_positional=True,
        hot=True,
        examples=("wpod create --name web IMAGE", "wpod start web"),
    )


def ps() -> Verb:
    return Verb(
        ("ps",),
        "List containers",
        "wpod.commands.container.ps:execute",
        (
            flag("all a", "Show all containers, not only running ones"),
            filters(short=True, text=f"Only those that match, e.g. status=exited; keys: {', '.join(PS_FILTERS)}"),
            Option(("format",), Kind.VALUE, "json, table, or a Go template over the columns", metavar="FORMAT"),
            Option(("last", "n"), Kind.VALUE, "Show the N created last, running or not; -1 is no limit", values.whole,
                   "N", "-1"),
            latest("Show the one created last, running or not"),
            flag("memory", "Show how much memory each container has, and the limit of it that it hit last"),
            flag("no-trunc", "Show whole IDs and commands"),
            flag("noheading", "Print no header line"),
            flag("quiet q", "Print only IDs"),
            flag("size s", "Show how much each container wrote and how large its root is"),
            Option(("sort",), Kind.VALUE, "Sort by a column", values.choice(*PS_SORT), "COLUMN", "created",
                   choices=PS_SORT, completes=Completes.WORDS),
            flag("sync", "Ask the kernel for every state (always so)", note="always so"),
        ),
        hot=True,
        examples=(
            "wpod ps -a",
            "wpod ps --filter status=exited --format '{{.Names}} {{.Status}}'",
            "wpod ps -a --format json",
        ),
    )  # fmt: skip


def start() -> Verb:
    return Verb(
        ("start",),
        "Start containers that were created or have ended",
        "wpod.commands.container.start:execute",
        (
            flag("all", "Start all that don't run"),
            flag("attach a", "Stay in the foreground; the exit status is the guest's"),
            filters(short=True),
            flag("interactive i", "With --attach: connect this standard input to the guest"),
            latest(),
            flag("sig-proxy", "Pass signals on to the guest (always so)", note="always on with --attach"),
        ),
        (Positional("CONTAINER", 1, None, Completes.CONTAINERS, ("all", "latest", "filter")),),
        hot=True,
        examples=("wpod start web", "wpod start -a web"),
    )


def stop() -> Verb:
    return Verb(
        ("stop",),
        "Stop containers: ask them to end, and end them after a grace time",
        "wpod.commands.container.stop:execute",
        (
            flag("all a", "Stop all that run"),
            cidfiles(),
            filters(short=True),
            flag("ignore i", "Ignore containers that aren't there"),
            latest(),
            STOP_SECONDS,
        ),
        (Positional("CONTAINER", 1, None, Completes.RUNNING_CONTAINERS, ("all", "latest", "cidfile", "filter")),),
        hot=True,
        examples=("wpod stop web", "wpod stop -t 3 --all"),
    )


def restart() -> Verb:
    return Verb(
        ("restart",),
        "Stop containers and start them again",
        "wpod.commands.container.restart:execute",
        (
            flag("all a", "Restart all containers, also those that don't run"),
            cidfiles(),
            filters(short=True),
            latest(),
            flag("running", "Restart all that run"),
            STOP_SECONDS,
        ),
        (Positional("CONTAINER", 1, None, Completes.CONTAINERS, ("all", "latest", "cidfile", "filter", "running")),),
        examples=("wpod restart web",),
    )


def kill() -> Verb:
    return Verb(
        ("kill",),
        "Send a signal to containers",
        "wpod.commands.container.kill:execute",
        (
            flag("all a", "Signal all that run"),
            cidfiles(),
            latest(),
            Option(("signal", "s"), Kind.VALUE, "Signal, by name or number", values.signal_number, "SIGNAL", "9",
                   completes=Completes.SIGNALS),
        ),
        (Positional("CONTAINER", 1, None, Completes.RUNNING_CONTAINERS, ("all", "latest", "cidfile")),),
        hot=True,
        examples=("wpod kill web", "wpod kill -s HUP web"),
    )  # fmt: skip


def rm() -> Verb:
    return Verb(
        ("rm",),
        "Remove containers",
        "wpod.commands.container.rm:execute",
        (
            flag("all a", "Remove all containers (running ones only with --force)"),
            cidfiles(),
            filters(short=False),
            flag("force f", "Stop running ones first, and ignore those that aren't there"),
            flag("ignore i", "Ignore containers that aren't there"),
            latest(),
            STOP_SECONDS,
            flag("volumes v", "Remove their anonymous volumes too"),
        ),
        (Positional("CONTAINER", 1, None, Completes.CONTAINERS, ("all", "latest", "cidfile", "filter")),),
        hot=True,
        examples=("wpod rm web", "wpod rm -f --all"),
    )


def wait() -> Verb:
    return Verb(
        ("wait",),
        "Wait for containers to end and print their exit statuses",
        "wpod.commands.container.wait:execute",
        (
            Option(("condition",), Kind.COMMAS, "Status to wait for (default stopped)",
                   values.choice(*WAIT_CONDITIONS), "STATUS", choices=WAIT_CONDITIONS, completes=Completes.WORDS),
            Option(("interval", "i"), Kind.VALUE, "Longest time between two looks", values.interval, "TIME", "250ms",
                   "an end is noticed at once"),
            flag("ignore", "Print -1 for containers that aren't there"),
            latest(),
        ),
        (Positional("CONTAINER", 1, None, Completes.CONTAINERS, ("latest",)),),
        hot=True,
        examples=("wpod wait web",),
    )  # fmt: skip


def logs() -> Verb:
    return Verb(
        ("logs",),
        "Show what containers wrote",
        "wpod.commands.container.logs:execute",
        (
            flag("follow f", "Go on showing until the container ends"),
            latest(),
            flag("names n", "Put the container's name before each line"),
            Option(("since",), Kind.VALUE, "Show from this time on: RFC 3339, Unix seconds or 10m", metavar="TIME"),
            Option(("until",), Kind.VALUE, "Show up to this time", metavar="TIME"),
            Option(("tail",), Kind.VALUE, "Show the last N lines; -1 is all", values.whole, "N", "-1"),
            flag("timestamps t", "Put the time before each line"),
        ),
        (Positional("CONTAINER", 1, None, Completes.CONTAINERS, ("latest",)),),
        hot=True,
        examples=("wpod logs -f web", "wpod logs --since 10m --tail 20 web"),
    )


def port() -> Verb:
    return Verb(
        ("port",),
        "Show where the ports of a container are published",
        "wpod.commands.container.port:execute",
        (flag("all a", "Show those of all that run"), latest()),
        (
            Positional("CONTAINER", 1, 1, Completes.CONTAINERS, ("all", "latest")),
            Positional("PORT[/PROTOCOL]", 0, 1),
        ),
        hot=True,
        examples=("wpod port web", "wpod port web 80/tcp"),
    )


def stats() -> Verb:
    return Verb(
        ("stats",),
        "Show what containers use: processor, memory by its parts, network and storage",
        "wpod.commands.container.stats:execute",
        (
            flag("all a", "Show all containers, not only running ones"),
            Option(("format",), Kind.VALUE, "table, json, openmetrics, or a Go template over the columns",
                   metavar="FORMAT"),
            Option(("interval", "i"), Kind.VALUE, "Seconds between two looks", values.whole, "SECONDS", "5"),
            latest("Show the one created last"),
            flag("no-reset", "Print one look below the other instead of clearing the screen"),
            flag("no-stream", "Look once"),
            flag("no-trunc", "Show whole IDs"),
            Option(("output",), Kind.VALUE, "The same figures as csv, json or openmetrics",
                   values.choice(*STATS_OUTPUTS), "FORMAT", choices=STATS_OUTPUTS, completes=Completes.WORDS),
        ),
        (Positional("CONTAINER", 0, None, Completes.RUNNING_CONTAINERS),),
        hot=True,
        examples=(
            "wpod stats",
            "wpod stats --no-stream --format json web",
            "wpod stats --no-stream --format 'table {{.Name}} {{.Total}} {{.Own}} {{.Linear}}'",
            "wpod stats --output csv --interval 1 > figures.csv",
        ),
    )  # fmt: skip


def top() -> Verb:
    return Verb(
        ("top",),
        "Show where the memory of all containers is, live, or list the processes of one",
        "wpod.commands.container.top:execute",
        (
            Option(("filter",), Kind.VALUE, "Only what these words let through: name or image, kind:wasm,"
                   " state:exited, total>10M, limit>80, grow>0", metavar="WORDS"),
            Option(("format",), Kind.VALUE, "With --once: table, json or svg", values.choice(*TOP_FORMATS), "FORMAT",
                   "table", choices=TOP_FORMATS, completes=Completes.WORDS),
            Option(("interval", "i"), Kind.VALUE, "Seconds between two looks", values.whole, "SECONDS", "1"),
            latest("List the processes of the one created last"),
            flag("once", "Print one look instead of the full screen"),
            Option(("record",), Kind.VALUE, "Write each look to a new file, one JSON object a line; without a terminal"
                   " nothing is shown", metavar="FILE", completes=Completes.FILES),
            Option(("replay",), Kind.VALUE, "Show a recording instead of what is there", metavar="FILE",
                   completes=Completes.FILES),
            Option(("size",), Kind.VALUE, "With --once: WIDTHxHEIGHT of the table or picture", metavar="SIZE"),
        ),
        (Positional("CONTAINER", 0, 1, Completes.RUNNING_CONTAINERS), Positional("FIELD", 0, None)),
        stop_at_first_positional=True,
        examples=(
            "wpod top",
            "wpod top --record figures.jsonl",
            "wpod top --replay figures.jsonl",
            "wpod top --once --filter 'kind:wasm total>1M'",
            "wpod top web pid user comm",
        ),
    )  # fmt: skip


def memory() -> Verb:
    return Verb(
        ("memory",),
        "Tell in words where the memory of containers is, and what would save most",
        "wpod.commands.container.memory:execute",
        (
            Option(("format",), Kind.VALUE, "text or json", values.choice(*MEMORY_FORMATS), "FORMAT", "text",
                   choices=MEMORY_FORMATS, completes=Completes.WORDS),
            latest(),
        ),
        (Positional("CONTAINER", 1, None, Completes.RUNNING_CONTAINERS, ("latest",)),),
        examples=("wpod memory web", "wpod why web", "wpod memory --format json web"),
    )  # fmt: skip


def inspect() -> Verb:
    return Verb(
        ("inspect",),
        "Show all about containers, images, networks or volumes as JSON",
        "wpod.commands.inspect:execute",
        (
            Option(("format", "f"), Kind.VALUE, "json, or a Go template", metavar="FORMAT", default="json"),
            latest(),
            flag("size s", "Add how much the container wrote and how large its root is"),
            Option(("type", "t"), Kind.VALUE, "Look only among objects of this type", values.choice(*INSPECT_TYPES),
                   "TYPE", "all", "all, container, image, network or volume", Completes.WORDS, INSPECT_TYPES),
        ),
        (Positional("NAME", 1, None, Completes.OBJECTS, ("latest",)),),
        hot=True,
        examples=("wpod inspect web", "wpod inspect -f '{{.State.ExitCode}}' web"),
    )  # fmt: skip


def container_inspect() -> Verb:
    return Verb(
        ("container", "inspect"),
        "Show all about containers as JSON",
        "wpod.commands.inspect:execute_container",
        (
            Option(("format", "f"), Kind.VALUE, "json, or a Go template", metavar="FORMAT", default="json"),
            latest(),
            flag("size s", "Add how much the container wrote and how large its root is"),
        ),
        (Positional("CONTAINER", 1, None, Completes.CONTAINERS, ("latest",)),),
    )


def exec_() -> Verb:
    return Verb(
        ("exec",),
        "Run a program in a running native container",
        "wpod.commands.container.exec:execute",
        (*running_options(), latest(), flag("privileged", "Run it with all capabilities")),
        (Positional("CONTAINER", 1, 1, Completes.RUNNING_CONTAINERS, ("latest",)), Positional("ARGUMENT", 0, None)),
        stop_at_first_positional=True,
        hot=True,
        examples=("wpod exec web ls /", "wpod exec -it web sh"),
        note="native containers only, and not detached",
    )


def exists() -> Verb:
    return Verb(
        ("container", "exists"),
        "Tell by the exit status whether a container is there (0 yes, 1 no)",
        "wpod.commands.container.exists:execute",
        (),
        (Positional("CONTAINER", 1, 1, Completes.CONTAINERS),),
    )


def prune() -> Verb:
    return Verb(
        ("container", "prune"),
        "Remove all containers that don't run",
        "wpod.commands.container.prune:execute",
        (filters(short=False), flag("force f", "Don't ask first")),
    )


def cleanup() -> Verb:
    return Verb(
        ("container", "cleanup"),
        "Give back what an ended container still holds",
        "wpod.commands.container.cleanup:execute",
        (
            flag("all a", "Clean up all that have ended"),
            latest(),
            flag("rm", "Remove the container afterwards"),
        ),
        (Positional("CONTAINER", 1, None, Completes.CONTAINERS, ("all", "latest")),),
    )


def _no_detach_keys(text: str) -> str:
    if text:
        raise ValueError("must be empty: a foreground container can't be detached from")
    return text
