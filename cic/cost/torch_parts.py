"""Parts of torch models as runs to be timed, by whatever engine runs the emitted halves. Needs torch."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence

import torch
from torch import fx
from torch.export.passes import move_to_device_pass

from cic.cost.stopwatch import optimise
from cic.cost.timing import Run
from cic.engine.engine_name import EngineName
from codegen.calls.torch_calls import PROCESSOR, on_device
from codegen.formats.torchscript import freeze_to, move_made_tensors, plain_on_card, quiet_torchscript
from codegen.silence import silence

Maker = Callable[[fx.GraphModule, Sequence[torch.Tensor]], Run]
"""Makes a run of a module on tensors. Raises RuntimeError, TypeError, ValueError or CodegenError if the engine cannot."""


def torch_maker(engine: EngineName, threads: int) -> tuple[Maker, str]:
    """What makes runs with an engine, and which version of it that is; torch's own is left out.

    ONNX Runtime and OpenVINO run parts that are exported first, as the emitted halves are, which takes a second for each.
    Raises EngineError if the engine does not have that place here; ModuleNotFoundError for a package that is not installed.
    """
    if engine.kind == "torchscript":
        return (optimise if _device(engine) == PROCESSOR else _scripted_on(_device(engine))), ""
    if engine.kind == "pt2":
        return _exported_on(_device(engine)), ""
    from cic.cost.onnx_parts import onnx_maker
    from codegen.formats.onnx_program import export
    from codegen.formats.onnx_values import to_ort

    made, version = onnx_maker(engine, threads)

    def run_of(module: fx.GraphModule, tensors: Sequence[torch.Tensor]) -> Run:
        model = export(module, tuple(tensors), "a part of the model")
        names = [str(value.name) for value in model.graph.inputs]
        return made(model, dict(zip(names, map(to_ort, tensors), strict=True)))

    return run_of, version


def _device(engine: EngineName) -> str:
    from cic.engine.torch_programs import torchscript

    return torchscript(engine.place, 1).emitter.device


def _scripted_on(device: str) -> Maker:
    def made(module: fx.GraphModule, tensors: Sequence[torch.Tensor]) -> Run:
        given = tuple(tensors)
        with quiet_torchscript(), torch.no_grad():
            file = io.BytesIO()
            freeze_to(file, module, given)
            file.seek(0)
            program = torch.jit.load(file, map_location=device)
            move_made_tensors(program, device)
        return _there_and_back(plain_on_card(program, device), given, device)

    return made


def _exported_on(device: str) -> Maker:
    def made(module: fx.GraphModule, tensors: Sequence[torch.Tensor]) -> Run:
        given = tuple(tensors)
        with silence("torch.export"), torch.no_grad():
            program = torch.export.export(module, given, strict=False)
            moved = program if device == PROCESSOR else move_to_device_pass(program, device)
        return _there_and_back(moved.module(), given, device)

    return made


def _there_and_back(program: Callable[..., Sequence[torch.Tensor]], given: Sequence[torch.Tensor], device: str) -> Run:
    """A run that ends when its results are in the main memory, as the engine's does."""

    def run() -> object:
        with torch.no_grad():
            return [result.cpu() for result in program(*on_device(list(given), device))]

    return run
