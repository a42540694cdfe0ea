"""Fields of records that come from a file, each checked where the record is made. Standard library only."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from codegen.errors import CodegenError

LARGEST_COUNT = 2**53
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def check_text(value: Any, field: str) -> None:
    """Raise CodegenError unless `value` is a text that is not empty and can be written as UTF-8."""
    if not isinstance(value, str) or not value or any("\ud800" <= letter <= "\udfff" for letter in value):
        raise CodegenError(f"{field} is {value!r:.80}, expected a text")


def check_name(value: Any, field: str) -> None:
    """Raise CodegenError unless `value` can name a file or a directory, in the directory it is in."""
    if type(value) is not str or not _NAME.fullmatch(value):
        raise CodegenError(f"{field} is {value!r:.80}, expected a name of letters, digits, '.', '_' and '-'")


def check_path(value: Any, field: str) -> None:
    """Raise CodegenError unless `value` is a path of such names, which stays where it begins."""
    if type(value) is not str or not all(map(_NAME.fullmatch, value.split("/"))) or value.count("/") > 8:
        raise CodegenError(f"{field} is {value!r:.80}, which may lead out of the bundle")


def check_sha256(value: Any, field: str) -> None:
    """Raise CodegenError unless `value` is a SHA-256 in hexadecimal."""
    if type(value) is not str or not _SHA256.fullmatch(value):
        raise CodegenError(f"{field} is {value!r:.80}, expected a SHA-256")


def check_count(value: Any, field: str, largest: int = LARGEST_COUNT) -> None:
    """Raise CodegenError unless `value` is a whole number from 0 to `largest`."""
    if type(value) is not int or not 0 <= value <= largest:
        raise CodegenError(f"{field} is {_shown(value)}, expected a whole number from 0 to {largest}")


def check_amount(value: Any, field: str) -> None:
    """Raise CodegenError unless `value` is a finite number of at least 0."""
    if type(value) not in (int, float) or not 0 <= value <= 1e300:
        raise CodegenError(f"{field} is {_shown(value)}, expected a finite number of at least 0")


def check_truth(value: Any, field: str) -> None:
    """Raise CodegenError unless `value` is True or False."""
    if type(value) is not bool:
        raise CodegenError(f"{field} is {value!r:.80}, expected true or false")


def check_all(values: Any, kind: type, field: str) -> None:
    """Raise CodegenError unless `values` is a tuple of records of one kind, or of texts."""
    if not isinstance(values, tuple) or not all(isinstance(value, kind) for value in values):
        raise CodegenError(f"{field} is {values!r:.80}, expected a list")
    if kind is str:
        for value in values:
            check_text(value, field)


def check_distinct(values: Sequence[Any], field: str) -> None:
    """Raise CodegenError if one of the values is there twice."""
    if len(set(values)) != len(values):
        raise CodegenError(f"{field} names one twice: {', '.join(map(str, values))[:80]}")


def _shown(value: Any) -> str:
    # Python refuses to write an int of thousands of digits.
    return f"an int of {value.bit_length()} bits" if type(value) is int and value.bit_length() > 200 else f"{value!r:.80}"
