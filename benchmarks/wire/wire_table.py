"""Does a split pay? The share of cases in which one beats the better of device-only and server-only, for each wire.

`make bench-wire`. Published block times of 18 networks between a Raspberry Pi 4 and a desktop processor, at five uplinks; then
10 of them as graphs of ops whose times add up to the published blocks. The picture always crosses in the form in which a user
would send it. First with sizes as assumed, then as measured on trained networks, codecs' times included.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch

from benchmarks.harness.report import Report, Section, Target, shared_options
from benchmarks.harness.scaled_prices import scaled_prices
from benchmarks.harness.torchvision_zoo import load as load_torchvision
from benchmarks.peers import auto_split, jalad
from benchmarks.wire import wire_sizes
from benchmarks.wire.forms import BITS_PER_BYTE, PICTURES, Form, Wire, fixed_wire, seconds_on_wire
from benchmarks.wire.published_blocks import COLOURS, UPLINKS_MBPS, Network, best_block_cut, load, unsplit_s
from benchmarks.wire.refined_blocks import DEVICE, NS_PER_S, SERVER, TORCHVISION, RefinedNetwork, refine
from benchmarks.wire.wire_picture import draw, uplinks_mbps
from cic.cost.catalogue import machine
from cic.cost.core_slowdown import core_slowdown
from mincut.network import build
from mincut.problem import Problem, make_problem
from mincut.solver import solve

# The published figures of design and README, padding counted as they counted it: (wins of 90, best gain).
PUBLISHED = {
    (32, "float32 pixels"): (4, "1.39"),
    (32, "uint8 pixels"): (0, "1.00"),
    (8, "uint8 pixels"): (3, "1.30"),
    (8, "150 kB JPEG"): (3, "1.30"),
    (4, "uint8 pixels"): (47, "1.73"),
}
ALSO_FIXED = ((4, "uint8 pixels"), (4, "150 kB JPEG"), (4, "20 kB JPEG"))
# Each precision allows what is more exact, too; the fastest form is taken.
PRECISIONS = {
    "fp32": ("raw", "raw+zstd"),
    "fp16": ("raw", "raw+zstd", "fp16", "fp16+zstd"),
    "int8": ("raw", "raw+zstd", "fp16", "fp16+zstd", "int8", "int8+zstd"),
    "int4": ("raw", "raw+zstd", "fp16", "fp16+zstd", "int8", "int8+zstd", "int4", "int4+zstd"),
}
CODECS = PRECISIONS["int4"]
DRAWN = ("mobilenetv2", "inception_v3", "densenet121", "resnet50")
TIMED_VALUES = 200_704  # 0.8 MB as float32
# Minimum cuts count in nanoseconds and whole bytes; a win must be larger than what that rounds.
LEAST_WIN = 1e-6


@dataclass(frozen=True)
class Cell:
    """One network at one uplink over one wire: seconds of the better of device-only and server-only, and of each method.

    blocks, ops: the best true split or unsplit, whichever is faster; ops is None without a trace.
    """

    network: str
    uplink_mbps: float
    unsplit_s: float
    blocks_s: float
    jalad_s: float
    auto_split_s: float
    ops_s: float | None = None

    def gain(self, seconds: float) -> float:
        return self.unsplit_s / seconds


def block_cell(network: Network, wire: Wire, uplink_mbps: float) -> Cell:
    """The chain of published blocks."""
    unsplit = unsplit_s(network, wire, uplink_mbps)
    split_s, _ = best_block_cut(network, wire, uplink_mbps)
    cuts = [cut for cut in range(1, len(network.blocks)) if wire.padding_counts or not network.only_pads(cut)]
    before = {cut: network.blocks[cut - 1] for cut in cuts}
    forms = {cut: tuple(wire.forms(block.output_values, block.rectified)) for cut, block in before.items()}
    picture = _picture(network, wire)
    layers = [*_ends(network, picture), *(jalad.ChainLayer(network.computing_s[cut], forms[cut]) for cut in cuts)]
    positions = [auto_split.Position(network.computing_s[cut], (forms[cut],)) for cut in cuts]
    return Cell(
        network.name,
        uplink_mbps,
        unsplit,
        min(unsplit, split_s),
        jalad.decide(layers, uplink_mbps),
        auto_split.decide(positions, picture, unsplit, uplink_mbps),
    )


def op_cells(network: RefinedNetwork, wire: Wire) -> list[Cell]:
    """The graph of ops, at every uplink; blocks are what published cuts of the same graph cost."""
    problem = network.problem(wire)
    ready = build(problem)
    allowed = [position for position in range(1, len(network.names)) if _allowed(network, position, wire)]
    crossing = {at: tuple(tuple(network.forms(tensor, wire)) for tensor in network.crossing(at)) for at in allowed}
    picture = _picture(network.published, wire)
    chain = [at for at, _ in network.chain if at in crossing]
    layers = [*_ends(network, picture), *(jalad.ChainLayer(network.computing_s[at], crossing[at][0]) for at in chain)]
    positions = [auto_split.Position(network.computing_s[at], crossing[at]) for at in allowed]
    cells = []
    for uplink in UPLINKS_MBPS:
        unsplit = op_unsplit_s(network, wire, uplink)
        ends = [end + 1 for end in network.block_ends if end + 1 in crossing]
        blocks = (network.computing_s[at] + min(form.crossing_s(uplink) for form in crossing[at][0]) for at in ends)
        cells.append(
            Cell(
                network.published.name,
                uplink,
                unsplit,
                min(unsplit, *blocks),
                jalad.decide(layers, uplink),
                auto_split.decide(positions, picture, unsplit, uplink),
                minimum_cut_s(ready, uplink),
            )
        )
    return cells


def op_unsplit_s(network: RefinedNetwork, wire: Wire, uplink_mbps: float) -> float:
    """The better of device-only and server-only."""
    sending_s = seconds_on_wire(wire.picture_bytes(network.published.pixels), uplink_mbps)
    return min(network.computing_s[-1], network.computing_s[0] + sending_s)


def minimum_cut_s(ready: Any, uplink_mbps: float) -> float:
    """Seconds of the best placement with the best codec for each tensor, by `mincut`."""
    ns_a_byte = BITS_PER_BYTE * NS_PER_S / (uplink_mbps * 1e6)
    placement = solve(ready, scaled_prices(ready, (1.0, 1.0, ns_a_byte, 0.0, 0.0)))
    features = placement.features
    return (features.device_ns + features.server_ns + features.upload_bytes * ns_a_byte) / NS_PER_S


def block_problem(network: Network, wire: Wire) -> Problem:
    """The chain of blocks for `mincut`, to compare with brute force."""
    last = len(network.blocks)
    sizes = [wire.picture_bytes(network.pixels)]
    sizes += [wire.forms(block.output_values, None)[0].bytes for block in network.blocks[:-1]]
    return make_problem(
        [round(block.device_s * NS_PER_S) for block in network.blocks],
        [round(block.server_s * NS_PER_S) for block in network.blocks],
        [(index - 1, [index], sizes[index]) for index in range(last)],
        may_cross=[index == 0 or wire.padding_counts or not network.only_pads(index) for index in range(last)],
    )


def _allowed(network: RefinedNetwork, position: int, wire: Wire) -> bool:
    crossing = network.crossing(position)
    sends_picture = any(tensor.producer < 0 for tensor in crossing)
    return not sends_picture and (wire.padding_counts or not any(tensor.only_padded for tensor in crossing))


def _picture(network: Network, wire: Wire) -> int:
    return wire.picture_bytes(network.pixels)


def _ends(network: Network | RefinedNetwork, picture_bytes: int) -> list[jalad.ChainLayer]:
    """Layers 0 and N: the picture sent, and nothing sent."""
    sent = (Form(picture_bytes),)
    return [jalad.ChainLayer(network.computing_s[0], sent), jalad.ChainLayer(network.computing_s[-1])]


@dataclass(frozen=True)
class Summary:
    """Of one method over all cells of a wire. wins: cells in which it is faster than unsplit. worst: its lowest gain."""

    cells: int
    wins: int
    best: float
    median_of_wins: float | None
    worst: float

    def show(self) -> str:
        text = f"{self.wins}: {self.best:.2f} ×, {self.median_of_wins:.2f} ×" if self.wins else "0"
        return text + (f" (lowest {self.worst:.2f} ×)" if self.worst < 0.995 else "")


def summary(cells: Sequence[Cell], seconds: Callable[[Cell], float]) -> Summary:
    gains = [cell.gain(seconds(cell)) for cell in cells]
    wins = [gain for gain in gains if gain > 1 + LEAST_WIN]
    return Summary(len(gains), len(wins), max(gains), median(wins) if wins else None, min(gains))


LEGEND = "how many a split wins, best gain, median gain of the wins"
METHODS: dict[str, Callable[[Cell], float]] = {
    "blocks": lambda cell: cell.blocks_s,
    "jalad": lambda cell: cell.jalad_s,
    "auto_split": lambda cell: cell.auto_split_s,
}


def _ops_s(cell: Cell) -> float:
    assert cell.ops_s is not None
    return cell.ops_s


def refined_networks(names: Sequence[str]) -> list[RefinedNetwork]:
    """Published networks as graphs of ops. Keras has activations inside the convolutions of VGG, as the fused trace has."""
    published = {network.name: network for network in load()}
    networks = []
    for name in names:
        print(f"tracing {name}", file=sys.stderr)
        traced = load_torchvision(TORCHVISION[name]).traced
        networks.append(refine(published[name], traced.graph if name.startswith("vgg") else traced.unfused))
    return networks


def measured_wires(figures: Sequence[wire_sizes.CodecFigures]) -> list[Wire]:
    """Each precision with pixels and with photographs as JPEG."""
    sides = {network.pixels: int((network.pixels / COLOURS) ** 0.5) for network in load()}
    photographs = wire_sizes.photograph_bytes(sides.values())
    pictures: dict[str, Callable[[int], int]] = {
        "uint8 pixels": lambda pixels: pixels,
        "measured JPEG": lambda pixels: photographs[sides[pixels]],
    }
    return [
        wire_sizes.measured_wire(f"{precision}, measured / {picture}", figures, codecs, size)
        for picture, size in pictures.items()
        for precision, codecs in PRECISIONS.items()
    ]


def main() -> None:
    parser = shared_options(__doc__, "two networks as graphs of ops, one trained network")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    graphs = refined_networks(["vgg16", "mobilenetv2"] if arguments.quick else list(TORCHVISION))
    measured_on = ("residual",) if arguments.quick else ("residual", "mobile", "inception", "unet")
    print("measuring codecs on trained networks", file=sys.stderr)
    figures = wire_sizes.measure(measured_on, CODECS, 1 if arguments.quick else 4)
    wires = [fixed_wire(*row, padding_counts=True) for row in PUBLISHED]
    wires += [fixed_wire(*row) for row in ALSO_FIXED] + measured_wires(figures)
    known = {graph.published.name: graph.published_with_kinds() for graph in graphs}
    networks = [known.get(network.name, network) for network in load()]
    blocks = {
        wire.name: [block_cell(network, wire, uplink) for network in networks for uplink in UPLINKS_MBPS] for wire in wires
    }
    ops = {wire.name: [cell for graph in graphs for cell in op_cells(graph, wire)] for wire in wires}
    targets = [
        *_reproduction(blocks),
        _refinement(ops),
        _brute_force(wires, graphs),
    ]
    arguments.results.mkdir(parents=True, exist_ok=True)
    drawn = [graph for graph in graphs if graph.published.name in DRAWN]
    draw(gain_curves(drawn, figures), arguments.results / "wire_gain.png")
    Report(
        "wire_table",
        "What goes over the wire decides whether a split pays",
        [_block_section(blocks), _op_section(ops), _codec_section(figures)],
        targets,
        {
            "uplinks_mbps": UPLINKS_MBPS,
            "blocks": {name: _as_figures(cells) for name, cells in blocks.items()},
            "ops": {name: _as_figures(cells) for name, cells in ops.items()},
            "codecs": wire_sizes.as_rows(figures),
            "codec_slowdowns": {name: core_slowdown(machine(name)) for name in (DEVICE, SERVER)},
            "measured_on": measured_on,
        },
        _notes(measured_on),
        ("wire_gain.png",),
    ).publish(arguments.results)
    sys.exit(not all(target.kept for target in targets))


def _as_figures(cells: Sequence[Cell]) -> dict[str, dict[str, list[float]]]:
    """network → method → seconds at each uplink."""
    figures: dict[str, dict[str, list[float]]] = {}
    for cell in cells:
        for method, value in vars(cell).items():
            if method.endswith("_s") and value is not None:
                figures.setdefault(cell.network, {}).setdefault(method, []).append(round(value, 6))
    return figures


def gain_curves(
    graphs: Sequence[RefinedNetwork], figures: Sequence[wire_sizes.CodecFigures]
) -> dict[str, dict[str, list[float]]]:
    """network → precision → gain of the best split at every uplink of the picture, against pixels."""
    curves: dict[str, dict[str, list[float]]] = {}
    for graph in graphs:
        for precision, codecs in PRECISIONS.items():
            wire = wire_sizes.measured_wire(precision, figures, codecs, PICTURES["uint8 pixels"])
            problem = graph.problem(wire)
            ready = build(problem)
            curves.setdefault(graph.published.name, {})[precision] = [
                op_unsplit_s(graph, wire, uplink) / minimum_cut_s(ready, uplink) for uplink in uplinks_mbps()
            ]
    return curves


def _reproduction(blocks: dict[str, list[Cell]]) -> list[Target]:
    targets = []
    for row, (wins, gain) in PUBLISHED.items():
        wire = fixed_wire(*row, padding_counts=True).name
        found = summary(blocks[wire], METHODS["blocks"])
        same = (found.wins, f"{max(found.best, 1):.2f}") == (wins, gain)
        targets.append(Target(f"{wire}: {wins} of 90, {gain} ×", f"{found.wins} of {found.cells}, {found.best:.2f} ×", same))
    return targets


def _refinement(ops: dict[str, list[Cell]]) -> Target:
    cells = [cell for cells in ops.values() for cell in cells]
    worst = min(cell.blocks_s / _ops_s(cell) for cell in cells)
    better = sum(cell.blocks_s / _ops_s(cell) > 1 + LEAST_WIN for cell in cells)
    measured = f"{better} of {len(cells)} better, the worst ratio of times {worst:.7f}"
    return Target("cuts between ops are as good as cuts between blocks in every cell", measured, worst > 1 - LEAST_WIN)


def _brute_force(wires: Sequence[Wire], graphs: Sequence[RefinedNetwork]) -> Target:
    """Chains have so few cuts that all can be tried: blocks over fixed sizes, and VGG's ops under every codec."""
    worst, count = 0.0, 0
    for wire in wires:
        for network in load() if len(wire.forms(1, None)) == 1 else ():
            problem = block_problem(network, wire)
            ready = build(problem)
            for uplink in UPLINKS_MBPS:
                tried = min(unsplit_s(network, wire, uplink), best_block_cut(network, wire, uplink)[0])
                worst, count = max(worst, abs(minimum_cut_s(ready, uplink) / tried - 1)), count + 1
        for graph in graphs:
            if len(graph.chain) == len(graph.names) - 1:
                for cell in op_cells(graph, wire):
                    at_best = [graph.computing_s[at] + _fastest(graph, tensor, wire, cell) for at, tensor in graph.chain]
                    tried = min(cell.unsplit_s, *at_best)
                    worst, count = max(worst, abs(_ops_s(cell) / tried - 1)), count + 1
    return Target("minimum cuts equal brute force on chains", f"{count} cells, off by {worst:.1e} at most", worst < LEAST_WIN)


def _fastest(graph: RefinedNetwork, tensor: Any, wire: Wire, cell: Cell) -> float:
    return min(form.crossing_s(cell.uplink_mbps) for form in graph.forms(tensor, wire))


def _block_section(blocks: dict[str, list[Cell]]) -> Section:
    rows = [(name, *(summary(cells, seconds).show() for seconds in METHODS.values())) for name, cells in blocks.items()]
    columns = ("tensors / picture on the wire", "cuts between blocks", "JALAD's rule", "Auto-Split's candidates")
    return Section(f"18 networks as published blocks, 5 uplinks, 90 cells: {LEGEND}", columns, rows)


def _op_section(ops: dict[str, list[Cell]]) -> Section:
    rows = []
    for name, cells in ops.items():
        more = max(cell.blocks_s / _ops_s(cell) for cell in cells)
        methods = [summary(cells, seconds).show() for seconds in (METHODS["blocks"], _ops_s)]
        others = [_beside(cells, METHODS[method]) for method in ("jalad", "auto_split")]
        rows.append((name, *methods, f"{more:.2f} ×", *others))
    columns = (
        "tensors / picture on the wire",
        "cuts between blocks",
        "cuts between ops (ours)",
        "ops over blocks at best",
        "JALAD's rule",
        "Auto-Split's candidates",
    )
    count = len({cell.network for cells in ops.values() for cell in cells})
    return Section(f"{count} of them as graphs of ops, 5 uplinks, {5 * count} cells: {LEGEND}", columns, rows)


def _beside(cells: Sequence[Cell], seconds: Callable[[Cell], float]) -> str:
    """Another method's summary, and how much slower than ours it is where it is slowest."""
    slower = max(seconds(cell) / _ops_s(cell) for cell in cells) - 1
    return summary(cells, seconds).show() + (f"; {slower:.2%} slower at worst" if slower > LEAST_WIN else "")


def _codec_section(figures: Sequence[wire_sizes.CodecFigures]) -> Section:
    rows = []
    for figure in figures:
        bound = figure.entropy_bytes_a_value
        timed = figure.form(TIMED_VALUES, machine(DEVICE), machine(SERVER))
        rows.append(
            (
                figure.codec,
                figure.kind,
                f"{figure.bytes_a_value:.3f}",
                "" if bound is None else f"{bound:.3f}",
                *(f"{seconds * 1e3:.1f} ms" for seconds in (timed.device_s, timed.server_s)),
                str(figure.tensors),
            )
        )
    columns = (
        "codec",
        "tensors",
        "bytes a value",
        "entropy of its symbols",
        "encode on device",
        "decode on server",
        "tensors measured",
    )
    return Section(f"What codecs make of tensors of trained networks; times for {TIMED_VALUES:,} values", columns, rows)


def _notes(measured_on: Sequence[str]) -> tuple[str, ...]:
    device, server = (core_slowdown(machine(name)) for name in (DEVICE, SERVER))
    return (
        "A gain is the time of the better of device-only and server-only over the time of the method; a win is a gain above 1. "
        "No round trip and no download of the answer, as in the published figures; the device sends pictures without encoding "
        "them. All methods know the times and the uplink exactly.",
        "**Padding.** Keras pads the picture in a layer of its own, which published blocks count as a place to cut: the device "
        "pads, writes the pixels with 4 bits instead of 8, and the server does the rest. That is server-only with coarser "
        "pixels, not a split. Rows that do not say otherwise leave it out.",
        f"**Measured sizes** are medians over the tensors of {', '.join(measured_on)} (`examples/trained`), as the published "
        "networks have no trained weights here; rectified tensors and others apart for the networks that torchvision has, all "
        "together for the other eight. Codec times are those CIC predicts (`cic.cost.core_slowdown`): as measured on one core "
        f"of an EPYC, times {device:.1f} on the Raspberry Pi and times {server:.1f} on the desktop. Each precision may use "
        "more exact forms, too; the fastest is taken. JPEG: quality 90, the two photographs that scikit-learn carries. What 4 "
        "bits do to accuracy is not known here; `benchmarks.wire.accuracy` measures it where it can be.",
        "**Graphs of ops** are torchvision's networks traced here, with published block times shared out by the roofline of "
        "the same two machines; every published cut is a cut of these graphs, at the same cost.",
        "**JALAD** chooses a layer of the chain and a bit width, without the time of coding (which it then takes all the "
        "same). **Auto-Split** chooses among positions in one topological order at which no more is sent than the picture. "
        "Both may also stay unsplit.",
    )


if __name__ == "__main__":
    main()
