"""Whoever calls with a parameter's former name is told how to write it today, and the function is otherwise as it was."""

from __future__ import annotations

import inspect

import pytest

import cic
from cic.inputs.former_names import formerly, renamed


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


def test_a_parameter_of_another_name_means_what_it_meant() -> None:
    width = renamed(length="width")(area)
    with pytest.warns(cic.CicWarning, match=r"^area calls 'length' 'width' now; write width=…$"):
        assert width(length=3, height=2) == 6  # type: ignore[call-arg]
    with pytest.raises(cic.ArgumentError, match=r"is given 'width' and its former name 'length'; write 'width'"):
        width(width=3, length=3)  # type: ignore[call-arg]
    assert width(3) == 3
    with pytest.warns(cic.CicWarning, match="write storage="), pytest.raises(cic.ArgumentError, match="verify_on"):
        cic.emit("net.onnx", None, "net.split", weights="shared", args=())  # type: ignore[arg-type, call-arg]


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
