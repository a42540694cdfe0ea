"""Places where a value can be put and changed: entries of a dictionary, attributes of an object, globals of a function.

A place can be read, as a row of named values, and written, so that it is again as it was read. Only values are exchanged:
the dictionary, object or list itself stays the one that others refer to.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import OrderedDict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import CellType
from typing import Any

State = dict[Any, Any]

_PLAIN = (bool, int, float, complex, str, bytes)


def same_value(one: Any, other: Any) -> bool:
    """Tell whether two values are the same object, or equal constants."""
    if one is other:
        return True
    return type(one) is type(other) and isinstance(one, _PLAIN) and one == other


def same_state(one: State, other: State) -> bool:
    """Tell whether two readings of a place hold the same values under the same names."""
    return len(one) == len(other) and all(key in other and same_value(value, other[key]) for key, value in one.items())


class Place(ABC):
    """Where values are kept under names. by_name: the values mean something one by one, unlike those of a list."""

    by_name = True

    @abstractmethod
    def read(self) -> State:
        """Return what is there now."""

    @abstractmethod
    def write(self, state: State) -> None:
        """Put there exactly what was read."""


@dataclass(frozen=True)
class Entries(Place):
    """The entries of a dictionary, an object's `__dict__` among them; a subclass is used past its own methods."""

    owner: dict[Any, Any]

    def read(self) -> State:
        return dict(self._kind().items(self.owner))

    def write(self, state: State) -> None:
        self._kind().clear(self.owner)
        self._kind().update(self.owner, state)

    def _kind(self) -> Any:
        return OrderedDict if isinstance(self.owner, OrderedDict) else dict


@dataclass(frozen=True)
class Items(Place):
    """The items of a list, a deque or a set."""

    owner: list[Any] | deque[Any] | set[Any]
    by_name = False

    def read(self) -> State:
        return dict(enumerate(self._kind().__iter__(self.owner)))

    def write(self, state: State) -> None:
        kind = self._kind()
        kind.clear(self.owner)
        add: Any = kind.update if kind is set else kind.extend
        add(self.owner, state.values())

    def _kind(self) -> Any:
        return next(kind for kind in (list, deque, set) if isinstance(self.owner, kind))


@dataclass(frozen=True)
class Names(Place):
    """Some names of a namespace, such as the globals that a function uses."""

    owner: dict[str, Any]
    names: tuple[str, ...]

    def read(self) -> State:
        return {name: self.owner[name] for name in self.names if name in self.owner}

    def write(self, state: State) -> None:
        for name in self.names:
            if name in state:
                self.owner[name] = state[name]
            else:
                self.owner.pop(name, None)


@dataclass(frozen=True)
class Attributes(Place):
    """Attributes that only the object itself can hand out: those of a class, and those in slots."""

    owner: Any
    names: tuple[str, ...] | None = None  # None: all of a class

    def read(self) -> State:
        if self.names is None:
            return {name: value for name, value in vars(self.owner).items() if name not in ("__dict__", "__weakref__")}
        return {name: value for name in self.names if (value := getattr(self.owner, name, self)) is not self}

    def write(self, state: State) -> None:
        before = self.read()
        setting: Any = type if isinstance(self.owner, type) else object
        for name in before.keys() - state.keys():
            setting.__delattr__(self.owner, name)
        for name, value in state.items():
            if name not in before or before[name] is not value:
                setting.__setattr__(self.owner, name, value)


@dataclass(frozen=True)
class Kind(Place):
    """The class of an object, which parametrizations and lazy modules exchange."""

    owner: Any

    def read(self) -> State:
        return {"class": type(self.owner)}

    def write(self, state: State) -> None:
        object.__setattr__(self.owner, "__class__", state["class"])


@dataclass(frozen=True)
class Scripted(Place):
    """Attributes of a module of TorchScript, which no Python object holds; its lists and dictionaries come as copies."""

    owner: Any
    names: tuple[str, ...]

    def read(self) -> State:
        return {name: self.owner.getattr(name) for name in self.names}

    def write(self, state: State) -> None:
        for name, value in state.items():
            self.owner.setattr(name, value)


@dataclass(frozen=True)
class Cell(Place):
    """A variable that a function shares with the one around it."""

    owner: CellType

    def read(self) -> State:
        try:
            return {"value": self.owner.cell_contents}
        except ValueError:  # not assigned yet
            return {}

    def write(self, state: State) -> None:
        if state:
            self.owner.cell_contents = state["value"]
        else:
            del self.owner.cell_contents


def settled(original: State, first: Mapping[Any, Any], second: Mapping[Any, Any], by_name: bool) -> State:
    """Return what a place holds once a program has warmed up: what one call left there and the next did not touch.

    Whatever the second call changed again is no cache but a record of the call; of that the original is returned.
    """
    absent = object()
    if not by_name:
        return dict(second) if same_state(dict(first), dict(second)) else original
    state: State = {}
    for name in _in_order(original, second):
        latest = second.get(name, absent)
        value = latest if same_value(first.get(name, absent), latest) else original.get(name, absent)
        if value is not absent:
            state[name] = value
    return state


def _in_order(*states: Iterable[Any]) -> list[Any]:
    return list(dict.fromkeys(name for state in states for name in state))
