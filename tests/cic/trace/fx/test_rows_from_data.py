"""How many rows an answer has may be for the data to decide: such a tensor is made on one side and comes back as it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, fx, nn
from torch.nn import functional

import cic
from cic.errors import EmitError, TraceError
from cic.trace.fx.rows_from_data import rows_followed
from cic.trace.fx.torch_trace import trace
from cic.trace.fx.traced_model import TracedModel
from codegen.loading import load_cut
from codegen.manifest import read_manifest
from codegen.silence import silence
from codegen.splitters.fx import greatest_size
from codegen.torchvision_import import import_torchvision


class Kept(nn.Module):
    """Rows whose first entry is above the mean, which `limit` may make fewer, and a number for each."""

    def __init__(self, limit: Callable[[Tensor], Tensor] = lambda rows: rows) -> None:
        super().__init__()
        self.first, self.second, self.limit = nn.Linear(4, 8), nn.Linear(8, 3), limit

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        y = self.second(self.first(x).relu())
        kept = self.limit(torch.where(y[:, 0] > y[:, 0].mean())[0])
        return {"rows": y[kept], "sums": y.sum(1)[kept], "all": y}


def results_of(traced: TracedModel) -> list[fx.Node]:
    return list(next(node for node in traced.module.graph.nodes if node.op == "output").args[0])


def test_rows_that_the_data_decides_cannot_cross_and_are_answers() -> None:
    tensors = trace(Kept(), (torch.randn(6, 4),)).graph.tensors
    assert [tensor.may_cross for tensor in tensors if tensor.is_output] == [True, False, False]
    assert {tensor.may_cross for tensor in tensors if tensor.shape} == {True}


@pytest.mark.parametrize("format_name", ["torchscript", "exported_program"])
def test_halves_answer_with_any_number_of_rows(format_name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, x = Kept().eval(), torch.randn(6, 4)
    splitting_model = cic.compile(model, (x,), device="raspberry-pi-4", server="epyc-7742")
    ends = [cut.id for cut in splitting_model.cuts if cut.id in ("server-only", "device-only")]
    cic.emit(model, splitting_model, tmp_path / "kept.split", formats=(format_name,), cuts=ends)
    numbers = set()
    for cut_id in ends:
        cut = load_cut(tmp_path / "kept.split", cut_id)
        for x in torch.randn(8, 6, 4):
            answer, expected = cut.tail(*cut.head(x)), model(x)
            assert answer.keys() == expected.keys()
            numbers.add(len(answer["rows"]))
            for name in expected:
                torch.testing.assert_close(answer[name], expected[name])
    assert len(numbers) > 1
    wires = read_manifest(tmp_path / "kept.split").cuts[0].output_wires
    assert [(wire.shape, wire.open_axes) for wire in wires] == [((6, 3), (0,)), ((6,), (0,)), ((6, 3), ())]


def test_torchscript_computes_what_decides_on_rows_to_the_bit(tmp_path: Path) -> None:
    class Normalised(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4))
            for layer in self.layers[1], self.layers[4]:
                layer.running_mean.normal_()
                layer.running_var.uniform_(0.5, 2)

        def forward(self, x: Tensor) -> Tensor:
            y = self.layers(x)[0].flatten(1).T
            return y[y[:, 0] > y[:, 1]]

    torch.manual_seed(0)
    model, x = Normalised().eval(), torch.rand(1, 3, 12, 12)
    splitting_model = cic.compile(model, (x,), device="raspberry-pi-4", server="epyc-7742")
    cic.emit(model, splitting_model, tmp_path / "normalised.split", formats=("torchscript",))
    for cut_id in (cut.id for cut in splitting_model.cuts):
        cut = load_cut(tmp_path / "normalised.split", cut_id)
        with torch.no_grad():
            assert all(torch.equal(cut.tail(*cut.head(x)), model(x)) for x in torch.rand(5, 1, 3, 12, 12))


def test_rows_that_hang_on_rounding_are_refused_in_onnx_with_the_reason(tmp_path: Path) -> None:
    class OnRounding(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            y = x.exp()
            return y[y.sum(1) > y.flip(1).sum(1)]  # equal but for the order of the terms

    x = torch.randn(400, 133)
    splitting_model = cic.compile(OnRounding(), (x,), device="raspberry-pi-4", server="epyc-7742")
    with pytest.raises(EmitError, match="or ONNX Runtime chooses other rows, since it rounds in another way"):
        cic.emit(OnRounding(), splitting_model, tmp_path / "rows.split", formats=("onnx",), cuts=["server-only"])


def test_a_slice_limits_the_rows() -> None:
    traced = trace(Kept(lambda rows: rows[:2]), (torch.randn(6, 4),))
    most = [[greatest_size(size) for size in node.meta["val"].shape] for node in results_of(traced)]
    assert most == [[2, 3], [2], [6, 3]]


@pytest.mark.filterwarnings("ignore")
def test_rows_without_a_known_limit_are_refused_by_name() -> None:
    class Repeated(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.repeat_interleave(x.abs().ceil().to(torch.int64))

    with (
        silence("torch"),
        pytest.raises(TraceError, match=r"repeat_interleave at .* has no known limit"),
    ):
        trace(Repeated(), (torch.rand(5) + 1,))


# ------------------------------------------------------------------------------------------------- torchvision's functions


def functions_of_torchvision() -> Any:
    return import_torchvision().models.detection.roi_heads


def has_suppression() -> bool:
    return torch._C._dispatch_has_kernel_for_dispatch_key("torchvision::nms", "CPU")


def test_masks_are_pasted_as_torchvision_pastes_them() -> None:
    roi_heads = functions_of_torchvision()
    torch.manual_seed(0)
    corners = torch.rand(20, 2) * 30
    boxes = torch.cat([corners, corners + torch.rand(20, 2) * 30], 1)
    boxes[0], boxes[1] = torch.tensor([0.0, 0.0, 40.0, 50.0]), torch.tensor([7.0, 7.0, 7.0, 7.0])
    masks = torch.rand(20, 1, 28, 28)
    expected = roi_heads.paste_masks_in_image(masks, boxes, (50, 40))
    with rows_followed():
        pasted = roi_heads.paste_masks_in_image(masks, boxes, (50, 40))
        none = roi_heads.paste_masks_in_image(masks[:0], boxes[:0], (50, 40))
    torch.testing.assert_close(pasted, expected, rtol=1e-5, atol=1e-5)
    assert none.shape == (0, 1, 50, 40) and functional.relu(pasted).any()


def test_the_functions_are_torchvisions_own_again_afterwards() -> None:
    roi_heads = functions_of_torchvision()
    own = roi_heads.paste_masks_in_image
    with rows_followed():
        assert roi_heads.paste_masks_in_image is not own
    assert roi_heads.paste_masks_in_image is own


def test_suppression_by_class_keeps_the_boxes_that_torchvision_keeps() -> None:
    boxes_of_torchvision = import_torchvision().ops.boxes
    if not has_suppression():
        pytest.skip("this torchvision has no compiled operators for this torch")
    torch.manual_seed(0)
    corners = torch.rand(300, 2) * 50
    boxes = torch.cat([corners, corners + torch.rand(300, 2) * 30], 1)
    scores, classes = torch.rand(300), torch.randint(0, 4, (300,))
    expected = boxes_of_torchvision.batched_nms(boxes, scores, classes, 0.4)
    with rows_followed():
        assert torch.equal(boxes_of_torchvision.batched_nms(boxes, scores, classes, 0.4), expected)
        assert boxes_of_torchvision.batched_nms(boxes[:0], scores[:0], classes[:0], 0.4).shape == (0,)
