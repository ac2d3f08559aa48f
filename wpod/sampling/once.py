"""One look, for commands that show figures beside other things."""

from __future__ import annotations

from collections.abc import Collection

from wpod.model.sample import ContainerSample
from wpod.sampling.sampler import Sampler
from wpod.storage.store import Store


def samples_of(store: Store, container_ids: Collection[str]) -> dict[str, ContainerSample]:
    """Those of these containers that are still there, by ID. Raises StoreError where the database can't be read."""
    sampler = Sampler(store, container_ids)
    try:
        return {one.container_id: one for one in sampler.tick().containers}
    finally:
        sampler.close()
