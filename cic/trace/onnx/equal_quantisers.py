"""QuantizeLinear nodes that do the same to the same value become one: quantisers often write one for each reader of a value.

Between head and tail there are then one tensor of small integers, not several alike, and no float value that all of them read.
"""

from __future__ import annotations

import onnx_ir as ir


def merge_equal_quantisers(graph: ir.Graph) -> None:
    """Let readers of a quantised value read the first node that makes it, and drop the others; outputs keep their own."""
    first: dict[object, ir.Value] = {}
    for node in list(graph):
        if node.op_type != "QuantizeLinear":
            continue
        value = node.outputs[0]
        kept = first.setdefault(_described(node), value)
        if kept is not value and not value.is_graph_output():
            value.replace_all_uses_with(kept)
            graph.remove(node, safe=True)


def _described(node: ir.Node) -> object:
    attributes = tuple(sorted((name, str(attribute.value)) for name, attribute in node.attributes.items()))
    return node.domain, node.inputs[0], tuple(map(_parameter, node.inputs[1:])), attributes


def _parameter(value: ir.Value | None) -> object:
    """The numbers of a constant, whatever it is called."""
    tensor = None if value is None else ir.convenience.get_const_tensor(value)
    return value if tensor is None else (tensor.dtype, tuple(tensor.shape.numpy()), tensor.tobytes())
