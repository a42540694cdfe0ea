"""The rivals of a session do what they are said to do, each on problems that suit it; the simulated link follows its trace."""

from __future__ import annotations

import random

import numpy as np
import pytest

from benchmarks.adaptation.rivals import EpsilonGreedy, HillClimbing, MuLinUcb
from benchmarks.adaptation.world import Load, _Uplink
from benchmarks.testbed.traces import Trace, all_traces
from cic.decision.cut import Cut
from cic.session.forecast import Parts

CUT = Cut("cut-00", (1, 1, 1, 1, 1), lambda: ((), ()))


def run(rival: HillClimbing | EpsilonGreedy | MuLinUcb, latencies: dict[str, Parts], inferences: int) -> list[str]:
    chosen = []
    for step in range(inferences):
        label = rival.choose(latencies, 0.0, step * 0.1).cut
        assert rival.choose(latencies, 0.0, step * 0.1).cut == label, "until it was run"
        chosen.append(label)
        rival.saw(label, CUT, latencies[label], step * 0.1)
    return chosen


@pytest.mark.parametrize("best", [0, 3, 9, 14])
@pytest.mark.parametrize("options", [{"start": 0.0}, {"start": 0.5, "repeats": 2}, {"start": 1.0, "step": 0.25}])
def test_hill_climbing_comes_to_the_top_and_comes_back_to_it(best: int, options: dict[str, float]) -> None:
    latencies = {f"{place}": Parts(1.0 + 0.1 * abs(place - best)) for place in range(15)}
    chosen = run(HillClimbing(list(latencies), rest=10, **options), latencies, 120)  # type: ignore[arg-type]
    assert chosen[-60:].count(f"{best}") > 30
    assert len(set(chosen[-60:])) > 1, "neighbours are tried now and then"


def test_hill_climbing_follows_a_top_that_moves() -> None:
    rival = HillClimbing([f"{place}" for place in range(15)], rest=5)
    for best in (2, 12):
        latencies = {f"{place}": Parts(1.0 + 0.1 * abs(place - best)) for place in range(15)}
        chosen = run(rival, latencies, 120)
    assert chosen[-40:].count("12") > 20


def test_epsilon_greedy_settles_on_the_least_and_tries_others() -> None:
    latencies = {f"{place}": Parts(1.0 + 0.1 * place) for place in range(10)}
    chosen = run(EpsilonGreedy(list(latencies), epsilon=0.1, tries_all=True), latencies, 300)
    assert chosen[:10] == list(latencies)
    assert 0.85 < chosen[10:].count("0") / 290 < 0.98


def test_mu_linucb_learns_delays_that_are_linear_in_its_contexts() -> None:
    draw = np.random.default_rng(0)
    contexts = {f"{place}": draw.random(7) for place in range(12)} | {"here": np.zeros(7)}
    theta = draw.random(7) * 0.3
    device_s = {label: float(draw.random() * 0.1) for label in contexts} | {"here": 2.0}
    latencies = {label: Parts(device_s[label], float(x @ theta)) for label, x in contexts.items()}
    chosen = run(MuLinUcb(contexts, device_s, alpha=0.01), latencies, 200)
    best_s = min(parts.latency_s for parts in latencies.values())
    assert np.median([latencies[label].latency_s for label in chosen[-50:]]) < 1.05 * best_s


def test_mu_linucb_must_use_the_server_now_and_then() -> None:
    contexts = {"0": [1.0] * 7, "here": [0.0] * 7}
    latencies = {"0": Parts(0.0, 1.0), "here": Parts(0.01)}
    chosen = run(MuLinUcb(contexts, {"0": 0.0, "here": 0.01}, alpha=0.001), latencies, 100)
    assert 25 <= chosen.count("0") <= 40, "every fourth, for a horizon of 200, and the first few"


@pytest.mark.parametrize("trace", all_traces(), ids=lambda trace: trace.name)
def test_a_simulated_upload_ends_when_the_trace_says(trace: Trace) -> None:
    uplink, draw = _Uplink(trace), random.Random(0)
    for _ in range(50):
        start, bits = draw.uniform(0, trace.duration_s), 10 ** draw.uniform(2, 7)
        end = trace.sent_at(start, bits)
        if end < 10 * trace.duration_s:
            # Where the trace passes nothing at all, the simulated link passes a trickle.
            assert uplink.sent_at(start, bits) == pytest.approx(end, rel=0.02 if min(trace.bps) < 1e4 else 1e-9)


def test_loads_are_of_their_times() -> None:
    load = Load((0.0, 10.0), (1.0, 2.0), (1.0, 8.0))
    assert load.at(0.0) == load.at(9.9) == (1.0, 1.0) and load.at(10.0) == load.at(99.0) == (2.0, 8.0)
    with pytest.raises(ValueError, match="from second 0"):
        Load((1.0,), (1.0,), (1.0,))
