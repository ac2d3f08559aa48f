"""Enumerations as `enum.Enum` and `enum.IntEnum`, made in a fifth of the time.

The standard module takes 0.1 to 0.3 ms for each class and 3 ms for its import; a command has some thirty, an eighth of
the time of `wpod ps`. A class made here has the same look and manners: what its body assigns, without an underscore and
no function, are its members. They are the only ones, stand in their order and have `name` and `value`; `Kind(1)` finds
one, or raises ValueError, and so does `Kind["WASM"]` (KeyError). A value that comes twice is another name of its first
member. Type checkers see the standard classes. Not supported: `auto`, `_missing_`, values as arguments of `__init__`,
flags, changing a class afterwards.
"""

from __future__ import annotations

__all__ = ["Enum", "IntEnum"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from enum import Enum, IntEnum
else:
    _NOT_SUPPORTED = frozenset(("__init__", "__new__", "_missing_", "_generate_next_value_"))

    class _Members(type):
        """The class of enumerations."""

        def __new__(cls, name, bases, namespace):
            given = {
                key: value
                for key, value in namespace.items()
                if not key.startswith("_") and not hasattr(value, "__get__")
            }
            if not _NOT_SUPPORTED.isdisjoint(namespace):
                raise TypeError(f"{name}: this needs the standard module's classes")
            made = super().__new__(cls, name, bases, {key: namespace[key] for key in namespace if key not in given})
            members, by_value = {}, {}
            is_number = issubclass(made, int)
            for key, value in given.items():
                member = by_value.get(value)
                if member is None:
                    member = int.__new__(made, value) if is_number else object.__new__(made)
                    member.__dict__["name"] = key
                    member.__dict__["value"] = value
                    by_value[value] = member
                members[key] = member
                type.__setattr__(made, key, member)
            type.__setattr__(made, "__members__", members)
            type.__setattr__(made, "_by_value", by_value)
            return made

        def __call__(cls, value):
            try:
                return cls._by_value[value]
            except (KeyError, TypeError):
                if value.__class__ is cls:
                    return value
                raise ValueError(f"{value!r} is not a valid {cls.__name__}") from None

        def __getitem__(cls, name):
            return cls.__members__[name]

        def __iter__(cls):
            return iter(cls._by_value.values())

        def __len__(cls):
            return len(cls._by_value)

        def __contains__(cls, value):
            return value.__class__ is cls or value in cls._by_value

        def __setattr__(cls, name, value):
            raise AttributeError(f"{cls.__name__}.{name} can't be assigned to")

    class Enum(metaclass=_Members):
        """Members are equal to nothing but themselves."""

        def __repr__(self):
            return f"<{self.__class__.__name__}.{self.name}: {self.value!r}>"

        def __str__(self):
            return f"{self.__class__.__name__}.{self.name}"

        def __format__(self, how):
            return format(str(self), how)

        def __setattr__(self, name, value):
            raise AttributeError(f"{self!r}: {name} can't be assigned to")

        def __reduce_ex__(self, _):
            return self.__class__, (self.value,)  # a copy is the member itself

    class IntEnum(int, Enum):
        """Members are numbers."""

        __repr__ = Enum.__repr__
        __str__ = int.__repr__
        __reduce_ex__ = Enum.__reduce_ex__
