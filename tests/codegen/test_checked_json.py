"""A field that is missing or of another kind is named, with what stands there and what was expected."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from codegen.checked_json import LARGEST_COUNT, Fields

READERS: dict[str, tuple[Callable[[Fields, str], object], list[object], list[object]]] = {
    "text": (Fields.text, ["a", "é", "\U0001f600"], ["", "\ud800", 1, None, ["a"], {}]),
    "texts": (Fields.texts, [[], ["a", "b"]], ["a", [""], [1], None, {}]),
    "truth": (Fields.truth, [True, False], [0, 1, None, "true", []]),
    "count": (Fields.count, [0, 7, LARGEST_COUNT - 1], [-1, LARGEST_COUNT, 1.0, True, None, "1", 10**400]),
    "counts": (Fields.counts, [[], [0, 1]], [0, [-1], [True], [0.5], None]),
    "number": (Fields.number, [0, -1.5, 1e300], [float("inf"), float("nan"), 10**400, True, None, "1"]),
    "numbers": (Fields.numbers, [[], [0, 0.5]], [0, ["1"], [None], None]),
    "list": (Fields.items, [[], [None]], [(), {}, "a", None]),
    "object": (lambda fields, name: fields.object(name).where, [{}, {"a": 1}], [[], "a", None, 1]),
    "objects": (Fields.objects, [[], [{}]], [{}, [1], [None], "a"]),
}


@pytest.mark.parametrize("kind", READERS)
def test_what_fits_is_read_and_what_does_not_is_named(kind: str) -> None:
    read, fitting, others = READERS[kind]
    for value in fitting:
        assert read(Fields({"field": value}, "box[3]"), "field") is not None
    for value in others:
        with pytest.raises(ValueError, match=r"^box\[3\]\.field.* is .*, expected "):
            read(Fields({"field": value}, "box[3]"), "field")
    with pytest.raises(ValueError, match=r"^box\[3\]\.field is missing$"):
        read(Fields({}, "box[3]"), "field")


def test_values_come_back_as_they_are() -> None:
    fields = Fields({"a": "x", "b": None, "c": [1, 2], "d": 3, "e": [{"f": True}]})
    assert (fields.text("a"), fields.maybe(fields.text, "b"), fields.counts("c"), fields.number("d")) == (
        "x",
        None,
        (1, 2),
        3.0,
    )
    (inner,) = fields.objects("e")
    assert inner.where == "e[0]" and inner.truth("f")


def test_limits_are_kept() -> None:
    fields = Fields({"a": 3, "b": -1, "c": [1, 2, 3]}, "it")
    with pytest.raises(ValueError, match=r"it\.a is 3, expected a whole number from 0 to 2"):
        fields.count("a", 3)
    with pytest.raises(ValueError, match=r"it\.b is -1, expected a finite number of at least 0"):
        fields.number("b", 0)
    with pytest.raises(ValueError, match=r"it\.c is \[1, 2, 3\], expected a list of 2"):
        fields.numbers("c", 2)
    with pytest.raises(ValueError, match="it has the fields"):
        fields.names(("a", "b"))
