"""`compile_tiers`: a model and machines in a row to a tiered model, with every cut that can be optimal over their links."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from cic.compilation.lowering import lower
from cic.cost.pricing import Source, resolve
from cic.decision.arguments import check_number, check_sequence
from cic.decision.objective import BITS_PER_BYTE, NS_PER_S
from cic.decision.tiered_cut import MOST_TIERS, TieredCut
from cic.decision.tiered_model import TieredModel
from cic.decision.units import bits_per_second, factor, seconds
from cic.errors import ArgumentError, CompileError
from cic.graph import Graph
from cic.inputs.example_inputs import describe_inputs
from cic.progress import Progress, Tell, teller
from cic.trace.any_model import is_traced, trace_model
from codegen.checked_json import shown
from mincut.errors import MincutError
from mincut.tiers import TierBox, TierCandidate, TierProblem, tier_envelope

USUAL_UPLINK = ("50kbps", "10Gbps")


def compile_tiers(
    model: Any,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    tiers: Sequence[Source],
    uplinks: Sequence[Sequence[float | str]] | None = None,
    rtts: Sequence[float | str] | None = None,
    downlink_ratios: Sequence[float] | None = None,
    pins: Mapping[str, int] | None = None,
    private: Mapping[str, int] | None = None,
    most_minimum_cuts: int = 20_000,
    progress: Tell | None = None,
) -> TieredModel:
    """Work out every cut of a model that can be optimal between machines in a row, such as a device, an edge and a cloud.

    An op runs on a machine at least as far out as those that make what it reads. Each tensor is sent once over each link
    between the machine that makes it and the furthest that reads it, as it is; the model's answers come back.

    Args:
        model, args, kwargs: as for `cic.compile`.
        tiers: the machines, two at least, from the one that has the inputs outwards; each as `cic.compile` takes its device.
        uplinks: of each link the slowest and the fastest bandwidth; default: 50 kbit/s to 10 Gbit/s.
        rtts, downlink_ratios: of each link what `decide` assumes when not told. Default: no round trip, and 1.
        pins: op name → number of the only machine that may run it, 0 for the first.
        private: tensor name → number of the last machine that may have it.
        most_minimum_cuts: budget; if it runs out decisions say `optimal=False`.
        progress: told what is going on, see `cic.progress`; print will do.

    Raises:
        TraceError, CostError, CompileError, UnitError.
    """
    check_sequence(tiers, "tiers", or_none=False)
    if not 2 <= len(tiers) <= MOST_TIERS:
        raise ArgumentError(f"tiers has {len(tiers)} machines; give 2 to {MOST_TIERS}, from the device outwards")
    links = len(tiers) - 1
    ranges = [_range(each, link) for link, each in enumerate(_per_link(uplinks, links, "uplinks", USUAL_UPLINK))]
    usual_s = [seconds(rtt, f"rtts[{link}]") for link, rtt in enumerate(_per_link(rtts, links, "rtts", 0.0))]
    given_ratios = _per_link(downlink_ratios, links, "downlink_ratios", 1.0)
    ratios = [factor(ratio, f"downlink_ratios[{link}]") for link, ratio in enumerate(given_ratios)]
    check_number(most_minimum_cuts, "the most minimum cuts", 1, 10**9, whole=True)
    tell = teller(progress)
    machines = [resolve(spec, f"tiers[{number}]") for number, spec in enumerate(tiers)]
    if not is_traced(model):
        tell(Progress("tracing"))
    traced = trace_model(model, args, kwargs)
    problem = lower_tiers(traced.graph, [machine.op_seconds(traced.graph) for machine in machines], pins, private)
    box = TierBox(
        tuple((_ns_per_byte(fastest), _ns_per_byte(slowest)) for slowest, fastest in ranges),
        tuple(1 / Fraction(ratio) for ratio in ratios),
    )
    try:
        table = tier_envelope(
            problem,
            box,
            most_solves=most_minimum_cuts,
            progress=lambda done, known: tell(Progress("minimum cuts", done, known)),
        )
    except MincutError as error:
        raise CompileError(f"{traced.graph.name}: {error}") from error
    return TieredModel(
        name=traced.graph.name,
        machines=tuple(machine.name for machine in machines),
        op_names=tuple(op.name for op in traced.graph.ops),
        cuts=named_cuts(table.candidates),
        uplinks_bps=tuple(ranges),
        downlink_ratios=tuple(ratios),
        rtts_s=tuple(usual_s),
        any_downlink=table.any_download,
        gap=table.gap if table.complete else None,
        graph_digest=traced.graph.digest,
        weights_digest=traced.weights_digest,
        inputs=describe_inputs(traced.args, traced.kwargs),
    )


def lower_tiers(
    graph: Graph,
    op_seconds: Sequence[Sequence[float]],
    pins: Mapping[str, int] | None = None,
    private: Mapping[str, int] | None = None,
) -> TierProblem:
    """Price a graph: op i of the problem is graph.ops[i].

    Args:
        op_seconds: of each machine the seconds of each op, in graph order. pins, private: as for `compile_tiers`.

    Raises:
        CompileError: a pin or a private tensor names what does not exist, or they contradict each other.
    """
    pins, private = _numbers(pins, "pins", len(op_seconds)), _numbers(private, "private", len(op_seconds))
    return TierProblem(
        tuple(
            lower(
                graph,
                op_seconds[link],
                op_seconds[link + 1],
                pins={op: "device" if tier <= link else "server" for op, tier in pins.items()},
                private=[tensor for tensor, tier in private.items() if tier <= link],
            ).problem
            for link in range(len(op_seconds) - 1)
        )
    )


def named_cuts(candidates: Sequence[TierCandidate]) -> tuple[TieredCut, ...]:
    """Cuts with ids, by the links that they use, and then those first that run most on the first machines."""
    placed = [("".join(map(str, candidate.tier.tolist())), candidate.features) for candidate in candidates]
    placed.sort(key=lambda pair: (max(pair[0], default="0"), pair[0]))
    cuts = []
    for number, (tier_of, features) in enumerate(placed):
        alone = not tier_of.strip("0")
        cut_id = "device-only" if alone else f"cut-{number:02d}"
        cuts.append(
            TieredCut(
                id=cut_id,
                tier_of=tier_of,
                tier_ns=features.tier_ns,
                upload_bytes=features.upload_bytes,
                download_bytes=features.download_bytes,
            )
        )
    return tuple(cuts)


def _ns_per_byte(bps: float) -> Fraction:
    return BITS_PER_BYTE * NS_PER_S / Fraction(bps)


def _range(bounds: Sequence[float | str], link: int) -> tuple[float, float]:
    if not isinstance(bounds, list | tuple) or len(bounds) != 2:
        raise CompileError(f"uplinks[{link}] must be a pair (slowest, fastest), got {shown(bounds)}")
    low, high = (bits_per_second(each, f"uplinks[{link}]") for each in bounds)
    if low > high:
        raise CompileError(f"uplinks[{link}] runs from {low:g} down to {high:g} bit/s; give (slowest, fastest)")
    return low, high


def _per_link(values: Any, links: int, what: str, usual: Any) -> Sequence[Any]:
    if values is None:
        return [usual] * links
    if not isinstance(values, list | tuple) or len(values) != links:
        raise CompileError(f"{what} is {shown(values)}; give a list with one for each of the {links} links")
    return values


def _numbers(given: Any, what: str, tiers: int) -> dict[str, int]:
    if not isinstance(given, Mapping | None):
        raise CompileError(f"{what} is {shown(given)}; give a dict from names to the numbers of machines")
    for name, tier in (given or {}).items():
        if type(tier) is not int or not 0 <= tier < tiers:
            raise CompileError(f"{what} has {shown(tier)} for {shown(name)}; give the number of a machine, 0 to {tiers - 1}")
    return dict(given or {})
