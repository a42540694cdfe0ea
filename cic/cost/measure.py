"""Measured op times: what `cic profile` does, on the machine it runs on. Needs torch and numpy, for ONNX files onnxruntime.

What is measured, and why not simply each op. benchmarks/profile_accuracy.py cuts networks at places a profile has not
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
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cic.cost.attribution import Half, attribute, halves_error
from cic.cost.codec_measure import codecs_here
from cic.cost.codec_time import CodecTime
from cic.cost.host import describe_host
from cic.cost.profile import OpTime, Profile
from cic.cost.stopwatch import relative_to, seconds_of, torch_threads
from cic.cost.workbench import Run, Workbench, workbench_of
from cic.errors import CostError
from cic.graph import Op
from codegen.errors import CodegenError

if TYPE_CHECKING:
    from cic.trace.onnx_model import OnnxModel
    from cic.trace.torch_trace import TracedModel

Advance = Callable[[], None]

EMPTY_BUDGET_S = 0.05


def measure(
    traced: TracedModel | OnnxModel,
    *,
    threads: int = 1,
    seconds_per_op: float = 0.1,
    cuts: int = 12,
    progress: bool = True,
) -> Profile:
    """Measure every distinct op of a traced model, real halves at some cuts, the whole, as emitted halves run, and the codecs.

    threads: torch's intra-op threads while measuring; restored afterwards.
    seconds_per_op: time budget of one distinct op; the whole model and each cut get ten times as much.
    cuts: at how many places head and tail are measured; 0 scales the ops' own times to the whole.
    progress: show a bar with the time left; quiet in any case when the standard error is not a terminal.
    Raises CostError when an argument is out of range or an op cannot be run on its own.
    """
    _check_arguments(threads, seconds_per_op, cuts)
    ops = traced.graph.ops
    first_of = _distinct(ops)
    steps = len(first_of) + 2 + min(cuts, len(ops) - 1)
    bench = workbench_of(traced)
    with torch_threads(threads), _progress_bar(steps, enabled=progress) as advance:
        alone = _measure_alone(bench, first_of, seconds_per_op, advance)
        whole_run = bench.whole()
        whole = Half(_counts(ops, first_of), seconds_of(whole_run, 10 * seconds_per_op)[0])
        advance()
        halves: list[Half] = []
        for position in _positions([alone[op.signature][0] for op in ops], cuts):
            halves += _measure_halves(bench, position, first_of, whole_run, whole.seconds, 10 * seconds_per_op)
            advance()
        codecs = codecs_here()
        advance()
    seconds = attribute(halves, [alone[signature][0] for signature in first_of], whole)
    return _profile(bench, threads, whole, halves, dict(zip(first_of, seconds, strict=True)), alone, codecs)


def _measure_alone(
    bench: Workbench, first_of: dict[str, Op], budget_s: float, advance: Advance
) -> dict[str, tuple[float, float]]:
    """Signature → (seconds, spread) of the op run on its own, on values of a real run of the model."""
    try:
        makers = bench.parts([[op] for op in first_of.values()])
    except (RuntimeError, TypeError, ValueError, CodegenError) as error:
        raise CostError(f"{bench.graph.name} cannot be run on its example inputs: {error}") from error
    empty_s = seconds_of(bench.empty(), EMPTY_BUDGET_S)[0]
    times: dict[str, tuple[float, float]] = {}
    for (signature, op), make in zip(first_of.items(), makers, strict=True):
        try:
            seconds, spread = seconds_of(make(), budget_s)
        except (RuntimeError, TypeError, ValueError, CodegenError) as error:
            raise CostError(f"op {op.name!r} ({', '.join(op.kinds)}) cannot be run on its own: {error}") from error
        times[signature] = (max(seconds - empty_s, 0.0), spread)
        advance()
    return times


def _measure_halves(
    bench: Workbench, position: int, first_of: dict[str, Op], whole_run: Run, whole_s: float, budget_s: float
) -> list[Half]:
    """Head and tail of the cut before the op at `position`, timed in turn with the whole model."""
    parts = [bench.graph.ops[:position], bench.graph.ops[position:]]
    runs = [make() for make in bench.parts(parts)]
    shares = relative_to(whole_run, runs, budget_s)
    return [Half(_counts(part, first_of), share * whole_s) for part, share in zip(parts, shares, strict=True)]


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
    whole: Half,
    halves: Sequence[Half],
    seconds: dict[str, float],
    alone: dict[str, tuple[float, float]],
    codecs: tuple[CodecTime, ...],
) -> Profile:
    names: dict[str, list[str]] = {}
    for op in bench.graph.ops:
        names.setdefault(op.signature, []).append(op.name)
    return Profile(
        model=bench.graph.name,
        graph_digest=bench.graph.digest,
        host=describe_host(),
        torch_version=bench.runtime,
        threads=threads,
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        whole_s=whole.seconds,
        sum_s=sum(seconds[op.signature] for op in bench.graph.ops),
        halves_error=halves_error(halves, list(seconds.values())),
        ops=tuple(
            OpTime(signature, tuple(names[signature]), seconds[signature], alone[signature][0], alone[signature][1])
            for signature in seconds
        ),
        codecs=codecs,
    )


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


@contextmanager
def _progress_bar(total: int, *, enabled: bool) -> Iterator[Advance]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("measuring ops and halves"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not (enabled and console.is_terminal)) as bar:
        task = bar.add_task("", total=total)
        yield lambda: bar.advance(task)
