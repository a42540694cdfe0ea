"""CIC: a graph min-cut partitioning compiler for split inference.

On the device: `cic.load(path).decide("20Mbps")`, standard library only. Everything else (`compile`, `emit`, `load_cut`,
`Session`, …) is imported when first used.
"""

from __future__ import annotations

from cic.decision.answer import Decision
from cic.decision.conditions import Box, Conditions
from cic.decision.cut import Cut
from cic.decision.splitting_model import SplittingModel, load
from cic.errors import (
    ArgumentError,
    ArtifactError,
    CicError,
    CicWarning,
    CodecError,
    CompileError,
    CostError,
    DecisionError,
    EmitError,
    InputError,
    LinkError,
    TraceError,
    UnitError,
)
from cic.own_packages import check_own

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from cic.calibration.calibrate import calibrate
    from cic.compilation.limits import Limits
    from cic.compilation.pipeline import compile, profile
    from cic.compilation.sizes import compile_sizes
    from cic.compilation.tiers import compile_tiers
    from cic.cost.machine import Machine
    from cic.cost.powers import energy_of
    from cic.cost.profile import Profile, load_profile
    from cic.decision.energy import Energy
    from cic.decision.sized_model import SizedModel, load_sizes
    from cic.decision.throughput import Throughput
    from cic.decision.tiered_loading import load_tiers
    from cic.decision.tiered_model import TieredModel
    from cic.emission.decision_source import export_decision
    from cic.emission.emission import emit
    from cic.emission.emitted_halves import export_half, export_triton, load_cut
    from cic.emission.sized_emission import emit_sizes
    from cic.emission.tiered_emission import emit_tiers, load_tiered_cut
    from cic.precision.precision import Precision
    from cic.progress import Progress
    from cic.session.async_session import AsyncSession
    from cic.session.recorded_intervals import LatencyIntervals
    from cic.session.session import Session
    from cic.trace.any_model import trace_model

check_own("codegen")

# Name → module, imported at first use so that the device half stays light.
_LATER = {
    "Energy": "cic.decision.energy",
    "Limits": "cic.compilation.limits",
    "Throughput": "cic.decision.throughput",
    "calibrate": "cic.calibration.calibrate",
    "compile": "cic.compilation.pipeline",
    "compile_sizes": "cic.compilation.sizes",
    "compile_tiers": "cic.compilation.tiers",
    "profile": "cic.compilation.pipeline",
    "emit": "cic.emission.emission",
    "emit_sizes": "cic.emission.sized_emission",
    "emit_tiers": "cic.emission.tiered_emission",
    "load_tiered_cut": "cic.emission.tiered_emission",
    "load_sizes": "cic.decision.sized_model",
    "load_tiers": "cic.decision.tiered_loading",
    "export_half": "cic.emission.emitted_halves",
    "export_triton": "cic.emission.emitted_halves",
    "load_cut": "cic.emission.emitted_halves",
    "export_decision": "cic.emission.decision_source",
    "energy_of": "cic.cost.powers",
    "Machine": "cic.cost.machine",
    "Precision": "cic.precision.precision",
    "Profile": "cic.cost.profile",
    "Progress": "cic.progress",
    "AsyncSession": "cic.session.async_session",
    "LatencyIntervals": "cic.session.recorded_intervals",
    "Session": "cic.session.session",
    "SizedModel": "cic.decision.sized_model",
    "TieredModel": "cic.decision.tiered_model",
    "load_profile": "cic.cost.profile",
    "trace_model": "cic.trace.any_model",
}

__all__ = [
    "ArgumentError",
    "ArtifactError",
    "AsyncSession",
    "Box",
    "CicError",
    "CicWarning",
    "CodecError",
    "CompileError",
    "Conditions",
    "CostError",
    "Cut",
    "Decision",
    "DecisionError",
    "EmitError",
    "Energy",
    "InputError",
    "LatencyIntervals",
    "Limits",
    "LinkError",
    "Machine",
    "Precision",
    "Profile",
    "Progress",
    "Session",
    "SizedModel",
    "SplittingModel",
    "Throughput",
    "TieredModel",
    "TraceError",
    "UnitError",
    "calibrate",
    "compile",
    "compile_sizes",
    "compile_tiers",
    "emit",
    "emit_sizes",
    "emit_tiers",
    "energy_of",
    "export_decision",
    "export_half",
    "export_triton",
    "load",
    "load_cut",
    "load_profile",
    "load_sizes",
    "load_tiered_cut",
    "load_tiers",
    "profile",
    "trace_model",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from cic.version import VERSION

        return VERSION
    if name == "trace_onnx":
        raise AttributeError("cic.trace_onnx is cic.trace_model now, which takes torch models and ONNX files alike")
    if name not in _LATER:
        raise AttributeError(f"module 'cic' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_LATER[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER})
