"""A session learns of machines of which nothing was known. Where scales alone are learned, it decides as the table does."""

from __future__ import annotations

import random
import time
from math import log
from pathlib import Path

import numpy as np
import pytest
import torch

import cic
from cic.cost.unknown_machine import USUAL
from cic.decision.conditions import Conditions
from cic.session.forecast import Forecast
from cic.session.learned_machines import learned_machines
from cic.session.learned_times import Learnt
from cic.session.learning_rule import LearningRule
from cic.session.learnt_file import LearntFile
from cic.session.link_estimate import LinkEstimate
from cic.session.session import Session
from cic.session.switching_rule import SwitchingRule, latency_of
from cic.session.work_shares import GROUPS, work_shares
from tests.cic.inception import STRONG, WEAK
from tests.cic.session.small_server import small_server
from tests.cic.session.unknown_network import unknown_network
from tests.codegen.unverified import unverified_bundles


def test_shares_are_of_all_that_a_cut_has_to_do() -> None:
    _, model = unknown_network()
    on_device, on_server = work_shares(model, USUAL)
    for cut in model.cuts:
        for shares, ns in ((on_device, cut.device_ns), (on_server, cut.server_ns)):
            assert (cut.label in shares) == (ns > 0)
            if ns:
                assert sum(shares[cut.label]) == pytest.approx(1.0) and min(shares[cut.label]) >= 0
    whole = next(cut for cut in model.cuts if not cut.offloads)
    ops = model.graph().ops
    starts_s = on_device[whole.label][GROUPS.index("starts")] * whole.row[0]
    assert starts_s == pytest.approx(len(ops) * USUAL["the device"].op_overhead_s, rel=0.01), "each op is started once"


@pytest.mark.parametrize("scales", [(1.0, 1.0), (7.0, 0.1), (0.05, 30.0)])
def test_with_scales_alone_the_decision_is_that_of_the_table(scales: tuple[float, float]) -> None:
    """All parts but bytes are those of the table, whose look-up is proved; bytes are those of HTTP besides."""
    _, model = unknown_network()
    forecast = Forecast(LinkEstimate(2e6, 1.0, 0.01))
    learned = learned_machines(model)
    learned.into(forecast)
    size = 1 + len(GROUPS)
    for side, scale in zip((learned.device, learned.server), scales, strict=True):
        assert side is not None
        one = [[float(row == column) for column in range(size)] for row in range(size)]
        side.begin_with(Learnt([log(scale), *[0.0] * len(GROUPS)], one, {}, 0.01, 0.0))
    draw = random.Random(0)
    for _ in range(100):
        uplink_bps, rtt_s = 10 ** draw.uniform(5, 9), draw.choice([0.0, 0.01, 0.1])
        conditions = Conditions(uplink_bps, uplink_bps, rtt_s, forecast.device.slowdown(0.0), forecast.server.slowdown(0.0))
        assert (conditions.device_slowdown, conditions.server_slowdown) == pytest.approx(scales)
        costs = {}
        for cut in model.cuts:
            parts, terms = forecast.parts(cut.label, cut, conditions), cut.terms(conditions)
            assert (parts.device_s, parts.server_s, parts.rtt_s) == pytest.approx((terms[0], terms[2], terms[4]))
            costs[cut.label] = latency_of(parts._replace(uplink_s=terms[1], downlink_s=terms[3]))
        decided = model.decide(uplink_bps, rtt_s, uplink_bps, conditions.device_slowdown, conditions.server_slowdown)
        assert decided.optimal and costs[decided.cut.label] == pytest.approx(min(costs.values()), rel=1e-9)


def test_a_machine_that_is_known_is_not_learned() -> None:
    network, unknown = unknown_network()
    example = (torch.rand(1, 3, 64, 64),)
    half = cic.compile(network, example, device="unknown", server=STRONG)
    learned = learned_machines(half)
    assert learned.device is not None and learned.server is None and list(learned.by_side) == ["device"]
    assert not learned_machines(cic.compile(network, example, device=WEAK, server=STRONG)).by_side
    forecast = Forecast(LinkEstimate(2e6, 1.0, 0.01))
    known = forecast.server
    learned.into(forecast)
    assert forecast.device is learned.device and forecast.server is known
    assert isinstance(learned.rule(), LearningRule)
    assert set(learned_machines(unknown).by_side) == {"device", "server"}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    network, model = unknown_network()
    path = tmp_path_factory.mktemp("unknown") / "net.split"
    with unverified_bundles():
        cic.emit(network, model, path)
    return path


def test_a_session_learns_and_the_next_one_goes_on_with_it(bundle: Path, tmp_path: Path) -> None:
    network, model = unknown_network()
    image, learnt = np.random.default_rng(0).random((1, 3, 64, 64), np.float32), tmp_path / "learnt.json"
    with small_server(bundle) as server, Session(bundle, model, server.url, learnt=learnt) as session:
        assert isinstance(session._means.planner.rule, LearningRule)
        session.warm_up()
        answers = [session(image) for _ in range(8)]
        end_s = time.monotonic() + 5.0
        while (conditions := session.conditions).device_slowdown == 1.0 and time.monotonic() < end_s:
            answers.append(session(image))
    with torch.no_grad():
        expected = network(torch.from_numpy(image)).numpy()
    assert all(np.allclose(answer, expected, rtol=1e-4, atol=1e-5) for answer in answers)
    assert conditions.device_slowdown != 1.0, "a small network on any real machine is not as usual figures say"
    with Session(bundle, model, None, learnt=learnt) as again:
        assert again.conditions.device_slowdown == pytest.approx(conditions.device_slowdown)


def test_known_machines_have_the_usual_rule(bundle: Path) -> None:
    _, model = unknown_network()
    own = SwitchingRule()
    with Session(bundle, model, policy=own) as session:
        assert session._means.planner.rule is own
    with pytest.raises(cic.ArgumentError, match="policy"):
        Session(bundle, model, policy="fastest")  # type: ignore[arg-type]
    with pytest.raises(cic.ArgumentError, match="policy"):
        Session(bundle, model, policy=SwitchingRule)  # type: ignore[arg-type]
    with pytest.raises(cic.ArgumentError, match="both given"):
        Session(bundle, model, policy=own, objective="throughput")
    known = cic.compile(unknown_network()[0], (torch.rand(1, 3, 64, 64),), device=WEAK, server=STRONG)
    with pytest.raises(cic.InputError, match="known when it was compiled"):
        LearntFile("learnt.json", known, learned_machines(known), 0.0)
