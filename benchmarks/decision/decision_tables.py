"""What `benchmarks.decision.decision_time` measured, as tables, and what is promised of decisions."""

from __future__ import annotations

from math import exp, log
from typing import Any

from benchmarks.harness.report import Report, Section, Target, show_ratio, show_time
from benchmarks.harness.torchvision_zoo import DEVICE, SERVER

LARGE = ("resnet152", "densenet201")
UNCERTAINTY = 0.25
UNFUSED = {"networkx unfused": "networkx minimum_cut", "PyMaxflow unfused": "PyMaxflow"}
OTHERS = ("networkx minimum_cut", "networkx kept", "SciPy", "igraph", "PyMaxflow", "pseudoflow", "DADS", "two stages")
OURS = ("full graph", "compressed", "new op costs", "decide(float)", "decide(five)")

Measured = dict[str, dict[str, Any]]
"""Figures of each network by name."""


def report(measured: Measured) -> Report:
    """Tables and targets."""
    sections = [*_times(measured), _unfused(measured), _kernels(measured), _faults(measured)]
    figures = {"device": DEVICE, "server": SERVER, "models": measured}
    return Report("decision_time", "Time per decision", sections, targets(measured), figures, _notes(measured))


def _times(measured: Measured) -> list[Section]:
    methods = [name for name in (*OTHERS, *OURS) if all(name in each["seconds"] for each in measured.values())]
    slower = [method for method in methods if method != "decide(float)"]
    times = [
        (name, str(each["ops"]), *(show_time(each["seconds"][method]) for method in methods)) for name, each in measured.items()
    ]
    ratios = [(name, *(show_ratio(each["over_decide"][method]) for method in slower)) for name, each in measured.items()]
    title = "How many times longer than decide(float), median of the ratios of each round"
    return [
        Section("Median time per decision", ("network", "ops", *methods), times),
        Section(title, ("network", *slower), ratios),
    ]


def _unfused(measured: Measured) -> Section:
    solvers = [f"{name}{what}" for name in UNFUSED.values() for what in ("", " / decide")]
    rows = []
    for name, each in measured.items():
        cells = [
            show(each[key][method]) for method in UNFUSED for show, key in ((show_time, "seconds"), (show_ratio, "over_decide"))
        ]
        rows.append((name, str(each["ops"]), str(each["unfused_ops"]), *cells))
    title = "The full graph as traced: what a system without our rule fuse solves"
    return Section(title, ("network", "ops fused", "ops as traced", *solvers), rows)


def _kernels(measured: Measured) -> Section:
    rows = [
        (
            name,
            str(each["nodes"]),
            show_time(each["kernel"]["ours_s"]),
            show_time(each["kernel"]["pymaxflow_s"]),
            show_ratio(each["kernel"]["ratio"]),
            str(each["compressed_ops"]),
            show_ratio(each["new_costs_under_pymaxflow"]),
        )
        for name, each in measured.items()
    ]
    kernels = ("our kernel", "PyMaxflow's", "ours / theirs")
    columns = ("network", "nodes", *kernels, "compressed ops", "PyMaxflow rebuilt / new op costs")
    return Section("The maximum flow alone, and new op costs on the compressed graph", columns, rows)


def _faults(measured: Measured) -> Section:
    rows = [
        (name, f"{each['dads']['infeasible']:.0%}", f"{each['dads']['worse']:.0%}", show_ratio(each["dads"]["worst"]))
        for name, each in measured.items()
    ]
    return Section(
        "The cuts that the published DADS capacities give, over the uplinks of the box",
        ("network", "data flows back", "feasible but slower", "worst time / optimum"),
        rows,
        ("Time when data flows back: it is sent down the link once, at the downlink's speed, with no further rtt.",),
    )


def _notes(measured: Measured) -> tuple[str, ...]:
    best = sorted({each["networkx_best"] for each in measured.values()})
    return (
        f"Between {DEVICE} and {SERVER} of the catalogue. Each round draws a bandwidth evenly in the logarithm from the "
        "box and asks every method about it in turn; given are medians over rounds. The others are asked repeatedly about "
        "the same bandwidth, so that what they keep between calls is already right, to their advantage.",
        "- **networkx minimum_cut**: capacities written into a ready graph, then `minimum_cut`, which gives the cut. "
        f"**networkx kept**: the residual network is kept too and only the value is found; fastest of {best} here.\n"
        "- **SciPy**: `maximum_flow`, structure kept, 32-bit capacities. **igraph**: `maxflow_value`, structure kept.\n"
        "- **PyMaxflow**, **pseudoflow**: arrays of capacities, then the C or C++ graph is built and solved.\n"
        "- **DADS**: published capacities, Boykov-Kolmogorov in C++. **two stages**: in the manner of QDMP, our reading.\n"
        "- **full graph**, **compressed**: our minimum cut. **new op costs**: op times of every op changed by up to "
        f"{UNCERTAINTY:.0%}, summed over merged ops, minimum cut on the graph compressed for that uncertainty.\n"
        "- In the first two tables every flow solver gets the fused graph. Fusing is our rule: a user of those solvers has "
        "the full graph as traced, which is in the third.\n"
        "- **decide(five)**: bandwidth, downlink, rtt and both slowdowns given.",
    )


def targets(measured: Measured) -> list[Target]:
    """What is promised of decisions, against the worst network measured."""

    def worst(method: str) -> tuple[float, str]:
        return max((each["seconds"][method], name) for name, each in measured.items())

    found = []
    for method, limit in (("decide(float)", 0.5e-6), ("decide(five)", 2.5e-6), ("new op costs", 60e-6)):
        seconds, name = worst(method)
        found.append(Target(f"{method} at most {show_time(limit)}", f"{show_time(seconds)} ({name})", seconds <= limit))
    for method, least in (("networkx minimum_cut", 20_000), ("networkx kept", 20_000)):
        for name in (name for name in LARGE if name in measured):
            value = measured[name]["over_decide"][method]
            found.append(Target(f"at least {least:,} × faster than {method} on {name}", show_ratio(value), value >= least))
    for method, fused, least in (
        ("networkx unfused", "networkx minimum_cut", 20_000),
        ("PyMaxflow unfused", "PyMaxflow", 300),
    ):
        for name in (name for name in LARGE if name in measured):
            each = measured[name]
            value, on_fused = each["over_decide"][method], each["over_decide"][fused]
            found.append(
                Target(
                    f"at least {least:,} × faster than {fused} on {name}, the full graph as traced ({each['unfused_ops']} ops)",
                    f"{show_ratio(value)}; on our fused graph ({each['ops']} ops) {show_ratio(on_fused)}",
                    value >= least,
                )
            )
    value, name = min((each["new_costs_under_pymaxflow"], name) for name, each in measured.items())
    found.append(
        Target("new op costs faster than PyMaxflow's rebuild and solve everywhere", f"{show_ratio(value)} ({name})", value >= 1)
    )
    logs = [log(each["kernel"]["ratio"]) for each in measured.values()]
    mean = exp(sum(logs) / len(logs))
    found.append(Target("our kernel within 1.5 × of PyMaxflow's, geometric mean", show_ratio(mean), mean <= 1.5))
    return found
