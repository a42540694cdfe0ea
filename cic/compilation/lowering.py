"""Names to numbers and back: the only place where an op's name and its id meet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from cic.compilation.limits import rows_for
from cic.compilation.pins import checked_pins
from cic.decision.conditions import Box
from cic.decision.objective import BITS_PER_BYTE, NS_PER_S
from cic.decision.off_table.limit_rows import LimitRows
from cic.decision.stored_limits import StoredLimits
from cic.errors import CompileError
from cic.graph import Graph
from cic.precision.wire_form import WireForm, as_it_is
from codegen.checked_json import shown
from compress.bounds import Bounds
from mincut.errors import MincutError
from mincut.lower_envelope import PriceBox, Range
from mincut.problem import FREE, MODEL_INPUT, ON_DEVICE, ON_SERVER, Problem, make_problem

SIDES = {"device": ON_DEVICE, "server": ON_SERVER}


@dataclass(frozen=True, eq=False)
class Lowered:
    """A priced graph as a `Problem`: op i of the problem is graph.ops[i], its tensor j is named tensors[j].

    forms: of each tensor, as the problem's codecs are numbered; empty if all cross as they are.
    limits: what every cut has to keep within, and rows: the same as bounded rows of the problem; None: nothing.
    """

    graph: Graph
    problem: Problem
    tensors: tuple[str, ...]
    forms: tuple[tuple[WireForm, ...], ...] = ()
    limits: StoredLimits | None = None
    rows: LimitRows | None = None


def lower(
    graph: Graph,
    device_s: Sequence[float],
    server_s: Sequence[float],
    *,
    pins: Mapping[str, str] | None = None,
    private: Sequence[str] = (),
    forms: Mapping[str, Sequence[WireForm]] | None = None,
    limits: StoredLimits | None = None,
) -> Lowered:
    """Price a graph.

    Args:
        device_s, server_s: seconds of each op, in graph order; rounded to nanoseconds here, once.
        pins: name or pattern of ops → "device" or "server". private: names or patterns of tensors that must not leave the
            device. See `cic.compilation.pins`.
        forms: in which forms each tensor may cross, the plain one first; a tensor that is not named, and all if None, as it is.
        limits: what every cut has to keep within.

    Raises:
        CompileError: a pin or private tensor that does not exist, pins that contradict each other, an op time that is negative
            or absurd, or times and sizes whose sums no solver can hold.
    """
    pins, private = checked_pins(graph, pins, private)
    op_id = {op.name: index for index, op in enumerate(graph.ops)}
    sent = [tensor for tensor in graph.tensors if tensor.consumers]
    download = [0] * len(graph.ops)
    for tensor in graph.tensors:
        if tensor.is_output and tensor.producer is not None:
            download[op_id[tensor.producer]] += tensor.bytes
    wire = tuple(tuple((forms or {}).get(tensor.name) or (as_it_is(tensor.bytes),)) for tensor in sent) if forms else ()
    problem = _problem_of(
        _nanoseconds(graph, device_s, "device"),
        _nanoseconds(graph, server_s, "server"),
        [
            (
                MODEL_INPUT if tensor.producer is None else op_id[tensor.producer],
                [op_id[name] for name in tensor.consumers],
                tensor.bytes,
            )
            for tensor in sent
        ],
        download_bytes=download,
        pinned=[SIDES[pins[op.name]] if op.name in pins else FREE for op in graph.ops],
        may_cross=[tensor.may_cross and tensor.name not in private for tensor in sent],
        codecs=[[form.features for form in each] for each in wire] or None,
    )
    return Lowered(graph, problem, tuple(tensor.name for tensor in sent), wire, limits, rows_for(graph, limits))


def _problem_of(*amounts: Any, **options: Any) -> Problem:
    try:
        return make_problem(*amounts, **options)
    except (MincutError, OverflowError) as error:
        raise CompileError(f"the model's times and sizes do not make a problem that can be solved: {error}") from error


def price_box(box: Box) -> PriceBox:
    """A box of conditions as prices in ns per ns, per byte and per byte."""
    slowest, fastest = (Fraction(value) for value in box.uplink_bps)
    low_ratio, high_ratio = (Fraction(value) for value in box.downlink_ratio)
    return PriceBox(
        device=_exact(box.device_slowdown),
        server=_exact(box.server_slowdown),
        upload=(BITS_PER_BYTE * NS_PER_S / fastest, BITS_PER_BYTE * NS_PER_S / slowest),
        download_per_upload=(1 / high_ratio, 1 / low_ratio),
    )


def bounds(box: Box, uncertainty: float) -> Bounds:
    """What compression rules may assume.

    Raises:
        CompileError: the uncertainty is not in [0, 1).
    """
    if not isinstance(uncertainty, int | float) or not 0 <= uncertainty < 1:
        raise CompileError(f"uncertainty is {shown(uncertainty)}, it must be at least 0 and less than 1")
    return Bounds(price_box(box), Fraction(uncertainty))


def _exact(bounds: tuple[float, float]) -> Range:
    return Fraction(bounds[0]), Fraction(bounds[1])


def _nanoseconds(graph: Graph, times_s: Sequence[float], side: str) -> list[int]:
    if len(times_s) != len(graph.ops):
        raise CompileError(f"there are {len(times_s)} {side} times for {len(graph.ops)} ops")
    for op, time_s in zip(graph.ops, times_s, strict=True):
        if not 0 <= time_s < 1e5:
            raise CompileError(f"op {op.name} takes {time_s} s on the {side}; a time must lie between 0 and 100,000 s")
    return [round(time_s * NS_PER_S) for time_s in times_s]
