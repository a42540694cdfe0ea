"""What a session answers to one call: the model's own output, and how it came about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cic.session.record import Record


@dataclass(frozen=True, slots=True)
class Inference:
    """An answer and how it came about. output: the model's own. record: all the rest."""

    output: Any
    record: Record

    @property
    def cut_id(self) -> str:
        """The cut that was decided for."""
        return self.record.cut_id

    @property
    def why(self) -> str:
        return self.record.why

    @property
    def outcome(self) -> str:
        """ "remote", "local", or "fallback: " and why the device computed the answer after all."""
        return self.record.outcome

    @property
    def latency_s(self) -> float:
        return self.record.measured.latency_s
