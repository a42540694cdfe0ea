"""The cases of the benchmark of control: a network on a board that can be set, a trace, and what is asked for.

The board is one whose watts are known, a Raspberry Pi 4B with Wi-Fi, from the catalogue, as are its op times and those of the
server. Clock levels are by the cubic model, transmit rates by Shannon's capacity, both assumptions of `cic.control.levels`.
Tensors may cross in eight bits; their payloads are those of a random picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

import numpy as np

import cic
from benchmarks.adaptation.chain_cuts import chain_only
from benchmarks.adaptation.control_bound import offered
from benchmarks.adaptation.frames import Scene
from benchmarks.adaptation.world import Load, Tables, Work, World
from benchmarks.harness.torchvision_zoo import load as load_network
from benchmarks.testbed.traces import Trace
from cic.control.controlled_device import ControlledDevice
from cic.control.controller import LEAST_ENERGY, LEAST_LATENCY, Penalty
from cic.control.levels import cubic_levels, shannon_rates
from cic.control.targets import Targets
from cic.cost.powers import board_powers
from cic.decision.cut import DEVICE_ONLY, SERVER_ONLY
from cic.decision.splitting_model import SplittingModel

BOARD, RADIO, SERVER = "raspberry-pi-4b", "wifi", "i7-13700k"
CLOCKS_HZ = (1.5e9, 1.2e9, 0.9e9, 0.6e9)
BOX = cic.Box(("1kbps", "10Gbps"), (0.05, 200), (0, "5s"), (0.01, 100), (0.005, 100))
"""Wide: prices multiply conditions, and a second of waiting adds next to nothing to what an idle board draws."""
RTT_S = 0.01
ABOVE_TIE = 1.5
"""The median of each trace, over the bandwidth at which device-only and server-only take equally long."""


@dataclass(frozen=True)
class Case:
    """scene, chain: with all cuts, and with chain cuts only. goal: in words. spare: cuts that are no chain cuts."""

    network: str
    goal: str
    scene: Scene
    chain: Scene
    targets: Targets
    least: Penalty
    spare: int

    @property
    def name(self) -> str:
        return f"{self.network}, {self.scene.trace.name}"


def cases(networks: Sequence[str], traces: Sequence[Trace], folder: Path) -> list[Case]:
    """Both goals for each network over each trace. folder: where tables are kept."""
    found = []
    for network in networks:
        model = compiled(network, folder)
        chain = chain_only(model)
        spare = len({cut.features for cut in model.cuts} - {cut.features for cut in chain.cuts})
        for trace in traces:
            fitting = trace.with_median(ABOVE_TIE * tie_bps(model))
            scene = Scene(model, controlled(fitting), fitting, RTT_S)
            other = replace(scene, model=chain)
            found += [Case(network, goal, scene, other, targets, least, spare) for goal, targets, least in goals(scene)]
    return found


def compiled(network: str, folder: Path) -> SplittingModel:
    """The network between the board and the server: compiled once, and then read from a file."""
    path = folder / f"{network}.control.cic"
    if path.exists():
        return cic.load(path)
    defaults = cic.Conditions("10Mbps", downlink="10Mbps", rtt=RTT_S)
    model = cic.compile(
        load_network(network).traced, device=BOARD, server=SERVER, box=BOX, defaults=defaults, precision=cic.Precision("int8")
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    model.save(path)
    return model


def tie_bps(model: SplittingModel) -> float:
    """The uplink at which device-only and server-only take equally long."""
    whole_s = model.cut_by_id[DEVICE_ONLY].row[0]
    others = [cut for cut in model.cuts if cut.id == SERVER_ONLY]
    return min((cut.row[2] + cut.row[3]) / max(whole_s - sum(cut.row[:2]) - RTT_S, 1e-3) for cut in others)


def controlled(trace: Trace) -> ControlledDevice:
    """The board, at four clock levels and three transmit rates around the median of the trace."""
    board, energy = board_powers()[BOARD], cic.energy_of(BOARD, RADIO)
    middle_bps = float(np.median([trace.at(second) for second in np.arange(0, trace.duration_s, 0.1)]))
    return ControlledDevice(
        energy,
        board.idle_w,
        cubic_levels(CLOCKS_HZ, board.idle_w, board.busy_w),
        shannon_rates((4 * middle_bps, 2 * middle_bps, middle_bps), board.idle_w, energy.send_w, 2 * middle_bps),
    )


def goals(scene: Scene) -> list[tuple[str, Targets, Penalty]]:
    """Least energy at a rate of frames, and least latency within an average power.

    Frames come faster than the frugal actions take, or may take less energy than the quick ones do, half-way between both: so
    each target binds.
    """
    seconds = np.arange(0, scene.trace.duration_s, 0.1)
    offers = [scene.mean_noise * offered(scene.device, scene.model.cuts, scene.under(scene.at(second))) for second in seconds]
    quick, frugal = (np.array([each[place] for each in offers]).mean(0).tolist() for place in (0, -1))
    idle_w = scene.device.idle_w
    frame_s, calm_s = fmean((quick[0], frugal[0])), 1.25 * frugal[0]
    return [
        ("least energy", Targets(1 / frame_s), LEAST_ENERGY),
        ("least latency", Targets(1 / calm_s, idle_w + fmean((quick[1], frugal[1])) / calm_s), LEAST_LATENCY),
    ]


def moving(case: Case) -> Scene:
    """The same scene, but that the bandwidth moves on while the bits of a frame pass; a rate holds the downlink back, too."""
    scene = case.scene
    works = {cut.label: Work(*cut.row[:4], cut.offloads) for cut in scene.model.cuts}
    tables = Tables(case.network, "", "", scene.model, works, tuple(works.values()))
    worlds = {}
    for setting in scene.device.settings:
        assert setting.clock is not None and setting.rate is not None
        capped = replace(scene.trace, bps=tuple(min(bps, setting.rate.bps) for bps in scene.trace.bps))
        load = Load((0.0,), (setting.clock.seconds_factor,), (1.0,))
        worlds[setting] = World(tables, capped, load, scene.noise, RTT_S)
    return replace(scene, worlds=worlds)
