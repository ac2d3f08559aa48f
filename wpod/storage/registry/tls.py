"""TLS for one registry: the system's certificates and the registry's own (containers-certs.d(5))."""

from __future__ import annotations

import os
import ssl

from wpod import paths
from wpod.errors import RegistryError


def context(registry: str, insecure: bool, certificates: str = "") -> ssl.SSLContext:
    """`certificates` is the only directory looked at where it is given. Raises RegistryError that names a bad one."""
    made = ssl.create_default_context()
    for place in [certificates] if certificates else paths.registry_certificates(registry):
        names = sorted(os.listdir(place)) if os.path.isdir(place) else []
        try:
            for name in names:
                stem, extension = os.path.splitext(f"{place}/{name}")
                if extension == ".crt":
                    made.load_verify_locations(f"{place}/{name}")
                elif extension == ".cert":
                    made.load_cert_chain(f"{place}/{name}", f"{stem}.key")
        except (OSError, ssl.SSLError) as error:
            raise RegistryError(f"the certificates in {place} can't be used: {error}") from error
    if insecure:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    return made
