"""A tail that goes on elsewhere: three processes answer as one, and bundles that do not belong together are refused."""

from __future__ import annotations

from argparse import ArgumentParser
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import cic
from cic.errors import ArtifactError, LinkError
from cic.runtime.onward import ForwardingTail, Onward, add_onward, read_onward
from cic.runtime.paced_link import Pacing
from cic.runtime.tiered_rehearsal import tiered_rehearsal
from codegen.chain import steps_of
from tests.cic.tiered_parts import Shrinking


def test_three_processes_answer_as_the_model(shrinking: Shrinking, tiered: cic.TieredModel, tiered_parts: Path) -> None:
    conditions = tiered.conditions(["1Gbps", "1Gbps"])
    with tiered_rehearsal(tiered_parts, tiered.cuts[0], conditions) as session:
        for _ in range(2):
            x = torch.randn(1, 3, 64, 64)
            answer, timing = session.infer(session.flatten((x,), {}))
            for name, expected in shrinking(x).items():
                torch.testing.assert_close(answer[name], expected, rtol=1e-4, atol=1e-5)
            assert timing.latency_s >= timing.server_s > 0


def test_parts_that_do_not_belong_together_are_refused(tiered: cic.TieredModel, tiered_parts: Path) -> None:
    (first, cut_id), _ = steps_of(tiered_parts, tiered.cuts[0].id)
    onward = Onward(first, cut_id, 1, Pacing(), 0.0)
    with pytest.raises(ArtifactError, match="take both bundles from one emission"):
        ForwardingTail(first, cut_id, onward)
    with (
        pytest.raises(ArtifactError, match="does not hold the cut"),
        tiered_rehearsal(tiered_parts, tiered.cuts[0].replaced(id="cut-99"), tiered.conditions(["1Gbps", "1Gbps"])),
    ):
        pass
    two = tiered.cuts[0].replaced(tier_of="0" * len(tiered.op_names))
    with (
        pytest.raises(ArtifactError, match="2 bundles for cut-00, which uses 0 links"),
        tiered_rehearsal(tiered_parts, two, tiered.conditions(["1Gbps", "1Gbps"])),
    ):
        pass


def test_a_next_machine_that_is_not_there_is_told(tiered: cic.TieredModel, tiered_parts: Path) -> None:
    (first, cut_id), (second, onward_cut) = steps_of(tiered_parts, tiered.cuts[0].id)
    with pytest.raises(LinkError, match="does not answer on port 1"):
        ForwardingTail(first, cut_id, Onward(second, onward_cut, 1, Pacing(patience_s=2.0), 0.0))


@pytest.mark.parametrize("bandwidth_bps", [None, 2.5e7])
def test_options_say_where_a_tail_goes_on(bandwidth_bps: float | None) -> None:
    onward = Onward(Path("some parts"), "cut-03", 4711, Pacing(bandwidth_bps, 0.005, 7.0), 0.01)
    parser = ArgumentParser()
    parser.add_argument("--patience-s", type=float)
    add_onward(parser)
    assert read_onward(parser.parse_args([*onward.options(), "--patience-s", "7"])) == onward
    nowhere = parser.parse_args(["--patience-s", "7"])
    assert read_onward(nowhere) is None
    assert replace(onward, port=1) != onward
