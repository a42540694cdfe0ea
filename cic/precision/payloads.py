"""What the tensors of a model weigh on the wire: payloads of real values under each codec, and what they lose. Needs torch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import torch

from cic.codec.codec import Codec
from cic.codec.registry import codec, stage_of
from cic.cost.codec_time import coding_seconds
from cic.cost.cost_source import CostSource
from cic.graph import Graph, Tensor
from cic.precision.mean_error import root_mean_square_error
from cic.precision.model_runner import ModelRunner, Tensors
from cic.precision.wire_form import WireForm, as_it_is
from codegen.dtypes import type_name

# Payload sizes differ little from input to input: a few tell the mean.
MOST_SAMPLES = 4


def wire_forms(
    runner: ModelRunner,
    graph: Graph,
    samples: Sequence[Tensors],
    names: Sequence[str],
    costs: tuple[CostSource, CostSource],
    input_names: Sequence[str] = (),
    transforms: Mapping[str, Sequence[Codec]] = MappingProxyType({}),
) -> dict[str, tuple[WireForm, ...]]:
    """The forms in which each tensor that may cross can do so, raw first; forms that gain no byte are left out.

    Args:
        runner: of the model that the graph is of. samples: flat inputs; the first few are run.
        names: of codecs, "raw" among them. costs: of device and server.
        input_names: of codecs for model inputs that are pictures, the form first in which the device holds them.
        transforms: codecs that were made for a tensor, by its name.

    Raises:
        CodecError: an input is not what its declared form says.
    """
    wanted = {tensor.name: tensor for tensor in graph.tensors if tensor.may_cross and tensor.consumers}
    chosen = {name: [*_fitting(tensor, names, input_names), *transforms.get(name, ())] for name, tensor in wanted.items()}
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
    # The device has this form already: a user would not turn pixels to floats and back to send them.
    held = input_names[0] if input_names else None
    return {name: _forms(tensor, seen[name], costs, held) for name, tensor in wanted.items()}


def _fitting(tensor: Tensor, names: Sequence[str], input_names: Sequence[str]) -> list[Codec]:
    """The codecs that take a tensor, of those for all and, if it is a picture, of those for model inputs."""
    offered = map(codec, (*names, *(input_names if _is_picture(tensor) else ())))
    return [each for each in offered if each.accepts(tensor.dtype)]


def _is_picture(tensor: Tensor) -> bool:
    """A model input of height and width, and channels before them."""
    return tensor.producer is None and len(tensor.shape) in (3, 4)


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
    forms = [as_it_is(tensor.bytes)]
    for used, rows in seen.items():
        wire_bytes = math.ceil(sum(size for size, _ in rows) / len(rows))
        if used.name == "raw" or wire_bytes >= tensor.bytes:
            continue
        encode_s = 0.0 if used.name == held else coding_seconds(costs[0], used, tensor.shape, wire_bytes)[0]
        decode_s = coding_seconds(costs[1], used, tensor.shape, wire_bytes)[1]
        forms.append(WireForm(used.name, wire_bytes, encode_s, decode_s, sum(error for _, error in rows) / len(rows)))
    return tuple(forms)
