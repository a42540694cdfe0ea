"""The workbench of an ONNX file: parts are cut out as halves are and run by ONNX Runtime or OpenVINO, with all optimisations.

Graph-wide optimisations (operators fused across ops, the blocked layout of convolutions) happen inside a part as they do
inside a half, which is why halves are measured and not ops alone, see `cic.cost.measure`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import TYPE_CHECKING

import onnx_ir as ir
import torch

from cic.cost.onnx_parts import Values, first_line, onnx_maker
from cic.cost.timing import Run
from cic.engine.engine_name import EngineName, engine_name
from cic.graph import Graph, Op
from codegen.formats.onnx_in_memory import answering, session_of
from codegen.formats.onnx_values import to_ort
from codegen.splitters.onnx import clone_part

if TYPE_CHECKING:
    from cic.trace.onnx.onnx_model import OnnxModel


class OnnxWorkbench:
    """See `cic.cost.workbench.Workbench`."""

    def __init__(self, traced: OnnxModel, engine: EngineName | None = None, threads: int = 1) -> None:
        self.traced, self.engine = traced, engine or engine_name("onnxruntime")
        self._run_of, self._version = onnx_maker(self.engine, threads)
        graph = traced.model.graph
        self._values = {value.name: value for value in (*graph.inputs, *(made for node in graph for made in node.outputs))}

    @property
    def graph(self) -> Graph:
        return self.traced.graph

    @property
    def runtime(self) -> str:
        return f"{torch.__version__} with {self._version}"

    def whole(self) -> Run:
        return self._run_of(self.traced.model, self._example())

    def empty(self) -> Run:
        given = ir.Value(name="x", type=ir.TensorType(ir.DataType.FLOAT), shape=ir.Shape([1]))
        passed = ir.node("Identity", [given])
        passed.outputs[0].name, passed.outputs[0].type, passed.outputs[0].shape = "y", given.type, given.shape
        graph = ir.Graph([given], passed.outputs, nodes=[passed], opset_imports={"": 20}, name="empty")
        return self._run_of(ir.Model(graph, ir_version=10), {"x": to_ort(torch.zeros(1))})

    def parts(self, parts: Sequence[Sequence[Op]]) -> list[Callable[[], Run]]:
        borders = [self._border(part) for part in parts]
        values = self._capture({name for inputs, _ in borders for name in inputs})
        return [partial(self._part, inputs, results, values) for inputs, results in borders]

    def _border(self, part: Sequence[Op]) -> tuple[list[str], list[str]]:
        """Names of the tensors a part reads from outside, and of those it makes that are read outside or are outputs."""
        inside, by_name = {op.name for op in part}, self.graph.tensor_by_name
        made = [name for op in part for name in op.outputs]
        inputs = dict.fromkeys(name for op in part for name in op.inputs if name not in set(made))
        read = [name for name in made if by_name[name].is_output or not inside.issuperset(by_name[name].consumers)]
        return list(inputs), read

    def _part(self, inputs: Sequence[str], results: Sequence[str], values: Values) -> Run:
        part = clone_part(
            self.traced.model, [self._values[name] for name in inputs], [self._values[name] for name in results], "part"
        )
        return self._run_of(part, {name: values[name] for name in inputs})

    def _example(self) -> Values:
        return {name: to_ort(tensor) for name, tensor in self.traced.kwargs.items()}

    def _capture(self, names: Collection[str]) -> Values:
        """The named tensors in one run of the whole model on its example call."""
        example = self._example()
        try:
            with answering(self.traced.model, [self._values[name] for name in sorted(names) if name not in example]):
                session = session_of(self.traced.model, self.graph.name, optimize=False)
            given = {value.name: example[value.name] for value in session.get_inputs()}
            results = session.run_with_ort_values(None, given)
        except Exception as error:  # onnxruntime has a dozen exception classes without a common root
            raise RuntimeError(first_line(error)) from error
        return {**example, **dict(zip((value.name for value in session.get_outputs()), results, strict=True))}
