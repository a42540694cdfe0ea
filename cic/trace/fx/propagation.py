"""Runs a flat graph once on fake tensors, to learn every node's shape, and which nodes share memory.

Each node gets `meta["val"]`, a tensor without data; nodes alias exactly if their values share a storage (an operator's
schema alone does not tell: `dropout` in eval mode returns its argument, `reshape` sometimes copies).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import fx
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.symbolic_shapes import ShapeEnv

from cic.trace.fx.rows_from_data import bound_rows
from cic.trace.fx.schema import reshapes_in_place, written


def propagate(module: fx.GraphModule, tensors: Sequence[torch.Tensor]) -> None:
    """Set `meta["val"]` of every node and `meta["object"]`, equal for nodes that are the very same tensor object.

    Operators without a fake implementation make the whole run fall back to copies of the real tensors.
    """
    try:
        mode = FakeTensorMode(allow_non_fake_inputs=True, shape_env=ShapeEnv())
        with mode, torch.no_grad():
            _Propagation(module, lambda tensor: mode.from_tensor(tensor, static_shapes=True)).run(*tensors)
    except Exception:  # whatever a foreign operator raises without data, the run with data is the judge  # noqa: BLE001
        with torch.no_grad():
            _Propagation(module, torch.clone).run(*tensors)


def run_checked(module: fx.GraphModule, tensors: Sequence[torch.Tensor]) -> Sequence[torch.Tensor]:
    """Return the module's results on real tensors; nodes that are not what was foretold get `meta["surprising"]`.

    Fake tensors know no quantised types, for one.
    """
    with torch.no_grad():
        return _Check(module).run(*tensors)  # type: ignore[no-any-return]


def storages(value: Any) -> frozenset[int]:
    """Return the identities of the storages behind a node's value; a view has its base's."""
    if isinstance(value, torch.Tensor):
        try:
            return frozenset([value.untyped_storage()._cdata])
        except (NotImplementedError, RuntimeError):  # sparse and nested layouts have none; they are never written here
            return frozenset()
    if isinstance(value, list | tuple):
        return frozenset().union(*map(storages, value))
    return frozenset()


class _Propagation(fx.Interpreter):
    def __init__(self, module: fx.GraphModule, prepare: Any) -> None:
        super().__init__(module, garbage_collect_values=False)
        self.prepare = prepare

    def placeholder(self, target: Any, args: Any, kwargs: Any) -> Any:
        return self.prepare(super().placeholder(target, args, kwargs))

    def get_attr(self, target: Any, args: Any, kwargs: Any) -> Any:
        value = super().get_attr(target, args, kwargs)
        return self.prepare(value) if isinstance(value, torch.Tensor) else value

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        if n.op == "call_function":
            bound_rows(n, result, self.fetch_args_kwargs_from_env(n)[0])
        n.meta["val"] = _snapshot(result)
        changed = written(n) or (n.all_input_nodes[:1] if reshapes_in_place(n) else [])
        n.meta["object"] = changed[0].meta["object"] if len(changed) == 1 else id(result)
        return result


class _Check(fx.Interpreter):
    def run_node(self, n: fx.Node) -> Any:
        result, foretold = super().run_node(n), n.meta.get("val")
        if isinstance(result, torch.Tensor) and isinstance(foretold, torch.Tensor):
            sizes = zip(result.shape, foretold.shape, strict=False)
            alike = result.dim() == foretold.dim() and all(a == b for a, b in sizes if isinstance(b, int))
            n.meta["surprising"] = not (alike and result.dtype == foretold.dtype and result.layout == foretold.layout)
        return result


def _snapshot(value: Any) -> Any:
    """Return the value as it looks now: ops such as `unsqueeze_` change the object later."""
    if isinstance(value, torch.Tensor):
        return value.detach()
    if isinstance(value, list | tuple):
        return [_snapshot(item) for item in value]
    return value
