"""Options that several commands on containers share, and the long list of `run` and `create`."""

from __future__ import annotations

from wpod.cli import values
from wpod.cli.table import Completes, Kind, Option, flag

STOP_SECONDS = Option(("time", "t"), Kind.VALUE, "Seconds of grace before SIGKILL (default: the container's own)",
                      values.stop_seconds, "SECONDS", "10")  # fmt: skip
PULL_POLICIES = ("always", "missing", "never", "newer")
NETWORK_MODES = ("none", "host")


def latest(text: str = "The container created last") -> Option:
    """-l"""
    return flag("latest l", text)


def filters(*, short: bool) -> Option:
    """--filter; parsed to (key, value) pairs."""
    names = ("filter", "f") if short else ("filter",)
    return Option(names, Kind.COMMAS, "Only those that fit", values.filter_term, "KEY=VALUE")


def cidfiles() -> Option:
    """--cidfile of the commands that read it."""
    return Option(("cidfile",), Kind.LIST, "Read the container's ID from a file", values.not_empty, "FILE",
                  completes=Completes.FILES)  # fmt: skip


def running_options() -> tuple[Option, ...]:
    """What `run`, `create` and `exec` have in common."""
    return (
        Option(("env", "e"), Kind.LIST, "Set a variable; NAME alone is taken from the environment",
               values.environment, "NAME=VALUE"),
        Option(("env-file",), Kind.COMMAS, "Read variables from a file", values.not_empty, "FILE",
               completes=Completes.FILES),
        flag("interactive i", "Give the guest this standard input"),
        flag("tty t", "Give the guest a terminal (native containers)", note="native containers in the foreground"),
        Option(("user", "u"), Kind.VALUE, "Who the guest is", metavar="USER[:GROUP]"),
        Option(("workdir", "w"), Kind.VALUE, "Where the guest starts", values.absolute, "DIR"),
    )  # fmt: skip


def platform_options() -> tuple[Option, ...]:
    """Which image of an index is meant."""
    from wpod.cli import container_values

    return (
        Option(("platform",), Kind.VALUE, "Platform of the image, e.g. linux/amd64 or wasi/wasm",
               container_values.platform, "OS/ARCH"),
        Option(("arch",), Kind.VALUE, "Architecture of the image", container_values.platform_part, "ARCH"),
        Option(("os",), Kind.VALUE, "Operating system of the image", container_values.platform_part, "OS"),
        Option(("variant",), Kind.VALUE, "Variant of the architecture", container_values.platform_part, "VARIANT"),
    )  # fmt: skip


def registry_options() -> tuple[Option, ...]:
    """How to talk to a registry."""
    return (
        Option(("authfile",), Kind.VALUE, "File with the registries' passwords", values.not_empty, "FILE",
               completes=Completes.FILES),
        flag("tls-verify", "Require HTTPS with a certificate that can be verified (default true)"),
    )  # fmt: skip


def creating_options() -> tuple[Option, ...]:
    """Everything `run` and `create` know, in the order of the help."""
    return (
        *_identity_options(), *running_options(), *_process_options(), *_storage_options(), *_limit_options(),
        *_security_options(), *platform_options(), *_image_options(), *registry_options(), *_engine_options(),
    )  # fmt: skip


def _identity_options() -> tuple[Option, ...]:
    from wpod.model.ids import check_name

    return (
        Option(("name",), Kind.VALUE, "Name of the container", check_name, "NAME"),
        flag("replace", "Remove a container of the same name first"),
        flag("rm", "Remove the container when it has ended"),
        Option(("hostname", "h"), Kind.VALUE, "Host name (native containers)", values.hostname, "NAME"),
        Option(("label", "l"), Kind.LIST, "Set a label", values.key_value, "KEY=VALUE"),
        Option(("label-file",), Kind.COMMAS, "Read labels from a file", values.not_empty, "FILE",
               completes=Completes.FILES),
        Option(("annotation",), Kind.COMMAS, "Set an annotation", values.assignment, "KEY=VALUE"),
        Option(("cidfile",), Kind.VALUE, "Write the container's ID to a new file", values.not_empty, "FILE",
               completes=Completes.FILES),
    )  # fmt: skip


def _process_options() -> tuple[Option, ...]:
    from wpod.cli import container_values

    return (
        Option(("entrypoint",), Kind.VALUE, "Program to run: a word or a JSON array; empty clears the image's",
               container_values.entrypoint, "PROGRAM"),
        Option(("stop-signal",), Kind.VALUE, "Signal that `stop` sends (default SIGTERM)", values.signal_text, "SIGNAL",
               completes=Completes.SIGNALS),
        Option(("stop-timeout",), Kind.VALUE, "Seconds of grace that `stop` gives", values.seconds, "SECONDS", "10"),
        Option(("timeout",), Kind.VALUE, "End the container after this many seconds; 0 never", values.seconds,
               "SECONDS", "0"),
        Option(("network", "net"), Kind.LIST, "none or host", container_values.network, "MODE", "none",
               "none (the default) and host", Completes.WORDS, NETWORK_MODES),
        flag("no-hosts", "Leave the image's /etc/hosts alone"),
        Option(("log-driver",), Kind.VALUE, "k8s-file or none", container_values.log_driver, "DRIVER", "k8s-file",
               "k8s-file and none", Completes.WORDS, ("k8s-file", "none")),
        Option(("log-opt",), Kind.COMMAS, "max-size=SIZE: rotate the log at this size; 0 never",
               container_values.log_option, "KEY=VALUE", "", "max-size only"),
    )  # fmt: skip


def _storage_options() -> tuple[Option, ...]:
    from wpod.cli import container_values

    return (
        Option(("volume", "v"), Kind.LIST, "Mount a directory, a file or a named volume", container_values.volume,
               "SOURCE:TARGET[:OPTIONS]", "", "without U, O and idmap", Completes.DIRECTORIES),
        Option(("mount",), Kind.LIST, "Mount with everything spelt out: type=bind,source=…,target=…,ro",
               container_values.mount, "KEY=VALUE,…", "", "types bind, volume and tmpfs"),
        Option(("tmpfs",), Kind.LIST, "An empty directory in memory", container_values.tmpfs, "TARGET[:OPTIONS]"),
        flag("read-only", "The root can't be written"),
    )  # fmt: skip


def _limit_options() -> tuple[Option, ...]:
    from wpod.cli import container_values

    return (
        Option(("memory", "m"), Kind.VALUE, "Memory limit (b, k, m, g are powers of 1024)", values.size, "SIZE"),
        Option(("memory-swap",), Kind.VALUE, "Memory and swap together; -1 is unlimited", values.swap, "SIZE"),
        Option(("cpus",), Kind.VALUE, "How many CPUs, e.g. 1.5", values.cpus, "NUMBER"),
        Option(("cpu-shares", "c"), Kind.VALUE, "Weight against other containers", values.cpu_shares, "WEIGHT"),
        Option(("pids-limit",), Kind.VALUE, "Largest number of processes; -1 is unlimited", values.pids, "NUMBER", "",
               "no limit unless asked for"),
        Option(("ulimit",), Kind.COMMAS, "Limit of setrlimit(2)", container_values.ulimit, "NAME=SOFT[:HARD]", "",
               "without `host`"),
    )  # fmt: skip


def _security_options() -> tuple[Option, ...]:
    from wpod.cli import container_values

    return (
        Option(("cap-add",), Kind.COMMAS, "Give a capability (native containers)", values.capability, "CAPABILITY"),
        Option(("cap-drop",), Kind.COMMAS, "Take a capability away", values.capability, "CAPABILITY"),
        Option(("security-opt",), Kind.LIST, "no-new-privileges, seccomp=unconfined or seccomp=FILE",
               container_values.security_option, "OPTION", "", "no-new-privileges and seccomp"),
        flag("privileged", "All capabilities, no seccomp (native containers)"),
    )  # fmt: skip


def _image_options() -> tuple[Option, ...]:
    from wpod.cli import container_values

    return (
        Option(("pull",), Kind.VALUE, "When to ask the registry", container_values.pull_policy, "POLICY", "missing",
               choices=PULL_POLICIES, completes=Completes.WORDS),
        flag("quiet q", "No progress while pulling"),
    )  # fmt: skip


def _engine_options() -> tuple[Option, ...]:
    from wpod.cli import container_values

    return (
        Option(("wasm-aot",), Kind.VALUE, "Compiled code for wasm: auto, off or require", container_values.aot_policy,
               "POLICY", "auto", choices=("auto", "off", "require"), completes=Completes.WORDS),
        Option(("kind",), Kind.VALUE, "How to run the image, whatever it says of itself: wasm or native",
               values.choice("wasm", "native"), "KIND", choices=("wasm", "native"), completes=Completes.WORDS),
        flag("dry-run", "Print what would be done as JSON and do nothing"),
    )  # fmt: skip
