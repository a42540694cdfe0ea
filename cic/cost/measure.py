"""Measured op times: what `cic profile` does, on the machine it runs on. Needs torch and numpy, for ONNX files onnxruntime.

What is measured, and why not simply each op. benchmarks/cost/profile_accuracy.py cuts networks at places a profile has not
seen and compares sums of op times with the measured heads and tails (relative error, median and worst over 11 cuts; one
core of a busy server, torch 2.13):

                          ops measured alone      the same scaled         as priced here
                                                  to the whole
    ResNet-50      head   32 %, worst 70 %        23 %, worst 58 %        1.0 %, worst  4 %
                   tail   21 %, worst 34 %        26 %, worst 39 %        1.9 %, worst  4 %
    MobileNetV3    head   35 %, worst 69 %        25 %, worst 56 %        3.4 %, worst 18 %
       Large       tail   29 %, worst 64 %        34 %, worst 66 %        2.9 %, worst 24 %
    GoogLeNet      head   31 %, worst 97 %        21 %, worst 81 %        1.8 %, worst 13 %
                   tail   17 %, worst 33 %        23 %, worst 39 %        1.2 %, worst 10 %
    DenseNet-121   head    5 %, worst 48 %        10 %, worst 62 %        1.3 %, worst  4 %
                   tail   17 %, worst 32 %         9 %, worst 26 %        0.4 %, worst  5 %

and, of networks exported to ONNX and run by ONNX Runtime 1.31 (`--onnx`; the worst tail is MobileNetV2's last two ops, a
mean and a linear, which are 6 % of the whole and priced at 1 %):

    ResNet-18      head   10 %, worst 11 %         1 %, worst  4 %        0.9 %, worst  1 %
                   tail    5 %, worst  7 %         4 %, worst 10 %        0.3 %, worst  4 %
    MobileNetV2    head   20 %, worst 25 %        10 %, worst 27 %        1.4 %, worst  8 %
                   tail   11 %, worst 84 %        19 %, worst 86 %        2.4 %, worst 82 %
    a transformer  head   20 %, worst 25 %         2 %, worst  8 %        1.1 %, worst  7 %
    of 4 layers    tail   21 %, worst 35 %         3 %, worst 20 %        1.6 %, worst 18 %

Alone, an op converts its tensors into and out of the blocked layout that convolutions work in, or misses that layout
altogether (the first pooling of ResNet-50 alone takes 4.4 ms, the head that ends with it 2.2 ms); inside a network only
the first and the last op convert. The bias grows with the tensors, so it makes early ops far too dear, and one scale for
all cannot mend it. So a number of real heads and tails are measured too, and `cic.cost.attribution` finds the op times
that explain them. A head and its tail together take up to 3 % longer than the whole; that share is spread over the ops.

What is stored is elapsed time; `cic.cost.timing` says which statistic of it, and benchmarks/cost/profile_quota.py how well it
tells what networks and halves take under a processor quota.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import reduce
from importlib import import_module

from cic.cost.attribution import Half, attribute, halves_error
from cic.cost.codec_measure import codecs_here
from cic.cost.codec_time import CodecTime
from cic.cost.control_group import groups_here, processors_allowed
from cic.cost.host import describe_host
from cic.cost.measurement import Measurement, describe_measurement
from cic.cost.profile import OpTime, Profile
from cic.cost.stopwatch import torch_threads
from cic.cost.timing import Pace, Run, Session, Timing, take_turns, total_pace
from cic.cost.workbench import Workbench
from cic.engine.engine_name import EngineName, engine_name
from cic.errors import CostError, EngineError
from cic.graph import Op
from cic.progress import Tell, counted, teller
from cic.trace.traced import Runtime, Traced
from codegen.errors import CodegenError, needing

Advance = Callable[[str], None]
"""Told the name of each finished step."""


@dataclass(frozen=True, slots=True)
class _Alone:
    """Ops timed alone, in turn, and last a call that computes nothing; signatures: of the ops, in this order."""

    signatures: tuple[str, ...]
    session: Session

    def seconds(self, pace: Pace) -> dict[str, float]:
        """Signature → seconds of the op, without what calling costs."""
        *ops, empty = map(pace.seconds, self.session.timings)
        return {signature: max(op - empty, 0.0) for signature, op in zip(self.signatures, ops, strict=True)}


@dataclass(frozen=True, slots=True)
class _CutInTwo:
    """Head and tail of one cut, timed in turn with the whole model: timings of whole, head, tail."""

    parts: tuple[Sequence[Op], Sequence[Op]]
    session: Session

    def halves(self, pace: Pace, whole_s: float, first_of: dict[str, Op]) -> list[Half]:
        """Both halves. They are told in units of the whole of the same rounds, so that a drifting clock rate cancels."""
        reference, *halves = map(pace.seconds, self.session.timings)
        unit = whole_s / max(reference, 1e-9)
        return [Half(_counts(part, first_of), half * unit) for part, half in zip(self.parts, halves, strict=True)]


def measure(
    traced: Traced,
    *,
    threads: int = 1,
    seconds_per_op: float = 0.1,
    cuts: int = 12,
    engine: str | None = None,
    progress: Tell | None = None,
) -> Profile:
    """Measure every distinct op of a traced model, real halves at some cuts, the whole, as emitted halves run, and the codecs.

    threads: of the engine, and of torch while measuring, which has its own again afterwards.
    seconds_per_op: time budget of one distinct op; the whole model and each cut get ten times as much.
    cuts: at how many places head and tail are measured; 0 scales the ops' own times to the whole.
    engine: that will run the halves, see `cic.engine.engine_name`; None: "torchscript", of an ONNX file "onnxruntime".
    progress: told after each step, see `cic.progress`; print will do.
    Raises CostError when an argument is out of range or an op cannot be run on its own, EngineError if the engine is not here.
    """
    _check_arguments(threads, seconds_per_op, cuts)
    ops = traced.graph.ops
    first_of = _distinct(ops)
    steps = len(first_of) + 3 + min(cuts, len(ops) - 1)
    bench = workbench_of(traced, None if engine is None else engine_name(engine), threads)
    advance = counted(teller(progress), steps)
    with torch_threads(threads):
        alone = _measure_alone(bench, first_of, seconds_per_op, advance)
        whole_run = bench.whole()
        first = take_turns([whole_run], 10 * seconds_per_op)
        advance("measuring the whole model")
        by_signature = alone.seconds(alone.session.pace)
        halves: list[_CutInTwo] = []
        for position in _positions([by_signature[op.signature] for op in ops], cuts):
            halves.append(_measure_halves(bench, position, whole_run, 10 * seconds_per_op))
            advance("measuring heads and tails")
        codecs = codecs_here()
        advance("measuring codecs")
    return _profile(bench, threads, first_of, alone, first, halves, codecs)


# The packages of a runtime are imported when a model is for it: onnx and its friends are needed for ONNX files only.
_WORKBENCHES: dict[Runtime, tuple[str, str]] = {
    "torch": ("cic.cost.torch_workbench", "TorchWorkbench"),
    "onnxruntime": ("cic.cost.onnx_workbench", "OnnxWorkbench"),
}


def workbench_of(traced: Traced, engine: EngineName | None = None, threads: int = 1) -> Workbench:
    """The workbench of a traced model, for the engine that is to run its halves.

    Raises EngineError if that is not installed, or cannot run what this model is emitted as.
    """
    module, name = _WORKBENCHES[traced.runtime]
    extra = "openvino" if engine is not None and engine.kind == "openvino" else "onnx"
    with needing(f"measuring with {engine or traced.runtime}", extra, EngineError):
        workbench: Workbench = getattr(import_module(module), name)(traced, engine, threads)
    return workbench


def _measure_alone(bench: Workbench, first_of: dict[str, Op], budget_s: float, advance: Advance) -> _Alone:
    """Each op run on its own, on values of a real run of the model. All are in memory at once, as are two halves later."""
    try:
        makers = bench.parts([[op] for op in first_of.values()])
    except (RuntimeError, TypeError, ValueError, CodegenError) as error:
        raise CostError(f"{bench.graph.name} cannot be run on its example inputs: {error}") from error
    runs: list[Run] = []
    for op, make in zip(first_of.values(), makers, strict=True):
        try:
            runs.append(make())
            runs[-1]()
        except (RuntimeError, TypeError, ValueError, CodegenError) as error:
            raise CostError(f"op {op.name!r} ({', '.join(op.kinds)}) cannot be run on its own: {error}") from error
        advance("preparing ops")
    session = take_turns([*runs, bench.empty()], budget_s * len(runs))
    advance("measuring ops")
    return _Alone(tuple(first_of), session)


def _measure_halves(bench: Workbench, position: int, whole_run: Run, budget_s: float) -> _CutInTwo:
    """Head and tail of the cut before the op at `position`, in turn with the whole model."""
    parts = bench.graph.ops[:position], bench.graph.ops[position:]
    return _CutInTwo(parts, take_turns([whole_run, *(make() for make in bench.parts(parts))], budget_s))


def _positions(alone_s: Sequence[float], cuts: int) -> list[int]:
    """Places between ops that divide the sum of times evenly, each once; every place when there are few."""
    if cuts >= len(alone_s) - 1:
        return list(range(1, len(alone_s)))
    total = sum(alone_s)
    positions: set[int] = set()
    passed = 0.0
    for position, seconds in enumerate(alone_s[:-1], start=1):
        passed += seconds
        # The first place after each of the equal shares.
        if passed * (cuts + 1) >= total * (len(positions) + 1) and len(positions) < cuts:
            positions.add(position)
    return sorted(positions)


def _profile(
    bench: Workbench,
    threads: int,
    first_of: dict[str, Op],
    alone: _Alone,
    first: Session,
    cuts: Sequence[_CutInTwo],
    codecs: tuple[CodecTime, ...],
) -> Profile:
    """Put the pieces together: one statistic for all times, chosen by the pace of everything that was timed."""
    sessions = [first, *(cut.session for cut in cuts)]
    pace = total_pace([alone.session, *sessions])
    whole_timing = reduce(Timing.__add__, (session.timings[0] for session in sessions))
    whole = Half(_counts(bench.graph.ops, first_of), pace.seconds(whole_timing))
    halves = [half for cut in cuts for half in cut.halves(pace, whole.seconds, first_of)]
    alone_s = alone.seconds(pace)
    seconds = dict(zip(first_of, attribute(halves, list(alone_s.values()), whole), strict=True))
    names: dict[str, list[str]] = {}
    for op in bench.graph.ops:
        names.setdefault(op.signature, []).append(op.name)
    timings = dict(zip(alone.signatures, alone.session.timings[:-1], strict=True))
    return Profile(
        model=bench.graph.name,
        graph_digest=bench.graph.digest,
        host=describe_host(),
        engine=str(bench.engine),
        torch_version=bench.runtime,
        threads=threads,
        date=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        measured=_measurement(pace, whole_timing, alone),
        whole_s=whole.seconds,
        sum_s=sum(seconds[op.signature] for op in bench.graph.ops),
        halves_error=halves_error(halves, list(seconds.values())),
        ops=tuple(
            OpTime(signature, tuple(names[signature]), seconds[signature], alone_s[signature], *_quantiles(timings[signature]))
            for signature in seconds
        ),
        codecs=codecs,
    )


def _measurement(pace: Pace, whole: Timing, alone: _Alone) -> Measurement:
    return describe_measurement(pace, whole, len(alone.session.timings[0].elapsed_s), processors_allowed(groups_here()))


def _quantiles(timing: Timing) -> tuple[float, float, float]:
    return timing.low_s, timing.median_s, timing.spread


def _counts(ops: Sequence[Op], first_of: dict[str, Op]) -> list[int]:
    occurrences = Counter(op.signature for op in ops)
    return [occurrences[signature] for signature in first_of]


def _distinct(ops: Sequence[Op]) -> dict[str, Op]:
    """Signature → the first op that has it."""
    first_of: dict[str, Op] = {}
    for op in ops:
        if not op.signature:
            raise CostError(f"op {op.name!r} has no signature, so its time cannot be stored: trace the model again")
        first_of.setdefault(op.signature, op)
    if not first_of:
        raise CostError("the graph has no ops: there is nothing to measure")
    return first_of


def _check_arguments(threads: int, seconds_per_op: float, cuts: int) -> None:
    if isinstance(threads, bool) or not isinstance(threads, int) or threads < 1:
        raise CostError(f"threads is {threads!r}; it must be a whole number from 1")
    if not isinstance(seconds_per_op, int | float) or not 0 < seconds_per_op <= 3600:
        raise CostError(f"seconds_per_op is {seconds_per_op!r}; it must be more than 0 and at most 3600")
    if isinstance(cuts, bool) or not isinstance(cuts, int) or cuts < 0:
        raise CostError(f"cuts is {cuts!r}; it must be a whole number from 0")
