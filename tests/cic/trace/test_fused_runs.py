"""The rule *fuse* on random wirings: for each cut it forbids there is another, closed, that sends no more."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from cic.trace.fused_runs import Wiring, fused_runs


def random_wiring(seed: int) -> Wiring:
    generator = random.Random(seed)
    kinds, reads, makes, size, output, crosses = [], [], [], [8], [False], [True]
    for _ in range(generator.randint(1, 12)):
        made = generator.choice((1, 1, 1, 1, 2))
        kinds.append((generator.choice(("relu", "add", "conv2d", "batch_norm")),))
        newest = len(size) - 1
        count = generator.choice((1, 1, 1, 2))
        reads.append(tuple({max(0, newest - generator.choice((0, 0, 0, 1, 3))) for _ in range(count)}))
        makes.append(tuple(range(len(size), len(size) + made)))
        for _ in range(made):
            size.append(generator.choice((8, 8, 8, 4)))
            output.append(generator.random() < 0.1)
            crosses.append(generator.random() < 0.9)
    return Wiring(*map(tuple, (kinds, reads, makes, size, output, crosses)))


def crossing(wiring: Wiring, device: set[int]) -> set[int]:
    made = {0} | {tensor for op in device for tensor in wiring.makes[op]}
    needed = {tensor for op in range(len(wiring.kinds)) if op not in device for tensor in wiring.reads[op]}
    return made & needed


def is_closed(wiring: Wiring, device: set[int]) -> bool:
    maker = {tensor: op for op, tensors in enumerate(wiring.makes) for tensor in tensors}
    return all(maker.get(tensor, op) in device for op in device for tensor in wiring.reads[op])


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 10**9))
def test_forbidden_cuts_are_dominated(seed: int) -> None:
    wiring = random_wiring(seed)
    runs = fused_runs(wiring)
    assert sorted(op for run in runs for op in run) == list(range(len(wiring.kinds)))
    for chosen in range(2 ** len(wiring.kinds)):
        device = {op for op in range(len(wiring.kinds)) if chosen >> op & 1}
        sent = crossing(wiring, device)
        if not is_closed(wiring, device) or not all(wiring.may_cross[tensor] for tensor in sent):
            continue
        whole = device | {op for run in runs if set(run) & device for op in run}
        assert is_closed(wiring, whole)
        instead = crossing(wiring, whole)
        assert all(wiring.may_cross[tensor] for tensor in instead)
        assert sum(wiring.size_bytes[t] for t in instead) <= sum(wiring.size_bytes[t] for t in sent)
        downloads = [
            sum(
                wiring.size_bytes[t]
                for op in range(len(wiring.kinds))
                if op not in side
                for t in wiring.makes[op]
                if wiring.is_output[t]
            )
            for side in (whole, device)
        ]
        assert downloads[0] <= downloads[1]


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 10**9))
def test_runs_are_as_long_as_the_rule_allows(seed: int) -> None:
    """Every lone elementwise reader that makes no more has joined its producer, and so have two that end in one."""
    wiring = random_wiring(seed)
    run_of = {op: index for index, run in enumerate(fused_runs(wiring)) for op in run}

    def is_light(op: int, within: tuple[int, ...]) -> bool:
        made = wiring.makes[op]
        fits = wiring.kinds[op] != ("conv2d",) and set(wiring.reads[op]) <= set(within) and len(made) == 1
        return fits and all(wiring.size_bytes[made[0]] <= wiring.size_bytes[tensor] for tensor in within)

    def readers_of(tensor: int) -> list[int]:
        return [reader for reader, tensors in enumerate(wiring.reads) if tensor in tensors]

    for op, made in enumerate(wiring.makes):
        readers = readers_of(made[0])
        if len(made) > 1 or wiring.is_output[made[0]] or not all(wiring.may_cross):
            continue
        if len(readers) == 1 and is_light(readers[0], made):
            assert run_of[op] == run_of[readers[0]]
        if len(readers) == 2 and is_light(readers[0], made):
            (inner,) = wiring.makes[readers[0]]
            ends = readers_of(inner) == [readers[1]] and not wiring.is_output[inner]
            if ends and is_light(readers[1], (*made, inner)):
                assert run_of[op] == run_of[readers[0]] == run_of[readers[1]]
