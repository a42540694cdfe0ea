"""Seconds of a module as the emitted halves run it: TorchScript, frozen, optimised for inference. Needs torch."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import fx

from cic.cost.timing import Run, take_turns
from codegen.formats.torchscript import freeze_to, quiet_torchscript


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


def relative_to(reference: Run, runs: Sequence[Run], budget_s: float) -> tuple[float, ...]:
    """Seconds of each of `runs` over those of `reference`: all run in turn, so that a drifting clock rate cancels."""
    first, *others = take_turns([reference, *runs], budget_s).seconds
    return tuple(seconds / max(first, 1e-9) for seconds in others)


@contextmanager
def torch_threads(threads: int) -> Iterator[None]:
    """Let torch use `threads` inside the block; the former number is restored after it."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
