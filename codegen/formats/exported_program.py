"""Halves as exported programs, torch's `.pt2` files.

The successor of TorchScript. It is run op by op, without the fusion and packing TorchScript does when it is loaded, and so
is slower on a processor; it is what compilers such as AOTInductor and ExecuTorch start from. `torch.export.load` may
unpickle, so load only what a digest vouches for.

Halves with shared weights use one copy of each, whatever number of them a process has loaded: torch reads a half with
copies of its own, which are then replaced (`codegen.weights.torch_weights`), so loading takes the half's own size for a moment.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import torch
from torch import fx
from torch.export.passes import move_to_device_pass

from codegen.calls.torch_calls import LOADING, PROCESSOR, as_tensors, on_device
from codegen.errors import CodegenError
from codegen.files.memory_file import write_through_memory
from codegen.formats.emitter import OpenAxes, Runner
from codegen.formats.memory_sharing import copied, observed_sharing
from codegen.formats.own_answers import give_own_answers
from codegen.silence import silence
from codegen.split import WireTensor
from codegen.weights.shared_weights import SharedHalf, stored_spans
from codegen.weights.torch_weights import pooled_weights, share
from codegen.weights.weight_pool import return_freed_memory

_NOTHING = "returns_nothing"
WEIGHT_RECORDS = r"data/(weights/weight|constants/tensor)_\d+"


class ExportedProgramEmitter:
    """Writes `.pt2` files with `torch.export.export` → `save`, and runs them on a device of torch."""

    format = "exported_program"
    suffix = ".pt2"

    def __init__(self, device: str = PROCESSOR) -> None:
        self.device = device

    def versions(self) -> dict[str, str]:
        """Return the version of torch."""
        return {"torch": torch.__version__}

    def write(self, half: fx.GraphModule, example: Sequence[torch.Tensor], path: Path, open_axes: OpenAxes = ()) -> None:
        """Export `half` with the shapes of `example` and save it to `path`; CodegenError if torch cannot."""
        returns_nothing = not next(node for node in half.graph.nodes if node.op == "output").args[0]
        # torch cannot export a program without results, so such a half returns an empty tensor, and the file says so.
        source = _Nothing() if returns_nothing else half
        try:
            if not returns_nothing:
                half = source = copied(half)
                give_own_answers(half, observed_sharing(half, example), folds=False)
                _add_guards(half, example)
            with torch.no_grad():
                shapes = None if returns_nothing else dynamic_shapes(open_axes)
                program = torch.export.export(source, tuple(example), dynamic_shapes=shapes, strict=False)
            extra_files = {_NOTHING: str(int(returns_nothing))}
            write_through_memory(path, lambda name: torch.export.save(program, name, extra_files=extra_files))
        except OSError:  # no room, say, which is not torch's fault
            raise
        except Exception as error:  # torch.export fails in many ways
            raise CodegenError(f"torch.export cannot write {path.name}: {error}") from error

    def weight_spans(self, path: Path) -> Sequence[tuple[int, int]]:
        """Return where in a file the bytes of its weights are."""
        return stored_spans(path, WEIGHT_RECORDS)

    def load(self, path: Path, inputs: Sequence[WireTensor], *, optimize: bool) -> Runner:
        """Return the saved half as a function. There is nothing to optimise: the program is run op by op."""
        return _runner(str(path), path, {}, self.device)

    def load_shared(self, half: SharedHalf, inputs: Sequence[WireTensor], *, optimize: bool) -> Runner:
        """As `load`; each weight is in memory once, whatever number of halves use it."""
        weights = pooled_weights(half)
        plain = half.plain_file(lambda sha256: weights[sha256].numpy().data)
        runner = _runner(plain, half.path, weights if self.device == PROCESSOR else {}, self.device)
        weights.clear()
        return_freed_memory()
        return runner


def dynamic_shapes(open_axes: OpenAxes) -> tuple[dict[int, Any], ...] | None:
    """Open axes as `torch.export.export` takes them; None if all shapes are fixed."""
    if not any(open_axes):
        return None
    return tuple(dict.fromkeys(axes, torch.export.Dim.DYNAMIC) for axes in open_axes)


def read_program(source: str | IO[bytes], extra_files: dict[str, Any] | None = None) -> torch.export.ExportedProgram:
    """Read a `.pt2` file, a program, silently; raises whatever torch raises, which else logs a traceback, too."""
    with LOADING, silence("torch.export"):
        return torch.export.load(source, extra_files=extra_files)


def _runner(source: str | IO[bytes], path: Path, weights: dict[str, torch.Tensor], device: str) -> Runner:
    """Return a program as a function that uses the pooled `weights` in place of its own."""
    extra_files = {_NOTHING: ""}
    try:
        program = read_program(source, extra_files)
        if device != PROCESSOR:
            program = move_to_device_pass(program, device)
        with LOADING:
            module = program.module()
        assert isinstance(module, fx.GraphModule), "a program is loaded as a graph"
        kept = tuple(share(module, weights))
    except Exception as error:  # torch.export fails in many ways
        raise CodegenError(f"{path} is not an exported program that torch {torch.__version__} can load: {error}") from error
    returns_nothing = extra_files[_NOTHING] in ("1", b"1")

    def run(*tensors: Any, _kept: Sequence[torch.Tensor] = kept) -> tuple[torch.Tensor, ...]:
        if returns_nothing:
            return ()
        with torch.no_grad():
            return tuple(module(*on_device(as_tensors(tensors), device)))

    return run


def _add_guards(half: fx.GraphModule, example: Sequence[torch.Tensor]) -> None:
    """Let a half refuse what it was not exported for, in place: torch checks sizes, which 0-d tensors lack."""
    graph = half.graph
    placeholders = [node for node in graph.nodes if node.op == "placeholder"]
    first = next(node for node in graph.nodes if node.op != "placeholder")
    for node, tensor in zip(placeholders, example, strict=True):
        told: dict[str, Any] = {"dtype": tensor.dtype, "device": tensor.device, "layout": tensor.layout}
        with graph.inserting_before(first):
            graph.call_function(torch.ops.aten._assert_tensor_metadata.default, (node, None, None), told)
            if tensor.dim() == 0:
                scalar = graph.call_function(torch.ops.aten.expand.default, (node, []))  # refuses whatever has a dimension
                scalar.meta = dict(node.meta)
                node.replace_all_uses_with(scalar, delete_user_cb=lambda user, first=first: user is first or user > first)
    half.recompile()


class _Nothing(torch.nn.Module):
    def forward(self, *unused: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (torch.zeros(0),)
