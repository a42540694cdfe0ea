"""Are networks sensitive to operating conditions, to which most, singly or together, and does hardware change that?

The four questions of McNamee et al., "The case for adaptive deep neural networks in edge computing" (IEEE CLOUD 2021), put to
tables of splitting models instead of measurements: python -m benchmarks.objectives.sensitivity
"""

from __future__ import annotations

import sys
from dataclasses import asdict
from itertools import product
from statistics import fmean, median

import cic
from benchmarks.harness.report import Report, Section, shared_options
from benchmarks.harness.torchvision_zoo import TWENTY, load
from cic.sensitivity.effects import Sensitivity, sensitivity
from cic.sensitivity.sweep import swept

DEVICES = ("raspberry-pi-zero-2w", "raspberry-pi-4b", "raspberry-pi-5", "jetson-nano-gpu")
SERVERS = ("i7-13700k", "tesla-v100")
BOX = cic.Box(uplink=("500kbps", "500Mbps"))
USUAL_BPS = 2e7


def main() -> None:
    options = shared_options(__doc__, quick="one network on two pairs of machines").parse_args()
    networks = ("squeezenet1_1",) if options.quick else TWENTY
    pairs = list(product(DEVICES, SERVERS))[:: 5 if options.quick else 1]
    found = {(name, *pair): each for name in networks for pair, each in sensitivities(name, pairs).items()}
    factors = [effect.factor for effect in next(iter(found.values())).effects]
    pays = {pair: fmean(each.pays for key, each in found.items() if key[1:] == pair) for pair in pairs}
    report = Report(
        "sensitivity",
        f"Sensitivity: re-partitioning saves more than 5 % in {fmean(pays.values()):.0%} of the states of {len(found)} tables",
        [
            Section(
                "Each factor, over all tables",
                ("factor", "share of variance, median", "stale cut loses more than 5 % by it alone", "latency spreads, median"),
                [factor_row(number, list(found.values())) for number in range(len(factors))],
            ),
            Section(
                "Each pair of machines, mean over networks",
                ("device", "server", "re-partitioning pays in", "stale cut loses", "only together", "best cuts"),
                [pair_row(pair, [each for key, each in found.items() if key[1:] == pair]) for pair in pairs],
            ),
        ],
        [],
        {
            "tables": [
                dict(zip(("network", "device", "server"), key, strict=True)) | asdict(each) for key, each in found.items()
            ]
        },
        (
            f"Usual state: {USUAL_BPS / 1e6:g} Mbit/s, nothing slowed down. States: `cic.sensitivity.sweep`, uplinks of 0.5 to "
            "500 Mbit/s. Figures are predicted by tables that were proved complete, not measured.",
        ),
    )
    report.publish(options.results)
    if not report.kept:
        sys.exit(1)


def sensitivities(network: str, pairs: list[tuple[str, str]]) -> dict[tuple[str, str], Sensitivity]:
    """Of one network between each of these pairs of machines."""
    traced = load(network).traced
    return {
        (device, server): sensitivity(swept(cic.compile(traced, device=device, server=server, box=BOX), usual_bps=USUAL_BPS))
        for device, server in pairs
    }


def factor_row(number: int, found: list[Sensitivity]) -> tuple[str, ...]:
    """What a factor does in all tables."""
    effects = [each.effects[number] for each in found]
    return (
        effects[0].factor,
        f"{median(effect.share for effect in effects):.1%}",
        f"{fmean(effect.stale > 0.05 for effect in effects):.0%} of tables",
        f"{median(effect.spread for effect in effects):.2f} x",
    )


def pair_row(pair: tuple[str, str], found: list[Sensitivity]) -> tuple[str, ...]:
    """What a pair of machines does to the answers."""
    return (
        *pair,
        f"{fmean(each.pays for each in found):.0%} of states",
        f"{fmean(each.stale_mean for each in found):.0%}",
        f"{fmean(each.together or 0.0 for each in found):.0%} of states",
        f"{fmean(len(each.best) for each in found):.1f}",
    )


if __name__ == "__main__":
    main()
