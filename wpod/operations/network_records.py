"""Networks as records: the default one, and what `wpod network` makes and removes."""

from __future__ import annotations

import os
import time

from wpod.errors import NameTaken, NotThere
from wpod.model.network import DEFAULT_NETWORK, Driver, Network
from wpod.plan import addresses
from wpod.storage.store import Store


def ensure_default(store: Store) -> Network:
    """The network that containers join where no other is named, recorded at its first use. Raises StoreError."""
    try:
        return store.networks.find(DEFAULT_NETWORK)
    except NotThere:
        pass
    subnet = addresses.check_subnet(addresses.SubnetRequest(addresses.DEFAULT_SUBNET))
    try:
        return store.networks.insert(
            lambda number, _: Network(
                number,
                DEFAULT_NETWORK,
                os.urandom(32).hex(),
                Driver.BRIDGE,
                "wpod0",
                time.time_ns(),
                (subnet,),
                dns=False,
            )
        )
    except NameTaken:  # another command was first
        return store.networks.find(DEFAULT_NETWORK)
