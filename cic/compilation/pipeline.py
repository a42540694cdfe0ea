"""`compile`: model and machines to splitting model. Trace → cost → lower → compress → envelope → table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from cic.compilation.assembly import assemble
from cic.compilation.lowering import bounds, lower, price_box
from cic.cost.measure import measure
from cic.cost.pricing import Source, resolve
from cic.cost.profile import Profile
from cic.decision.arguments import check_mapping, check_number, check_sequence, check_text, check_texts
from cic.decision.conditions import Box, Conditions
from cic.decision.splitting_model import SplittingModel
from cic.decision.units import factor, seconds, shown
from cic.errors import ArgumentError, CompileError, TraceError
from cic.precision.accuracy import Judge, parse_target
from cic.precision.examination import Wanted, examine
from cic.precision.target_search import within_target
from cic.trace.any_model import trace_model
from cic.trace.fx.torch_trace import TracedModel
from cic.trace.onnx.onnx_model import OnnxModel
from codegen.calls.structure import is_tensor
from compress.errors import CompressError
from compress.schedule import compress
from mincut.errors import InfeasibleError, MincutError

if TYPE_CHECKING:
    import onnx

Report = Callable[[str], None]


def compile(
    model: nn.Module | torch.export.ExportedProgram | TracedModel | OnnxModel | onnx.ModelProto | str | Path,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    device: Source,
    server: Source,
    uplink: tuple[float | str, float | str] = ("50kbps", "10Gbps"),
    box: Box | None = None,
    rtt: float | str = 0.0,
    downlink_ratio: float = 1.0,
    pins: Mapping[str, str] | None = None,
    private: Sequence[str] = (),
    uncertainty: float = 0.0,
    precision: str | Sequence[str] | None = None,
    calibration: Sequence[Any] | None = None,
    accuracy: str | Judge | None = None,
    input: str | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
    most_minimum_cuts: int = 20_000,
    name: str | None = None,
    report: Report | None = None,
) -> SplittingModel:
    """Work out every cut of a model that can be optimal between two machines.

    Args:
        model: a module, an exported program, the path of an ONNX or .pt2 file, an `onnx.ModelProto`, or what `trace` or
            `trace_onnx` made of one.
        args, kwargs: example inputs; they fix the shapes. For an exported program or a traced model its own are used. An ONNX
            file needs them only where it leaves shapes open.
        device, server: a profile file, the name of a machine in the catalogue, a `Machine`, a `Profile` or any `CostSource`.
        uplink: range of bandwidths, used when no `box` is given.
        box: ranges of all conditions; decisions inside it are proved optimal.
        rtt, downlink_ratio: what `decide` assumes when not told.
        pins: op name → "device" or "server". private: tensors (model inputs, say) that must not leave the device.
        uncertainty: relative error of op times that the compressed graph must stay exact for.
        precision: the coarsest form in which tensors may cross, "fp32", "fp16", "int8" or "int4", each with or without
            compression, or a list of codecs (`cic.codec.registry`); the fastest is chosen for each tensor and condition. None:
            tensors cross as they are; "int4" if an accuracy is asked for.
        calibration: real inputs, see `cic.precision.calibration.calibration_of`; payloads are measured and cuts compared on
            them. None: the example inputs, which say little about either.
        accuracy: what every cut must keep, "top1>=0.99" or "rel<=0.01" of the whole model, or a function of the cut's and the
            whole model's answers (see `cic.precision.accuracy`). None: it is measured if calibration inputs are given, and not
            judged.
        input: the natural form of pictures that the model takes, such as "uint8, mean=0.485 0.456 0.406, std=0.229 0.224
            0.225": a device sends the pixels, not the normalised floats. "png, …" or "jpeg90, …" where it has files; a lossy
            one is judged as codecs are. Then calibration or example inputs must be such pictures.
        shapes: of an ONNX file's inputs, by name, where it leaves them open and there is no example.
        most_minimum_cuts: budget for a box too rich to finish; if it runs out, `proof` in the result holds the proven gap
            and decisions say `optimal=False`.
        report: told in a few words what is going on.

    Raises:
        TraceError, CostError, CompileError, UnitError.
    """
    _check_request(args, kwargs, box, precision, accuracy, report, (name, input))
    check_number(most_minimum_cuts, "the most minimum cuts", 1, 10**9, whole=True)
    tell = report or (lambda _: None)
    started = perf_counter()
    device_cost, server_cost = resolve(device), resolve(server)
    box = box or Box(uplink=uplink)
    defaults = Conditions(box.uplink_bps[0], box.uplink_bps[0] * factor(downlink_ratio, "downlink_ratio"), seconds(rtt, "rtt"))
    if not box.contains(defaults):
        raise CompileError(f"the default rtt {rtt} and downlink ratio {downlink_ratio} must lie inside the box, {box!r}")
    tell("tracing")
    traced = trace_model(model, args, kwargs, shapes=shapes, name=name)
    traced_s = perf_counter() - started
    prices = device_cost.op_seconds(traced.graph), server_cost.op_seconds(traced.graph)
    wanted = Wanted(precision, calibration, parse_target(accuracy), input)
    examined = examine(traced, wanted, (device_cost, server_cost), tell)
    lowered = lower(traced.graph, *prices, pins=pins, private=private, forms=examined.forms)
    measured_s = perf_counter() - started - traced_s
    tell(f"finding every optimal cut of {len(traced.graph.ops)} ops")
    try:
        compression = compress(lowered.problem, bounds(box, uncertainty))
        chosen = within_target(
            compression.reduction.problem,
            lowered.forms,
            price_box(box),
            examined.runner(lowered),
            most_solves=most_minimum_cuts,
            tell=tell,
        )
    except InfeasibleError as error:
        raise CompileError(f"no cut satisfies the pins and private tensors: {error}") from error
    except (MincutError, CompressError) as error:
        raise CompileError(f"the cuts of {traced.graph.name} cannot be computed: {error}") from error
    solved_s = perf_counter() - started - traced_s - measured_s
    return assemble(
        traced,
        lowered,
        compression,
        chosen,
        box,
        defaults,
        (device_cost, server_cost),
        uncertainty,
        examined.described(chosen),
        {"trace_s": round(traced_s, 3), "measure_s": round(measured_s, 3), "solve_s": round(solved_s, 3)},
    )


def _check_request(
    args: Any,
    kwargs: Any,
    box: Any = None,
    precision: Any = None,
    accuracy: Any = None,
    report: Any = None,
    texts: tuple[Any, Any] = (None, None),
) -> None:
    """Raise ArgumentError for what is of another kind than `compile` and `profile` take; texts: name, and form of the input."""
    for what, text in zip(("the name", "the form of the input"), texts, strict=True):
        check_text(text, what, or_none=True)
    if is_tensor(args):
        raise TraceError("args is a tensor; pass a tuple of arguments, (tensor,)")
    check_sequence(args, "args", or_none=False)
    check_mapping(kwargs, "kwargs")
    if precision is not None and not isinstance(precision, str):
        check_texts(precision, "the codecs allowed")
    if not isinstance(box, Box | None):
        raise ArgumentError(f"the box is {shown(box)}; give a cic.Box")
    if not (accuracy is None or isinstance(accuracy, str) or callable(accuracy)):
        raise ArgumentError(f"the accuracy is {shown(accuracy)}; give a target such as 'top1>=0.99', or a function")
    if report is not None and not callable(report):
        raise ArgumentError(f"report is {shown(report)}; give a function that takes a text")


def profile(
    model: nn.Module | torch.export.ExportedProgram | TracedModel | OnnxModel | onnx.ModelProto | str | Path,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    shapes: Mapping[str, Sequence[int]] | None = None,
    threads: int = 1,
    seconds_per_op: float = 0.1,
    name: str | None = None,
    progress: bool = True,
) -> Profile:
    """Measure a model's ops on this machine, an ONNX file's with ONNX Runtime; see `cic.cost.measure`.

    Raises:
        TraceError, CostError.
    """
    _check_request(args, kwargs, texts=(name, None))
    check_number(threads, "threads", 1, 4096, whole=True)
    check_number(seconds_per_op, "seconds_per_op", 1e-6, 3600)
    traced = trace_model(model, args, kwargs, shapes=shapes, name=name)
    return measure(traced, threads=threads, seconds_per_op=seconds_per_op, progress=progress)
