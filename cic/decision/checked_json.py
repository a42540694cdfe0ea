"""A JSON object that nobody vouches for, read field by field: each is checked, and named where it does not fit."""

from __future__ import annotations

from cic.decision.units import shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from typing import Any, TypeVar

    Value = TypeVar("Value")

# As in `mincut.problem`, which a device need not have.
LARGEST_COUNT = 2**48
LARGEST_NUMBER = 1e300


class Fields:
    """The fields of one object. Each method gives the field of that name.

    where: what the object is called in messages; empty for the outermost.

    Raises:
        ValueError: the object or a field of it is missing or of another kind; names it.
    """

    __slots__ = ("_values", "where")

    def __init__(self, value: Any, where: str = "") -> None:
        if not isinstance(value, dict):
            raise ValueError(f"{where or 'all of it'} is {shown(value)}, expected an object")
        self._values: dict[str, Any] = value
        self.where = where

    def __getitem__(self, name: str) -> Any:
        """Whatever stands there, unchecked."""
        try:
            return self._values[name]
        except KeyError:
            raise ValueError(f"{self.path(name)} is missing") from None

    def path(self, name: str) -> str:
        """The field as messages name it."""
        return f"{self.where}.{name}" if self.where else name

    def maybe(self, read: Callable[[str], Value], name: str) -> Value | None:
        """What `read`, a method of these fields, gives; None for null."""
        return None if self[name] is None else read(name)

    # What fits is let through first and fast: a graph of 100,000 ops has two million fields.
    def text(self, name: str) -> str:
        value = self._values.get(name)
        return value if type(value) is str and value and value.isascii() else as_text(self[name], self, name)

    def texts(self, name: str) -> tuple[str, ...]:
        return tuple([as_text(value, self, name) for value in self.items(name)])

    def truth(self, name: str) -> bool:
        value = self._values.get(name)
        if value is not True and value is not False:
            raise self.unfit(name, self[name], "true or false")
        return value

    def count(self, name: str, largest: int = LARGEST_COUNT) -> int:
        value = self._values.get(name)
        return value if type(value) is int and 0 <= value < largest else as_count(self[name], self, name, largest)

    def counts(self, name: str, largest: int = LARGEST_COUNT) -> tuple[int, ...]:
        return tuple([as_count(value, self, name, largest) for value in self.items(name)])

    def number(self, name: str, lowest: float = -LARGEST_NUMBER) -> float:
        return as_number(self[name], self, name, lowest)

    def numbers(self, name: str, length: int | None = None) -> tuple[float, ...]:
        return tuple(as_number(value, self, name) for value in self.items(name, length))

    def items(self, name: str, length: int | None = None) -> Sequence[Any]:
        value = self[name]
        if not isinstance(value, list):
            raise self.unfit(name, value, "a list")
        if length is not None and len(value) != length:
            raise self.unfit(name, value, f"a list of {length}")
        return value

    def object(self, name: str) -> Fields:
        return Fields(self[name], self.path(name))

    def objects(self, name: str) -> Sequence[Fields]:
        path = self.path(name)
        return [Fields(value, f"{path}[{index}]") for index, value in enumerate(self.items(name))]

    def names(self, allowed: Collection[str]) -> Sequence[str]:
        """The names of all fields, each of which must be one of these."""
        if not self._values.keys() <= set(allowed):
            known = ", ".join(sorted(allowed))
            raise ValueError(f"{self.where} has the fields {shown(sorted(self._values))}, expected are some of {known}")
        return tuple(self._values)

    def unfit(self, name: str, value: Any, expected: str) -> ValueError:
        """The error for a field that is not as it should be."""
        return ValueError(f"{self.path(name)} is {shown(value)}, expected {expected}")


def as_text(value: Any, fields: Fields, name: str) -> str:
    """A text that is not empty and can be printed and written, which a lone surrogate cannot."""
    if type(value) is not str or not value or not _is_printable(value):
        raise fields.unfit(name, value, "a text")
    return value


def as_count(value: Any, fields: Fields, name: str, largest: int = LARGEST_COUNT) -> int:
    """A whole number from 0 to less than `largest`."""
    if type(value) is not int or not 0 <= value < largest:
        raise fields.unfit(name, value, f"a whole number from 0 to {largest - 1}")
    return value


def as_number(value: Any, fields: Fields, name: str, lowest: float = -LARGEST_NUMBER) -> float:
    """A finite number."""
    if type(value) not in (int, float) or not lowest <= value <= LARGEST_NUMBER:
        raise fields.unfit(name, value, "a finite number" if lowest < 0 else f"a finite number of at least {lowest:g}")
    return float(value)


def _is_printable(text: str) -> bool:
    return text.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in text)
