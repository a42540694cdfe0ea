"""Everything about codecs that needs the model itself: what its tensors weigh under each, and what its cuts keep under them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cic.accuracy import Reached, Target
from cic.calibration import calibration_of
from cic.cost.machine import Machine
from cic.cost.profile import Profile
from cic.cut_accuracy import Examiner, examiner
from cic.errors import CompileError
from cic.lowering import Lowered
from cic.payloads import wire_forms
from cic.precision import Precision
from cic.trace.onnx_model import OnnxModel
from cic.trace.torch_trace import TracedModel
from cic.wire_form import WireForm, codecs_for, input_codecs
from mincut.problem import BoolArray

Costs = tuple[Machine | Profile, Machine | Profile]


@dataclass(frozen=True)
class Wanted:
    """What `compile` was asked about codecs; see there."""

    precision: str | Sequence[str] | None
    calibration: Sequence[Any] | None
    target: Target | None
    input: str | None = None


@dataclass(frozen=True, eq=False)
class Examined:
    """forms: in which each tensor may cross, by name; None if all cross as they are. examiner: runs cuts; None: unmeasured."""

    wanted: Wanted
    forms: Mapping[str, Sequence[WireForm]] | None
    examiner: Examiner | None

    def runner(self, lowered: Lowered) -> Callable[[BoolArray, dict[int, WireForm]], Reached] | None:
        """A function that measures a placement of the lowered problem with the lossy forms of its crossing tensors."""
        if self.examiner is None:
            return None
        examined, members = self.examiner, [op.members for op in lowered.graph.ops]

        def run(on_device: BoolArray, lossy: dict[int, WireForm]) -> Reached:
            nodes = frozenset(node for op in np.flatnonzero(on_device) for node in members[op])
            return examined.reached(nodes, {lowered.tensors[tensor]: form.codec for tensor, form in lossy.items()})

        return run

    def described(self, precision: Precision) -> dict[str, Any]:
        """For the file, as JSON values: what was asked, and on what it was measured. Empty where tensors cross as they are."""
        if self.forms is None:
            return {}
        target = self.wanted.target
        return {
            "precision": self.wanted.precision
            if isinstance(self.wanted.precision, str | None)
            else list(self.wanted.precision),
            "input": self.wanted.input,
            "accuracy_target": None if target is None else target.text,
            "calibration_samples": 0 if self.examiner is None else len(self.examiner.calibration.samples),
            "cuts_run": precision.runs,
            "accuracy_exact": precision.exact,
        }


def examine(traced: TracedModel | OnnxModel, wanted: Wanted, costs: Costs, tell: Callable[[str], None]) -> Examined:
    """Measure the payloads of a model's tensors, and get ready to run its cuts.

    Raises:
        CompileError: calibration inputs that do not fit, a target without calibration inputs, or codecs for an ONNX file.
        CodecError: an unknown codec. CostError: nothing is known about a codec's time on one of the machines.
    """
    if wanted.precision is None and wanted.target is None and wanted.input is None:
        if wanted.calibration is not None:
            raise CompileError("calibration inputs are given but no codec is allowed; say precision='int8', say, or accuracy=…")
        return Examined(wanted, None, None)
    if isinstance(traced, OnnxModel):
        raise CompileError(
            f"{traced.path}: codecs are chosen for torch models only, as yet; leave precision, calibration and accuracy out"
        )
    if wanted.target is not None and wanted.calibration is None:
        raise CompileError(
            f"accuracy {wanted.target.text!r} is asked for but there is nothing to measure it on; pass calibration=…"
        )
    usual = ["raw"] if wanted.target is None else "int4"
    names = codecs_for(usual if wanted.precision is None else wanted.precision)
    pictures = () if wanted.input is None else input_codecs(wanted.input)
    calibration = calibration_of(traced, wanted.calibration)
    tell(f"measuring payloads under {len(names)} codecs")
    forms = wire_forms(traced.module, traced.graph, calibration.samples, names, costs, pictures)
    if wanted.calibration is None:
        return Examined(wanted, forms, None)
    tell(f"running the whole model on {len(calibration.samples)} calibration samples")
    crossable = frozenset(tensor.name for tensor in traced.graph.tensors if tensor.may_cross)
    return Examined(wanted, forms, examiner(traced.module, crossable, calibration, wanted.target))
