"""The database's schema as numbered steps; step N brings `PRAGMA user_version` from N-1 to N.

A step that has been released is never edited: the next one changes what it made.
"""

from __future__ import annotations

STEPS: tuple[str, ...] = (
    """
    CREATE TABLE image (
        digest TEXT PRIMARY KEY,
        image_id TEXT NOT NULL,
        created_nanoseconds INTEGER NOT NULL,
        size_bytes INTEGER NOT NULL,
        record TEXT NOT NULL
    ) STRICT;
    CREATE INDEX image_by_id ON image (image_id);
    CREATE TABLE image_name (
        reference TEXT PRIMARY KEY,
        digest TEXT NOT NULL REFERENCES image (digest)
    ) STRICT;
    CREATE INDEX image_name_by_digest ON image_name (digest);
    CREATE TABLE container (
        container_id TEXT PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        image_id TEXT NOT NULL,
        image_digest TEXT NOT NULL,
        image_name TEXT NOT NULL,
        created_nanoseconds INTEGER NOT NULL,
        remove INTEGER NOT NULL,
        plan TEXT NOT NULL,
        labels TEXT NOT NULL,
        annotations TEXT NOT NULL,
        create_command TEXT NOT NULL,
        start_count INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE INDEX container_by_image ON container (image_digest);
    CREATE TABLE volume (
        name TEXT PRIMARY KEY,
        created_nanoseconds INTEGER NOT NULL,
        anonymous INTEGER NOT NULL,
        labels TEXT NOT NULL,
        options TEXT NOT NULL
    ) STRICT;
    CREATE TABLE volume_use (
        volume TEXT NOT NULL REFERENCES volume (name),
        container_id TEXT NOT NULL REFERENCES container (container_id) ON DELETE CASCADE,
        PRIMARY KEY (volume, container_id)
    ) STRICT;
    """,
    """
    CREATE TABLE network (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT NOT NULL UNIQUE,
        network_id TEXT NOT NULL UNIQUE,
        record TEXT NOT NULL
    ) STRICT;
    CREATE TABLE lease (
        network TEXT NOT NULL REFERENCES network (name),
        container_id TEXT NOT NULL REFERENCES container (container_id) ON DELETE CASCADE,
        interface TEXT NOT NULL,
        address4 TEXT,
        address6 TEXT,
        mac TEXT NOT NULL,
        aliases TEXT NOT NULL,
        PRIMARY KEY (container_id, network),
        UNIQUE (network, address4),
        UNIQUE (network, address6)
    ) STRICT;
    """,
)
