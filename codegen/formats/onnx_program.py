"""Halves as ONNX files: what a weak device wants, since ONNX Runtime starts faster and smaller than torch.

A half is a `torch.fx.GraphModule`, exported through `torch.onnx.export`, or an `onnx_ir.Model` cut from an ONNX file and
written as it is. Inputs and outputs carry the names of the tensors that cross.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from codegen.dtypes import type_name
from codegen.errors import CodegenError, needing
from codegen.formats.emitter import LARGEST_FILE_BYTES, OpenAxes, Runner, is_too_large
from codegen.formats.onnx_borders import distinct_names
from codegen.formats.onnx_session import CAN_SHARE, Execution, open_session, open_sharing, runner_of
from codegen.formats.onnx_values import check_type
from codegen.silence import silence
from codegen.split import RETURNS_NOTHING, WireTensor
from codegen.weights.onnx_file import write_model
from codegen.weights.onnx_weights import graph_of
from codegen.weights.onnx_weights_once import hoisted, untransposed
from codegen.weights.protobuf_spans import raw_data_spans
from codegen.weights.shared_weights import SharedHalf
from codegen.weights.weight_pool import return_freed_memory

if TYPE_CHECKING:
    import onnx_ir
    import torch
    from torch import fx

_OTHER_FORMATS = "emit as torchscript or exported_program, or convert the model to float32"
_CHATTY = ("torch.onnx", "onnxscript", "onnx_ir", "torch.export")


class OnnxEmitter:
    """Writes `.onnx` files with `torch.onnx.export` and runs them with ONNX Runtime.

    execution: on what they run. arrays: see `codegen.formats.onnx_session.runner_of`.
    """

    format = "onnx"
    suffix = ".onnx"

    def __init__(self, execution: Execution | None = None, *, arrays: bool = False) -> None:
        self.execution, self.arrays = execution or Execution(), arrays

    def versions(self) -> dict[str, str]:
        """Return the versions of the packages that write ONNX, and of the one that runs it."""
        with needing("the format 'onnx'", "onnx"):
            import onnx
            import onnx_ir
            import onnxruntime

        packages = {"onnx": onnx, "onnx_ir": onnx_ir, "onnxruntime": onnxruntime}
        return {name: package.__version__ for name, package in packages.items()}

    def write(
        self, half: fx.GraphModule | onnx_ir.Model, example: Sequence[torch.Tensor], path: Path, open_axes: OpenAxes = ()
    ) -> None:
        """Write a half to `path`; CodegenError if it holds what ONNX cannot express."""
        import onnx_ir

        from codegen.formats.onnx_kernels import check_kernels

        if isinstance(half, onnx_ir.Model):
            hoisted(half)
            write_model(half, path)  # whose whole has been run
            return
        model = export(half, example, path.name, open_axes)
        write_model(model, path)
        if not is_too_large(self.format, path.stat().st_size):
            check_kernels(model, path, path.name, _OTHER_FORMATS)

    def load(self, path: Path, inputs: Sequence[WireTensor], *, optimize: bool) -> Runner:
        """Return the saved half as a function of tensors or of numpy arrays; `optimize` chooses all of ONNX Runtime's
        graph optimisations over the basic ones."""
        return self._plain(path.read_bytes(), path, inputs, optimize)

    def weight_spans(self, path: Path) -> Sequence[tuple[int, int]]:
        """Return where in a file the bytes of its weights are."""
        return raw_data_spans(path)

    def load_shared(self, half: SharedHalf, inputs: Sequence[WireTensor], *, optimize: bool) -> Runner:
        """As `load`, from weights that all halves of the process share; with `optimize`, those of matrix products are packed
        for each half besides."""
        if not CAN_SHARE:
            if is_too_large(self.format, half.record.bytes):
                raise CodegenError(
                    f"{half.path} has {half.record.bytes} bytes, a protobuf message at most {LARGEST_FILE_BYTES[self.format]},"
                    " and this onnxruntime takes no weights from memory: update it, or run what `export_half` writes"
                )
            plain = io.BytesIO()
            plain.writelines(half.plain())  # piece by piece: joining them would hold everything twice
            return self._plain(plain.getvalue(), half.path, inputs, optimize)
        session, weights = open_sharing(graph_of(half), str(half.path), optimize=optimize, execution=self.execution)
        runner = runner_of(session, half.path.name, weights, inputs, arrays=self.arrays)
        del session, weights
        return_freed_memory()
        return runner

    def _plain(self, content: bytes, path: Path, inputs: Sequence[WireTensor], optimize: bool) -> Runner:
        session = open_session(content, str(path), optimize=optimize, execution=self.execution)
        return runner_of(session, path.name, inputs=inputs, arrays=self.arrays)


def export(half: fx.GraphModule, example: Sequence[torch.Tensor], what: str, open_axes: OpenAxes = ()) -> onnx_ir.Model:
    """Return a flat torch module as an ONNX model, its inputs and outputs named after the nodes.

    Raises CodegenError naming `what` if an op has no counterpart in ONNX.
    """
    import torch

    for part in half.modules():
        part.training = False  # eval() is refused by modules that come from torch.export
    inputs = [node.name for node in half.graph.nodes if node.op == "placeholder"]
    results = list(next(node for node in half.graph.nodes if node.op == "output").args[0])
    for tensor in (*example, *(node.meta.get("val") for node in results)):
        if isinstance(tensor, torch.Tensor):
            check_type(type_name(tensor.dtype))
    source: torch.nn.Module | torch.export.ExportedProgram = half if results else _without_results()
    try:
        with quiet_exporter(), torch.no_grad():
            if results and any(open_axes):
                from codegen.formats.exported_program import dynamic_shapes

                source = torch.export.export(half, tuple(example), dynamic_shapes=dynamic_shapes(open_axes), strict=False)
            program = torch.onnx.export(
                source,
                tuple(example),
                dynamo=True,
                verbose=False,
                external_data=False,
            )
    except Exception as error:  # the exporter fails in many ways
        raise CodegenError(f"torch.onnx cannot write {what}: {_explained(error)}") from error
    assert program is not None, "with dynamo=True the exporter returns a program"
    model: onnx_ir.Model = program.model
    untransposed(model, half)
    _name_borders(model, inputs, distinct_names([node.name for node in results], inputs) or ["nothing"])
    if not results:
        model.metadata_props[RETURNS_NOTHING] = "1"
    return model


def quiet_exporter() -> AbstractContextManager[None]:
    """Silence what the exporter and the packages below it log and warn of; all of it is about their own affairs."""
    return silence(*_CHATTY)


def _name_borders(model: onnx_ir.Model, inputs: Sequence[str], outputs: Sequence[str]) -> None:
    """Rename the model's inputs and outputs, and whatever inside bears one of those names already."""
    border = [*model.graph.inputs, *model.graph.outputs]
    names = dict(zip(border, (*inputs, *outputs), strict=True))
    inner = [value for node in model.graph.all_nodes() for value in node.outputs] + [*model.graph.initializers.values()]
    taken = {value.name for value in (*border, *inner)} | set(names.values())
    for value in dict.fromkeys((*border, *inner)):
        if value.name in names.values():
            count = 0
            while (name := f"{value.name}.{count}") in taken:
                count += 1
            taken.add(name)
            value.name = name
    for value, name in names.items():
        value.name = name


def _explained(error: Exception) -> str:
    """Return the innermost reason: the exporter wraps it in advice on how to report bugs."""
    innermost: BaseException = error
    while innermost.__cause__ is not None:
        innermost = innermost.__cause__
    lines = [line.strip() for line in str(innermost).splitlines() if line.strip()]
    return lines[0] if lines else type(innermost).__name__


def _without_results() -> torch.nn.Module:
    """Return a module without results, as far as ONNX allows."""
    import torch

    class Nothing(torch.nn.Module):
        def forward(self, *unused: torch.Tensor) -> tuple[torch.Tensor, ...]:
            return (torch.zeros(1),)

    return Nothing()
