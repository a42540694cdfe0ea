"""The workbench of a torch model: parts run as the emitted halves do, by the engine that runs those. Needs torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import fx

from cic.cost.op_module import capture, extract
from cic.cost.timing import Run
from cic.cost.torch_parts import torch_maker
from cic.engine.engine_name import EngineName, engine_name
from cic.graph import Graph, Op

if TYPE_CHECKING:
    from cic.trace.fx.traced_model import TracedModel


class TorchWorkbench:
    """See `cic.cost.workbench.Workbench`."""

    def __init__(self, traced: TracedModel, engine: EngineName | None = None, threads: int = 1) -> None:
        self.traced, self.engine = traced, engine or engine_name("torchscript")
        self._run_of, self._version = torch_maker(self.engine, threads)

    @property
    def graph(self) -> Graph:
        return self.traced.graph

    @property
    def runtime(self) -> str:
        return f"{torch.__version__} with {self._version}" if self._version else str(torch.__version__)

    def whole(self) -> Run:
        return self._run_of(self.traced.module, self.traced.source.example_inputs)

    def empty(self) -> Run:
        graph = fx.Graph()
        graph.output((graph.placeholder("x"),))
        return self._run_of(fx.GraphModule({}, graph), [torch.zeros(1)])

    def parts(self, parts: Sequence[Sequence[Op]]) -> list[Callable[[], Run]]:
        modules = [extract(self.traced, [name for op in part for name in op.members]) for part in parts]
        values = capture(self.traced, {name for module in modules for name in module.inputs})
        return [partial(self._run_of, module.module, [values[name] for name in module.inputs]) for module in modules]
