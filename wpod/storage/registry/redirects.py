"""Where a registry may send a client: to http(s), never from https to http, never to link-local addresses."""

from __future__ import annotations

import ipaddress
from urllib.parse import SplitResult, urljoin, urlsplit

from wpod.errors import RegistryError


def split(url: str, host: str) -> SplitResult:
    """The parts of a URL that the registry `host` named. Raises RegistryError for what is none."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - parsed when it is asked for
    except ValueError:
        raise RegistryError(f"{host} names an invalid address, {url[:200]!r}") from None
    return parts


def join(base: str, location: str, host: str) -> str:
    """A Location or Link header as an absolute URL. Raises RegistryError for what is none."""
    try:
        return urljoin(base, location)
    except ValueError:
        raise RegistryError(f"{host} names an invalid address, {location[:200]!r}") from None


def check(url: str, target: str, host: str, insecure: bool) -> None:
    """Raises RegistryError unless the redirect of `host` from one URL to the other may be followed.

    `insecure`: the registry is used without TLS, so another host without TLS is no worse.
    """
    old, new = split(url, host), split(target, host)
    if new.scheme not in ("http", "https") or not new.hostname or new.username is not None:
        raise RegistryError(f"{host} redirects to {target[:200]!r}: refused")
    if _is_link_local(new.hostname):
        raise RegistryError(f"{host} redirects to the link-local address {new.netloc}: refused")
    if old.scheme == "https" and new.scheme == "http":
        raise RegistryError(f"{host} redirects from https to http ({new.netloc}): refused")
    if new.scheme == "http" and new.hostname != old.hostname and not insecure:
        raise RegistryError(f"{host} redirects to {new.netloc} without TLS: refused")


def _is_link_local(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_link_local
