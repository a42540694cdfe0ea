"""A tiered model on the device: which cut is best over several links, what is proved, and a file that is whole or refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import cic
from cic.decision.stored_graph import StoredCall
from cic.decision.tiered_cut import TieredCut
from cic.decision.tiered_file import is_tiered, tiered_content
from cic.decision.tiered_loading import loads_tiers
from cic.decision.tiered_model import TieredModel
from cic.errors import ArtifactError, DecisionError, UnitError

CALL = StoredCall(structure={"kind": "dict", "keys": [], "items": []}, tensors=())


def cut(name: str, tier_of: str, tier_ms: tuple[int, ...], up: tuple[int, ...], down: tuple[int, ...]) -> TieredCut:
    times = tuple(1_000_000 * each for each in tier_ms)
    return TieredCut(id=name, tier_of=tier_of, tier_ns=times, upload_bytes=up, download_bytes=down)


CUTS = (
    cut("device-only", "00", (100, 0, 0), (0, 0), (0, 0)),
    cut("cut-01", "11", (0, 40, 0), (125_000, 0), (0, 0)),
    cut("cut-02", "02", (20, 0, 1), (12_500, 12_500), (0, 0)),
)


def tiered(**changes: Any) -> TieredModel:
    fields: dict[str, Any] = {
        "name": "small", "machines": ("camera", "gateway", "cloud"), "op_names": ("a", "b"), "cuts": CUTS,
        "uplinks_bps": ((1e5, 1e9), (1e5, 1e9)), "downlink_ratios": (1.0, 2.0), "rtts_s": (0.0, 0.03), "any_downlink": False,
        "gap": 1e-9, "graph_digest": "g", "weights_digest": "w", "inputs": CALL,
    }  # fmt: skip
    return TieredModel(**(fields | changes))


def test_the_fastest_cut_is_decided() -> None:
    model = tiered()
    near = model.decide(["100Mbps", "1Mbps"])
    assert (near.cut_id, near.ops) == ("cut-01", ((), ("a", "b"), ()))
    assert near.latency_s == pytest.approx(0.01 + 0.04)
    far = model.decide(["10Mbps", "100Mbps"])
    assert far.cut_id == "cut-02"
    assert far.latency_s == pytest.approx(0.02 + 0.01 + 0.001 + 0.03 + 0.001)
    assert model.decide(("1Mbps", "1Mbps")).cut_id == "device-only"
    assert far.why == "1 ops on camera, 1 ops on cloud at 10 Mbit/s and 100 Mbit/s: 62 ms, 1.61x as fast as camera alone"


def test_round_trips_count_for_the_links_in_use() -> None:
    model = tiered()
    assert model.decide(["10Mbps", "100Mbps"], rtt=["0s", "70ms"]).cut_id == "device-only"
    assert model.decide(["100Mbps", "1Mbps"], rtt=["0s", "5s"]).cut_id == "cut-01", "the second link is not used"


def test_what_is_proved_is_told() -> None:
    model = tiered()
    at = ("10Mbps", "100Mbps")
    assert model.decide(at).optimal
    assert model.decide(at, rtt=("1s", "2s")).optimal
    assert not model.decide(("10Mbps", "2Gbps")).optimal, "outside the range"
    assert not model.decide(at, downlink=at).optimal, "the second ratio is 2"
    assert tiered(any_downlink=True).decide(at, downlink=at).optimal
    assert not model.decide(at, slowdowns=(2, 1, 1)).optimal
    assert not tiered(gap=None).decide(at).optimal
    assert not tiered(gap=1e-3).decide(at).optimal


def test_slowdowns_are_of_the_machines() -> None:
    assert tiered().decide(["100Mbps", "1Mbps"], slowdowns=[1, 4, 1]).cut_id == "device-only"


def test_questions_that_do_not_fit_are_refused() -> None:
    model = tiered()
    with pytest.raises(DecisionError, match="uplink is '20Mbps'; give 2 values"):
        model.decide("20Mbps")  # type: ignore[arg-type]
    with pytest.raises(DecisionError, match=r"slowdowns is .*; give 3 values"):
        model.decide(["1Mbps", "1Mbps"], slowdowns=[1, 1])
    with pytest.raises(UnitError, match=r"uplink\[1\]"):
        model.decide(["1Mbps", "fast"])
    with pytest.raises(DecisionError, match="small has no cut 'cut-09'; it has"):
        model.cut("cut-09")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"machines": ("one",)}, "there are 1 machines"),
        ({"rtts_s": (0.0,)}, "3 machines have 2 links"),
        ({"uplinks_bps": ((2.0, 1.0), (1.0, 2.0))}, "runs from 2 down to 1"),
        ({"cuts": ()}, "one at least"),
        ({"cuts": (CUTS[0], CUTS[0])}, "ids that differ"),
        ({"op_names": ("a",)}, "a digit below 3 for each of 1 ops"),
        ({"cuts": (cut("x", "03", (0, 0, 0), (0, 0), (0, 0)),)}, "places its ops as '03'"),
        ({"cuts": (cut("x", "00", (0, 0), (0, 0), (0, 0)),)}, "tier_ns of 2 numbers, expected 3"),
    ],
)
def test_fields_that_make_no_table_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ArtifactError, match=message):
        tiered(**changes)


def test_a_file_is_what_was_saved(tmp_path: Path) -> None:
    tiered().save(tmp_path / "small.tiers")
    assert cic.load_tiers(tmp_path / "small.tiers") == tiered()
    assert is_tiered(tmp_path / "small.tiers")
    assert not is_tiered(tmp_path / "nothing")
    with pytest.raises(ArtifactError, match="cannot read"):
        cic.load_tiers(tmp_path / "nothing")


def test_every_damage_to_a_file_is_found(tmp_path: Path) -> None:
    tiered().save(tmp_path / "small.tiers")
    content = (tmp_path / "small.tiers").read_bytes()
    for place in range(len(content)):
        damaged = content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
        try:
            model = loads_tiers(damaged)
        except ArtifactError:
            continue
        assert model == tiered(), "only the end of the file may be another"
    with pytest.raises(ArtifactError, match="format version 2, this CIC reads 1; compile the model again"):
        loads_tiers(content.replace(b'"version":1', b'"version":2', 1))


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        (
            "cuts",
            [{"id": "../x", "tier_of": "00", "tier_ns": [], "upload_bytes": [], "download_bytes": []}],
            "id is",
        ),
        ("uplinks_bps", [[1], [1, 2]], "pairs of a slowest and a fastest"),
        ("gap", -1, "gap is -1"),
        ("machines", "cloud", "machines is"),
        ("inputs", {}, "structure is missing"),
    ],
)
def test_fields_of_a_foreign_file_are_checked(tmp_path: Path, field: str, value: object, message: str) -> None:
    tiered().save(tmp_path / "small.tiers")
    document = json.loads((tmp_path / "small.tiers").read_bytes().splitlines()[1])
    with pytest.raises(ArtifactError, match=message):
        loads_tiers(tiered_content(document | {field: value}))
