"""SQLite without what the standard library's module adds: adapters of dates, for which it imports `datetime`, 2 ms."""

from __future__ import annotations

try:
    from _sqlite3 import Connection, Error, IntegrityError, OperationalError, connect
except ImportError:  # an interpreter that has it elsewhere
    from sqlite3 import Connection, Error, IntegrityError, OperationalError, connect

__all__ = ["Connection", "Error", "IntegrityError", "OperationalError", "connect"]
