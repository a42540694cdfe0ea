"""Halves as TorchScript: traced, frozen, saved; optimised for this machine when loaded.

A program optimised for a processor (`codegen.blocked_layout`) can neither be saved nor moved to another one, so the file
holds the frozen program and `load` optimises it. A TorchScript file is code: load only what a digest vouches for.

TorchScript is deprecated since torch 2.10 but remains what old fleets load; its warnings are silenced here
and nowhere else.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import fx

from codegen.blocked_layout import enter_blocked_layout
from codegen.emitter import Runner
from codegen.errors import CodegenError
from codegen.split import WireTensor


class TorchScriptEmitter:
    """Writes `.ts` files with `torch.jit.trace` → `freeze` → `save`."""

    format = "torchscript"
    suffix = ".ts"

    def versions(self) -> dict[str, str]:
        """Return the version of torch."""
        return {"torch": torch.__version__}

    def write(self, half: fx.GraphModule, example: Sequence[torch.Tensor], path: Path) -> None:
        """Trace `half` on `example`, freeze it and save it to `path`; CodegenError if torch cannot."""
        half = _without_training(half)
        try:
            with quiet_torchscript(), torch.no_grad():
                # The half is straight-line code of tensor ops: a second run to compare traces would show nothing.
                traced = torch.jit.trace(half, tuple(example), check_trace=False)
                torch.jit.save(torch.jit.freeze(traced), str(path))
        except RuntimeError as error:
            raise CodegenError(f"torch.jit cannot write {path.name}: {error}") from error

    def load(self, path: Path, inputs: Sequence[WireTensor], *, optimize: bool) -> Runner:
        """Return the saved half as a function; with `optimize`, packed for this machine's processor."""
        try:
            with quiet_torchscript(), torch.no_grad():
                program = torch.jit.load(str(path), map_location="cpu")
                program.eval()
                if optimize:
                    enter_blocked_layout(program, inputs)
        except RuntimeError as error:
            raise CodegenError(f"{path} is not TorchScript that torch {torch.__version__} can load: {error}") from error

        def run(*tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
            with torch.no_grad():
                return tuple(program(*tensors))

        return run


@contextmanager
def quiet_torchscript() -> Iterator[None]:
    """Silence the deprecation of TorchScript, and the tracer's remarks on shapes, which are fixed here by intent."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r".*torch\.jit.*", category=DeprecationWarning)
        warnings.filterwarnings("ignore", message=r".*torch\.jit.*", category=FutureWarning)
        warnings.filterwarnings("ignore", category=torch.jit.TracerWarning)
        yield


def _without_training(half: fx.GraphModule) -> fx.GraphModule:
    for part in half.modules():
        part.training = False  # freeze and optimize_for_inference refuse training modules
    return half
