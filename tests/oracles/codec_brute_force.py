"""The slow truth with codecs: every closed set with every choice of a codec for each tensor that crosses."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np

from benchmarks.harness.plain_problem import PlainProblem
from tests.oracles.brute_force import ClosedSets, closed_sets

Codec = tuple[int, int, int]
"""Wire bytes, device ns to encode, server ns to decode."""


def closed_sets_with_codecs(problem: PlainProblem, codecs: Sequence[Sequence[Codec]]) -> ClosedSets:
    """One row for each allowed device side and each choice of codecs; codecs[e] are those of problem.tensors[e]."""
    plain = closed_sets(problem)
    sides, features = [], []
    for side, (device_ns, server_ns, _, download, offloads) in zip(plain.on_device, plain.features.tolist(), strict=True):
        crossing = [
            index
            for index, (producer, readers, _, _) in enumerate(problem.tensors)
            if (producer < 0 or side[producer]) and any(not side[reader] for reader in readers)
        ]
        for chosen in product(*(codecs[index] for index in crossing)):
            sides.append(side)
            features.append(
                (
                    device_ns + sum(encode_ns for _, encode_ns, _ in chosen),
                    server_ns + sum(decode_ns for _, _, decode_ns in chosen),
                    sum(wire_bytes for wire_bytes, _, _ in chosen),
                    download,
                    offloads,
                )
            )
    return ClosedSets(
        np.array(sides, dtype=bool).reshape(-1, problem.op_count), np.array(features, dtype=np.int64).reshape(-1, 5)
    )
