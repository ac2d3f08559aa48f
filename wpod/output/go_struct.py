"""Objects whose fields have one name in JSON and another one in templates, as `info` has them in podman."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from wpod.output.template_values import GoMap


class GoStruct(dict[str, object]):
    """A mapping with JSON's keys in which a template finds the Go names: `{{.Host.CgroupsVersion}}`.

    `items()`, and so everything that writes JSON, gives the keys; looking up and listing go by the Go names.
    """

    def __init__(self, values: Mapping[str, object], go_names: Mapping[str, str]) -> None:
        """`go_names` has the names that aren't the key with an upper-case first letter.

        Nested mappings become such objects too, but for a GoMap, whose keys are data.
        """
        super().__init__({key: _converted(value, go_names) for key, value in values.items()})
        self._keys = {go_names.get(key, key[:1].upper() + key[1:]): key for key in values}

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __contains__(self, name: object) -> bool:
        return name in self._keys

    def __getitem__(self, name: str) -> object:
        return super().__getitem__(self._keys[name])


def _converted(value: object, go_names: Mapping[str, str]) -> object:
    if isinstance(value, Mapping) and not isinstance(value, GoMap):
        return GoStruct(value, go_names)
    if isinstance(value, list):
        return [_converted(one, go_names) for one in value]
    return value
