"""What a session learns of the machines of a splitting model of which nothing was known, and the rule that goes with it."""

from __future__ import annotations

from typing import NamedTuple

from cic.decision.splitting_model import SplittingModel
from cic.session.forecast import Forecast
from cic.session.learned_times import LearnedTimes
from cic.session.learning_rule import LearningRule


class LearnedMachines(NamedTuple):
    """Of each side None if its times were known when the splitting model was compiled."""

    device: LearnedTimes | None = None
    server: LearnedTimes | None = None

    @property
    def by_side(self) -> dict[str, LearnedTimes]:
        """Those that are being learned, by "device" and "server"."""
        return {side: learned for side, learned in self._asdict().items() if learned is not None}

    def rule(self) -> LearningRule:
        """A rule that runs cuts to learn of them, too."""
        return LearningRule(self.device, self.server)

    def into(self, forecast: Forecast) -> None:
        """Let a forecast predict by them."""
        forecast.device = self.device or forecast.device
        forecast.server = self.server or forecast.server


def learned_machines(model: SplittingModel) -> LearnedMachines:
    """What is to be learned of the machines of a splitting model. Reads its graph, unless both are known."""
    unknown = model.information.unknown_sides
    if not unknown:
        return LearnedMachines()
    from cic.cost.unknown_machine import USUAL  # what most sessions need not load
    from cic.session.work_shares import work_shares

    whole_s = [max(cut.row[side] for cut in model.cuts) for side in (0, 1)]
    device, server = (LearnedTimes(*each) for each in zip(work_shares(model, USUAL), whole_s, strict=True))
    return LearnedMachines(device if "device" in unknown else None, server if "server" in unknown else None)
