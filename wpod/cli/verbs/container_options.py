"""Options that several commands on containers share, and the long list of `run` and `create`."""

from __future__ import annotations

from wpod.cli import values
from wpod.cli.table import Completes, Kind, Option, flag, section

STOP_SECONDS = Option(("time", "t"), Kind.VALUE, "Seconds of grace before SIGKILL (default: the container's own)",
                      values.stop_seconds, "SECONDS")  # fmt: skip
PULL_POLICIES = ("always", "missing", "never", "newer")


def latest(text: str = "The container created last") -> Option:
    """The option -l."""
    return flag("latest l", text)


def filters(*, short: bool, text: str = "Only those that match, e.g. name=web (keys as for wpod ps)") -> Option:
    """--filter; parsed to (key, value) pairs."""
    names = ("filter", "f") if short else ("filter",)
    return Option(names, Kind.COMMAS, text, values.filter_term, "KEY=VALUE")


def cidfiles() -> Option:
    """--cidfile of the commands that read it."""
    return Option(("cidfile",), Kind.LIST, "The container whose ID is in this file", values.not_empty, "FILE",
                  completes=Completes.FILES)  # fmt: skip


def running_options() -> tuple[Option, ...]:
    """What `run`, `create` and `exec` have in common."""
    return (*stream_options(), *process_options())


def stream_options() -> tuple[Option, ...]:
    """What the guest's standard streams are."""
    return (
        flag("interactive i", "Connect this command's standard input to the guest"),
        flag(
            "tty t",
            "Give the guest a terminal (in the foreground)",
            note="in the foreground; a wasm guest uses the terminal that wpod was started on",
        ),
    )


def process_options() -> tuple[Option, ...]:
    """What the guest is started with."""
    return (
        Option(("env", "e"), Kind.LIST, "Set an environment variable; NAME alone takes over this shell's value",
               values.environment, "NAME=VALUE"),
        Option(("env-file",), Kind.COMMAS, "Read environment variables from a file", values.not_empty, "FILE",
               completes=Completes.FILES),
        Option(("user", "u"), Kind.VALUE, "User (and group) to run as, by name or number", metavar="USER[:GROUP]"),
        Option(("workdir", "w"), Kind.VALUE, "Directory to start in", values.absolute, "DIR"),
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
        flag("tls-verify", "Require HTTPS with a valid certificate (default true)"),
    )  # fmt: skip


def creating_options(*first: Option) -> tuple[Option, ...]:
    """Everything `run` and `create` know, in the order of the help; `first` stands at its top."""
    return (
        *first,
        *stream_options(),
        *_life_options(),
        *section("Process", (*process_options(), *_process_options())),
        *section("Files", _storage_options()),
        *section("Limits", _limit_options()),
        *section("Security", _security_options()),
        *section("Network", _network_options()),
        *section("Stopping", _stop_options()),
        *section("Description and log", _description_options()),
        *section("Image", (*_image_options(), *platform_options(), *registry_options())),
        *section("WebAssembly and native", _engine_options()),
    )


def _life_options() -> tuple[Option, ...]:
    from wpod.model.ids import check_name

    return (
        flag("rm", "Remove the container when it has ended"),
        Option(("name",), Kind.VALUE, "Name of the container (default: two random words)", check_name, "NAME"),
        flag("replace", "Remove an older container of the same name first"),
        Option(("cidfile",), Kind.VALUE, "Write the container's ID to a new file", values.not_empty, "FILE",
               completes=Completes.FILES),
        flag("dry-run", "Print what would be done, as JSON, and do nothing"),
    )  # fmt: skip


def _process_options() -> tuple[Option, ...]:
    from wpod.cli import container_values

    return (
        Option(("entrypoint",), Kind.VALUE, "Program instead of the image's: a word or a JSON array; empty for none",
               container_values.entrypoint, "PROGRAM"),
        Option(("hostname", "h"), Kind.VALUE, "Host name; a wasm guest finds it in /etc/hostname", values.hostname,
               "NAME"),
    )  # fmt: skip


def _stop_options() -> tuple[Option, ...]:
    return (
        Option(("stop-signal",), Kind.VALUE, "Signal that `wpod stop` sends (default: the image's, else SIGTERM)",
               values.signal_text, "SIGNAL", completes=Completes.SIGNALS),
        Option(("stop-timeout",), Kind.VALUE, "Seconds of grace that `wpod stop` gives", values.seconds, "SECONDS",
               "10"),
        Option(("timeout",), Kind.VALUE, "End the container after this many seconds; 0 is never", values.seconds,
               "SECONDS", "0"),
    )  # fmt: skip


def _network_options() -> tuple[Option, ...]:
    from wpod.cli import network_values

    return (
        Option(("network", "net"), Kind.LIST,
               "none, host, bridge, container:CTR, ns:PATH, or networks by name (default: bridge, for wasm none)",
               network_values.network, "MODE", "", "bridge is the default, for wasm none", Completes.NETWORK_MODES),
        Option(("publish", "p"), Kind.LIST, "Lead a port of the host into the container, e.g. 8080:80",
               network_values.published, "[[ADDRESS:]HOST_PORT:]PORT[/PROTOCOL]"),
        flag("publish-all P", "Lead a free port of the host to each port that is exposed"),
        Option(("expose",), Kind.COMMAS, "Ports that the container serves", network_values.exposed, "PORT[/PROTOCOL]"),
        Option(("ip",), Kind.VALUE, "IPv4 address on the network", network_values.ipv4, "ADDRESS"),
        Option(("ip6",), Kind.VALUE, "IPv6 address on the network", network_values.ipv6, "ADDRESS"),
        Option(("mac-address",), Kind.VALUE, "Hardware address on the network", network_values.hardware_address,
               "ADDRESS"),
        Option(("network-alias",), Kind.COMMAS, "Further name on the networks", values.hostname, "NAME"),
        Option(("dns",), Kind.COMMAS, "Server that is asked for names", network_values.address, "ADDRESS"),
        Option(("dns-search",), Kind.COMMAS, "Domain in which names are looked up; . for none",
               network_values.search_domain, "DOMAIN"),
        Option(("dns-option",), Kind.COMMAS, "Option of resolv.conf(5)", network_values.resolver_option, "OPTION"),
        Option(("add-host",), Kind.LIST, "Line of /etc/hosts; the address may be host-gateway",
               network_values.host_entry, "NAME:ADDRESS"),
        flag("no-hosts", "Leave the image's /etc/hosts alone"),
    )  # fmt: skip


def _description_options() -> tuple[Option, ...]:
    from wpod.cli import container_values

    return (
        Option(("label", "l"), Kind.LIST, "Set a label", values.key_value, "KEY=VALUE"),
        Option(("label-file",), Kind.COMMAS, "Read labels from a file", values.not_empty, "FILE",
               completes=Completes.FILES),
        Option(("annotation",), Kind.COMMAS, "Set an annotation", values.assignment, "KEY=VALUE"),
        Option(("log-driver",), Kind.VALUE, "k8s-file (kept for `wpod logs`) or none", container_values.log_driver,
               "DRIVER", "k8s-file", "k8s-file and none", Completes.WORDS, ("k8s-file", "none")),
        Option(("log-opt",), Kind.COMMAS, "max-size=SIZE: rotate the log at this size; 0 is never",
               container_values.log_option, "KEY=VALUE", "", "max-size only"),
    )  # fmt: skip


def _storage_options() -> tuple[Option, ...]:
    from wpod.cli import container_values

    return (
        Option(("volume", "v"), Kind.LIST,
               "Mount a directory, a file or a named volume; with :ro it can't be written",
               container_values.volume, "SOURCE:TARGET[:OPTIONS]", "", "without U, O and idmap",
               Completes.SOURCES),
        Option(("mount",), Kind.LIST, "The same spelt out: type=bind,source=…,target=…,ro",
               container_values.mount, "KEY=VALUE,…", "", "types bind, volume and tmpfs"),
        Option(("tmpfs",), Kind.LIST, "Mount an empty directory in memory", container_values.tmpfs,
               "TARGET[:OPTIONS]"),
        flag("read-only", "Make the root file system read-only"),
    )  # fmt: skip


def _limit_options() -> tuple[Option, ...]:
    from wpod.cli import container_values

    return (
        Option(("memory", "m"), Kind.VALUE, "Memory, e.g. 64m (b, k, m, g are powers of 1024)", values.size, "SIZE"),
        Option(("memory-swap",), Kind.VALUE, "Memory and swap together; -1 is unlimited", values.swap, "SIZE"),
        Option(("cpus",), Kind.VALUE, "Number of CPUs, e.g. 1.5", values.cpus, "NUMBER"),
        Option(("cpu-shares", "c"), Kind.VALUE, "Weight against other containers, 2 to 262144", values.cpu_shares,
               "WEIGHT"),
        Option(("pids-limit",), Kind.VALUE, "Number of processes; -1 is unlimited", values.pids, "NUMBER", "",
               "no limit unless asked for"),
        Option(("ulimit",), Kind.COMMAS, "A limit of setrlimit(2), e.g. nofile=1024:2048", container_values.ulimit,
               "NAME=SOFT[:HARD]", "", "without `host`"),
    )  # fmt: skip


def _security_options() -> tuple[Option, ...]:
    from wpod.cli import container_values

    return (
        Option(("cap-add",), Kind.COMMAS, "Add a capability, or all (native containers only)", values.capability,
               "CAPABILITY"),
        Option(("cap-drop",), Kind.COMMAS, "Take a capability away, or all", values.capability, "CAPABILITY"),
        Option(("security-opt",), Kind.LIST, "no-new-privileges, seccomp=unconfined or seccomp=FILE",
               container_values.security_option, "OPTION", "", "no-new-privileges and seccomp"),
        flag("privileged", "All capabilities and no seccomp filter (native containers only)"),
    )  # fmt: skip


def _image_options() -> tuple[Option, ...]:
    from wpod.cli import container_values

    return (
        Option(("pull",), Kind.VALUE, "When to ask the registry", container_values.pull_policy, "POLICY", "missing",
               choices=PULL_POLICIES, completes=Completes.WORDS),
        flag("quiet q", "Show no progress while pulling"),
    )  # fmt: skip


def _engine_options() -> tuple[Option, ...]:
    from wpod.cli import container_values

    return (
        Option(("kind",), Kind.VALUE, "Run the image as wasm or native, whatever it says of itself",
               values.choice("wasm", "native"), "KIND", choices=("wasm", "native"), completes=Completes.WORDS),
        Option(("wasm-aot",), Kind.VALUE, "Compile modules to machine code", container_values.aot_policy, "POLICY",
               "auto", choices=("auto", "off", "require"), completes=Completes.WORDS),
    )  # fmt: skip
