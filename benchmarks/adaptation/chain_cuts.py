"""A splitting model with chain cuts only: those behind a place that every path of the network passes, and both extremes.

Rules that know a network as a chain of layers, or of blocks, can cut there alone.
"""

from __future__ import annotations

from itertools import product

import numpy as np

from benchmarks.harness.bare_tables import bare_model
from benchmarks.peers.two_stage import cut_vertices
from cic.decision.cut import DEVICE_ONLY, SERVER_ONLY
from cic.decision.off_table.problem import stored_problem
from cic.decision.splitting_model import SplittingModel


def chain_only(model: SplittingModel) -> SplittingModel:
    """The chain cuts of the network that this model was compiled from, at the same op times, in the same box.

    Each tensor crosses in any of the forms it may.
    """
    problem = stored_problem(model.graph())
    found: dict[tuple[int, ...], str] = {}
    for end in (-1, problem.op_count - 1, *cut_vertices(problem)):
        on_device = np.arange(problem.op_count) <= end
        name = SERVER_ONLY if end < 0 else DEVICE_ONLY if on_device.all() else f"behind-{end}"
        crossing = np.flatnonzero(problem.crossing(on_device))
        for number, chosen in enumerate(product(*(range(problem.forms.counts[tensor]) for tensor in crossing))):
            codec = np.zeros(problem.tensor_count, dtype=np.int64)
            codec[crossing] = chosen
            # A form for each: in the table of a real model they share an id, and are told apart by their codecs.
            found.setdefault(tuple(problem.features(on_device, codec)), f"{name}.{number}" if number else name)
    cuts = [(name, features) for features, name in sorted(found.items())]
    return bare_model(
        f"{model.name}-chain", cuts, model.box, rtt_s=model.default_rtt_s, downlink_ratio=model.default_downlink_ratio
    )
