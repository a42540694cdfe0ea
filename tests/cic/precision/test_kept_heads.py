"""Heads that ran are not run again, and what is kept of them is bounded."""

from __future__ import annotations

from collections.abc import Collection

import torch

from cic.precision.kept_heads import KeptHeads
from codegen.split import Split


class Counted:
    """Makes halves whose head doubles its input, and counts."""

    def __init__(self) -> None:
        self.made, self.runs = 0, 0

    def halves(self, device_nodes: Collection[str]) -> Split:
        self.made += 1
        return Split(self.head, lambda *tensors: tensors, (), (), (), (), ())

    def head(self, tensor: torch.Tensor) -> list[torch.Tensor]:
        self.runs += 1
        return [2 * tensor]


def test_a_head_runs_once_for_each_piece() -> None:
    counted, kept = Counted(), KeptHeads()
    for _ in range(3):
        head = kept.of(["a", "b"], counted.halves)
        for number in range(4):
            assert kept.answered(head, number, (torch.tensor(float(number)),))[0] == 2 * number
    assert (counted.made, counted.runs) == (1, 4)


def test_the_cut_that_ran_longest_ago_is_forgotten_first() -> None:
    counted, kept, piece = Counted(), KeptHeads(most_bytes=100), (torch.zeros(10),)
    for name in ("a", "b", "a", "c", "a", "b"):
        kept.answered(kept.of([name], counted.halves), 0, piece)
    assert (counted.made, counted.runs) == (4, 4), "two fit: b made way for c, c for b"


def test_what_is_too_large_is_not_kept_and_answered_all_the_same() -> None:
    counted, kept = Counted(), KeptHeads(most_bytes=60)
    head = kept.of(["a"], counted.halves)
    for number in (0, 1, 2, 1):
        assert kept.answered(head, number, (torch.ones(10),))[0].sum() == 20
    assert counted.runs == 4 and head.bytes == 40
