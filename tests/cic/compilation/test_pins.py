"""Pins that leave no allowed cut are refused by the names of the two that contradict, and only those."""

from __future__ import annotations

import random

import pytest

from benchmarks.harness.hand_made import graph_of
from benchmarks.harness.plain_problem import PlainProblem
from benchmarks.harness.random_problems import small_problem, to_problem
from cic.compilation.pins import checked_pins, tensors_before
from cic.errors import CompileError
from compress.bounds import Bounds
from compress.schedule import compress
from mincut.errors import InfeasibleError
from mincut.lower_envelope import PriceBox
from mincut.network import smallest_device_side


def test_contradictions_are_found_exactly_where_no_cut_is_allowed() -> None:
    rng, refused = random.Random(8), 0
    box = PriceBox((1, 1), (1, 1), (1, 1), (1, 1))  # type: ignore[arg-type]
    for _ in range(400):
        plain = small_problem(rng, 8)
        pinned = [rng.choice((0, 0, 0, 1, 2)) for _ in plain.device_ns]
        plain = PlainProblem(plain.device_ns, plain.server_ns, plain.download_bytes, pinned, plain.tensors)
        pins = {f"op{op}": {1: "device", 2: "server"}[side] for op, side in enumerate(plain.pinned) if side}
        problem = to_problem(plain)
        try:
            smallest_device_side(problem)
        except InfeasibleError:
            refused += 1
            with pytest.raises(CompileError, match=r"on the server") as caught:
                checked_pins(graph_of(plain), pins, ())
            named = [name for name, side in pins.items() if side == "server" and f" {name} on the server" in str(caught.value)]
            assert len(named) == 1
            with pytest.raises(InfeasibleError):
                compress(problem, Bounds(box))
        else:
            assert checked_pins(graph_of(plain), pins, ()) == (pins, [])
    assert 50 < refused < 350


def chain() -> PlainProblem:
    return PlainProblem([1] * 3, [1] * 3, [0, 0, 1], [0] * 3, [(-1, [0], 4, True), (0, [1], 4, True), (1, [2], 4, True)])


def test_both_pins_are_named_and_the_way_between_them() -> None:
    with pytest.raises(CompileError, match=r"puts op0 on the server and op2 on the device, .* along \(through op1\)"):
        checked_pins(graph_of(chain()), {"op0": "server", "op2": "device"}, ())
    with pytest.raises(CompileError, match=r"puts op0 on the server, yet it needs the model input t0, which is private"):
        checked_pins(graph_of(chain()), {"op0": "server"}, ["t0"])
    with pytest.raises(CompileError, match=r"puts op2 on the server, .* t0 \(through op0, op1\), which is private"):
        checked_pins(graph_of(chain()), {"op2": "server"}, ["t0", "t1", "t2"])
    assert checked_pins(graph_of(chain()), {"op0": "device", "op2": "server"}, ["t0", "t1"])


@pytest.mark.parametrize("pins", [["op0"], "op0", 5, {"op0": "moon"}, {"op0": ["device"]}, {"op9": "device"}, {5: "device"}])
def test_pins_of_other_kinds_are_refused(pins: object) -> None:
    with pytest.raises(CompileError, match="pins"):
        checked_pins(graph_of(chain()), pins, ())  # type: ignore[arg-type]


@pytest.mark.parametrize("private", ["t0", 5, None, [5], [["t0"]], ["t9"]])
def test_private_tensors_of_other_kinds_are_refused(private: object) -> None:
    with pytest.raises(CompileError, match="private"):
        checked_pins(graph_of(chain()), {}, private)  # type: ignore[arg-type]


def test_a_name_that_is_not_there_is_told_what_is_near() -> None:
    graph = graph_of(PlainProblem([1, 1], [1, 1], [0, 1], [0, 0], [(-1, [0], 5, True), (0, [1], 5, True)]))
    with pytest.raises(CompileError, match="which hand-made does not have; did you mean op1"):
        checked_pins(graph, {"opp1": "device"}, [])
    with pytest.raises(CompileError, match="names the tensor 'picture', which hand-made does not have; did you mean "):
        checked_pins(graph, None, ["picture"])


def test_patterns_stand_for_all_that_fit_and_a_name_counts_more() -> None:
    graph = graph_of(chain())
    assert checked_pins(graph, {"op[01]": "device", "op2": "server"}, ["t[01]"]) == (
        {"op0": "device", "op1": "device", "op2": "server"}, ["t0", "t1"],
    )  # fmt: skip
    assert checked_pins(graph, {"op*": "device", "op2": "server"}, ())[0] == {"op0": "device", "op1": "device", "op2": "server"}
    kind = graph.ops[0].kinds[0]
    assert checked_pins(graph, {f"kind:{kind[:2]}*": "device"}, ())[0] == {f"op{index}": "device" for index in range(3)}


@pytest.mark.parametrize(
    ("pins", "private", "message"),
    [
        ({"conv*": "device"}, (), "pins names the op 'conv\\*', which"),
        ({"kind:*lstm*": "server"}, (), "names the kind 'kind:\\*lstm\\*', which no op of hand-made is"),
        ({"op?": "device", "*2": "server"}, (), "puts op2 on the server by '\\*2' and on the device by 'op\\?'; drop one"),
        ({}, ["picture*"], "private names the tensor 'picture\\*'"),
    ],
)
def test_patterns_that_fit_nothing_or_contradict_are_refused(pins: dict[str, str], private: list[str], message: str) -> None:
    with pytest.raises(CompileError, match=message):
        checked_pins(graph_of(chain()), pins, private)


def test_what_is_nearer_to_the_inputs_than_a_first_layer_stays() -> None:
    graph = graph_of(chain())
    assert tensors_before(graph, ()) == []
    assert tensors_before(graph, ["op0"]) == ["t0"]
    assert tensors_before(graph, ["op1"]) == ["t0", "t1"]
    # Either may be the first one.
    assert tensors_before(graph, ["op[01]"]) == ["t0"]
    with pytest.raises(CompileError, match="private_until names the op 'op7', which"):
        tensors_before(graph, ["op7"])
    with pytest.raises(CompileError, match="private_until is 'op0'; give a list"):
        tensors_before(graph, "op0")
