"""TorchScript and exported programs as engines, on any device of torch: arrays go there and the results come back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from cic.codec.tensors import array_of, tensor_of
from cic.engine.engine import Array
from cic.errors import EngineError
from codegen.formats.emitter import Runner
from codegen.formats.exported_program import ExportedProgramEmitter
from codegen.formats.torchscript import TorchScriptEmitter
from codegen.split import WireTensor
from codegen.weights.shared_weights import SharedHalf


class TorchLoader:
    """Loads halves of torch as functions of arrays. threads: of the processor; each run sees to it that torch has so many."""

    def __init__(self, emitter: TorchScriptEmitter | ExportedProgramEmitter, threads: int) -> None:
        self.emitter, self.threads = emitter, threads

    @property
    def format(self) -> str:
        return self.emitter.format

    def load(self, path: Path, inputs: Sequence[WireTensor], *, optimize: bool) -> Runner:
        """See `codegen.formats.emitter.Loader`."""
        return self._of_arrays(self.emitter.load(path, inputs, optimize=optimize), inputs)

    def load_shared(self, half: SharedHalf, inputs: Sequence[WireTensor], *, optimize: bool) -> Runner:
        """See `codegen.formats.emitter.SharedLoader`."""
        return self._of_arrays(self.emitter.load_shared(half, inputs, optimize=optimize), inputs)

    def _of_arrays(self, runner: Runner, inputs: Sequence[WireTensor]) -> Runner:
        dtypes = [wire.dtype for wire in inputs]

        def run(*arrays: Array) -> tuple[Array, ...]:
            # torch has one number for the process, and another for each thread that has run something before it was set.
            if torch.get_num_threads() != self.threads:
                torch.set_num_threads(self.threads)
            results = runner(*map(_tensor, arrays, dtypes))
            # Copies wait for the card, each for its own tensor; there is nothing else to wait for.
            return tuple(array_of(result)[0] for result in results)

        return run


def torchscript(place: str, threads: int) -> TorchLoader:
    """What loads halves of the format "torchscript". place: a device of torch.

    Raises EngineError if torch has no such device here.
    """
    return TorchLoader(TorchScriptEmitter(_device(place)), threads)


def exported_program(place: str, threads: int) -> TorchLoader:
    """What loads halves of the format "exported_program"; see `torchscript`."""
    return TorchLoader(ExportedProgramEmitter(_device(place)), threads)


def _device(place: str) -> str:
    try:
        device = torch.device(place)
        torch.zeros(1, device=device).cpu()
    except (RuntimeError, AssertionError, NotImplementedError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise EngineError(f"torch {torch.__version__} has no device {place!r} here: {reason}") from error
    return str(device)


def _tensor(array: Array, dtype: str) -> Any:
    # torch warns of memory that it must not write to, and a program may write to its inputs' views.
    return tensor_of(array if array.flags.writeable else array.copy(), dtype)
