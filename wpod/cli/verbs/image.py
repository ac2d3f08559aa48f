"""The tables of what is done with images and registries."""

from __future__ import annotations

from wpod.cli import values
from wpod.cli.table import Completes, Kind, Option, Positional, Verb, flag

IMAGES_SORT = ("created", "id", "repository", "size", "tag")
SAVE_FORMATS = ("docker-archive", "oci-archive", "oci-dir")
IMAGES_FILTERS = ("before", "dangling", "id", "label", "reference", "since")
BUILD_PULL = ("true", "false", "always", "missing", "newer", "never")
_FORMAT = Option(("format",), Kind.VALUE, "json, table, or a Go template", metavar="FORMAT")
_QUIET = flag("quiet q", "Show no progress")


def _filter(names: str, text: str, kind: Kind = Kind.COMMAS) -> Option:
    return Option(tuple(names.split()), kind, text, values.filter_term, "KEY=VALUE")


def _credentials() -> Option:
    return Option(("creds",), Kind.VALUE, "User and password for the registry", values.not_empty, "USER[:PASSWORD]")


def images() -> Verb:
    return Verb(
        ("images",),
        "List images",
        "wpod.commands.image.images:execute",
        (
            flag("all a", "Show all images (always so)", note="there are no intermediate images to hide"),
            flag("digests", "Show the digests too"),
            _filter("filter f", f"Only those that match, e.g. dangling=true; keys: {', '.join(IMAGES_FILTERS)}"),
            _FORMAT,
            flag("no-trunc", "Show whole IDs"),
            flag("noheading n", "Print no header line"),
            flag("quiet q", "Print only IDs"),
            Option(("sort",), Kind.VALUE, "Sort by a column", values.choice(*IMAGES_SORT), "COLUMN", "created",
                   choices=IMAGES_SORT, completes=Completes.WORDS),
        ),
        (Positional("IMAGE", 0, 1, Completes.IMAGES),),
        hot=True,
        examples=("wpod images", "wpod images --format '{{.Repository}}:{{.Tag}} {{.Size}}'"),
    )  # fmt: skip


def pull() -> Verb:
    from wpod.cli.verbs.container_options import platform_options, registry_options

    return Verb(
        ("pull",),
        "Pull images from a registry",
        "wpod.commands.image.pull:execute",
        (*platform_options(), *registry_options(), _credentials(), _QUIET),
        (Positional("IMAGE", 1, None),),
        examples=("wpod pull REGISTRY/NAME:TAG",),
    )


def push() -> Verb:
    from wpod.cli.verbs.container_options import registry_options

    return Verb(
        ("push",),
        "Push an image to a registry",
        "wpod.commands.image.push:execute",
        (
            *registry_options(),
            _credentials(),
            Option(("digestfile",), Kind.VALUE, "Write the image's digest to a file", values.not_empty, "FILE",
                   completes=Completes.FILES),
            _QUIET,
        ),
        (Positional("IMAGE", 1, 1, Completes.IMAGES), Positional("DESTINATION", 0, 1)),
        examples=("wpod push NAME REGISTRY/NAME:TAG",),
    )  # fmt: skip


def rmi() -> Verb:
    return Verb(
        ("rmi",),
        "Remove images",
        "wpod.commands.image.rmi:execute",
        (
            flag("all a", "Remove all images"),
            flag("force f", "Remove the image's containers too, and ignore images that aren't there"),
            flag("ignore i", "Ignore images that aren't there"),
        ),
        (Positional("IMAGE", 1, None, Completes.IMAGES, ("all",)),),
        examples=("wpod rmi NAME:TAG",),
    )


def tag() -> Verb:
    return Verb(
        ("tag",),
        "Give an image another name",
        "wpod.commands.image.tag:execute",
        (),
        (Positional("IMAGE", 1, 1, Completes.IMAGES), Positional("NAME", 1, None)),
        examples=("wpod tag NAME REGISTRY/NAME:TAG",),
    )


def untag() -> Verb:
    return Verb(
        ("untag",),
        "Take names away from an image",
        "wpod.commands.image.untag:execute",
        (),
        (Positional("IMAGE", 1, 1, Completes.IMAGES), Positional("NAME", 0, None)),
    )


def build() -> Verb:
    from wpod.cli.verbs.container_options import platform_options, registry_options

    return Verb(
        ("build",),
        "Build an image from a Containerfile",
        "wpod.commands.image.build:execute",
        (
            Option(("file", "f"), Kind.VALUE, "The Containerfile (default: the one in CONTEXT); - is standard input",
                   values.not_empty, "FILE", completes=Completes.FILES),
            Option(("tag", "t"), Kind.LIST, "Name for the image", values.not_empty, "NAME[:TAG]"),
            Option(("build-arg",), Kind.LIST, "Value for an ARG of the Containerfile", values.environment,
                   "NAME=VALUE"),
            Option(("env",), Kind.LIST, "Set an environment variable in the image", values.environment, "NAME=VALUE"),
            Option(("label",), Kind.LIST, "Set a label", values.key_value, "KEY=VALUE"),
            Option(("annotation",), Kind.LIST, "Set an annotation of the image's manifest", values.assignment,
                   "KEY=VALUE"),
            Option(("iidfile",), Kind.VALUE, "Write the image's ID to a file", values.not_empty, "FILE",
                   completes=Completes.FILES),
            Option(("ignorefile",), Kind.VALUE, "Read this file instead of .containerignore", values.not_empty,
                   "FILE", completes=Completes.FILES),
            Option(("target",), Kind.VALUE, "Build up to this stage of the Containerfile", values.not_empty, "STAGE"),
            Option(("pull",), Kind.OPTIONAL, "When to ask the registry for base images", values.choice(*BUILD_PULL),
                   "POLICY", "missing", choices=BUILD_PULL, completes=Completes.WORDS),
            Option(("format",), Kind.VALUE, "oci", values.choice("oci"), "FORMAT", "oci", "oci only",
                   choices=("oci",), completes=Completes.WORDS),
            Option(("timestamp",), Kind.VALUE, "Creation time of the image and its files, in Unix seconds",
                   values.count, "SECONDS"),
            flag("no-cache", "Build every step anew (always so)", note="always so: copying needs no cache"),
            flag("rm", "Remove what the build needed (always so)", note="always so"),
            flag("force-rm", "Remove it after a failure, too (always so)", note="always so"),
            flag("layers", "Make a layer for each COPY and ADD (always so)", note="one layer for each COPY and ADD"),
            flag("quiet q", "Print only the image's ID"),
            *platform_options(),
            *registry_options(),
            _credentials(),
        ),
        (Positional("CONTEXT", 0, 1, Completes.DIRECTORIES),),
        examples=("wpod build -t NAME .", "wpod build -f Containerfile.debug --build-arg LEVEL=2 -t NAME:debug ."),
        note="every instruction that needs no process; RUN is refused",
    )  # fmt: skip


def history() -> Verb:
    return Verb(
        ("history",),
        "Show how an image was made",
        "wpod.commands.image.history:execute",
        (
            _FORMAT,
            flag("human H", "Show sizes and times for people (default true)"),
            flag("no-trunc", "Show whole lines"),
            flag("quiet q", "Print only IDs"),
        ),
        (Positional("IMAGE", 1, 1, Completes.IMAGES),),
    )


def load() -> Verb:
    return Verb(
        ("load",),
        "Load images from an archive (docker-archive, oci-archive)",
        "wpod.commands.image.load:execute",
        (
            Option(("input", "i"), Kind.VALUE, "The archive (default standard input)", values.not_empty, "FILE",
                   completes=Completes.FILES),
            _QUIET,
        ),
        examples=("wpod load -i image.tar",),
    )  # fmt: skip


def save() -> Verb:
    return Verb(
        ("save",),
        "Save images to an archive",
        "wpod.commands.image.save:execute",
        (
            Option(("output", "o"), Kind.VALUE, "The archive (default standard output)", values.not_empty, "FILE",
                   completes=Completes.FILES),
            Option(("format",), Kind.VALUE, "Format of the archive", values.choice(*SAVE_FORMATS), "FORMAT",
                   "docker-archive", ", ".join(SAVE_FORMATS), Completes.WORDS, SAVE_FORMATS),
            flag("multi-image-archive m", "Take all arguments as images, not as further names of the first"),
            _QUIET,
        ),
        (Positional("IMAGE", 1, None, Completes.IMAGES),),
        examples=("wpod save -o image.tar NAME",),
    )  # fmt: skip


def image_inspect() -> Verb:
    return Verb(
        ("image", "inspect"),
        "Show all about images as JSON",
        "wpod.commands.image.inspect:execute",
        (Option(("format", "f"), Kind.VALUE, "json, or a Go template", metavar="FORMAT", default="json"),),
        (Positional("IMAGE", 1, None, Completes.IMAGES),),
    )


def image_exists() -> Verb:
    return Verb(
        ("image", "exists"),
        "Tell by the exit status whether an image is there (0 yes, 1 no)",
        "wpod.commands.image.exists:execute",
        (),
        (Positional("IMAGE", 1, 1, Completes.IMAGES),),
    )


def image_prune() -> Verb:
    return Verb(
        ("image", "prune"),
        "Remove images without a name that no container uses",
        "wpod.commands.image.prune:execute",
        (
            flag("all a", "Remove all that no container uses, also those with names"),
            _filter("filter", "Only those that match, e.g. label=test", Kind.LIST),
            flag("force f", "Don't ask first"),
        ),
    )  # fmt: skip


def login() -> Verb:
    from wpod.cli.verbs.container_options import registry_options

    return Verb(
        ("login",),
        "Log in to a registry and keep the password",
        "wpod.commands.image.login:execute",
        (
            Option(("username", "u"), Kind.VALUE, "Name of the user", values.not_empty, "NAME"),
            Option(("password", "p"), Kind.VALUE, "Password (others see it in the process list)", metavar="PASSWORD"),
            flag("password-stdin", "Read the password from standard input"),
            flag("get-login", "Print who is logged in, and do nothing"),
            *registry_options(),
        ),
        (Positional("REGISTRY", 1, 1),),
        examples=("wpod login -u NAME --password-stdin REGISTRY <FILE",),
        note="the registry must be named",
    )


def logout() -> Verb:
    return Verb(
        ("logout",),
        "Log out of a registry and forget the password",
        "wpod.commands.image.logout:execute",
        (
            flag("all a", "Log out of all registries"),
            Option(("authfile",), Kind.VALUE, "File with the registries' passwords", values.not_empty, "FILE",
                   completes=Completes.FILES),
        ),
        (Positional("REGISTRY", 1, 1, unless=("all",)),),
    )  # fmt: skip
