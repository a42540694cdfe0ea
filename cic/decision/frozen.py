"""The base of the nouns a device makes before its first decision: frozen, equal by value, plain JSON when asked.

They would be dataclasses, but the module `dataclasses` takes longer to import than all of a first decision.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typing_extensions import dataclass_transform
else:

    def dataclass_transform(**_):
        """For type checkers alone, which read the constructor off the annotations."""
        return lambda kind: kind


@dataclass_transform(kw_only_default=True, frozen_default=True)
class Frozen:
    """A noun names its fields twice: in `__slots__`, and each with its type. All are given by name, none has a default."""

    __slots__: tuple[str, ...] = ()

    def __init__(self, **fields: Any) -> None:
        if len(fields) != len(self.__slots__):
            raise TypeError(f"{type(self).__name__} has the fields {self.__slots__}, given are {tuple(fields)}")
        give = object.__setattr__
        for name in self.__slots__:
            give(self, name, fields[name])
        self.check()

    def check(self) -> None:
        """Raise where fields cannot be as they are given; called once they are all there."""

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} cannot be changed; `replaced` makes another one")

    def replaced(self, **changes: Any) -> Any:
        """The same with some fields changed."""
        return type(self)(**(self.fields() | changes))

    def fields(self) -> dict[str, Any]:
        """Values by name, in the order of their annotations."""
        return {name: getattr(self, name) for name in type(self).__annotations__}

    def row(self) -> Any:
        """As a JSON object or list, in which there may still be nouns."""
        return self.fields()

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self.fields() == other.fields()

    def __hash__(self) -> int:
        return hash((type(self), *self.fields().values()))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.fields().items())})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (type(self), self.fields())


def plain(value: Any) -> Any:
    """A noun, or a tuple or list of nouns, as JSON values."""
    if isinstance(value, Frozen):
        value = value.row()
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, tuple | list) else value


def _again(kind: type[Frozen], fields: dict[str, Any]) -> Frozen:
    """A noun that was pickled or copied."""
    return kind(**fields)
