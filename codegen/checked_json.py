"""A JSON object that nobody vouches for, read field by field: each is checked, and named where it does not fit.

A device reads its splitting model with this. Standard library only, and little of it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from re import Pattern
    from typing import Any, TypeVar

    Value = TypeVar("Value")

# As in `mincut.problem`, which a device need not have.
LARGEST_COUNT = 2**48
LARGEST_NUMBER = 1e300


class Fields:
    """The fields of one object. Each method gives the field of that name.

    where: what the object is called in messages; empty for the outermost. error: the class of all errors raised.

    Raises:
        ValueError, or `error`: the object or a field of it is missing or of another kind; names it.
    """

    __slots__ = ("_values", "error", "where")

    def __init__(self, value: Any, where: str = "", error: type[Exception] = ValueError) -> None:
        if not isinstance(value, dict):
            raise error(f"{where or 'all of it'} is {shown(value)}, expected an object")
        self._values: dict[str, Any] = value
        self.where, self.error = where, error

    def __getitem__(self, name: str) -> Any:
        """Whatever stands there, unchecked."""
        try:
            return self._values[name]
        except KeyError:
            raise self.error(f"{self.path(name)} is missing") from None

    def __contains__(self, name: str) -> bool:
        """Is there such a field? Of those that only some files have."""
        return name in self._values

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
        return self.texts_of(self.items(name), name)

    def texts_of(self, values: Any, name: str) -> tuple[str, ...]:
        """The texts in a list that stands somewhere within the field."""
        if not isinstance(values, list):
            raise self.unfit(name, values, "a list of texts")
        return tuple([as_text(value, self, name) for value in values])

    def truth(self, name: str) -> bool:
        value = self._values.get(name)
        if value is not True and value is not False:
            raise self.unfit(name, self[name], "true or false")
        return value

    def matching(self, name: str, pattern: Pattern[str], expected: str) -> str:
        """A text that fits a regular expression; expected: what that stands for."""
        return as_matching(self[name], self, name, pattern, expected)

    def choice(self, name: str, allowed: Collection[str]) -> str:
        value = self[name]
        if type(value) is not str or value not in allowed:
            raise self.unfit(name, value, f"one of {', '.join(allowed)}")
        return value

    def count(self, name: str, largest: int = LARGEST_COUNT, least: int = 0) -> int:
        value = self._values.get(name)
        return value if type(value) is int and least <= value < largest else as_count(self[name], self, name, largest, least)

    def counts(self, name: str, largest: int = LARGEST_COUNT) -> tuple[int, ...]:
        return tuple([as_count(value, self, name, largest) for value in self.items(name)])

    def number(self, name: str, lowest: float = -LARGEST_NUMBER, highest: float = LARGEST_NUMBER) -> float:
        return as_number(self[name], self, name, lowest, highest)

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
        return self.object_of(self[name], name)

    def object_of(self, value: Any, name: str) -> Fields:
        """The fields of an object that stands somewhere within the field."""
        return Fields(value, self.path(name), self.error)

    def objects(self, name: str) -> Sequence[Fields]:
        path = self.path(name)
        return [Fields(value, f"{path}[{index}]", self.error) for index, value in enumerate(self.items(name))]

    def only(self, wanted: Collection[str]) -> Fields:
        """These, of which there must be each of the names wanted, and no other."""
        if missing := sorted(set(wanted) - self._values.keys()):
            raise self.error(f"{self.where or 'the file'} lacks {', '.join(missing)}")
        if unknown := sorted(self._values.keys() - set(wanted)):
            raise self.error(f"{self.where or 'the file'} has the unknown field {shown(unknown[0])}")
        return self

    def all_names(self) -> Sequence[str]:
        """The names of all fields, each a text that can be printed."""
        return [as_text(name, self, name) for name in self._values]

    def names(self, allowed: Collection[str]) -> Sequence[str]:
        """The names of all fields, each of which must be one of these."""
        if not self._values.keys() <= set(allowed):
            known = ", ".join(sorted(allowed))
            raise self.error(f"{self.where} has the fields {shown(sorted(self._values))}, expected are some of {known}")
        return tuple(self._values)

    def unfit(self, name: str, value: Any, expected: str) -> Exception:
        """The error for a field that is not as it should be."""
        return self.error(f"{self.path(name)} is {shown(value)}, expected {expected}")


def as_text(value: Any, fields: Fields, name: str) -> str:
    """A text that is not empty and can be printed and written, which a lone surrogate cannot."""
    if type(value) is not str or not value or not _is_printable(value):
        raise fields.unfit(name, value, "a text")
    return value


def as_matching(value: Any, fields: Fields, name: str, pattern: Pattern[str], expected: str) -> str:
    """A text that fits a regular expression; expected: what that stands for."""
    if type(value) is not str or not pattern.fullmatch(value):
        raise fields.unfit(name, value, expected)
    return value


def as_count(value: Any, fields: Fields, name: str, largest: int = LARGEST_COUNT, least: int = 0) -> int:
    """A whole number from `least` to less than `largest`."""
    if type(value) is not int or not least <= value < largest:
        raise fields.unfit(name, value, f"a whole number from {least} to {largest - 1}")
    return value


def as_number(value: Any, fields: Fields, name: str, lowest: float = -LARGEST_NUMBER, highest: float = LARGEST_NUMBER) -> float:
    """A finite number."""
    if not is_number(value, lowest, highest):
        at_least = f" of at least {lowest:g}" if lowest >= 0 else ""
        at_most = f", at most {highest:g}" if highest < LARGEST_NUMBER else ""
        raise fields.unfit(name, value, f"a finite number{at_least}{at_most}")
    return float(value)


def is_number(value: object, lowest: float = -LARGEST_NUMBER, highest: float = LARGEST_NUMBER) -> bool:
    """Is it a finite number within these bounds, and no truth value?"""
    return type(value) in (int, float) and lowest <= value <= highest  # type: ignore[operator]


def shown(value: object) -> str:
    """A value as it goes into a message of one line: an int of thousands of digits would fill it, or be refused by Python.

    Arrays print themselves in several lines.
    """
    try:
        text = repr(value)
    except Exception:  # a class may print itself in any way, and fail in any  # noqa: BLE001
        return f"a {type(value).__name__}"
    text = text if len(text) <= 80 else f"{text[:77]}..."
    return text if text.isprintable() else " ".join(line.strip() for line in text.splitlines())


def _is_printable(text: str) -> bool:
    return text.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in text)
