"""Random torch modules, cut at random closed sets, equal to the whole or refused: `python -m tests.hostile.random_modules`.

A module is a fixed random program of views, writes, reductions, look-ups and layers over values of many types, read by
several consumers, returned in nested containers. Nothing about it is friendly to a splitter.
"""

from __future__ import annotations

import argparse
import io
import random
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from cic.errors import TraceError
from cic.graph import Graph
from cic.trace.fx.flat_model import flat_tensors
from cic.trace.fx.torch_trace import trace
from cic.trace.fx.traced_model import TracedModel
from codegen.errors import UnsplittableError
from codegen.formats.torchscript import freeze_to, quiet_torchscript
from codegen.split import Split
from codegen.splitters.fx import split
from codegen.verification.agreement import relative_error
from codegen.verification.equivalence import redraw
from tests.hostile.random_steps import STEPS

SETS_A_GRAPH = 4
SAVED_EVERY = 8
"""Halves of one cut of every eighth module go through TorchScript's save and load."""

_COARSE = {torch.float16: 2e-2, torch.bfloat16: 1e-1}


class RandomModule(nn.Module):
    """The program of one seed. It takes floats (4, 6), a scale, places 0..3 and a mask, the last two by keyword."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.seed = seed
        self.layer, self.norm, self.conv = nn.Linear(6, 6), nn.LayerNorm(6), nn.Conv1d(1, 2, 3, padding=1)
        self.tied = nn.Linear(6, 6)
        self.tied.weight = self.layer.weight
        self.table = nn.Embedding(4, 6)
        self.batch_norm = nn.BatchNorm1d(6)
        self.register_buffer("constant", torch.randn(4, 6))

    def forward(self, x: Tensor, scale: Tensor, *, places: Tensor, mask: Tensor | None = None) -> Any:
        dice = random.Random(self.seed)
        values = [self.layer(x), x.clone(), x * scale, places + 0, places > 1]
        if mask is not None:
            values.append(~mask)
        if dice.random() < 0.05:
            values += [x, self.constant]  # a write to one of these must be refused
        for _ in range(dice.randint(3, 14)):
            STEPS[dice.choice(list(STEPS))](self, dice, values)
        kept = dice.sample(values, dice.randint(1, min(5, len(values))))
        if dice.random() < 0.2:
            kept += [dice.choice([x, kept[0], self.constant, kept[0].detach()])]
        return dice.choice([tuple, _nested, _named])(kept)


def _nested(values: list[Tensor]) -> Any:
    return [values[0], {"rest": tuple(values[1:]), "none": None, "number": 3}]


def _named(values: list[Tensor]) -> Any:
    return {f"value_{index}": value for index, value in enumerate(values)}


def example_call(seed: int) -> tuple[tuple[Tensor, ...], dict[str, Any]]:
    """Return the arguments of a random module."""
    dice = random.Random(seed)
    x = torch.randn(6, 4).t() if dice.random() < 0.2 else torch.randn(4, 6)
    scale = torch.randn(dice.choice([(), (6,), (4, 1)])).to(dice.choice([torch.float32, torch.float32, torch.float64]))
    mask = dice.choice([None, torch.rand(4, 6) > 0.5])
    return (x, scale), {"places": torch.randint(0, 4, (4,)), "mask": mask}


# ------------------------------------------------------------------------------------------------------------- checking


@dataclass
class Tally:
    """What became of the modules and of their cuts."""

    modules: int = 0
    refused_modules: Counter[str] = field(default_factory=Counter)
    invalid_modules: int = 0
    cuts: int = 0
    refused_cuts: int = 0
    saved_cuts: int = 0
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        refused = self.refused_modules.total()
        return (
            f"{self.modules} modules: {self.modules - refused} split, {refused} refused; {self.cuts} cuts equal to the whole"
            f" ({self.saved_cuts} of them saved and loaded), {self.refused_cuts} cuts refused; {len(self.wrong)} wrong;"
            f" {self.invalid_modules} programs that torch itself does not run"
        ) + "".join(f"\n  {count} × {why}" for why, count in self.refused_modules.most_common())


def check_module(seed: int, tally: Tally, save: bool) -> None:
    """Trace the module of `seed`, cut both its graphs at random closed sets, and compare on two sets of inputs."""
    torch.manual_seed(seed)
    model = RandomModule(seed).eval()
    args, kwargs = example_call(seed)
    tensors = flat_tensors((args, kwargs), "the arguments")[1]
    calls = [tensors, redraw(tensors)]
    try:
        expected = [_run_whole(model, call, kwargs) for call in calls]
    except (RuntimeError, IndexError):
        tally.invalid_modules += 1
        return
    tally.modules += 1
    try:
        traced = trace(model, args, kwargs)
    except TraceError as error:
        tally.refused_modules[_reason(error)] += 1
        return
    dice = random.Random(seed)
    for graph in (traced.unfused, traced.graph):
        for device_ops in [frozenset(), *random_closed_sets(graph, SETS_A_GRAPH, dice), frozenset(graph.op_by_name)]:
            check_cut(traced, graph, device_ops, calls, expected, tally, save=save and bool(device_ops))


def check_cut(
    traced: TracedModel,
    graph: Graph,
    device_ops: frozenset[str],
    calls: Sequence[Sequence[Tensor]],
    expected: Sequence[Sequence[Tensor]],
    tally: Tally,
    save: bool,
) -> None:
    members = {member for op in graph.ops if op.name in device_ops for member in op.members}
    try:
        halves = split(traced.module, members, [tensor.name for tensor in graph.tensors if tensor.may_cross])
    except UnsplittableError:
        tally.refused_cuts += 1
        assert sends_what_may_not(graph, device_ops), f"{sorted(device_ops)} was refused, although it sends nothing forbidden"
        return
    runners = saved_and_loaded(halves, calls[0]) if save else (halves.head, halves.tail)
    tolerance = tolerance_of(traced)
    for call, whole in zip(calls, expected, strict=True):
        for order, given in (("contiguous", map(contiguous, call)), ("turned", map(turned, call))):
            difference = compare(run_halves(halves, runners, list(given)), whole, tolerance)
            assert difference is None, f"device {sorted(device_ops)}, {order} inputs: {difference}"
    tally.cuts += 1
    tally.saved_cuts += save


def random_closed_sets(graph: Graph, count: int, dice: random.Random) -> Iterable[frozenset[str]]:
    """Yield sets of ops that hold every producer of what they read, those that send what may not cross included."""
    producers = {op.name: {graph.tensor_by_name[name].producer for name in op.inputs} - {None} for op in graph.ops}
    for _ in range(count):
        share = dice.random() ** 0.3
        chosen: set[str] = set()
        for op in graph.ops:
            if producers[op.name] <= chosen and dice.random() < share:
                chosen.add(op.name)
        yield frozenset(chosen)


def sends_what_may_not(graph: Graph, device_ops: frozenset[str]) -> bool:
    """Tell whether a value that may not cross is made on the device and read, or returned, on the server."""
    crossing = [tensor for tensor in graph.tensors if tensor.producer is None or tensor.producer in device_ops]
    return any(not tensor.may_cross and (set(tensor.consumers) - device_ops) for tensor in crossing)


def run_halves(halves: Split, runners: tuple[Any, Any], call: Sequence[Tensor]) -> list[Tensor]:
    """Return the model's flat outputs: the head on the given inputs, a wire that sends contiguous copies, the tail."""
    head, tail = runners
    with torch.no_grad():
        made = head(*call)
        sent = [contiguous(tensor) for tensor in made[: len(halves.crossing)]]
        sources = {"head": made, "tail": tail(*sent)}
    return [sources[source.half][source.position] for source in halves.outputs]


def contiguous(tensor: Tensor) -> Tensor:
    """Return a copy in the usual memory order, as it comes from a file or over the wire."""
    return tensor.clone(memory_format=torch.contiguous_format)


def turned(tensor: Tensor) -> Tensor:
    """Return a copy whose first dimension is the fastest in memory, as a caller may have it."""
    order = list(reversed(range(tensor.dim())))
    return contiguous(tensor.permute(order)).permute(order)


def saved_and_loaded(halves: Split, call: Sequence[Tensor]) -> tuple[Any, Any]:
    """Return both halves as TorchScript that went through bytes; what the tracer cannot write fails loudly."""
    with torch.no_grad():
        made = halves.head(*(tensor.clone() for tensor in call))
    sent = [contiguous(tensor) for tensor in made[: len(halves.crossing)]]
    return _through_bytes(halves.head, call), _through_bytes(halves.tail, sent)


def _through_bytes(half: nn.Module, example: Sequence[Tensor]) -> Any:
    buffer = io.BytesIO()
    with quiet_torchscript(), torch.no_grad():
        freeze_to(buffer, half, [tensor.clone() for tensor in example])
        buffer.seek(0)
        return torch.jit.load(buffer)


def compare(given: Sequence[Tensor], whole: Sequence[Tensor], tolerance: float) -> str | None:
    """Return what differs first, as words, or None. Whole numbers and truth values must be equal."""
    for position, (ours, theirs) in enumerate(zip(given, whole, strict=True)):
        inexact = theirs.is_floating_point() or theirs.is_complex()
        error = relative_error(ours, theirs)
        if not error <= (tolerance if inexact else 0.0):
            return f"output {position}, {theirs.dtype} of shape {tuple(theirs.shape)}, differs by {error:.3g}"
    return None


def _run_whole(model: nn.Module, call: Sequence[Tensor], kwargs: dict[str, Any]) -> tuple[Tensor, ...]:
    x, scale, places, *mask = (tensor.clone() for tensor in call)
    with torch.no_grad():
        answer = model(x, scale, places=places, mask=mask[0] if mask else kwargs["mask"])
    return tuple(tensor.clone() for tensor in flat_tensors(answer, "the answer")[1])


def tolerance_of(traced: TracedModel) -> float:
    types = {value.dtype for node in traced.module.graph.nodes if isinstance(value := node.meta.get("val"), Tensor)}
    return max((_COARSE[kind] for kind in types if kind in _COARSE), default=1e-4)


def _reason(error: TraceError) -> str:
    message = str(error)
    known = ("changes the model input", "changes the parameter or buffer", "cannot be traced", "disagree", "cannot be made")
    return next((phrase for phrase in known if phrase in message), message[:100])


def check_many(first: int, count: int, stop_at_failure: bool = True, tell: Any = None) -> Tally:
    """Check seeds from `first` on until `count` modules that torch runs have been seen."""
    tally, seed = Tally(), first
    while tally.modules < count:
        try:
            check_module(seed, tally, save=seed % SAVED_EVERY == 0)
        except Exception as error:
            tally.wrong.append(f"seed {seed}: {type(error).__name__}: {error}")
            if stop_at_failure:
                raise AssertionError(tally.wrong[-1]) from error
            if tell is not None:
                tell(tally.wrong[-1][:600])
        seed += 1
        if tell is not None and seed % 100 == 0:
            tell(f"{tally.modules} of {count}")
    return tally


def main() -> int:
    """Check as many modules as asked for and print what became of them; 1 if one was cut wrongly."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--first-seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    started = time.perf_counter()
    tally = check_many(options.first_seed, options.count, stop_at_failure=False, tell=lambda text: print(text, flush=True))
    print(f"{tally}\nin {time.perf_counter() - started:.0f} s")
    return 1 if tally.wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
