"""Amounts of bytes for people."""

from __future__ import annotations

_BINARY = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
_DECIMAL = ("B", "kB", "MB", "GB", "TB", "PB", "EB")
_ROUNDED_UP = {3: 999.5, 4: 999.95}  # from here on so many digits give 1e+03


def decimal(bytes_: int, separator: str = "", digits: int = 3) -> str:
    """Powers of 1000 with three digits, as podman's columns: `7.05MB`; `images` puts a blank between, `stats` has four.

    Where go-units would say `1e+03kB` (999.6 and the like round up to four digits) the next unit is taken.
    """
    value = float(bytes_)
    unit, limit = 0, _ROUNDED_UP[digits]
    while value >= limit and unit < len(_DECIMAL) - 1:
        value /= 1000
        unit += 1
    return f"{value:.{digits}g}{separator}{_DECIMAL[unit]}"


def binary(bytes_: int) -> str:
    """Powers of 1024 with four digits, as podman's MemUsageBytes: `20.5MiB`."""
    value = float(bytes_)
    unit = 0
    while value >= 1024 and unit < len(_BINARY) - 1:
        value /= 1024
        unit += 1
    return f"{value:.4g}{_BINARY[unit]}"


def kibibytes(bytes_: int) -> str:
    """wpod's own columns, whose header says KiB: whole numbers, rounded up, so that nothing but 0 is shown as 0."""
    return str(-(-bytes_ // 1024))


def mebibytes(bytes_: int) -> str:
    """As `kibibytes` with one decimal, for headers that say MiB."""
    return f"{bytes_ / (1 << 20):.1f}"
