"""Whether a side's half is run by the engine with which its times were measured. Needs the standard library only."""

from __future__ import annotations

from cic.engine.engine_name import engine_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

    from cic.decision.splitting_model import SplittingModel


def engine_mismatch(splitting_model: SplittingModel, side: Literal["device", "server"], engine: str) -> str | None:
    """What to tell a person whose decisions rest on times of another engine; None where they do not, or nothing says it.

    side: whose half `engine` runs. Where the model was calibrated, its times are those of the engine that was calibrated.
    Raises EngineError if there is no such engine.
    """
    calibration, information = splitting_model.graph().calibration, splitting_model.information
    if side == "device":
        measured = information.device.engine if calibration is None else calibration.device_engine
    else:
        measured = information.server.engine if calibration is None else calibration.server_engine
    if measured is None or measured in (engine, str(engine_name(engine))):
        return None
    return (
        f"the times of the {side} in {splitting_model.name} were measured with {measured}, and {engine} runs its half:"
        f" decisions may be wrong; compile with a profile made by `cic profile --engine {engine}`, or calibrate"
    )
