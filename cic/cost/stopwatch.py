"""Seconds of a module as the emitted halves run it: TorchScript, frozen, optimised for inference. Needs torch.

With one thread the clock is the thread's own processor time: what other processes take away is not counted, and on a
quiet machine it equals the time on the wall. With more threads only the time on the wall means anything.
"""

from __future__ import annotations

import io
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from statistics import median, quantiles

import torch
from torch import fx

from cic.cost.workbench import Run
from codegen.torchscript import freeze_to, quiet_torchscript

# The profiling executor of TorchScript specialises in the first two runs.
WARM_UP_RUNS = 2
# One timed sample lasts at least this long, so that the clock's own time does not matter.
SAMPLE_S = 200e-6
# Slow models take few samples, and their relative noise is small.
FEWEST_SAMPLES = 3
MOST_SAMPLES = 200


def optimise(module: fx.GraphModule, inputs: Sequence[torch.Tensor]) -> Run:
    """A call of `module` on `inputs`, optimised as emitted halves are; freed together with the returned function."""
    tensors = tuple(inputs)
    with quiet_torchscript(), torch.no_grad():
        # By way of a file, as halves go: a loaded program belongs to no one but its user, a traced one to the process.
        file = io.BytesIO()
        freeze_to(file, module, tensors)
        file.seek(0)
        script = torch.jit.optimize_for_inference(torch.jit.load(file))

    def run() -> object:
        with torch.no_grad():
            return script(*tensors)

    return run


def seconds_of(run: Run, budget_s: float) -> tuple[float, float]:
    """Median seconds of one run within about `budget_s`, and the inter-quartile range over the median."""
    for _ in range(WARM_UP_RUNS):
        run()
    repeats = max(1, round(SAMPLE_S / max(_once(run, 1), 1e-7)))
    samples: list[float] = []
    deadline = time.perf_counter() + budget_s
    while len(samples) < MOST_SAMPLES and (len(samples) < FEWEST_SAMPLES or time.perf_counter() < deadline):
        samples.append(_once(run, repeats))
    low, middle, high = quantiles(samples, n=4)
    return middle, (high - low) / middle if middle > 0 else 0.0


def relative_to(reference: Run, runs: Sequence[Run], budget_s: float) -> tuple[float, ...]:
    """Seconds of each of `runs` over those of `reference`: all run in turn, so that a drifting clock rate cancels."""
    for run in (reference, *runs):
        for _ in range(WARM_UP_RUNS):
            run()
    ratios: list[list[float]] = [[] for _ in runs]
    deadline = time.perf_counter() + budget_s
    while len(ratios[0]) < MOST_SAMPLES and (len(ratios[0]) < FEWEST_SAMPLES or time.perf_counter() < deadline):
        reference_s = max(_once(reference, 1), 1e-9)
        for ratio, run in zip(ratios, runs, strict=True):
            ratio.append(_once(run, 1) / reference_s)
    return tuple(median(ratio) for ratio in ratios)


@contextmanager
def torch_threads(threads: int) -> Iterator[None]:
    """Let torch use `threads` inside the block; the former number is restored after it."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _once(run: Run, repeats: int) -> float:
    clock = time.thread_time if torch.get_num_threads() == 1 else time.perf_counter
    started = clock()
    for _ in range(repeats):
        run()
    return (clock() - started) / repeats
