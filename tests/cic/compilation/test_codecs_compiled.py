"""A model compiled with codecs: payloads and accuracy are as measured on its halves, file and solver know the codecs."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

import cic
from cic.codec.registry import codec, stage_of
from cic.codec.tensors import tensor_of
from cic.compilation.verification import verify
from cic.cost.machine import Machine
from cic.decision.conditions import Box
from cic.decision.splitting_model import SplittingModel
from cic.errors import ArtifactError, CompileError
from cic.precision.accuracy import parse_target
from cic.precision.precision import Precision

WEAK, STRONG = Machine("weak", 2e9, 1e9, 1e-5), Machine("strong", 2e11, 2e10, 1e-6)


class Inception(nn.Module):
    """A stem, two branches that meet, and a head: cuts cross one tensor or two."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 2), nn.ReLU())
        self.left = nn.Sequential(nn.Conv2d(16, 8, 3, 2, 1), nn.ReLU())
        self.right = nn.Sequential(nn.Conv2d(16, 8, 5, 2, 2), nn.ReLU())
        self.merge = nn.Sequential(nn.Conv2d(16, 64, 3, 1, 1), nn.ReLU(), nn.Conv2d(64, 64, 3, 1, 1), nn.ReLU())
        self.head = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        x = self.merge(torch.cat((self.left(x), self.right(x)), 1))
        return self.head(x.mean((2, 3)))


@pytest.fixture(scope="module")
def network() -> nn.Module:
    torch.manual_seed(4)
    return Inception().eval()


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return torch.rand(24, 3, 64, 64, generator=torch.Generator().manual_seed(5))


@pytest.fixture(scope="module")
def compiled(network: nn.Module, images: torch.Tensor) -> SplittingModel:
    return cic.compile(
        network, (images[:1],), device=WEAK, server=STRONG, precision=Precision(calibration=[images], accuracy="rel<=0.03")
    )


def test_every_cut_meets_the_target_and_some_cross_under_lossy_codecs(compiled: SplittingModel) -> None:
    assert all(cut.accuracy is not None and cut.accuracy["error"] <= 0.03 for cut in compiled.cuts)
    used = {name for cut in compiled.cuts for name in cut.codecs}
    assert any(not codec(name).lossless for name in used)
    assert len({cut.label for cut in compiled.cuts}) == len(compiled.cuts)
    assert verify(compiled).cuts == len(compiled.cuts)


def test_stated_payload_and_error_are_those_of_the_emitted_halves(
    compiled: SplittingModel, network: nn.Module, images: torch.Tensor, tmp_path: Path
) -> None:
    cuts = [cut for cut in compiled.cuts if cut.offloads and any(not codec(name).lossless for name in cut.codecs)]
    cic.emit(network, compiled, tmp_path / "split", cuts=sorted({cut.id for cut in cuts}))
    assert cuts
    with torch.no_grad():
        whole = network(images)
        for cut in cuts:
            halves, answers, sizes = cic.load_cut(tmp_path / "split", cut.id), [], []
            for image in images:
                sent = halves.head(image[None])
                received, size = [], 0
                for wire, value in zip(halves.crossing, sent, strict=True):
                    used = codec(cut.codec_of[wire.name])
                    payload = used.encode(value, wire.name)
                    size += len(payload)
                    received.append(tensor_of(used.decode(payload, wire.shape, wire.dtype, wire.name), wire.dtype))
                answers.append(halves.tail(*received))
                sizes.append(size)
            error = float((torch.cat(answers) - whole).norm() / whole.norm())
            assert cut.accuracy is not None
            assert error == pytest.approx(cut.accuracy["error"], rel=0.02)
            assert sum(sizes) / len(sizes) == pytest.approx(cut.upload_bytes, rel=0.05)


def test_the_file_keeps_codecs_and_accuracy_and_the_solver_knows_them(compiled: SplittingModel, tmp_path: Path) -> None:
    compiled.save(tmp_path / "m.cic")
    loaded = cic.load(tmp_path / "m.cic")
    assert [(cut.label, cut.features, cut.accuracy) for cut in loaded.cuts] == [
        (cut.label, cut.features, cut.accuracy) for cut in compiled.cuts
    ]
    for bandwidth in ("100kbps", "1Mbps", "20Mbps", "300Mbps"):
        decision = loaded.decide(bandwidth)
        assert list(decision.codecs) == list(decision.crossing)
        solved = loaded.decide(
            bandwidth, op_times={op.name: (op.device_ns / 1e9, op.server_ns / 1e9) for op in loaded.graph().ops}
        )
        assert solved.source == "solver"
        assert solved.latency_s == pytest.approx(decision.latency_s, rel=1e-6)
        assert solved.cut.codecs == decision.cut.codecs or solved.latency_s == pytest.approx(decision.latency_s)


def test_decisions_beyond_the_table_lose_no_more_than_some_cut_of_it(network: nn.Module, images: torch.Tensor) -> None:
    """What was never run keeps nobody knows what: a table for slow links holds no cut for fast ones."""
    narrow = Box(uplink=("10kbps", "20kbps"))
    for target in ("top1>=0.01", "rel<=0.5"):
        made = cic.compile(
            network, (images[:1],), device=WEAK, server=STRONG, box=narrow, precision=Precision(None, [images[:4]], target)
        )
        shown = {frozenset(losses(cut.codec_of)) for cut in made.cuts}
        for uplink in (1e6, 5e6, 20e6, 100e6, 1e9):
            decision = made.decide(uplink)
            assert decision.source == "solver"
            assert any(frozenset(losses(decision.codecs)) <= each for each in shown)
    free = cic.compile(
        network, (images[:1],), device=WEAK, server=STRONG, box=narrow, precision=Precision("int4", [images[:4]])
    )
    assert losses(free.decide(100e6).codecs), "where nothing was asked for, every codec is allowed"


def losses(codecs: dict[str, str]) -> set[tuple[str, str]]:
    return {(tensor, stage_of(name)) for tensor, name in codecs.items() if not codec(name).lossless}


def test_a_changed_codec_does_not_pass_verification(compiled: SplittingModel, tmp_path: Path) -> None:
    target = next(cut for cut in compiled.cuts if cut.codecs and cut.codecs[0] != "raw")
    for forged, message in ((("raw", *target.codecs[1:]), "stores the features"), (("int2",), "int2|codecs for")):
        kept = target.codecs
        target.codecs = forged
        try:
            with pytest.raises(ArtifactError, match=message):
                verify(compiled)
        finally:
            target.codecs = kept


def test_a_lower_target_is_never_slower(network: nn.Module, images: torch.Tensor) -> None:
    tables = [
        cic.compile(network, (images[:1],), device=WEAK, server=STRONG, precision=Precision(None, [images[:6]], target))
        for target in ("rel<=0.0001", "rel<=0.01", "rel<=0.2")
    ]
    for bandwidth in (1e5, 1e6, 5e6, 2e7, 1e8):
        latencies = [table.decide(bandwidth).latency_s for table in tables]
        assert latencies == sorted(latencies, reverse=True)


def test_what_cannot_be_asked_is_refused(network: nn.Module, images: torch.Tensor) -> None:
    def attempt(**options: object) -> None:
        precision = Precision(**options)  # type: ignore[arg-type]
        cic.compile(network, (images[:1],), device=WEAK, server=STRONG, precision=precision)

    for options, message in (
        ({"accuracy": "top1>=0.99"}, "nothing to measure it on"),
        ({"accuracy": "top2>=0.99", "calibration": [images]}, "top1>=0.99"),
        ({"accuracy": "top1<=0.99", "calibration": [images]}, "top1>=0.99"),
        ({"accuracy": "top1>=1.5", "calibration": [images]}, "share from 0 to 1"),
        ({"codecs": "int3"}, "int4"),
        ({"codecs": ["int3"]}, "int3"),
        ({"calibration": [images]}, "no codec is allowed"),
        ({"codecs": "int8", "calibration": []}, "no batch"),
        ({"codecs": "int8", "calibration": [images[:, :2]]}, "shape"),
        ({"codecs": "int8", "calibration": [images.double()]}, "float64"),
        ({"codecs": "int8", "calibration": [(images, torch.zeros(23))]}, "24 samples"),
        ({"codecs": "int8", "calibration": [images, (images, torch.zeros(24))]}, "24 of 48"),
        ({"codecs": "int8", "calibration": [{"args": (images, images)}]}, "batch 0"),
        ({"codecs": "int8", "calibration": [{"args": (images,), "label": torch.zeros(24)}]}, "'label'"),
        ({"codecs": "int8", "calibration": [(images, torch.zeros(0))]}, "labels of shape"),
        ({"codecs": "int8", "calibration": [(images[:0], torch.zeros(0))]}, "0.0. times as large"),
        ({"codecs": "int8", "calibration": [images.to("meta")]}, "meta device"),
        ({"codecs": "int8", "calibration": 3}, "list of batches"),
        ({"accuracy": lambda mine: True, "calibration": [images[:2]]}, "accuracy function <lambda> failed"),
    ):
        with pytest.raises(cic.CicError, match=message):
            attempt(**options)


def test_targets_as_people_write_them() -> None:
    for text, top1, error in (("top1>=0.99", 0.99, None), (" rel <= 1e-2", None, 0.01), ("top1 >= 99%", 0.99, None)):
        target = parse_target(text)
        assert target is not None
        assert (target.least_top1, target.most_error) == (top1, error)
    with pytest.raises(CompileError, match="accuracy"):
        parse_target(0.99)  # type: ignore[arg-type]


def test_labels_count_not_just_agreement(network: nn.Module, images: torch.Tensor) -> None:
    with torch.no_grad():
        right = network(images).argmax(1)
    by_label, by_agreement = (
        cic.compile(network, (images[:1],), device=WEAK, server=STRONG, precision=Precision(None, [batch], "top1>=0.5"))
        for batch in ((images, right), images)
    )
    assert [cut.accuracy for cut in by_label.cuts] == [cut.accuracy for cut in by_agreement.cuts]


def test_declared_pixels_cross_as_pixels_and_lose_nothing(network: nn.Module) -> None:
    pixels = torch.randint(0, 256, (6, 3, 64, 64), generator=torch.Generator().manual_seed(6))
    pictures = (pixels / 255 - 0.5) / 0.25
    precision = Precision(calibration=[pictures], input="uint8, mean=0.5, std=0.25")
    compiled = cic.compile(network, (pictures[:1],), device=WEAK, server=STRONG, precision=precision)
    server_only = [cut for cut in compiled.cuts if cut.id == "server-only"]
    assert {name.partition(",")[0] for cut in server_only for name in cut.codecs} > {"uint8"}
    assert all(cut.accuracy is not None and cut.accuracy["error"] == 0 for cut in compiled.cuts)
    plain = cic.compile(network, (pictures[:1],), device=WEAK, server=STRONG)
    assert compiled.decide("100Mbps").latency_s < plain.decide("100Mbps").latency_s
    assert min(cut.upload_bytes for cut in server_only) <= pixels[0].numel() + 1
    assert verify(compiled).cuts == len(compiled.cuts)


def test_a_jpeg_is_judged_as_codecs_are(network: nn.Module) -> None:
    rows, columns = torch.meshgrid(torch.linspace(0, 1, 64), torch.linspace(0, 1, 64), indexing="ij")
    smooth = torch.stack([(rows * place + columns * (3 - place)) / 3 for place in range(3)])
    pictures = torch.stack([((smooth * shade) * 255).round() / 255 for shade in (0.4, 0.7, 1.0)])
    used = []
    for target in ("rel<=0.5", "rel<=0.0000001"):
        precision = Precision(calibration=[pictures], accuracy=target, input="jpeg90")
        compiled = cic.compile(network, (pictures[:1],), device=WEAK, server=STRONG, precision=precision)
        used.append({name.partition(",")[0] for cut in compiled.cuts for name in cut.codecs})
    assert "jpeg90" in used[0]
    assert "jpeg90" not in used[1]


def test_what_is_no_picture_cannot_be_declared_one(network: nn.Module, images: torch.Tensor) -> None:
    for declared, message in (
        ("uint8", "pixel"),
        ("int8", "uint8, png or jpeg"),
        ("uint8, median=3", "median"),
        ("gif", "gif"),
    ):
        with pytest.raises(cic.CicError, match=message):
            precision = Precision(calibration=[images], input=declared)
            cic.compile(network, (images[:1],), device=WEAK, server=STRONG, precision=precision)


def test_a_solved_cut_with_other_codecs_keeps_the_id_of_its_halves(network: nn.Module, images: torch.Tensor) -> None:
    narrow = cic.compile(
        network,
        (images[:1],),
        device=WEAK,
        server=STRONG,
        box=Box(uplink=("5Gbps", "6Gbps")),
        precision=Precision(calibration=[images], accuracy="rel<=0.03"),
    )
    sides = {cut.device_ops: cut.id for cut in narrow.cuts}
    table = {(cut.device_ops, cut.codecs) for cut in narrow.cuts}
    others = 0
    for uplink in ("1Mbps", "10Mbps", "100Mbps", "1Gbps"):
        solved = narrow.decide(uplink)
        assert solved.source == "solver"
        assert solved.cut_id == sides.get(solved.device_ops, "not-emitted")
        others += solved.device_ops in sides and (solved.device_ops, solved.cut.codecs) not in table
    assert others, "where the link is slower, more is coded"


def test_too_few_samples_for_a_target_are_said_and_leave_only_lossless_codecs(network: nn.Module, images: torch.Tensor) -> None:
    def kept(target: str) -> SplittingModel:
        precision = Precision(calibration=[images], accuracy=target)
        return cic.compile(network, (images[:1],), device=WEAK, server=STRONG, precision=precision)

    with pytest.warns(cic.CicWarning, match=r"24 calibration samples cannot show that 'top1>=0.99'.*it takes \d+") as told:
        careful = kept("top1>=0.99")
    assert all(codec(name).lossless for cut in careful.cuts for name in cut.codecs)
    advice = float(str(told[0].message).partition("top1>=0.99")[2].partition("top1>=")[2])
    lower = kept(f"top1>={advice}")
    assert any(not codec(name).lossless for cut in lower.cuts for name in cut.codecs), "the advice can be followed"
    with pytest.warns(cic.CicWarning, match="no number of samples"):
        kept("top1>=1")


def test_the_whole_model_s_own_accuracy_is_told_and_kept(network: nn.Module, images: torch.Tensor) -> None:
    with torch.no_grad():
        labels = network(images).argmax(1)
    labels[:6] = (labels[:6] + 1) % 10
    told: list[cic.Progress] = []
    precision = Precision("int8", [(images, labels)])
    compiled = cic.compile(network, (images[:1],), device=WEAK, server=STRONG, precision=precision, progress=told.append)
    assert compiled.information.codecs is not None and compiled.information.codecs.whole_top1 == 0.75
    assert any("75.00%" in each.text for each in told)
    assert any(each.done == each.of is not None and "accuracy" in each.text for each in told)
