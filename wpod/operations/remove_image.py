"""Remove images and names (podman-rmi(1))."""

from __future__ import annotations

from wpod.errors import InUse, NotThere, UsageError
from wpod.frozen import frozen
from wpod.model.image import Image
from wpod.operations.collect import Collected, collect
from wpod.operations.sweep import sweep
from wpod.storage.registry import names
from wpod.storage.store import Store


@frozen
class Removed:
    """What one argument did: the names taken away, and the ID where the image is gone."""

    untagged: tuple[str, ...]
    image_id: str = ""

    def lines(self) -> list[str]:
        """As podman reports it."""
        return [f"Untagged: {name}" for name in self.untagged] + (
            [f"Deleted: {self.image_id}"] if self.image_id else []
        )


def remove_image(store: Store, typed: str, *, force: bool) -> Removed:
    """Take a name away, and remove the image with its last one; by ID the image and its only name.

    The content stays until `collect`. `force` removes the image's containers and several names too.
    Raises NotThere, InUse (containers), UsageError (by ID with several names).
    """
    image = store.images.find(typed)
    name = name_meant(image, typed)
    if name and len(_tags(image)) > 1:
        store.images.untag(name)
        return Removed((name,))
    if not name and len(_tags(image)) > 1 and not force:
        listed = " ".join(_tags(image))
        raise UsageError(f'unable to delete image "{image.image_id}" by ID with more than one tag ([{listed}]):'
                         " please force removal")  # fmt: skip
    if force:
        _remove_containers(store, image)
    store.images.delete(image)
    return Removed(image.names, image.image_id)


def _tags(image: Image) -> tuple[str, ...]:
    return tuple(name for name in image.names if "@" not in name)


def name_meant(image: Image, typed: str) -> str:
    """The stored name of the image that the user typed, in full or short; "" where it was found by ID."""
    digest_name = "@" in typed
    wanted = typed if digest_name or ":" in typed.rpartition("/")[2] else f"{typed}:latest"
    for name in image.names:
        if name in (wanted, f"localhost/{wanted}") or name.endswith(f"/{wanted}"):
            return name
    return ""


def _remove_containers(store: Store, image: Image) -> None:
    from wpod.operations.remove import RemoveOptions, remove_present

    users = [record.container_id for record in store.containers.all() if record.image_id == image.image_id]
    remove_present(store, users, RemoveOptions(force=True, volumes=True, stop_timeout_seconds=0))


def prune_images(store: Store, *, all_unused: bool) -> tuple[list[str], Collected]:
    """Remove images without a name (`all_unused`: named ones as well) that no container uses; then collect."""
    sweep(store)  # a dead --rm container uses no image
    removed = []
    for image in store.images.all():
        if _tags(image) and not all_unused:
            continue
        try:
            store.images.delete(image)
        except InUse:
            continue
        removed.append(image.image_id)
    return removed, collect(store)


def tag_image(store: Store, typed: str, new_names: tuple[str, ...]) -> None:
    """Give an image more names. Raises NotThere, UsageError."""
    chosen = [names.local(name).stored for name in new_names]
    image = store.images.find(typed)
    for name in chosen:
        store.images.tag(image, name)


def untag_image(store: Store, typed: str, given: tuple[str, ...]) -> None:
    """Take names away, all where none is given; the image stays. Raises NotThere, UsageError."""
    image = store.images.find(typed)
    for name in given or image.names:
        stored = name if not given else name_meant(image, name) or names.local(name).stored
        if stored not in image.names:
            raise NotThere(f"{name}: tag not known")
        store.images.untag(stored)
