"""Operators that return their argument's memory without saying so, replaced by ones that say so: for TorchScript only.

Its passes trust the schemas. Freezing computes in advance what depends on constants alone and is never written to; if an
operator hides that its result is its argument, a write to the result goes into the constant, at every call: `nn.GRUCell`
from a constant state, whose `unsafe_chunk` hides that its chunks are of one memory, adds to them in place.

There are two places to look. The ops of a half are in its graph, where their sharing was observed. What tracing makes of a
composite op is in the trace only: of all composites of torch those of recurrent cells alone write to what they have made, and
they do it through the operators in `_HONEST` (`python -m benchmarks.halves.hidden_aliases`).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import fx

from codegen.errors import CodegenError
from codegen.formats.memory_sharing import Sharing

_aten = torch.ops.aten
# The same operators, whose schemas say that they return views.
_HONEST = {
    _aten.unsafe_chunk.default: _aten.chunk.default,
    _aten.unsafe_split.Tensor: _aten.split.Tensor,
    _aten.unsafe_split_with_sizes.default: _aten.split_with_sizes.default,
    _aten._unsafe_view.default: _aten.view.default,
}
HONEST_NAMES = {hidden.name().partition(".")[0]: honest.name().partition(".")[0] for hidden, honest in _HONEST.items()}


def make_honest(sharing: Sharing, *, fixed: bool = True) -> None:
    """Let the ops of an observed half say what they return a view of, in place.

    fixed: are the observed shapes those of every call? Else only an op that keeps the shape of its argument can be replaced;
    CodegenError naming another one.
    """
    for node in sharing.hidden():
        graph = node.graph
        if node.target in _HONEST:
            node.target = _HONEST[node.target]
        elif node in sharing.reshapes:
            (source,) = sharing.sources[node]
            if not fixed and not _keeps_shape(node, source):
                raise CodegenError(
                    f"{node.name} hides that it returns its argument in another shape, which with an open batch TorchScript"
                    " cannot be told; emit in the format exported_program or onnx"
                )
            with graph.inserting_before(node):
                if fixed:
                    view = graph.call_function(_aten.reshape.default, (source, list(sharing.reshapes[node])))
                else:
                    view = graph.call_function(_aten.view_as.default, (source, source))
            view.meta = dict(node.meta)
            node.replace_all_uses_with(view)
            graph.erase_node(node)
            sharing.replace(node, view)


def _keeps_shape(node: fx.Node, source: fx.Node) -> bool:
    made, given = node.meta.get("val"), source.meta.get("val")
    return isinstance(made, torch.Tensor) and isinstance(given, torch.Tensor) and made.shape == given.shape


def make_trace_honest(program: Any) -> None:
    """Rename the operators of a traced program that hide views, in place."""
    for part in program.modules():
        if not part._c._has_method("forward"):  # a module that only holds weights
            continue
        for hidden, honest in HONEST_NAMES.items():
            for node in part.graph.findAllNodes(hidden):
                renamed = part.graph.create(honest, list(node.inputs()), 1)
                renamed.insertBefore(node)
                renamed.output().setType(node.output().type())
                node.output().replaceAllUsesWith(renamed.output())
                node.destroy()
