"""A model whose pictures are declared takes pixels, which cross as they are or as files; lossy ones are judged as codecs."""

from __future__ import annotations

import re
from collections.abc import Collection
from itertools import groupby

import pytest
import torch
from torch import nn

import cic
from cic.codec.crossing import cross
from cic.codec.registry import LOSSY_PICTURES, codec, entropy_here
from cic.compilation.verification import verify
from cic.cost.machine import Machine
from cic.cost.pricing import resolve
from cic.decision.cut import Cut
from cic.decision.splitting_model import SplittingModel
from cic.precision.mean_error import root_mean_square_error
from cic.precision.precision import Precision
from tests.cic.inception import STRONG, WEAK

PI_TO_DESKTOP = "raspberry-pi-4b", "i7-13700k"
MEAN, STD = 0.5, 0.25
FIGURES = "mean=0.5, std=0.25"


@pytest.fixture(scope="module")
def shades() -> torch.Tensor:
    """uint8[6, 3, 64, 64]: smooth, as photographs are."""
    rows, columns = torch.meshgrid(torch.linspace(0, 1, 64), torch.linspace(0, 1, 64), indexing="ij")
    smooth = torch.stack([(rows * place + columns * (3 - place)) / 3 for place in range(3)])
    noise = 3 * torch.randn(6, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    steps = torch.linspace(0.3, 1, 6).reshape(6, 1, 1, 1)
    return (smooth * steps * 255 + noise).round().clamp(0, 255).to(torch.uint8)


def normalised(pixels: torch.Tensor) -> torch.Tensor:
    return pixels.to(torch.float32).div(255).sub(MEAN).div(STD)


def compiled(
    network: nn.Module,
    pixels: torch.Tensor,
    declared: str,
    machines: tuple[Machine | str, Machine | str] = (WEAK, STRONG),
    **asked,
) -> SplittingModel:
    precision = Precision(calibration=[pixels], input=f"{declared}, {FIGURES}", **asked)
    return cic.compile(network, (normalised(pixels[:1]),), device=machines[0], server=machines[1], precision=precision)


def whole_picture(model: SplittingModel) -> list[Cut]:
    """The cuts that send the picture and run nothing on the device."""
    return [cut for cut in model.cuts if cut.id == "server-only"]


def test_declared_pixels_cross_as_pixels_and_lose_nothing(network: nn.Module, shades: torch.Tensor) -> None:
    found = compiled(network, shades, "uint8")
    names = {name for cut in whole_picture(found) for name in cut.codecs}
    assert "raw" in names and names & {f"uint8{entropy_here()}", "png"} and all(codec(name).lossless for name in names)
    assert all(cut.accuracy is not None and cut.accuracy["error"] == 0 for cut in found.cuts)
    assert all(cut.device_ns == 0 for cut in whole_picture(found) if "raw" in cut.codecs), "bytes are sent untouched"
    assert min(cut.upload_bytes for cut in whole_picture(found)) < max(cut.upload_bytes for cut in whole_picture(found))
    assert max(cut.upload_bytes for cut in whole_picture(found)) == shades[0].numel()
    plain = cic.compile(network, (normalised(shades[:1]),), device=WEAK, server=STRONG)
    assert found.decide("100Mbps").latency_s < plain.decide("100Mbps").latency_s
    assert verify(found).cuts == len(found.cuts)


def test_pixels_and_floats_as_calibration_inputs_give_the_same_table(network: nn.Module, shades: torch.Tensor) -> None:
    tables = [
        compiled(network, batch, "uint8", accuracy="rel<=0.05", codecs=["int8"]) for batch in (shades, normalised(shades))
    ]
    features, codecs = zip(
        *[([cut.row for cut in table.cuts], [cut.codecs for cut in table.cuts]) for table in tables], strict=True
    )
    assert features[0] == features[1] and codecs[0] == codecs[1]


@pytest.mark.parametrize("count", [0, 5, len(LOSSY_PICTURES)])
def test_the_picture_of_the_lowest_quality_that_keeps_the_target_is_found(
    network: nn.Module, shades: torch.Tensor, count: int
) -> None:
    """Against every quality, crossed and priced by hand, at bandwidths from where bytes are all to where they are nothing."""
    crossed = _crossed(network, shades)
    errors = [0.0, *sorted(error for error, _ in crossed.values()), 1.0]
    target = sum(errors[count : count + 2]) / 2  # so many of them keep it
    found = compiled(network, shades, "uint8", PI_TO_DESKTOP, accuracy=f"rel<={target}")
    device, server = map(resolve, PI_TO_DESKTOP)
    graph, elements = found.graph(), shades[0].numel()
    server_s, answer_bytes = sum(op.server_ns for op in graph.ops) / 1e9, whole_picture(found)[0].download_bytes
    kept = {"raw": (elements, 0.0)}
    for name, (error, size) in crossed.items():
        if error <= target:
            coding_s = device.codec_seconds(name, elements, size)[0] + server.codec_seconds(name, elements, size)[1]
            kept[name] = size, coding_s
    assert len(kept) == count + 1
    assert {name for cut in found.cuts for name in cut.codecs if name in LOSSY_PICTURES} <= kept.keys()
    kept = {name: size for name, size in kept.items() if name in {"raw", *tried(kept)}}
    for bandwidth in (5e4, 2e5, 1e6, 1e7, 1e8):
        latency_s = found.decide(bandwidth).latency_s
        alone_s = {name: coding_s + server_s + 8 * (size + answer_bytes) / bandwidth for name, (size, coding_s) in kept.items()}
        assert latency_s <= min(alone_s.values()) + 5e-9, alone_s  # each time is rounded to a nanosecond


def tried(kept: Collection[str]) -> set[str]:
    """The qualities that are tried: every third of each kind, and those below the lowest of these that keeps the target."""
    names = set[str]()
    for _, kind in groupby(LOSSY_PICTURES, lambda name: re.sub("[0-9]+", "", name, count=1)):
        qualities = list(kind)
        first = [*qualities[:-1:3], qualities[-1]]
        names.update(first)
        if left := [name for name in first[:-1] if name in kept]:
            lower = first[first.index(left[-1]) + 1]
            names.update(qualities[qualities.index(left[-1]) : qualities.index(lower)])
    return names


def test_server_only_with_a_lossy_picture_is_the_decision_where_it_is_fastest(network: nn.Module, shades: torch.Tensor) -> None:
    """With the picture's form fixed to what loses nothing, such a model stays on the device at an uplink between."""
    lossy, lossless = (
        compiled(network, shades, "uint8", PI_TO_DESKTOP, codecs=codecs, accuracy="rel<=0.05") for codecs in (None, "fp32")
    )
    assert not {name for cut in lossless.cuts for name in cut.codecs} & set(LOSSY_PICTURES)
    gains = []
    for bandwidth in (3e5, 1e6, 3e6, 1e7):
        with_files, without = lossy.decide(bandwidth), lossless.decide(bandwidth)
        assert with_files.latency_s <= without.latency_s
        if with_files.cut_id == "server-only" and set(with_files.codecs.values()) & set(LOSSY_PICTURES):
            gains.append(without.latency_s / with_files.latency_s)
    assert max(gains) > 1.5


def _crossed(network: nn.Module, shades: torch.Tensor) -> dict[str, tuple[float, int]]:
    """Under each lossy form the error of the answer, and the mean size."""
    results = {}
    with torch.no_grad():
        whole = [network(normalised(image[None])) for image in shades]
        for name in LOSSY_PICTURES:
            crossed = [cross(image[None], name) for image in shades]
            answers = [network(normalised(back)) for back, _ in crossed]
            results[name] = root_mean_square_error(answers, whole), -(-sum(size for _, size in crossed) // len(crossed))
    return results


def test_without_a_target_no_picture_loses_anything(network: nn.Module, shades: torch.Tensor) -> None:
    found = compiled(network, shades, "uint8", codecs="int4")
    assert not {name for cut in found.cuts for name in cut.codecs} & set(LOSSY_PICTURES)


def test_a_file_that_the_device_has_is_judged_as_codecs_are_and_sent_as_it_is(network: nn.Module, shades: torch.Tensor) -> None:
    used = []
    for target in ("rel<=0.5", "rel<=1e-9"):
        found = compiled(network, shades, "jpeg90", accuracy=target)
        used.append({name for cut in whole_picture(found) for name in cut.codecs})
        assert not used[-1] & (set(LOSSY_PICTURES) - {"jpeg90"}), "it is not coded once more"
        assert all(cut.device_ns == 0 for cut in whole_picture(found) if "jpeg90" in cut.codecs)
    assert "jpeg90" in used[0]
    assert used[1] and "jpeg90" not in used[1]


@pytest.mark.parametrize("declared", ["png", "jpeg90", "webp75"])
def test_unpacking_its_file_is_the_device_s_work_wherever_it_runs_an_op(
    network: nn.Module, shades: torch.Tensor, declared: str
) -> None:
    """Cut by cut with the same ops, such a device takes longer than one that has pixels: by what decoding takes there."""
    files, pixels = (compiled(network, shades, form, PI_TO_DESKTOP, accuracy="rel<=0.5") for form in (declared, "uint8"))
    size = {name: size for cut in whole_picture(files) for name in cut.codecs for size in [cut.upload_bytes]}[declared]
    unpack_ns = resolve(PI_TO_DESKTOP[0]).codec_seconds(declared, shades[0].numel(), size)[1] * 1e9
    (only,), (bare,) = ([cut for cut in table.cuts if cut.id == "device-only"] for table in (files, pixels))
    assert only.device_ns - bare.device_ns == pytest.approx(unpack_ns, abs=2)
    plain = [cut for cut in whole_picture(files) if "raw" in cut.codecs]
    assert all(cut.device_ns == pytest.approx(unpack_ns, abs=2) for cut in plain)


def test_what_is_no_picture_cannot_be_declared_one(network: nn.Module, images: torch.Tensor) -> None:
    for declared, message in (
        ("uint8", "batch 0: .*, which no 8-bit pixel gives"),
        ("int8", "uint8, png, jpeg90 or webp75"),
        ("uint8+zstd", "uint8, png, jpeg90 or webp75"),
        ("uint8, median=3", "median"),
        ("gif", "gif"),
    ):
        with pytest.raises(cic.CicError, match=message):
            precision = Precision(calibration=[images], input=declared)
            cic.compile(network, (images[:1],), device=WEAK, server=STRONG, precision=precision)


@pytest.mark.parametrize(("channels", "declared"), [(4, "png"), (2, "jpeg90"), (1, "jpeg90-444")])
def test_files_that_cannot_hold_the_picture_are_refused(channels: int, declared: str) -> None:
    network = nn.Sequential(nn.Conv2d(channels, 2, 3), nn.ReLU()).eval()
    pixels = torch.zeros(2, channels, 8, 8, dtype=torch.uint8)
    with pytest.raises(cic.CompileError, match=f"declared as files of {declared}, and has the shape \\(1, {channels}, 8, 8\\)"):
        compiled(network, pixels, declared)
