"""What `images`, `image inspect` and `history` show, with podman's keys."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from wpod.errors import InvalidImage, UsageError
from wpod.frozen import frozen
from wpod.model import ids
from wpod.model.image import Image
from wpod.storage import documents, strict_json
from wpod.storage.store import Store

FILTERS = ("before", "dangling", "id", "label", "reference", "since")
NONE = "<none>"


@frozen
class ImageRow:
    """One line of `images`: an image has one for each of its names."""

    image: Image
    repository: str
    tag: str


def split_name(name: str) -> tuple[str, str]:
    """Repository and tag; a name with a digest has the tag `<none>`."""
    if "@" in name:
        return name.partition("@")[0], NONE
    repository, _, tag = name.rpartition(":")
    return repository, tag


def rows(images: Iterable[Image]) -> list[ImageRow]:
    """One row for each name, `<none>` for an image without."""
    found = []
    for image in images:
        tagged = [name for name in image.names if "@" not in name]
        for name in tagged or list(image.names[:1]):
            found.append(ImageRow(image, *split_name(name)))
        if not image.names:
            found.append(ImageRow(image, NONE, NONE))
    return found


def selected(store: Store, terms: Iterable[tuple[str, str]], name: str = "") -> list[Image]:
    """The images that fit all filters, newest first. Raises UsageError for an unknown filter, NotThere."""
    images = store.images.all()
    if name:
        images = [image for image in images if _fits_name(image, name)]
    for key, value in terms:
        test = _filter(store, key, value)
        images = [image for image in images if test(image)]
    return images


def _fits_name(image: Image, name: str) -> bool:
    for stored in image.names:
        repository = split_name(stored)[0]
        if any(whole == name or whole.endswith(f"/{name}") for whole in (stored, repository)):
            return True
    prefix = name.removeprefix("sha256:")
    return ids.is_id_prefix(prefix) and image.image_id.startswith(prefix)


def _filter(store: Store, key: str, value: str) -> Callable[[Image], bool]:
    if key == "dangling":
        if value not in ("true", "false", "1", "0"):
            raise UsageError(f"invalid filter dangling={value!r}: true or false")
        wanted = value in ("true", "1")
        return lambda image: (not any("@" not in name for name in image.names)) == wanted
    if key == "id":
        return lambda image: image.image_id.startswith(value.removeprefix("sha256:"))
    if key == "label":
        name, equals, content = value.partition("=")
        return lambda image: name in image.config.labels and (not equals or image.config.labels[name] == content)
    if key == "reference":
        return lambda image: _fits_pattern(image, value)
    if key in ("before", "since"):
        other = store.images.find(value).created_nanoseconds
        sign = -1 if key == "before" else 1
        return lambda image: (image.created_nanoseconds - other) * sign > 0
    raise UsageError(f"invalid filter {key!r}", hint=f"one of: {', '.join(FILTERS)}")


def _fits_pattern(image: Image, pattern: str) -> bool:
    import fnmatch

    return any(
        fnmatch.fnmatchcase(candidate, pattern) or candidate.endswith(f"/{pattern}")
        for name in image.names
        for candidate in (name, split_name(name)[0], name.rpartition("/")[2], split_name(name)[0].rpartition("/")[2])
    )


def repository_digests(image: Image) -> list[str]:
    """`REPOSITORY@DIGEST` for each repository among the names."""
    return sorted({f"{split_name(name)[0]}@{image.digest}" for name in image.names} | {
        name for name in image.names if "@" in name})  # fmt: skip


def config_document(store: Store, image: Image) -> dict[str, Any]:
    """The raw config; {} for an artifact. Raises StoreError, DigestMismatch where it is damaged."""
    data = store.blobs.read(image.config_descriptor.digest, documents.MAX_CONFIG_BYTES)
    if not data.strip():
        return {}
    found = strict_json.parse(data, "image config")
    if not isinstance(found, dict):
        raise InvalidImage("image config is not a JSON object")
    return found


def inspect(store: Store, image: Image) -> dict[str, object]:
    """The object of `image inspect`."""
    raw = config_document(store, image)
    config = image.config
    return {
        "Id": image.image_id,
        "Digest": image.digest,
        "RepoTags": [name for name in image.names if "@" not in name],
        "RepoDigests": repository_digests(image),
        "Parent": "",
        "Comment": str(raw.get("comment") or ""),
        "Created": config.created or "0001-01-01T00:00:00Z",
        "Config": _process(image, raw),
        "Version": str(raw.get("docker_version") or ""),
        "Author": config.author,
        "Architecture": config.platform.architecture,
        "Os": config.platform.os,
        **({"Variant": config.platform.variant} if config.platform.variant else {}),
        "Size": image.size_bytes,
        "VirtualSize": image.size_bytes,
        "GraphDriver": {"Name": "wpod", "Data": None},
        "RootFS": {"Type": "layers", "Layers": list(image.diff_ids or (layer.digest for layer in image.layers))},
        "Labels": dict(config.labels) or None,
        "Annotations": dict(image.annotations),
        "ManifestType": image.manifest_media_type,
        "User": config.user,
        "History": _history_entries(raw),
        "NamesHistory": list(image.names),
    }


def _process(image: Image, raw: Mapping[str, Any]) -> dict[str, object]:
    """The config's process part as it stands, in podman's order; a raw module's entrypoint is wpod's own."""
    found = raw.get("config") if isinstance(raw.get("config"), dict) else {}
    assert isinstance(found, dict)
    order = ("User", "ExposedPorts", "Env", "Entrypoint", "Cmd", "Volumes", "WorkingDir", "Labels", "StopSignal",
             "Healthcheck", "Shell", "OnBuild", "ArgsEscaped")  # fmt: skip
    shown = {key: found[key] for key in order if found.get(key)}
    if image.config.entrypoint:
        shown["Entrypoint"] = list(image.config.entrypoint)
    return shown


def _history_entries(raw: Mapping[str, Any]) -> list[dict[str, object]]:
    entries = raw.get("history")
    return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []


@frozen
class HistoryRow:
    """One step of an image's making, newest first. `image_id` is "" but for the newest."""

    image_id: str
    created_nanoseconds: int
    created_by: str
    size_bytes: int
    comment: str


def history(store: Store, image: Image) -> list[HistoryRow]:
    """The steps that the config records; layers it doesn't speak of get a row without words."""
    sizes = [layer.size_bytes for layer in image.layers]
    entries = _history_entries(config_document(store, image))
    steps: list[tuple[Mapping[str, object], int]] = []
    position = 0
    for entry in entries:
        has_layer = not entry.get("empty_layer")
        size = sizes[position] if has_layer and position < len(sizes) else 0
        position += has_layer
        steps.append((entry, size))
    steps += [({}, size) for size in sizes[position:]]
    found = [
        HistoryRow(
            "", documents.nanoseconds(str(entry.get("created") or "")) or image.created_nanoseconds,
            str(entry.get("created_by") or ""), size, str(entry.get("comment") or ""),
        )
        for entry, size in reversed(steps)
    ]  # fmt: skip
    if found:
        first = found[0]
        found[0] = HistoryRow(
            image.image_id, first.created_nanoseconds, first.created_by, first.size_bytes, first.comment
        )
    return found
