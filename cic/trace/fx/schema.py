"""What an operator's own schema says about a node: arguments by name, what it writes, whether it draws random numbers."""

from __future__ import annotations

import operator
from typing import Any

import torch
from torch import fx

_OVERLOAD = torch._ops.OpOverload

# They change what a tensor object looks like, never a value, so other aliases do not notice.
_RESHAPING_NAMES = "detach_ unsqueeze_ squeeze_ t_ transpose_ swapaxes_ swapdims_ as_strided_ requires_grad_ rename_"
_RESHAPING_IN_PLACE = frozenset(_RESHAPING_NAMES.split())


def base_name(node: fx.Node) -> str:
    """Return the op's name without library, overload and trailing underscore ("conv2d", "add")."""
    target = node.target
    if isinstance(target, _OVERLOAD):
        return target._schema.name.split("::")[-1].strip("_") or target._schema.name
    if isinstance(target, str):
        return target.split(".")[-1]
    return str(getattr(target, "__name__", target)).strip("_")


def kind_of(node: fx.Node) -> str:
    """Return the op's name for people; names of foreign libraries are kept ("mylib.roll").

    A batch norm that computes its statistics from the batch is "batch_norm_of_batch": it is no elementwise op.
    """
    target = node.target
    if base_name(node) in ("batch_norm", "instance_norm") and _takes_batch_statistics(arguments(node)):
        return f"{base_name(node)}_of_batch"
    if _quantises(node):
        return "dequantize_linear" if is_dequantisation(node) else "quantize_linear"
    if isinstance(target, _OVERLOAD) and target.namespace not in ("aten", "prims"):
        return f"{target.namespace}.{base_name(node)}"
    return base_name(node)


def is_dequantisation(node: fx.Node) -> bool:
    """Tell whether the node makes floats of one quantised tensor, by scales that are constants."""
    if not _quantises(node) or not base_name(node).startswith("dequantize") or not node.args:
        return False
    others = [source for source in node.all_input_nodes if source is not node.args[0]]
    return isinstance(node.args[0], fx.Node) and all(source.op == "get_attr" for source in others)


def _quantises(node: fx.Node) -> bool:
    """Tell whether the node is one that export writes around quantised ops: from floats to small integers or back."""
    if not isinstance(node.target, _OVERLOAD) or node.target.namespace not in ("quantized_decomposed", "torchao"):
        return False
    return base_name(node).startswith(("quantize_", "dequantize_"))


def _takes_batch_statistics(bound: dict[str, Any]) -> bool:
    return bool(bound.get("training", bound.get("use_input_stats")))


def arguments(node: fx.Node) -> dict[str, Any]:
    """Return the node's arguments by their names in the schema, defaults included; {} without a schema."""
    if not isinstance(node.target, _OVERLOAD):
        return {}
    bound: dict[str, Any] = {}
    for position, argument in enumerate(node.target._schema.arguments):
        if position < len(node.args) and not argument.kwarg_only:
            bound[argument.name] = node.args[position]
        elif argument.name in node.kwargs:
            bound[argument.name] = node.kwargs[argument.name]
        elif argument.has_default_value():
            bound[argument.name] = argument.default_value
    return bound


def written(node: fx.Node) -> list[fx.Node]:
    """Return the nodes whose values the node changes in place."""
    if node.op != "call_function" or not isinstance(node.target, _OVERLOAD) or reshapes_in_place(node):
        return []
    bound = arguments(node)
    changed: list[Any] = []
    for argument in node.target._schema.arguments:
        if argument.alias_info is not None and argument.alias_info.is_write and argument.name in bound:
            value = bound[argument.name]
            changed += value if isinstance(value, list | tuple) else [value]
    return [value for value in changed if isinstance(value, fx.Node)]


def reshapes_in_place(node: fx.Node) -> bool:
    """Tell whether the node changes only how one tensor object looks (`unsqueeze_`), not what it holds."""
    return isinstance(node.target, _OVERLOAD) and node.target._schema.name.split("::")[-1] in _RESHAPING_IN_PLACE


def out_of_place(node: fx.Node) -> Any:
    """Return the operator that gives the same result without writing (`add_.Tensor` → `add.Tensor`), or None.

    Overloads may be named apart (`transpose_.default`, `transpose.int`), so what counts are names and types of arguments.
    """
    target = node.target
    if not isinstance(target, _OVERLOAD):
        return None
    name = target._schema.name.split("::")[-1]
    packet = getattr(getattr(torch.ops, target.namespace), name.removesuffix("_"), None)
    if not name.endswith("_") or packet is None:
        return None
    variants = [getattr(packet, overload) for overload in packet.overloads()]
    return next((variant for variant in variants if _gives_what_is_written(variant._schema, target._schema)), None)


def _gives_what_is_written(variant: Any, writing: Any) -> bool:
    """Tell whether an operator takes what a writing one takes, writes nothing and returns one tensor, not a list of them."""
    taken, wanted = ([(argument.name, str(argument.type)) for argument in schema.arguments] for schema in (variant, writing))
    writes = any(argument.alias_info and argument.alias_info.is_write for argument in variant.arguments)
    return taken == wanted and not writes and [str(result.type) for result in variant.returns] == ["Tensor"]


def is_identity_dropout(node: fx.Node) -> bool:
    """Tell whether the node is a dropout that drops nothing."""
    if not base_name(node).endswith("dropout"):
        return False
    bound = arguments(node)
    return bound.get("train", bound.get("training")) is False or bound.get("p") == 0.0


def draws_random_numbers(node: fx.Node) -> bool:
    """Tell whether two runs of the node can differ."""
    if not isinstance(node.target, _OVERLOAD) or torch.Tag.nondeterministic_seeded not in node.target.tags:
        return False
    bound = arguments(node)
    if base_name(node).endswith("dropout"):
        return not is_identity_dropout(node)
    if bound.get("training") is False or bound.get("train") is False:  # rrelu, recurrent layers
        return False
    dropout = bound.get("dropout_p", bound.get("dropout"))
    return dropout is None or dropout > 0.0


def is_getitem(node: fx.Node) -> bool:
    """Tell whether the node takes one result of an op that has several."""
    return node.op == "call_function" and node.target is operator.getitem
