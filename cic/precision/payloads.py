"""What the tensors of a model weigh on the wire: payloads of real values under each codec, and what they lose. Needs torch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import torch

from cic.codec.codec import Codec
from cic.codec.picture import PictureCodec
from cic.codec.registry import codec, stage_of
from cic.cost.coding_time import coding_seconds
from cic.cost.cost_source import CostSource
from cic.errors import CompileError, CostError
from cic.graph import Graph, Tensor
from cic.precision.mean_error import root_mean_square_error
from cic.precision.model_runner import ModelRunner, Tensors
from cic.precision.picture_input import PictureInput
from cic.precision.wire_form import WireForm, as_it_is
from codegen.dtypes import type_name

# Payload sizes differ little from input to input: a few tell the mean. Pictures differ more, and need no run of the model.
MOST_SAMPLES, MOST_PICTURES = 4, 32


def wire_forms(
    runner: ModelRunner,
    graph: Graph,
    samples: Sequence[Tensors],
    names: Sequence[str],
    costs: tuple[CostSource, CostSource],
    pictures: PictureInput | None = None,
    transforms: Mapping[str, Sequence[Codec]] = MappingProxyType({}),
    *,
    lossy_pictures: bool = False,
) -> dict[str, tuple[WireForm, ...]]:
    """The forms in which each tensor that may cross can do so, raw first; forms that gain no byte are left out.

    Raises CompileError for an input that no file of its declaration holds.

    Args:
        runner: of the model that the graph is of. samples: flat inputs; the first few are run.
        names: of codecs, "raw" among them. costs: of device and server.
        pictures: the form in which the device holds model inputs that are pixels; these cross as pixels or picture files.
        transforms: codecs that were made for a tensor, by its name. lossy_pictures: may picture files lose something?
    """
    wanted = {tensor.name: tensor for tensor in graph.tensors if tensor.may_cross and tensor.consumers}
    of_pictures = () if pictures is None else pictures.codecs(lossy=lossy_pictures)
    chosen = {name: [*_fitting(tensor, names, of_pictures), *transforms.get(name, ())] for name, tensor in wanted.items()}
    held = pictures.held if pictures is not None and pictures.is_file else None
    for name in filter(lambda name: held is not None and _is_picture(wanted[name]), wanted):
        if held not in {each.name for each in chosen[name]}:
            raise CompileError(
                f"the input {name} is declared as files of {held}, and has the shape {tuple(wanted[name].shape)}; files hold"
                " pictures of 3 channels, or of 1 without '-444': declare it as uint8"
            )
    seen: dict[str, dict[Codec, list[tuple[int, float]]]] = {name: {each: [] for each in chosen[name]} for name in wanted}

    def weigh(name: str, value: torch.Tensor) -> None:
        errors: dict[str, float] = {}
        for each in chosen[name]:
            payload = each.encode(value, name)
            stage = stage_of(each.name)
            if stage not in errors:
                errors[stage] = 0.0 if each.lossless else _error(each, payload, value, name)
            seen[name][each].append((memoryview(payload).nbytes, errors[stage]))

    for sample in samples[:MOST_SAMPLES]:
        runner.observe(sample, wanted.keys(), weigh)
    for sample in samples[MOST_SAMPLES : MOST_PICTURES if of_pictures else 0]:
        for name, value in zip(graph.inputs, sample, strict=True):
            if name in wanted and _is_picture(wanted[name]):
                weigh(name, value)
    return {name: _forms(tensor, seen[name], costs, held if _is_picture(tensor) else None) for name, tensor in wanted.items()}


def _fitting(tensor: Tensor, names: Sequence[str], of_pictures: Sequence[str]) -> list[Codec]:
    """The codecs that take a tensor: of those for all or, if it is a picture whose form is known, of those for pictures."""
    if not of_pictures or not _is_picture(tensor):
        return [each for each in map(codec, names) if each.accepts(tensor.dtype)]
    channels = tensor.shape[-3]
    offered = [each for each in map(codec, of_pictures) if channels in (1, 3) or not isinstance(each, PictureCodec)]
    # Grey has no colours to keep.
    return [each for each in offered if channels > 1 or not (isinstance(each, PictureCodec) and each.all_colours)]


def _is_picture(tensor: Tensor) -> bool:
    """A model input of pixels: height and width, and channels before them."""
    return tensor.producer is None and len(tensor.shape) in (3, 4) and tensor.dtype == "uint8"


def _error(used: Codec, payload: Any, value: torch.Tensor, name: str) -> float:
    dtype = type_name(value.dtype)
    decoded = used.decode(payload, value.shape, dtype, name)
    if dtype not in ("float32", "float64", "float16") or not value.any():
        return 0.0  # other float types are carried as bits; their answers are judged whole
    return root_mean_square_error([torch.tensor(decoded)], [value.detach()])


def _forms(
    tensor: Tensor,
    seen: Mapping[Codec, Sequence[tuple[int, float]]],
    costs: tuple[CostSource, CostSource],
    held: str | None,
) -> tuple[WireForm, ...]:
    """held: the codec of the file that the device has of the tensor. It is sent as it is; for all else it is unpacked first."""
    sizes = {used.name: math.ceil(sum(size for size, _ in rows) / len(rows)) for used, rows in seen.items()}
    unpack_s = 0.0 if held is None else coding_seconds(costs[0], codec(held), tensor.shape, sizes[held])[1]
    forms = [replace(as_it_is(tensor.bytes), encode_s=unpack_s)]
    for used, rows in seen.items():
        wire_bytes = sizes[used.name]
        if used.name == "raw" or wire_bytes >= tensor.bytes:
            continue
        if (seconds := _both_seconds(used, tensor.shape, wire_bytes, costs)) is None:
            continue
        encode_s, decode_s = seconds
        encode_s = 0.0 if used.name == held else unpack_s + encode_s
        forms.append(WireForm(used.name, wire_bytes, encode_s, decode_s, sum(error for _, error in rows) / len(rows)))
    return tuple(forms)


def _both_seconds(
    used: Codec, shape: Sequence[int], wire_bytes: int, costs: tuple[CostSource, CostSource]
) -> tuple[float, float] | None:
    """Seconds to encode on the device and to decode on the server; None for pictures that a machine has no Pillow for."""
    try:
        encode_s, _ = coding_seconds(costs[0], used, shape, wire_bytes)
        _, decode_s = coding_seconds(costs[1], used, shape, wire_bytes)
    except CostError:
        if isinstance(used, PictureCodec):
            return None
        raise
    return encode_s, decode_s
