"""How far one rounding step may move an output, whatever the runtime; no runtime is needed to say it."""

from __future__ import annotations

from dataclasses import dataclass

_SLACK = 1.001  # the step itself is a rounded number


@dataclass(frozen=True, slots=True)
class Step:
    """What one step is to an output: so much, or such a share of its largest value."""

    absolute: float = 0.0
    relative: float = 0.0

    def allowance(self, largest: float) -> float:
        """Return the relative error that one step makes where the output's largest value is `largest`."""
        return max(self.relative, self.absolute / largest if largest > 0 else 0.0) * _SLACK
