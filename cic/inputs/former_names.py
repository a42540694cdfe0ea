"""Parameters that had another name or place: who calls with the former one is told how that is said today."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from cic.errors import ArgumentError

P = ParamSpec("P")
R = TypeVar("R")


def formerly(**names: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A decorator of a function whose parameters had these names; each value says how to write it today.

    The function raises ArgumentError when it is called with one of them.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @wraps(function)
        def checked(*args: P.args, **kwargs: P.kwargs) -> R:
            if former := sorted(names.keys() & kwargs.keys()):
                raise ArgumentError(f"{function.__name__} takes no {former[0]!r} any more; write {names[former[0]]}")
            return function(*args, **kwargs)

        return checked

    return decorate
