"""A `.cic` file is whole or refused: every kind of damage gives an `ArtifactError` that names the file."""

from __future__ import annotations

import copy
import json
import os
import pickle
import random
import stat
import tracemalloc
from binascii import crc32
from pathlib import Path

import pytest

import cic
from benchmarks.harness.hand_made import random_conditions
from benchmarks.harness.random_problems import network_shaped
from cic.compilation.verification import verify
from cic.decision.cic_file import VERSION
from cic.decision.conditions import Box
from cic.decision.splitting_model import SplittingModel, dumps, loads
from cic.errors import ArtifactError
from tests.cic.hand_made import changed, splitting_model


@pytest.fixture(scope="module")
def model() -> SplittingModel:
    return splitting_model(network_shaped(random.Random(2), 30), Box(), 0.01, 2.0)


@pytest.fixture(scope="module")
def content(model: SplittingModel) -> bytes:
    return dumps(model)


def test_what_is_loaded_decides_the_same(model: SplittingModel, tmp_path: Path) -> None:
    model.save(tmp_path / "m.cic")
    loaded = cic.load(tmp_path / "m.cic")
    assert dumps(loaded) == dumps(model)
    rng = random.Random(1)
    for _ in range(200):
        uplink, downlink, rtt, device, server = random_conditions(rng, model.box)
        here, there = (each.decide(uplink, rtt, downlink, device, server) for each in (model, loaded))
        assert (here.cut_id, here.latency_s, here.device_ops, here.crossing) == (
            there.cut_id,
            there.latency_s,
            there.device_ops,
            there.crossing,
        )


def test_every_truncation_is_refused(content: bytes) -> None:
    for length in [*range(0, len(content), 97), len(content) - 1, len(content) - 2]:
        with pytest.raises(ArtifactError, match="the file"):
            loads(content[:length], "the file")


def test_every_changed_bit_is_refused_or_changes_nothing(content: bytes) -> None:
    rng = random.Random(3)
    for _ in range(3000):
        damaged = bytearray(content)
        damaged[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        try:
            again = dumps(loads(bytes(damaged), "the file"))
        except ArtifactError:
            continue
        assert again == content  # white space after the header's last brace, say


def with_table(content: bytes, change: dict[str, object], part: int = 0) -> bytes:
    """The file with some entries replaced and all checksums right: only its meaning is wrong."""
    first, *lines = content.splitlines()
    document = json.loads(lines[part])
    document.update(change)
    lines[part] = json.dumps(document, separators=(",", ":")).encode()
    header = json.loads(first)
    header |= {"bytes": [len(line) for line in lines], "crc32": [crc32(line) for line in lines]}
    return b"\n".join([json.dumps(header).encode(), *lines, b""])


@pytest.mark.parametrize(
    "change",
    [
        {"cuts": []},
        {"cuts": [["a", 1, 2, 3]]},
        {"cuts": [["a", 1, 2, 3, 4, -5]]},
        {"cuts": [["a", 1, 2, 3, 4, 0.5]]},
        {"cuts": [[1, 1, 2, 3, 4, 1]]},
        {"cuts": 5},
        {"break_points": [5.0, 4.0], "best_between": [0, 0, 0]},
        {"break_points": [1e6], "best_between": [0]},
        {"best_between": [99]},
        {"best_between": [-1]},
        {"box": {}},
        {"box": {"uplink_bps": [1, 2]}},
        {"default_rtt_s": "x"},
        {"default_downlink_ratio": None},
        {"name": None, "box": None},
    ],
)
def test_tables_that_make_no_sense_are_refused(content: bytes, change: dict[str, object]) -> None:
    with pytest.raises(ArtifactError, match="the file"):
        loads(with_table(content, change), "the file")


def test_only_the_header_differs_where_the_same_is_made_again(model: SplittingModel, content: bytes) -> None:
    information = model.information.replaced(date="2031-02-03T04:05:06+00:00", trace_s=1.5, measure_s=0.25, solve_s=1e-5)
    table = model.table.replaced(information=information)
    again = dumps(SplittingModel(table, model.graph, lambda: model.stored_codecs))
    assert again != content and again.splitlines()[1:] == content.splitlines()[1:]
    assert loads(again).information == information


@pytest.mark.parametrize(
    "made", ["", "today", "today 1 2", "today 1 2 x", "today 1 2 -3", "today 1 2 nan", "a\tb 1 2 3", 5, None]
)
def test_a_header_that_says_nothing_of_how_it_was_made_is_refused(made: object, content: bytes) -> None:
    header, *rest = content.splitlines()
    changed_header = json.loads(header) | {"made": made, "made_crc32": crc32(str(made).encode())}
    with pytest.raises(ArtifactError, match="made"):
        loads(b"\n".join([json.dumps(changed_header).encode(), *rest, b""]))


def test_other_files_and_versions_are_refused(content: bytes, tmp_path: Path) -> None:
    header, *rest = content.splitlines()
    for version in (0, VERSION + 1, "1", None, True):
        newer = json.dumps({**json.loads(header), "version": version}).encode()
        with pytest.raises(ArtifactError, match=r"version|format"):
            loads(b"\n".join([newer, *rest, b""]))
    for foreign in (
        b"",
        b"\n",
        b"{}",
        b"{}\n",
        b"[]\n[]\n[]\n",
        b"PK\x03\x04" * 99,
        b"[" * 100_000,
        b'{"a":' * 100_000 + b"\n",
        b"\x80\x04.",
    ):
        with pytest.raises(ArtifactError):
            loads(foreign)
    with pytest.raises(ArtifactError, match=r"none\.cic"):
        cic.load(tmp_path / "none.cic")
    with pytest.raises(ArtifactError):
        cic.load(tmp_path)


@pytest.mark.parametrize("version", range(1, VERSION))
def test_a_file_of_an_older_version_is_to_be_compiled_again(version: int, content: bytes) -> None:
    header, *rest = content.splitlines()
    older = json.dumps({**json.loads(header), "version": version}).encode()
    with pytest.raises(ArtifactError, match=rf"^old\.cic has format version {version}, .* reads {VERSION}, so compile"):
        loads(b"\n".join([older, *rest, b""]), "old.cic")


def test_saving_is_all_or_nothing(
    model: SplittingModel, content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "m.cic"
    model.save(target)

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    for call in ("fsync", "replace"):
        with monkeypatch.context() as patched:
            patched.setattr(os, call, fail)
            with pytest.raises(ArtifactError, match="No space left"):
                model.save(target)
        assert target.read_bytes() == content
        assert os.listdir(tmp_path) == ["m.cic"]
    with pytest.raises(ArtifactError, match="nowhere"):
        model.save(tmp_path / "nowhere" / "m.cic")


def test_saved_files_have_usual_permissions(model: SplittingModel, tmp_path: Path) -> None:
    old = os.umask(0o022)
    try:
        model.save(tmp_path / "m.cic")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "m.cic").stat().st_mode) == 0o644


def test_verification_accepts_what_was_compiled(model: SplittingModel) -> None:
    found = verify(model)
    assert found.cuts == len(model.cuts)
    assert found.gap < 1e-6


def test_verification_finds_what_is_wrong(content: bytes) -> None:
    table = json.loads(content.splitlines()[1])
    graph = json.loads(content.splitlines()[2])
    assert len(table["cuts"]) > 3
    middle = len(table["cuts"]) // 2

    def without(index: int) -> bytes:
        cuts, ops = list(table["cuts"]), list(graph["cuts"])
        del cuts[index], ops[index]
        return with_table(with_table(content, {"cuts": cuts, "break_points": [], "best_between": [0]}), {"cuts": ops}, part=1)

    wrong_feature = [list(cut) for cut in table["cuts"]]
    wrong_feature[middle][1] += 1
    cheaper = [dict(op) for op in graph["ops"]]
    cheaper[0]["device_ns"] += 1
    renamed = [list(cut) for cut in table["cuts"]]
    renamed[middle][0] = "server-only"
    swapped = [list(cut) for cut in table["cuts"]]
    swapped[0][0], swapped[middle][0] = swapped[middle][0], swapped[0][0]
    rays = table["proof"]["rays"]
    proofs = {
        "a ray that is missing": {"rays": rays[1:]},
        "a ray of other prices": {"rays": [[price + 10**15 for price in rays[0]], *rays[1:]]},
        "no minimum cut": {"solves": 0},
        "no gap": {"gap": None},
    }
    open_cut = list(graph["cuts"])
    open_cut[middle] = [len(graph["ops"]) - 1]
    for name, damaged in {
        "a feature": with_table(content, {"cuts": wrong_feature}),
        "an op time": with_table(content, {"ops": cheaper}, part=1),
        "a cut that is not closed": with_table(content, {"cuts": open_cut}, part=1),
        "a break point": with_table(content, {"break_points": [point * 1.01 for point in table["break_points"]]}),
        "a missing cut": without(middle),
        "an id": with_table(content, {"cuts": renamed}),
        "two ids": with_table(content, {"cuts": swapped}),
        **{name: with_table(content, {"proof": {**table["proof"], **change}}) for name, change in proofs.items()},
        "a default": with_table(content, {"default_rtt_s": 0.4}),
    }.items():
        with pytest.raises(ArtifactError):
            verify(loads(damaged, name))
            pytest.fail(f"{name} went unnoticed")


def test_files_that_never_end_are_refused_at_once(content: bytes, tmp_path: Path) -> None:
    pipe, sparse, zeros, grown = (tmp_path / name for name in ("pipe", "sparse", "zeros", "grown"))
    os.mkfifo(pipe)
    for path, size in ((sparse, 4 * 2**30), (zeros, 200 * 2**20)):
        path.touch()
        os.truncate(path, size)
    grown.write_bytes(content)
    os.truncate(grown, 200 * 2**20)
    tracemalloc.start()
    for path in (pipe, sparse, zeros, grown, "/dev/zero", "/dev/stdin", tmp_path, 0, None, b"m.cic", "a\0b", "x" * 5000):
        with pytest.raises(ArtifactError):
            cic.load(path)  # type: ignore[arg-type]
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


def test_loading_takes_no_more_memory_than_the_file(model: SplittingModel, tmp_path: Path) -> None:
    model.save(tmp_path / "m.cic")
    tracemalloc.start()
    cic.load(tmp_path / "m.cic")
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


@pytest.mark.parametrize(
    "change",
    [
        {"default_rtt_s": 9.0},
        {"default_downlink_ratio": 11.0},
        {"default_downlink_ratio": 0.0},
        {"name": "\ud800"},
        {"name": ""},
        {"information": {}},
        {"information": []},
        {"proof": {}},
        {"proof": {"complete": 1, "gap": 0.0, "solves": 1, "rays": []}},
        {"proof": {"complete": True, "gap": -1.0, "solves": 1, "rays": []}},
        {"best_between": [True, False]},
        {"accuracy": [5]},
        {"codecs": 5},
        {"box": {name: ["1", "2"] for name in Box.FIELDS}},
        {"break_points": [10**400]},
    ],
)
def test_fields_of_the_table_that_cannot_be_right_are_refused(content: bytes, change: dict[str, object]) -> None:
    with pytest.raises(ArtifactError, match="the file"):
        loads(with_table(content, change), "the file")


@pytest.mark.parametrize("cut_id", ["../up", "a/b", "", ".hidden", "x" * 101, "é", "a b", 5, None])
def test_ids_of_cuts_that_are_no_file_names_are_refused(content: bytes, cut_id: object) -> None:
    cuts = json.loads(content.splitlines()[1])["cuts"]
    cuts[0][0] = cut_id
    with pytest.raises(ArtifactError, match="the file"):
        loads(with_table(content, {"cuts": cuts}), "the file")


ODD = [None, {}, 10**400, [{}], "text", [-1], [1e999]]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *((field, value) for field in ("ops", "tensors", "cuts", "inputs") for value in (*ODD, [], [[]])),
        *(("alternatives", value) for value in (*ODD, [[[0, 0]]], [[[0, 1]]], [[[-1, 1]]], [[[0]]])),
    ],
)
def test_graphs_that_make_no_sense_are_refused_when_they_are_asked_for(content: bytes, field: str, value: object) -> None:
    damaged = loads(with_table(content, {field: value}, part=1), "the file")
    with pytest.raises(ArtifactError, match="the file"):
        damaged.graph()


def test_models_and_decisions_can_be_pickled(model: SplittingModel) -> None:
    again = pickle.loads(pickle.dumps(model))  # noqa: S301
    assert dumps(again) == dumps(model)
    for decision in (model.decide(2e7), model.decide(1e3), model.decide("1Mbps", op_times={"op1": (5.0, 5.0)})):
        copied = pickle.loads(pickle.dumps(decision))  # noqa: S301
        assert repr(copied) == repr(decision) and copied.why == decision.why and type(copied) is type(decision)
        assert (copied.device_ops, copied.crossing) == (decision.device_ops, decision.crossing)
    copied = copy.deepcopy(model.decide(2e7))
    assert copied.cut in copied._table.cuts


@pytest.mark.parametrize("bad", ["\udcff", ""])
def test_what_could_not_be_loaded_again_is_not_saved(bad: str, content: bytes, tmp_path: Path) -> None:
    model = loads(content)
    model.save(tmp_path / "m.cic")
    before = (tmp_path / "m.cic").read_bytes()
    model = changed(model, information=model.information.replaced(device=model.information.device.replaced(name=bad)))
    with pytest.raises(ArtifactError, match=r"not saved.*device\.name"):
        model.save(tmp_path / "m.cic")
    assert (tmp_path / "m.cic").read_bytes() == before


def test_what_is_no_splitting_model_is_told_by_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"is a directory; give a splitting model, a \.cic file"):
        cic.load(tmp_path)
    profile = tmp_path / "here.profile.json"
    profile.write_text('{\n "format": "profile"\n}\n')
    with pytest.raises(ArtifactError, match="is not a splitting model"):
        cic.load(profile)
