"""What µLinUCB sees of each cut: seven features of the layers that are left to the server, and of what is sent to it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.adaptation.world import WORK, Tables, traced_network
from benchmarks.harness.report import write_json
from cic.cost.families import family_of
from cic.graph import Op

_CONVOLUTIONS = frozenset(["convolution", "transposed convolution", "deformable convolution"])
_PRODUCTS = frozenset(["matrix product", "attention", "lstm", "gru", "rnn"])
Context = tuple[float, ...]


def contexts_of(tables: Tables, folder: Path = WORK) -> Mapping[str, Context]:
    """By label: multiplications of convolutions, of fully connected layers and of others, how many layers of each of the three,
    and bytes sent. Zeros for device-only."""
    path = folder / f"{tables.network}.contexts.json"
    ops = json.loads(path.read_text(encoding="utf-8"))["ops"] if path.exists() else _read_ops(tables.network, path)
    everywhere, found = range(len(ops)), {}
    for cut, here in zip(tables.prior.cuts, tables.prior.graph().cuts, strict=True):
        left = frozenset(everywhere).difference(here) if cut.offloads else frozenset[int]()
        sums = [sum(column) for column in zip(*(ops[op] for op in left), strict=True)] or [0.0] * 6
        found[cut.label] = (*sums, float(cut.upload_bytes))
    return found


def _read_ops(network: str, path: Path) -> list[Sequence[float]]:
    ops = [_features(op) for op in traced_network(network).graph.ops]
    write_json(path, {"ops": ops})
    return ops


def _features(op: Op) -> list[float]:
    """An op is a run of layers, of which the first one that multiplies has all its multiplications."""
    families = [family_of(kind) for kind in op.kinds]
    convolutions = sum(family in _CONVOLUTIONS for family in families)
    products = sum(family in _PRODUCTS for family in families)
    others = len(families) - convolutions - products
    amounts = [0.0, 0.0, 0.0]
    amounts[0 if convolutions else 1 if products else 2] = op.flops / 2
    return [*amounts, float(convolutions), float(products), float(others)]
