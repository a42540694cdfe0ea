"""What public functions are given, checked at their doors, so that a slip is told by the name of the argument."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cic.decision.cic_file import names_file
from cic.decision.splitting_model import SplittingModel
from cic.decision.units import shown
from cic.errors import ArgumentError


def check_path(value: Any, what: str) -> None:
    """Raise ArgumentError unless `value` is a text or a pathlib.Path that can name a file."""
    if not names_file(value):
        raise ArgumentError(f"{what} is {shown(value)}; give a path, as a text or a pathlib.Path")


def check_text(value: Any, what: str, *, or_none: bool = False) -> None:
    """Raise ArgumentError unless `value` is a text, or None where that is allowed."""
    if not (isinstance(value, str) or (or_none and value is None)):
        raise ArgumentError(f"{what} is {shown(value)}; give a text")


def check_flag(value: Any, what: str) -> None:
    """Raise ArgumentError unless `value` is True or False."""
    if not isinstance(value, bool):
        raise ArgumentError(f"{what} is {shown(value)}; give True or False")


def check_texts(value: Any, what: str) -> None:
    """Raise ArgumentError unless `value` is None or a list or tuple of texts."""
    if value is not None and not (isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)):
        raise ArgumentError(f"{what} are {shown(value)}; give a list of texts")


def check_sequence(value: Any, what: str, *, or_none: bool = True) -> None:
    """Raise ArgumentError unless `value` is a list or tuple, or None where that is allowed."""
    if not isinstance(value, list | tuple) and not (or_none and value is None):
        raise ArgumentError(f"{what} is {shown(value)}; give a list or a tuple")


def check_mapping(value: Any, what: str) -> None:
    """Raise ArgumentError unless `value` is None or a dict with texts for keys."""
    if value is not None and not (isinstance(value, Mapping) and all(isinstance(key, str) for key in value)):
        raise ArgumentError(f"{what} is {shown(value)}; give a dict with names for keys")


def check_calls(value: Any, what: str) -> None:
    """Raise ArgumentError unless `value` holds pairs (args, kwargs)."""
    if not isinstance(value, list | tuple) or not all(map(_is_call, value)):
        raise ArgumentError(f"{what} is {shown(value)}; give a list of pairs (args, kwargs)")


def _is_call(pair: Any) -> bool:
    if not isinstance(pair, list | tuple) or len(pair) != 2:
        return False
    return isinstance(pair[0], list | tuple) and isinstance(pair[1], Mapping)


def check_number(value: Any, what: str, low: float, high: float, *, or_none: bool = False, whole: bool = False) -> None:
    """Raise ArgumentError unless `value` is a number from `low` to `high`, or None where that is allowed."""
    kinds = (int,) if whole else (int, float)
    fits = isinstance(value, kinds) and not isinstance(value, bool) and low <= value <= high
    if not fits and not (or_none and value is None):
        raise ArgumentError(f"{what} is {shown(value)}; give a {'whole ' if whole else ''}number from {low:g} to {high:g}")


def check_model(value: Any) -> None:
    """Raise ArgumentError unless `value` is a splitting model."""
    if not isinstance(value, SplittingModel):
        raise ArgumentError(f"the splitting model is {shown(value)}; give what cic.compile or cic.load returns")
