"""Named volumes."""

from __future__ import annotations

from collections.abc import Mapping

from wpod.frozen import frozen


@frozen
class Volume:
    """`anonymous` ones go with the container that made them under --rm or `rm -v`."""

    name: str
    mountpoint: str
    created_nanoseconds: int
    labels: Mapping[str, str]
    options: Mapping[str, str]
    anonymous: bool = False
