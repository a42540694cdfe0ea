"""`compile`: model and machines to splitting model. Trace → cost → lower → compress → envelope → table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from cic.codec.registry import is_lossless
from cic.codec.transform.transform_codec import KIND
from cic.compilation.assembly import assemble
from cic.compilation.constraints import Constraints
from cic.compilation.cut_search import CutSearch
from cic.compilation.limits import Limits
from cic.compilation.lowering import bounds
from cic.compilation.provenance import provenance_of
from cic.compilation.stream_cuts import stream_box, with_stream_cuts
from cic.cost.measure import measure
from cic.cost.pixel_prices import pixel_op_seconds
from cic.cost.pricing import Source, resolve
from cic.cost.profile import Profile
from cic.cost.unknown_machine import usual_box
from cic.decision.arguments import check_number, check_text
from cic.decision.conditions import Box, Conditions
from cic.decision.splitting_model import SplittingModel
from cic.errors import ArgumentError, CompileError
from cic.graph import Graph
from cic.inputs.example_inputs import describe_inputs
from cic.inputs.former_names import formerly
from cic.precision.examination import examine
from cic.precision.picture_input import PictureInput, picture_input
from cic.precision.precision import Precision, precision_of
from cic.precision.wire_form import WireForm, codecs_for
from cic.progress import Progress, Tell, teller
from cic.trace.any_model import is_traced, trace_model
from cic.trace.open_batch import Dynamic
from cic.trace.pixel_model import traces, with_pixels
from cic.trace.traced import Traced
from codegen.checked_json import shown

if TYPE_CHECKING:
    import onnx


_TRACING = {name: f"cic.trace_model(model, …, {name}=…) for the model" for name in ("shapes", "name")}


@formerly(
    uplink="box=cic.Box(uplink=(low, high))",
    rtt="defaults=cic.Conditions(uplink, rtt=…)",
    downlink_ratio="defaults=cic.Conditions(uplink, downlink=…)",
    calibration="precision=cic.Precision(calibration=…)",
    accuracy="precision=cic.Precision(accuracy=…)",
    input="precision=cic.Precision(input=…)",
    report="progress=…",
    **_TRACING,
)
def compile(
    model: nn.Module | torch.export.ExportedProgram | Traced | onnx.ModelProto | str | Path,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    device: Source,
    server: Source,
    box: Box | None = None,
    defaults: Conditions | None = None,
    precision: Precision | str | Sequence[str] | None = None,
    pins: Mapping[str, str] | None = None,
    private: Sequence[str] = (),
    private_until: Sequence[str] = (),
    limits: Limits | None = None,
    uncertainty: float = 0.0,
    most_minimum_cuts: int = 20_000,
    dynamic: Dynamic | None = None,
    throughput: Box | bool = False,
    most_cuts: int | None = None,
    progress: Tell | None = None,
) -> SplittingModel:
    """Work out every cut of a model that can be optimal between two machines.

    Args:
        model: a module, an exported program, the path of an ONNX or .pt2 file, an `onnx.ModelProto`, or what `cic.trace_model`
            made of one, which also gives it a name, and shapes that an ONNX file leaves open.
        args, kwargs: example inputs; they fix the shapes. For an exported program or a traced model its own are used. An ONNX
            file needs them only where it leaves shapes open.
        device, server: a profile file, the name of a machine in the catalogue, a `Machine`, a `Profile`, any
            `CostSource`, or "unknown": then a session finds out (`cic.cost.unknown_machine`).
        box: ranges of all conditions; decisions inside it are proved optimal. Default: `cic.Box()`, 50 kbit/s to 10 Gbit/s, and
            slowdowns from 1/64 to 64 of a machine that is unknown.
        defaults: what `decide` assumes when not told: its rtt, and its downlink relative to its uplink. Default: no rtt, and a
            downlink as fast as the uplink.
        precision: what may be lost where tensors cross: a `cic.Precision`, or the codecs alone. Default: nothing, tensors cross
            as they are.
        pins: op → "device" or "server". private: tensors (model inputs, say) that must not leave the device. Both by name or by
            pattern, such as "layer1.*", or "kind:*lstm*" of what ops do; see `cic.compilation.pins`.
        private_until: ops, by name or pattern; only what they make, and what depends on that, may leave the device.
        limits: most bytes of upload, of activations and of weights on the device, see `cic.Limits`.
        uncertainty: relative error of op times that the compressed graph must stay exact for.
        most_minimum_cuts: budget for a box too rich to finish; if it runs out, `proof` in the result holds the proven gap
            and decisions say `optimal=False`.
        dynamic: which axis of which input is the batch, {"x": {0: "batch"}}; it stays open, and the table serves every batch
            (`cic.decision.batch`). Default: all shapes are fixed.
        throughput: True adds the cuts that give a stream most answers a second at any bandwidth of the box, on machines as fast
            as profiled; a `cic.Box` says in which other conditions besides (`cic.decision.throughput`). Default: none is added.
        most_cuts: the table keeps so many, those that lose least anywhere in the box, and the proof of what they lose
            (`cic.compilation.few_cuts`). Default: all that can be optimal.
        progress: told what is going on, see `cic.progress`; print will do.

    Raises:
        TraceError, CostError, CompileError.
    """
    _check_conditions(box, defaults)
    _check_table(throughput, most_cuts)
    tell = teller(progress)
    asked = precision_of(precision)
    check_number(most_minimum_cuts, "the most minimum cuts", 1, 10**9, whole=True)
    started = perf_counter()
    device_cost, server_cost = resolve(device, "the device"), resolve(server, "the server")
    box = box or usual_box(device_cost, server_cost)
    usual = assumed(defaults, box)
    if not is_traced(model):
        tell(Progress("tracing"))
    bare, traced = _traced(model, args, kwargs, asked, dynamic)
    traced_s = perf_counter() - started
    device_s, server_s = (pixel_op_seconds(cost, traced, bare) for cost in (device_cost, server_cost))
    examined = examine(traced, asked, (device_cost, server_cost), tell)
    device_s = _with_unpacking(traced.graph, device_s, examined.forms)
    measured_s = perf_counter() - started - traced_s
    costs, prices = (device_cost, server_cost), (device_s, server_s)
    asked_for = Constraints(pins, private, private_until, None if limits is None else limits.stored(traced))
    search = CutSearch(traced.graph, prices, costs, asked_for, bounds(box, uncertainty), most_minimum_cuts, tell)
    lowered, chosen, examined = search.found(examined)
    solved_s = perf_counter() - started - traced_s - measured_s
    information = provenance_of(
        traced,
        (device_cost, server_cost),
        examined.described(chosen),
        compressed_ops=chosen.solved_ops,
        constraints=[each.text for each in asked_for.asked],
        uncertainty=uncertainty,
        spent_s=(traced_s, measured_s, solved_s),
    )
    opened = traced.open_batch
    inputs = describe_inputs(traced.args, traced.kwargs, () if opened is None else opened.axes)
    batch = None if opened is None else opened.size
    fastest = assemble(lowered, chosen, box, usual, inputs, information, examined.stored, batch)
    return _as_asked(fastest, throughput, most_cuts, tell)


def _as_asked(fastest: SplittingModel, throughput: Box | bool, most_cuts: int | None, tell: Tell) -> SplittingModel:
    """The table with the cuts for streams, too, or with the best few."""
    if most_cuts is not None:
        from cic.compilation.few_cuts import with_few_cuts  # scipy takes a while to load

        return with_few_cuts(fastest, most_cuts, progress=tell)
    if throughput is False:
        return fastest
    return with_stream_cuts(fastest, stream_box(fastest.box) if throughput is True else throughput, progress=tell)


def _traced(
    model: Any, args: Sequence[Any], kwargs: Mapping[str, Any] | None, asked: Precision, dynamic: Dynamic | None
) -> tuple[Traced, Traced]:
    """The model as it is, and as it is cut: where the form of its pictures is declared, that one takes pixels."""
    bare = trace_for(asked.pictures, model, args, kwargs, dynamic=dynamic)
    if bare.open_batch is not None:
        _check_beside_batch(asked)
    if asked.pictures is None:
        return bare, bare
    return bare, with_pixels(bare, asked.pictures.normalisation, exact=asked.calibration is None)


def _check_beside_batch(asked: Precision) -> None:
    """Raise ArgumentError unless all codecs allowed lose nothing: what others keep is known of the example's batch alone."""
    judged = (asked.calibration, asked.accuracy, asked.train)
    lossy = [name for name in codecs_for(asked.codecs or ["raw"]) if name == KIND or not is_lossless(name)]
    if asked.pictures is not None and not is_lossless(asked.pictures.held):
        lossy.append(asked.pictures.held)
    if lossy or any(each is not None for each in judged):
        what = lossy[0] if lossy else "accuracy"
        raise ArgumentError(
            f"dynamic leaves the batch open, and {what} is asked for, which is measured at one batch; compile for each batch"
            " that needs it"
        )


def trace_for(
    pictures: PictureInput | None,
    model: Any,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    name: str | None = None,
    dynamic: Dynamic | None = None,
) -> Traced:
    """Trace a model as it is, on example inputs that may be pixels if the form of its pictures is declared.

    Raises TraceError as `cic.trace_model` does.
    """
    if pictures is None:
        return trace_model(model, args, kwargs, name=name, dynamic=dynamic)
    return next(traces(model, args, kwargs, pictures.normalisation, name=name, dynamic=dynamic))


def _with_unpacking(
    graph: Graph, device_s: Sequence[float], forms: Mapping[str, Sequence[WireForm]] | None
) -> tuple[float, ...]:
    """Op times where an op on the device that reads a picture waits until its file is unpacked.

    That is what sending the picture as plain pixels takes, too. Of several ops that read it, the first one bears it: of those
    cuts that have another one alone on the device, it says too little. A normalisation in front is the only op that reads it.
    """
    extra = {}
    for name in graph.inputs:
        if forms and name in forms and graph.tensor_by_name[name].consumers:
            extra[graph.tensor_by_name[name].consumers[0]] = forms[name][0].encode_s
    return tuple(seconds + extra.get(op.name, 0.0) for op, seconds in zip(graph.ops, device_s, strict=True))


def assumed(defaults: Conditions | None, box: Box) -> Conditions:
    """What `decide` assumes, at the slowest uplink of the box. Raises CompileError if no decision under it is proved."""
    slowest, _ = box.uplink_bps
    told = defaults or Conditions(slowest)
    if (told.device_slowdown, told.server_slowdown) != (1.0, 1.0):
        raise CompileError(f"the defaults are {told!r}; decide assumes slowdowns of 1, so scale the profiled times instead")
    ratio = told.downlink_bps / told.uplink_bps
    usual = Conditions(slowest, slowest * ratio, told.rtt_s)
    if not box.contains(usual):
        raise CompileError(f"the default rtt {told.rtt_s:g} s and downlink ratio {ratio:g} must lie inside the box, {box!r}")
    return usual


def _check_table(throughput: Any, most_cuts: Any) -> None:
    if not isinstance(throughput, Box | bool):
        raise ArgumentError(f"throughput is {shown(throughput)}; give True, or a cic.Box of conditions")
    if most_cuts is None:
        return
    check_number(most_cuts, "most_cuts", 2, 10**9, whole=True)
    if throughput is not False:
        raise ArgumentError(
            f"most_cuts is {most_cuts}, and throughput is asked for; of cuts for streams none can be left out with a proof, "
            "so leave one of both away"
        )


def _check_conditions(box: Any, defaults: Any) -> None:
    if not isinstance(box, Box | None):
        raise ArgumentError(f"the box is {shown(box)}; give a cic.Box")
    if not isinstance(defaults, Conditions | None):
        raise ArgumentError(f"the defaults are {shown(defaults)}; give cic.Conditions, such as Conditions('9Mbps', rtt='10ms')")


@formerly(**_TRACING)
def profile(
    model: nn.Module | torch.export.ExportedProgram | Traced | onnx.ModelProto | str | Path,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    threads: int = 1,
    seconds_per_op: float = 0.1,
    input: str | None = None,
    engine: str | None = None,
    progress: Tell | None = None,
) -> Profile:
    """Measure a model's ops on this machine; see `cic.cost.measure`.

    input: the form in which the device has its pictures, as in `cic.Precision`, so that normalising them is measured with the
    model. A profile made without it serves, too: what normalising a picture takes is in every profile.
    engine: that will run the halves here, such as "onnxruntime" or "torchscript:cuda"; None: "torchscript", and of an ONNX file
    "onnxruntime".

    Raises:
        TraceError, CostError, EngineError.
    """
    check_number(threads, "threads", 1, 4096, whole=True)
    check_number(seconds_per_op, "seconds_per_op", 1e-6, 3600)
    check_text(engine, "the engine", or_none=True)
    traced = trace_model(model, args, kwargs) if input is None else _pixel_model(model, args, kwargs, input)
    return measure(traced, threads=threads, seconds_per_op=seconds_per_op, engine=engine, progress=progress)


def _pixel_model(model: Any, args: Sequence[Any], kwargs: Mapping[str, Any] | None, declared: str) -> Traced:
    check_text(declared, "the form of the input")
    pictures = picture_input(declared)
    return with_pixels(trace_for(pictures, model, args, kwargs), pictures.normalisation)
