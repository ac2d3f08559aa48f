"""WWW-Authenticate (RFC 9110, 11.6.1; distribution's token authentication): parsed, and judged.

The rules that keep a password at home (B3, CVE-2020-15157): a token server is asked by https, unless the
registry itself is being used by plain http and the token server is the same host; nothing but http and
https is ever followed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from wpod.errors import RegistryError
from wpod.storage.registry import redirects

_PARAMETER = re.compile(r'([a-zA-Z_]+)="([^"]{0,2000})"')


@dataclass(frozen=True)
class Challenge:
    """`scheme` in lower case: `basic` or `bearer`."""

    scheme: str
    realm: str = ""
    service: str = ""
    scope: str = ""


def parse(header: str) -> Challenge:
    """The first challenge that wpod can answer. Raises RegistryError where there is none."""
    for scheme in ("bearer", "basic"):
        found = re.search(rf"(?:^|,)\s*{scheme}(?:\s|$)", header[:8192], re.IGNORECASE)
        if found:
            values = dict(_PARAMETER.findall(header[found.end() : 8192]))
            return Challenge(scheme, values.get("realm", ""), values.get("service", ""), values.get("scope", ""))
    raise RegistryError(f"the registry asks for an unknown kind of authentication: {header[:80]!r}")


def check_realm(challenge: Challenge, registry_url: str) -> str:
    """The token server's URL. Raises RegistryError where asking it would betray something."""
    registry = urlsplit(registry_url)
    realm = redirects.split(challenge.realm, registry.netloc)
    if realm.scheme not in ("http", "https") or not realm.hostname or realm.username is not None:
        raise RegistryError(f"the registry names an invalid token server: {challenge.realm[:200]!r}")
    if realm.scheme == "http" and (registry.scheme != "http" or realm.hostname != registry.hostname):
        raise RegistryError(
            f"the registry names a token server without TLS, {realm.scheme}://{realm.netloc}: refused,"
            " for it would see the password"
        )
    return challenge.realm
