"""Each weight is stored once and is in memory once, plain files come back byte for byte, and every byte is vouched for."""

from __future__ import annotations

import gc
import hashlib
import json
import shutil
import tracemalloc
import zlib
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from codegen.bundle.bundle import write_bundle
from codegen.bundle.directory import CutPlan
from codegen.errors import CodegenError
from codegen.formats.torchscript import WEIGHT_RECORDS, quiet_torchscript
from codegen.loading import export_half, files_of, load_cut
from codegen.manifest import FILE_NAME, WEIGHTS_FOLDER, read_manifest, signed
from codegen.weights.shared_weights import open_half, weight_path
from codegen.weights.weight_pool import POOL
from tests.codegen.flat_module import FlatModule, flat_module
from tests.codegen.small_models import Residual, calibrated

FORMATS = ("torchscript", "exported_program")
CUTS = ("server-only", "device-only", "cut-0", "cut-1", "cut-2")


@pytest.fixture(scope="module")
def residual() -> tuple[nn.Module, FlatModule]:
    torch.manual_seed(0)
    example = torch.randn(1, 3, 8, 8)
    model = calibrated(Residual(channels=128), example)
    return model, flat_module(model, (example,))


def plans_of(traced: FlatModule) -> list[CutPlan]:
    sets = traced.random_closed_sets(len(CUTS) - 2)
    return [CutPlan(name, nodes, ()) for name, nodes in zip(CUTS, sets, strict=True)]


@pytest.fixture(scope="module")
def shared(residual: tuple[nn.Module, FlatModule], tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("bundles") / "shared.split"
    write_bundle(directory, residual[1].source, plans_of(residual[1]), formats=FORMATS)
    return directory


@pytest.fixture
def copied(shared: Path, tmp_path: Path) -> Path:
    assert len(POOL) == 0, "a test must not find weights an earlier one has loaded"
    return Path(shutil.copytree(shared, tmp_path / "copied.split"))


@pytest.fixture(autouse=True)
def forget_weights():
    yield
    gc.collect()


def size_of(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())


def flip(path: Path, position: float) -> None:
    raw = bytearray(path.read_bytes())
    raw[int(position * len(raw))] ^= 1
    path.write_bytes(raw)


def test_all_cuts_weigh_little_more_than_the_model(residual, tmp_path: Path):
    model, traced = residual
    own = sum(value.nbytes for value in model.state_dict().values())
    write_bundle(tmp_path / "auto", traced.source, plans_of(traced))
    write_bundle(tmp_path / "inline", traced.source, plans_of(traced), storage="inline")
    assert size_of(tmp_path / "auto") <= 1.3 * own
    assert size_of(tmp_path / "inline") > 2 * own
    files = sorted(path.name.split(".", 1)[1] for path in (tmp_path / "inline").glob("*/*"))
    assert files == ["ts"] * (2 * len(CUTS)) and not (tmp_path / "inline" / WEIGHTS_FOLDER).exists()


class Repeated(nn.Module):
    """One table at both ends and one layer used again and again: much program for few weights."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.layer = nn.Embedding(8000, 16), nn.Linear(16, 16)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.table(ids)
        for _ in range(30):
            x = self.layer(x).tanh()
        return x @ self.table.weight.t()


@pytest.mark.parametrize("format_name", FORMATS)
def test_much_program_weighs_little(tmp_path: Path, monkeypatch, format_name: str):
    monkeypatch.setattr("codegen.bundle.bundle._verified", lambda building, manifest, *_: manifest)
    model, ids = Repeated().eval(), torch.tensor([[0, 7]])
    traced = flat_module(model, (ids,))
    plans = plans_of(traced)[:4]
    write_bundle(tmp_path / "b", traced.source, plans, formats=(format_name,), storage="shared")
    halves = size_of(tmp_path / "b") - (tmp_path / "b" / FILE_NAME).stat().st_size
    assert halves <= 1.3 * sum(weight.nbytes for weight in model.parameters())
    cut = load_cut(tmp_path / "b", plans[-1].id)
    with torch.no_grad():
        torch.testing.assert_close(cut.tail(*cut.head(ids)), model(ids))


def test_weights_are_not_shared_if_that_saves_little(residual, tmp_path: Path):
    _, traced = residual
    plan = plans_of(traced)[2]
    for weights, has_bare in (("auto", False), ("shared", True)):
        manifest = write_bundle(tmp_path / weights, traced.source, [plan], storage=weights)
        assert (manifest.cuts[0].files["torchscript"].tail.bare is not None) is has_bare
        assert (tmp_path / weights / WEIGHTS_FOLDER).exists() is has_bare
        assert load_cut(tmp_path / weights, plan.id).manifest == manifest
    with pytest.raises(CodegenError, match="weights are stored as 'auto', 'shared' or 'inline', not as 'none'"):
        write_bundle(tmp_path / "b", traced.source, [plan], storage="none")  # type: ignore[arg-type]
    with pytest.raises(CodegenError, match="the cut id 'weights' names a directory"):
        write_bundle(tmp_path / "b", traced.source, [replace(plan, id="weights")])


@pytest.mark.parametrize("format_name", FORMATS)
@pytest.mark.parametrize("optimize", [False, True])
def test_halves_with_shared_weights_are_the_model(residual, shared: Path, format_name: str, optimize: bool):
    model, _ = residual
    x = torch.randn(1, 3, 8, 8)
    loaded = [load_cut(shared, cut, format_name=format_name, optimize=optimize) for cut in CUTS]
    with torch.no_grad():
        expected = model(x)
    for _ in range(3):  # TorchScript rewrites a program in its first runs
        for cut in loaded:
            torch.testing.assert_close(cut.tail(*cut.head(x)), expected, rtol=1e-4, atol=1e-5)


def test_without_the_reader_of_packages_halves_are_loaded_as_plain_files(residual, shared: Path, monkeypatch):
    monkeypatch.setattr("codegen.formats.torchscript.CAN_BIND", False)
    model, _ = residual
    x = torch.randn(1, 3, 8, 8)
    with torch.no_grad():
        for cut in CUTS:
            loaded = load_cut(shared, cut)
            torch.testing.assert_close(loaded.tail(*loaded.head(x)), model(x), rtol=1e-4, atol=1e-5)
    assert len(POOL) == 0


@pytest.mark.parametrize("format_name", FORMATS)
@pytest.mark.parametrize("half", ["head", "tail"])
def test_the_plain_file_comes_back_byte_for_byte(residual, shared: Path, tmp_path: Path, format_name: str, half):
    for cut in CUTS:
        destination = tmp_path / f"{cut}-{half}"
        record = export_half(shared, cut, half, destination, format_name)
        assert destination.stat().st_size == record.bytes
        assert hashlib.sha256(destination.read_bytes()).hexdigest() == record.sha256
        assert list(tmp_path.glob("*.tmp")) == []
    if format_name == "torchscript":
        x = torch.randn(1, 3, 8, 8)
        with quiet_torchscript(), torch.no_grad():
            program = torch.jit.load(str(tmp_path / f"{'server-only' if half == 'tail' else 'device-only'}-{half}"))
            torch.testing.assert_close(program(x)[0], residual[0](x), rtol=1e-4, atol=1e-5)


def test_a_plain_half_is_exported_as_it_is(residual, tmp_path: Path):
    _, traced = residual
    write_bundle(tmp_path / "b", traced.source, plans_of(traced)[:1], storage="inline")
    export_half(tmp_path / "b", "server-only", "tail", tmp_path / "tail.ts")
    path = tmp_path / "b" / "server-only" / "tail.ts"
    assert (tmp_path / "tail.ts").read_bytes() == path.read_bytes()
    flip(path, 0.5)
    with pytest.raises(CodegenError, match=r"tail.ts.* has SHA-256 .*, the manifest says"):
        export_half(tmp_path / "b", "server-only", "tail", tmp_path / "damaged.ts")
    with pytest.raises(CodegenError, match="does not exist"):
        export_half(tmp_path / "b", "server-only", "tail", tmp_path / "nowhere" / "tail.ts")
    with pytest.raises(CodegenError, match="is a directory"):
        export_half(tmp_path / "b", "server-only", "tail", tmp_path / "b")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b", "tail.ts"]


@pytest.mark.parametrize("format_name", FORMATS)
def test_a_device_needs_the_listed_files_and_no_others(residual, shared: Path, tmp_path: Path, format_name: str):
    x = torch.randn(1, 3, 8, 8)
    for cut in ("cut-0", "device-only"):
        place = tmp_path / cut
        files = files_of(shared, cut, "head", format_name)
        for path in (FILE_NAME, *(file.path for file in files)):
            (place / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(shared / path, place / path)
        expected = load_cut(shared, cut, half="head", format_name=format_name).head(x)
        for result, other in zip(load_cut(place, cut, half="head", format_name=format_name).head(x), expected, strict=True):
            assert result.equal(other)
        gc.collect()
        for file in files:
            assert (place / file.path).stat().st_size == file.bytes
            content = (place / file.path).read_bytes()
            (place / file.path).unlink()
            with pytest.raises(CodegenError, match=r"is missing; emit the model again") as error:
                load_cut(place, cut, half="head", format_name=format_name)
            assert Path(file.path).name in str(error.value)
            (place / file.path).write_bytes(content)


@pytest.mark.parametrize("format_name", FORMATS)
@pytest.mark.parametrize("position", [0.0, 0.5, 0.99])
def test_a_flipped_bit_in_any_file_is_refused_by_name(copied: Path, format_name: str, position: float):
    for file in files_of(copied, "cut-0", "tail", format_name):
        path = copied / file.path
        content = path.read_bytes()
        flip(path, position)
        with pytest.raises(CodegenError, match=rf"{path.name} has SHA-256 .*, the manifest says {file.sha256}; it is damaged"):
            load_cut(copied, "cut-0", half="tail", format_name=format_name)
        with pytest.raises(CodegenError, match=rf"{path.name} has SHA-256"):
            export_half(copied, "cut-0", "tail", copied.parent / "plain", format_name)
        path.write_bytes(content[:-1])
        with pytest.raises(CodegenError, match=rf"{path.name} has \d+ bytes, the manifest says {file.bytes}"):
            load_cut(copied, "cut-0", half="tail", format_name=format_name)
        path.write_bytes(content)
    load_cut(copied, "cut-0", half="tail", format_name=format_name)
    assert [path.name for path in copied.parent.iterdir()] == [copied.name]


def test_a_manifest_whose_weights_do_not_fit_is_refused(copied: Path):
    body = json.loads((copied / FILE_NAME).read_text())
    bare = body["cuts"][0]["files"]["torchscript"]["tail"]["bare"]
    first = bare["weights"][0]["sha256"]
    edits = {
        "overlaps the one before it": lambda: bare["weights"].reverse(),  # noqa: PLW0108 - of the copy of that moment
        "end at byte": lambda: bare["weights"][-1].update(offset=2**40),
        "expected one that weights has the size of": lambda: body["weights"].pop(first),
        "expected a SHA-256": lambda: body["weights"].update({"../../elsewhere": 1}),
        "may lead out of the bundle": lambda: bare.update(path="../elsewhere.bare"),
    }
    for message, edit in edits.items():
        body = json.loads((copied / FILE_NAME).read_text())
        bare = body["cuts"][0]["files"]["torchscript"]["tail"]["bare"]
        edit()
        place = copied.parent / "edited"
        place.mkdir(exist_ok=True)
        (place / FILE_NAME).write_text(json.dumps(signed(body)))
        with pytest.raises(CodegenError, match=rf"is damaged: .*{message}"):
            read_manifest(place)


@pytest.mark.parametrize("edit", ["a weight less", "a byte more", "64 MiB of zeros", "no archive"])
def test_a_bare_file_that_does_not_fit_is_refused(copied: Path, edit: str):
    """Whoever signs the manifest again can say any size, but not have more memory taken than that."""
    body = json.loads((copied / FILE_NAME).read_text())
    record = body["cuts"][0]["files"]["torchscript"]["tail"]
    bare = record["bare"]
    message = "and its weights do not make up the plain file: it has .* bytes uncompressed, the manifest leaves .* to it"
    if edit == "a weight less":
        bare["weights"].pop()
    elif edit == "a byte more":
        record["bytes"] += 1
    else:
        zeros = zlib.compressobj()
        content = b"".join([*(zeros.compress(bytes(1 << 20)) for _ in range(64)), zeros.flush()])
        message, content = (message, content) if "zeros" in edit else ("is damaged: .*incorrect header check", b"nonsense")
        (copied / bare["path"]).write_bytes(content)
        bare.update(bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
    (copied / FILE_NAME).write_text(json.dumps(signed(body)))
    tracemalloc.start()
    with pytest.raises(CodegenError, match=message):
        load_cut(copied, body["cuts"][0]["id"], half="tail", format_name="torchscript")
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()


def test_weights_that_trade_places_are_refused(copied: Path):
    """Two weights of one size trade places: every file is sound, but the half would answer something else."""
    body = json.loads((copied / FILE_NAME).read_text())
    places = body["cuts"][0]["files"]["torchscript"]["tail"]["bare"]["weights"]
    sizes = body["weights"]
    first, second = next(
        (one, other)
        for one in places
        for other in places
        if sizes[one["sha256"]] == sizes[other["sha256"]] and one["sha256"] < other["sha256"]
    )
    first["sha256"], second["sha256"] = second["sha256"], first["sha256"]
    (copied / FILE_NAME).write_text(json.dumps(signed(body)))
    message = "tail.ts.bare had other weights, or at other places, than the manifest says"
    with pytest.raises(CodegenError, match=message):
        load_cut(copied, "server-only", half="tail", format_name="torchscript")
    with pytest.raises(CodegenError, match=message):
        export_half(copied, "server-only", "tail", copied.parent / "plain")
    assert not (copied.parent / "plain").exists()


def test_tails_share_memory_and_leave_nothing_behind(shared: Path):
    manifest = read_manifest(shared)
    assert len(POOL) == 0
    first = load_cut(shared, "server-only", half="tail", optimize=False)
    alone = len(POOL)
    others = [load_cut(shared, cut, half="tail", optimize=False) for cut in CUTS[1:]]
    assert 0 < alone == len(POOL) <= len(manifest.weights)
    del others, first
    gc.collect()
    assert len(POOL) == 0


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch without oneDNN")
def test_copies_in_another_layout_are_shared_and_replace_the_weights(shared: Path):
    x = torch.randn(1, 3, 8, 8)
    first = load_cut(shared, "server-only", half="tail")
    first.run_tail_flat([x])
    alone = len(POOL)
    convolutions = 7
    assert alone == convolutions + 1, "each convolution's weight in the layout only, and the linear layer's"
    second = load_cut(shared, "server-only", half="tail")
    others = [load_cut(shared, cut, half="tail") for cut in CUTS[1:]]
    assert len(POOL) == alone
    assert second.run_tail_flat([x])[0].equal(first.run_tail_flat([x])[0])
    del first
    gc.collect()
    assert len(POOL) == alone and second.run_tail_flat([x])[0].isfinite().all()
    del second, others


def test_weights_keep_what_they_were_while_a_half_uses_them(copied: Path):
    """A file changed behind a loaded half's back changes nothing in memory."""
    x = torch.randn(1, 3, 8, 8)
    cut = load_cut(copied, "server-only", half="tail", optimize=False)
    before = cut.run_tail_flat([x])[0]
    for file in files_of(copied, "server-only", "tail"):
        flip(copied / file.path, 0.5)
    assert cut.run_tail_flat([x])[0].equal(before)


def test_an_archive_without_its_weights_still_names_them(shared: Path):
    manifest = read_manifest(shared)
    half = open_half(shared, manifest, manifest.cut("server-only").files["torchscript"].tail)
    by_record = half.places_by_record()
    assert len(by_record) == len(half.places)
    plain = b"".join(half.plain())
    with half.archive() as archive:
        for name, place in by_record.items():
            size = manifest.weights[place.sha256]
            assert archive.getinfo(name).file_size == size
            content = plain[place.offset : place.offset + size]
            assert hashlib.sha256(content).hexdigest() == place.sha256
            assert (shared / weight_path(place.sha256)).read_bytes() == content
    assert WEIGHT_RECORDS == r"constants/\d+"


def test_bundles_of_any_version_are_replaced(residual, copied: Path):
    _, traced = residual
    body = json.loads((copied / FILE_NAME).read_text())
    body["version"] = 1
    (copied / FILE_NAME).write_text(json.dumps(signed(body)))
    with pytest.raises(CodegenError, match="has format version 1, this program reads version 9; emit the model again"):
        load_cut(copied, "cut-0")
    with pytest.raises(CodegenError, match=r"cannot be added to .*has format version 1.*replace=True"):
        write_bundle(copied, traced.source, plans_of(traced)[:1], storage="inline")
    write_bundle(copied, traced.source, plans_of(traced)[:1], storage="inline", replace=True)
    assert sorted(path.name for path in copied.iterdir()) == [FILE_NAME, "server-only"]
