"""Measured op times: what `cic profile` does, on the machine it runs on. Needs torch."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from statistics import quantiles
from typing import TYPE_CHECKING, Any

import torch
from torch import fx

from cic.cost.host import describe_host
from cic.cost.op_module import OpModule, capture, extract, flat_arguments
from cic.cost.profile import OpTime, Profile
from cic.errors import CostError
from cic.graph import Op

if TYPE_CHECKING:
    from cic.trace import TracedModel

# One timed sample lasts at least this long, so that the clock's own time does not matter.
SAMPLE_S = 200e-6
FEWEST_SAMPLES = 7
MOST_SAMPLES = 200


def measure(
    traced: TracedModel, *, threads: int = 1, seconds_per_op: float = 0.1, progress: bool = True
) -> Profile:
    """Measure every distinct op of a traced model, and the whole of it, as the emitted halves would run them.

    threads: torch's intra-op threads while measuring; restored afterwards.
    seconds_per_op: time budget of one distinct op, warm-up included; the whole model gets ten times as much.
    progress: show a bar with the time left; quiet in any case when the standard error is not a terminal.
    Raises CostError when an argument is out of range or an op cannot be run on its own.
    """
    _check_arguments(threads, seconds_per_op)
    first_of = _distinct(traced.graph.ops)
    modules = {signature: extract(traced, op.members) for signature, op in first_of.items()}
    needed = {name for small in modules.values() for name in small.inputs}
    with _torch_threads(threads):
        values = capture(traced, needed)
        empty_s = _empty_call_s()
        times: dict[str, tuple[float, float]] = {}
        with _progress_bar(len(modules) + 1, enabled=progress) as advance:
            for signature, op in first_of.items():
                small = modules[signature]
                inputs = [values[name] for name in small.inputs]
                seconds, spread = _time_op(op, small, inputs, seconds_per_op)
                times[signature] = (max(seconds - empty_s, 0.0), spread)
                advance()
            whole_s = whole_seconds(traced, 10 * seconds_per_op)
            advance()
    names: dict[str, list[str]] = {}
    for op in traced.graph.ops:
        names.setdefault(op.signature, []).append(op.name)
    return Profile(
        model=traced.graph.name,
        graph_digest=traced.graph.digest,
        host=describe_host(),
        torch_version=torch.__version__,
        threads=threads,
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        whole_s=whole_s,
        sum_s=sum(times[op.signature][0] for op in traced.graph.ops),
        ops=tuple(
            OpTime(signature, tuple(names[signature]), seconds, spread)
            for signature, (seconds, spread) in times.items()
        ),
    )


def whole_seconds(traced: TracedModel, budget_s: float) -> float:
    """Median seconds of the whole traced model, optimised as the emitted halves are."""
    plain = fx.GraphModule(traced.module, _plain_graph(traced.module.graph)).eval()
    run = optimise(plain, flat_arguments(traced))
    return _time(run, budget_s)[0]


def optimise(module: fx.GraphModule, inputs: Sequence[Any]) -> Callable[[], Any]:
    """A call of `module` on `inputs`, traced, frozen and optimised for inference as the emitted halves are."""
    tensors = tuple(inputs)
    with torch.no_grad(), warnings.catch_warnings():
        # TorchScript is deprecated, but the halves run on it; the tracer's warnings speak of values that are fixed.
        warnings.simplefilter("ignore")
        script = torch.jit.trace(module, tensors, check_trace=False, strict=False)
        script = torch.jit.optimize_for_inference(torch.jit.freeze(script.eval()))

    def run() -> Any:
        with torch.no_grad():
            return script(*tensors)

    return run


def _time_op(op: Op, small: OpModule, inputs: Sequence[Any], budget_s: float) -> tuple[float, float]:
    try:
        return _time(optimise(small.module, inputs), budget_s)
    except Exception as error:
        raise CostError(f"op {op.name!r} ({', '.join(op.kinds)}) cannot be run on its own: {error}") from error


def _time(run: Callable[[], Any], budget_s: float) -> tuple[float, float]:
    """Median seconds of one run, and the relative inter-quartile range."""
    # The profiling executor of TorchScript specialises during the first two runs.
    for _ in range(3):
        run()
    started = time.perf_counter()
    run()
    once_s = max(time.perf_counter() - started, 1e-7)
    repeats = max(1, round(SAMPLE_S / once_s))
    samples: list[float] = []
    deadline = time.perf_counter() + budget_s
    while len(samples) < MOST_SAMPLES and (len(samples) < FEWEST_SAMPLES or time.perf_counter() < deadline):
        started = time.perf_counter()
        for _ in range(repeats):
            run()
        samples.append((time.perf_counter() - started) / repeats)
    low, middle, high = quantiles(samples, n=4)
    return middle, (high - low) / middle if middle else 0.0


def _empty_call_s() -> float:
    """Seconds of calling a TorchScript module that does nothing: paid once for a half, not once for an op."""
    graph = fx.Graph()
    graph.output((graph.placeholder("x"),))
    return _time(optimise(fx.GraphModule({}, graph), [torch.zeros(1)]), 0.05)[0]


def _plain_graph(graph: fx.Graph) -> fx.Graph:
    """The graph with placeholders as positional arguments and a flat tuple as result."""
    plain = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    plain.graph_copy(graph, copies)
    result = next(node for node in graph.nodes if node.op == "output").args[0]
    flat = [copies[node] for node in _nodes_in(result)]
    plain.output(tuple(flat))
    return plain


def _nodes_in(value: Any) -> list[fx.Node]:
    found: list[fx.Node] = []
    fx.node.map_arg(value, found.append)  # type: ignore[arg-type]
    return found


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


def _check_arguments(threads: int, seconds_per_op: float) -> None:
    if isinstance(threads, bool) or not isinstance(threads, int) or threads < 1:
        raise CostError(f"threads is {threads!r}; it must be a whole number from 1")
    if not isinstance(seconds_per_op, int | float) or not 0 < seconds_per_op <= 3600:
        raise CostError(f"seconds_per_op is {seconds_per_op!r}; it must be more than 0 and at most 3600")


@contextmanager
def _torch_threads(threads: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _progress_bar(total: int, *, enabled: bool) -> Iterator[Callable[[], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("measuring ops"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not (enabled and console.is_terminal)) as bar:
        task = bar.add_task("", total=total)
        yield lambda: bar.advance(task)
