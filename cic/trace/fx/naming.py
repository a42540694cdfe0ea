"""Readable, unique names for ops, from the module path they came from ("layer1.0.conv1", "layer1.0.add")."""

from __future__ import annotations

from collections.abc import Iterable

from torch import fx

from cic.trace.fx.schema import kind_of


def name_ops(nodes: Iterable[fx.Node], taken: Iterable[str]) -> dict[fx.Node, str]:
    """Return a name for each node: the module's own path if the module is one op of `torch.nn`, else path and kind.

    taken: names that are used already. A name that is taken gets the suffix _1, _2, …
    """
    nodes = list(nodes)
    parents = {prefix for node in nodes for path, _ in _stack(node) for prefix in _prefixes(path)}
    used, names = set(taken), {}
    for node in nodes:
        stem = _stem(node, parents)
        name, count = stem, 0
        while name in used:
            count += 1
            name = f"{stem}_{count}"
        used.add(name)
        names[node] = name
    return names


def _stem(node: fx.Node, parents: set[str]) -> str:
    kind = kind_of(node) if node.op == "call_function" else str(node.target).rpartition("_")[0]
    stack = _stack(node)
    if not stack or not stack[-1][0]:
        return kind
    path, module_type = stack[-1]
    is_layer = module_type.startswith("torch.nn.") and path not in parents
    return path if is_layer else f"{path}.{kind}"


def _stack(node: fx.Node) -> list[tuple[str, str]]:
    entries = (node.meta.get("nn_module_stack") or {}).values()
    return [(_plain(path), _type_name(kind)) for path, kind in entries]


def _plain(path: str) -> str:
    return path.split("@")[0]


def _type_name(kind: object) -> str:
    return f"{kind.__module__}.{kind.__qualname__}" if isinstance(kind, type) else str(kind)


def _prefixes(path: str) -> list[str]:
    steps = path.split(".")
    return [".".join(steps[:count]) for count in range(1, len(steps))]
