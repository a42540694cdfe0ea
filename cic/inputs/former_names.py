"""Parameters that had another name or place: who calls with the former one is told how that is said today."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast

from cic.errors import ArgumentError, CicWarning

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


def renamed(**names: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A decorator of a function whose parameters had these names and mean the same; each value is today's name.

    A call with a former name does what it did, with a CicWarning. Both names in one call raise ArgumentError.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @wraps(function)
        def passed_on(*args: P.args, **kwargs: P.kwargs) -> R:
            given = cast(dict[str, Any], kwargs)
            for former in names.keys() & given.keys():
                today = names[former]
                if today in given:
                    raise ArgumentError(
                        f"{function.__name__} is given {today!r} and its former name {former!r}; write {today!r}"
                    )
                warnings.warn(CicWarning(f"{function.__name__} calls {former!r} {today!r} now; write {today}=…"), stacklevel=2)
                given[today] = given.pop(former)
            return function(*args, **kwargs)

        return passed_on

    return decorate
