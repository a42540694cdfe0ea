"""The wire table: published figures come out again, refined graphs hold published blocks, and each rule does what it says."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from benchmarks.peers import auto_split, jalad
from benchmarks.wire import wire_sizes
from benchmarks.wire.forms import PICTURES, Form, Wire, fixed_wire
from benchmarks.wire.published_blocks import UPLINKS_MBPS, load
from benchmarks.wire.refined_blocks import RefinedNetwork, refine
from benchmarks.wire.wire_table import (
    LEAST_WIN,
    METHODS,
    PUBLISHED,
    block_cell,
    block_problem,
    minimum_cut_s,
    op_cells,
    refined_networks,
    summary,
)
from mincut.network import build

CODED = Wire(
    "two forms that take time",
    lambda values, rectified: (Form(values, 1e-3, 2e-4), Form(values // (8 if rectified else 3), 8e-3, 1e-3)),
    PICTURES["uint8 pixels"],
)


@pytest.fixture(scope="module")
def mobile() -> RefinedNetwork:
    return refined_networks(["mobilenetv2"])[0]


@pytest.mark.parametrize("row", PUBLISHED, ids=str)
def test_published_figures_come_out_again(row: tuple[int, str]) -> None:
    wire = fixed_wire(*row, padding_counts=True)
    found = summary([block_cell(network, wire, uplink) for network in load() for uplink in UPLINKS_MBPS], METHODS["blocks"])
    assert (found.wins, f"{max(found.best, 1):.2f}") == PUBLISHED[row]


def test_minimum_cuts_find_what_trying_all_blocks_finds() -> None:
    wire = fixed_wire(4, "uint8 pixels")
    for network in load():
        problem = block_problem(network, wire)
        ready = build(problem)
        for uplink in UPLINKS_MBPS:
            expected = block_cell(network, wire, uplink).blocks_s
            assert minimum_cut_s(ready, uplink) == pytest.approx(expected, rel=LEAST_WIN)


def test_a_refined_graph_holds_every_published_cut_at_its_cost(mobile: RefinedNetwork) -> None:
    published = mobile.published
    assert len(mobile.block_ends) == len(published.blocks) - 1
    assert all(first < second for first, second in pairwise(mobile.block_ends))
    for cut, end in enumerate(mobile.block_ends, start=1):
        (crossing,) = mobile.crossing(end + 1)
        assert crossing.values == published.blocks[cut - 1].output_values
        assert mobile.computing_s[end + 1] == pytest.approx(published.computing_s[cut])
    assert mobile.computing_s[-1] == pytest.approx(published.computing_s[-1])


@pytest.mark.parametrize("wire", [fixed_wire(4, "uint8 pixels"), fixed_wire(4, "uint8 pixels", padding_counts=True), CODED])
def test_cuts_between_ops_are_never_worse(mobile: RefinedNetwork, wire: Wire) -> None:
    for cell in op_cells(mobile, wire):
        assert cell.ops_s is not None
        assert cell.ops_s <= min(cell.blocks_s, cell.jalad_s, cell.auto_split_s) * (1 + LEAST_WIN)
        assert cell.blocks_s <= cell.unsplit_s


def test_another_network_is_not_refined_into_this_one(mobile: RefinedNetwork) -> None:
    from benchmarks.harness.torchvision_zoo import load as load_torchvision

    vgg = next(network for network in load() if network.name == "vgg16")
    with pytest.raises(ValueError, match="vgg16"):
        refine(vgg, load_torchvision("squeezenet1_1").traced.unfused)


def test_jalad_does_not_see_the_time_of_coding() -> None:
    smaller_but_slow, larger_but_fast = Form(1_000, 0.5), Form(2_000, 0.0)
    layers = [jalad.ChainLayer(1.0, (smaller_but_slow, larger_but_fast))]
    assert jalad.decide(layers, 8.0) == pytest.approx(1.0 + 0.5 + 0.001)


def test_auto_split_considers_what_sends_no_more_than_the_picture() -> None:
    large = auto_split.Position(0.1, ((Form(900),), (Form(200),)))
    small = auto_split.Position(0.3, ((Form(900), Form(400)), (Form(100),)))
    same_but_later = auto_split.Position(0.2, ((Form(500),),))
    positions = [large, small, same_but_later]
    assert auto_split.candidates(positions, 1_000) == [small]
    assert auto_split.decide(positions, 1_000, 0.29, 8.0) == 0.29
    assert auto_split.decide(positions, 1_000, 9.0, 8.0) == pytest.approx(0.3 + 0.0005)


def test_measured_sizes_follow_the_tensors() -> None:
    rng = np.random.default_rng(0)
    signed = rng.standard_normal((1, 32, 16, 16), dtype=np.float32)
    tensors = [(signed, False), (np.maximum(signed, 0), True)]
    figures = wire_sizes.figures_of(tensors, ("raw", "int8+zstd", "int4+zstd"))
    size = {(figure.codec, figure.kind): figure.bytes_a_value for figure in figures}
    assert size["raw", "signed"] == size["raw", "rectified"] == 4
    assert size["int4+zstd", "rectified"] < size["int4+zstd", "signed"] < size["int8+zstd", "signed"] < 1.1
    for figure in figures:
        if figure.entropy_bytes_a_value is not None:
            assert 0.8 * figure.entropy_bytes_a_value < figure.bytes_a_value < 1.3 * figure.entropy_bytes_a_value
    wire = wire_sizes.measured_wire("measured", figures, ("raw", "int4+zstd"), PICTURES["uint8 pixels"])
    assert [form.bytes for form in wire.forms(1_000, False)] == [4_000, round(1_000 * size["int4+zstd", "signed"])]
