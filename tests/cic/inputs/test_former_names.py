"""Whoever calls with a parameter's former name is told how to write it today, and the function is otherwise as it was."""

from __future__ import annotations

import inspect

import pytest

import cic
from cic.inputs.former_names import formerly


@formerly(length="width=…")
def area(width: float, height: float = 1.0) -> float:
    return width * height


def test_a_function_keeps_its_answers_and_its_signature() -> None:
    assert area(3, height=2) == 6
    assert list(inspect.signature(area).parameters) == ["width", "height"]
    with pytest.raises(cic.ArgumentError, match=r"^area takes no 'length' any more; write width=…$"):
        area(3, length=2)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="depth"):
        area(3, depth=2)  # type: ignore[call-arg]


def test_emit_tells_how_inputs_are_given() -> None:
    with pytest.raises(cic.ArgumentError, match=r"emit takes no 'args' any more; write verify_on=\[\(args, kwargs\)\]"):
        cic.emit("net.onnx", None, "net.split", args=())  # type: ignore[arg-type, call-arg]


@pytest.mark.parametrize(
    ("former", "today"),
    [
        ({"uplink": ("1Mbps", "1Gbps")}, "cic.Box(uplink="),
        ({"rtt": "5ms"}, "cic.Conditions("),
        ({"calibration": []}, "cic.Precision("),
        ({"name": "net"}, "cic.trace_model("),
    ],
)
def test_compile_tells_where_its_parameters_went(former: dict[str, object], today: str) -> None:
    with pytest.raises(cic.ArgumentError, match="compile takes no") as caught:
        cic.compile("net.onnx", device="a", server="b", **former)  # type: ignore[arg-type]
    assert today in str(caught.value)
