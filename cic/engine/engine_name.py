"""Names of engines: what runs a half, and where; "onnxruntime", "onnxruntime:CUDAExecutionProvider", "torchscript:cuda"."""

from __future__ import annotations

import re
from dataclasses import dataclass

from cic.errors import EngineError
from codegen.checked_json import shown

USUAL_PLACES = {"onnxruntime": "CPUExecutionProvider", "torchscript": "cpu", "pt2": "cpu", "openvino": "CPU"}
"""Where an engine runs a half if its name does not say: on the processor, by the engine's own word for that."""

_PLACE = re.compile(r"[A-Za-z][A-Za-z0-9_.:,-]{0,199}")
_PROVIDER = "ExecutionProvider"
_EXAMPLES = "onnxruntime:CUDAExecutionProvider, torchscript:cuda, pt2:cuda:1 or openvino:GPU"


@dataclass(frozen=True, slots=True)
class EngineName:
    """kind: one of `USUAL_PLACES`. place: the execution providers, the device of torch, or the device of OpenVINO."""

    kind: str
    place: str

    def __str__(self) -> str:
        return self.kind if self.place == USUAL_PLACES[self.kind] else f"{self.kind}:{self.place}"


def engine_name(text: str) -> EngineName:
    """The name in a text. Execution providers may go without their ending: "onnxruntime:CUDA".

    Raises EngineError listing the known engines if there is none of that name.
    """
    kind, colon, place = text.partition(":") if isinstance(text, str) else ("", "", "")
    if kind not in USUAL_PLACES:
        known = ", ".join(USUAL_PLACES)
        raise EngineError(f"there is no engine {shown(text)}; known are {known}, and elsewhere than usual {_EXAMPLES}")
    if not colon:
        return EngineName(kind, USUAL_PLACES[kind])
    if not _PLACE.fullmatch(place):
        raise EngineError(f"the engine {shown(text)} names no place behind its colon; write one such as {_EXAMPLES}")
    if kind == "onnxruntime":
        named = (part.removesuffix(_PROVIDER) for part in place.split(","))
        place = ",".join(part + _PROVIDER for part in named)
    return EngineName(kind, place)
