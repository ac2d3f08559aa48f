"""The tables of what is done with images and registries."""

from __future__ import annotations

from wpod.cli import values
from wpod.cli.table import Completes, Kind, Option, Positional, Verb, flag

IMAGES_SORT = ("created", "id", "repository", "size", "tag")
SAVE_FORMATS = ("docker-archive", "oci-archive", "oci-dir")
BUILD_PULL = ("true", "false", "always", "missing", "newer", "never")
_FORMAT = Option(("format",), Kind.VALUE, "json, table, or a Go template", metavar="FORMAT")
_QUIET = flag("quiet q", "No progress")


def _filter(names: str, kind: Kind = Kind.COMMAS) -> Option:
    return Option(tuple(names.split()), kind, "Only those that fit", values.filter_term, "KEY=VALUE")


def _credentials() -> Option:
    return Option(("creds",), Kind.VALUE, "User and password for the registry", values.not_empty, "USER[:PASSWORD]")


def images() -> Verb:
    return Verb(
        ("images",),
        "List images",
        "wpod.commands.image.images:execute",
        (
            flag("all a", "All images", note="there are no intermediate images to hide"),
            flag("digests", "The digests too"),
            _filter("filter f"),
            _FORMAT,
            flag("no-trunc", "Whole IDs"),
            flag("noheading n", "No header line"),
            flag("quiet q", "IDs alone"),
            Option(("sort",), Kind.VALUE, "Order of the rows", values.choice(*IMAGES_SORT), "COLUMN", "created",
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
        "Fetch images from a registry",
        "wpod.commands.image.pull:execute",
        (*platform_options(), *registry_options(), _credentials(), _QUIET),
        (Positional("IMAGE", 1, None),),
        examples=("wpod pull REGISTRY/NAME:TAG",),
    )


def push() -> Verb:
    from wpod.cli.verbs.container_options import registry_options

    return Verb(
        ("push",),
        "Send an image to a registry",
        "wpod.commands.image.push:execute",
        (
            *registry_options(),
            _credentials(),
            Option(("digestfile",), Kind.VALUE, "Write the digest to a file", values.not_empty, "FILE",
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
            flag("all a", "All images"),
            flag("force f", "The containers of the image too; what isn't there is no error"),
            flag("ignore i", "What isn't there is no error"),
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
            Option(("file", "f"), Kind.VALUE, "The Containerfile; - is standard input", values.not_empty, "FILE",
                   completes=Completes.FILES),
            Option(("tag", "t"), Kind.LIST, "Name of the image", values.not_empty, "NAME"),
            Option(("build-arg",), Kind.LIST, "Value of an ARG", values.environment, "NAME=VALUE"),
            Option(("env",), Kind.LIST, "Set a variable in the image", values.environment, "NAME=VALUE"),
            Option(("label",), Kind.LIST, "Set a label", values.key_value, "KEY=VALUE"),
            Option(("annotation",), Kind.LIST, "Set an annotation of the manifest", values.assignment, "KEY=VALUE"),
            Option(("iidfile",), Kind.VALUE, "Write the image's ID to a file", values.not_empty, "FILE",
                   completes=Completes.FILES),
            Option(("ignorefile",), Kind.VALUE, "Instead of .containerignore", values.not_empty, "FILE",
                   completes=Completes.FILES),
            Option(("target",), Kind.VALUE, "Stop at this stage", values.not_empty, "STAGE"),
            Option(("pull",), Kind.OPTIONAL, "When to ask the registry for base images", values.choice(*BUILD_PULL),
                   "POLICY", "missing", choices=BUILD_PULL, completes=Completes.WORDS),
            Option(("format",), Kind.VALUE, "oci", values.choice("oci"), "FORMAT", "oci", "oci only",
                   choices=("oci",), completes=Completes.WORDS),
            Option(("timestamp",), Kind.VALUE, "Creation time of the image and its files, in Unix seconds",
                   values.count, "SECONDS"),
            flag("no-cache", "Build every step anew", note="always so: copying needs no cache"),
            flag("rm", "Remove what the build needed", note="always so"),
            flag("force-rm", "Remove it after a failure too", note="always so"),
            flag("layers", "A layer for each instruction", note="one layer for each COPY and ADD"),
            flag("quiet q", "Print the ID alone"),
            *platform_options(),
            *registry_options(),
            _credentials(),
        ),
        (Positional("CONTEXT", 0, 1, Completes.DIRECTORIES),),
        examples=("wpod build -t NAME .",),
        note="every instruction that needs no process; RUN is refused",
    )  # fmt: skip


def history() -> Verb:
    return Verb(
        ("history",),
        "Show how an image was made",
        "wpod.commands.image.history:execute",
        (
            _FORMAT,
            flag("human H", "Sizes and times for people (default true)"),
            flag("no-trunc", "Whole lines"),
            flag("quiet q", "IDs alone"),
        ),
        (Positional("IMAGE", 1, 1, Completes.IMAGES),),
    )


def load() -> Verb:
    return Verb(
        ("load",),
        "Take images from an archive (docker-archive, oci-archive)",
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
        "Write images to an archive",
        "wpod.commands.image.save:execute",
        (
            Option(("output", "o"), Kind.VALUE, "The archive (default standard output)", values.not_empty, "FILE",
                   completes=Completes.FILES),
            Option(("format",), Kind.VALUE, ", ".join(SAVE_FORMATS), values.choice(*SAVE_FORMATS), "FORMAT",
                   "docker-archive", ", ".join(SAVE_FORMATS), Completes.WORDS, SAVE_FORMATS),
            flag("multi-image-archive m", "Further arguments are images, not names"),
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
        (flag("all a", "Named ones that no container uses, too"), _filter("filter", Kind.LIST),
         flag("force f", "Don't ask")),
    )  # fmt: skip


def login() -> Verb:
    from wpod.cli.verbs.container_options import registry_options

    return Verb(
        ("login",),
        "Keep the password of a registry",
        "wpod.commands.image.login:execute",
        (
            Option(("username", "u"), Kind.VALUE, "User", values.not_empty, "NAME"),
            Option(("password", "p"), Kind.VALUE, "Password (others see it in the process list)", metavar="PASSWORD"),
            flag("password-stdin", "Read the password from standard input"),
            flag("get-login", "Print the user who is logged in"),
            *registry_options(),
        ),
        (Positional("REGISTRY", 1, 1),),
        examples=("wpod login -u NAME --password-stdin REGISTRY <FILE",),
        note="the registry must be named",
    )


def logout() -> Verb:
    return Verb(
        ("logout",),
        "Forget the password of a registry",
        "wpod.commands.image.logout:execute",
        (
            flag("all a", "All of them"),
            Option(("authfile",), Kind.VALUE, "File with the registries' passwords", values.not_empty, "FILE",
                   completes=Completes.FILES),
        ),
        (Positional("REGISTRY", 1, 1, unless=("all",)),),
    )  # fmt: skip
