"""From the document alone another solver finds the same optimum."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

import cic
from cic.commands.document import SIDES
from mincut.problem import FREE, ON_DEVICE, ON_SERVER
from tests.cic.conftest import MACHINES, SMALL, Project, answer

pytestmark = pytest.mark.usefixtures("in_project")


def test_document_lets_anyone_recompute_the_optimum(capsys: pytest.CaptureFixture[str], project: Project) -> None:
    document = json.loads(answer(capsys, "show", project.file, "--json"))
    model = cic.load(project.file)
    assert len(document["ops"]) <= 12
    for uplink in (5e4, 3e5, 2e6, 9e6, 3e7, 1.2e8, 6e8, 1e10):
        best = brute_force(document, uplink)
        decision = model.decide(uplink)
        assert decision.latency_s == pytest.approx(best, rel=1e-9)
        assert price(document, set(decision.device_ops), uplink) == pytest.approx(best, rel=1e-9)


def test_features_in_the_document_follow_from_ops_and_tensors(capsys: pytest.CaptureFixture[str], project: Project) -> None:
    document = json.loads(answer(capsys, "show", project.file, "--json"))
    for cut in document["cuts"]:
        found = features(document, set(cut["device_ops"]))
        assert found == pytest.approx(cut["features"])
    for op, stored in zip(document["ops"], cic.load(project.file).graph().ops, strict=True):
        assert round(op["device_s"] * 1e9) == stored.device_ns
        assert op["device_s"] == stored.device_ns / 1e9


def test_break_points_in_the_document_are_where_two_cuts_are_equal(
    capsys: pytest.CaptureFixture[str], project: Project
) -> None:
    document = json.loads(answer(capsys, "show", project.file, "--json"))
    ops = {cut["id"]: set(cut["device_ops"]) for cut in document["cuts"]}
    assert document["break_points"], "a network whose cuts all win somewhere has break points"
    for point in document["break_points"]:
        at = point["uplink_bps"]
        assert price(document, ops[point["below"]], at) == pytest.approx(price(document, ops[point["above"]], at), rel=1e-9)
        assert price(document, ops[point["below"]], at * 0.9) < price(document, ops[point["above"]], at * 0.9)
        assert price(document, ops[point["below"]], at * 1.1) > price(document, ops[point["above"]], at * 1.1)


def test_pins_have_their_names(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert (SIDES[FREE], SIDES[ON_DEVICE], SIDES[ON_SERVER]) == (None, "device", "server")
    file = tmp_path / "pinned.cic"
    answer(capsys, "compile", *SMALL, *MACHINES, "--pin", "last=server", "-o", file)
    document = json.loads(answer(capsys, "show", file, "--json"))
    assert {op["name"]: op["pinned"] for op in document["ops"]}["last"] == "server"
    assert brute_force(document, 5e4) == pytest.approx(cic.load(file).decide(5e4).latency_s)


def brute_force(document: dict[str, Any], uplink_bps: float) -> float:
    """The lowest latency over all sets of ops that the document allows."""
    names = [op["name"] for op in document["ops"]]
    sets = (set(chosen) for count in range(len(names) + 1) for chosen in itertools.combinations(names, count))
    return min(price(document, on_device, uplink_bps) for on_device in sets)


def price(document: dict[str, Any], on_device: set[str], uplink_bps: float) -> float:
    """The cost sentence of the document, in Python; infinite for a set that is not allowed."""
    for op in document["ops"]:
        if op["pinned"] == ("server" if op["name"] in on_device else "device"):
            return float("inf")
    for tensor in document["tensors"]:
        made_on_server = tensor["producer"] not in on_device and tensor["producer"] != "@input"
        if made_on_server and any(consumer in on_device for consumer in tensor["consumers"]):
            return float("inf")
        if crosses(tensor, on_device) and not tensor["may_cross"]:
            return float("inf")
    sums, defaults = features(document, on_device), document["defaults"]
    downlink_bps = uplink_bps * defaults["downlink_ratio"]
    return (
        sums["device_s"]
        + sums["server_s"]
        + 8 * sums["upload_bytes"] / uplink_bps
        + 8 * sums["download_bytes"] / downlink_bps
        + sums["offloads"] * defaults["rtt_s"]
    )


def crosses(tensor: dict[str, Any], on_device: set[str]) -> bool:
    made_on_device = tensor["producer"] == "@input" or tensor["producer"] in on_device
    return made_on_device and any(name not in on_device and name != "@output" for name in tensor["consumers"])


def features(document: dict[str, Any], on_device: set[str]) -> dict[str, float]:
    ops, tensors = document["ops"], document["tensors"]
    return {
        "device_s": sum(op["device_s"] for op in ops if op["name"] in on_device),
        "server_s": sum(op["server_s"] for op in ops if op["name"] not in on_device),
        "upload_bytes": sum(tensor["wire_bytes"] for tensor in tensors if crosses(tensor, on_device)),
        "download_bytes": sum(
            tensor["wire_bytes"]
            for tensor in tensors
            if "@output" in tensor["consumers"] and tensor["producer"] not in {*on_device, "@input"}
        ),
        "offloads": int(any(op["name"] not in on_device for op in ops)),
    }
