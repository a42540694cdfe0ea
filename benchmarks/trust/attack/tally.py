"""What became of many attacks on one thing: counts by outcome, the worst memory and time, every fault."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.harness.report import RESULTS, describe_setting, write_json
from benchmarks.trust.attack.attacked_call import LONGEST_S, Outcome


@dataclass
class Tally:
    """target: what is attacked. faults: of attacks that did not end as they must, each with what was sent, if that is told."""

    target: str
    longest_s: float = LONGEST_S
    endings: Counter[str] = field(default_factory=Counter)
    most_bytes_above_declared: int = 0
    most_seconds: float = 0.0
    faults: list[str] = field(default_factory=list)

    def add(self, outcome: Outcome, declared_bytes: int, label: str) -> None:
        """Count one attack. declared_bytes: see `Outcome.fault`. label: how the input was made, to make it again."""
        self.endings[outcome.ending] += 1
        self.most_bytes_above_declared = max(self.most_bytes_above_declared, outcome.bytes - declared_bytes)
        self.most_seconds = max(self.most_seconds, outcome.seconds)
        fault = outcome.fault(declared_bytes, self.longest_s)
        if fault is not None:
            self.faults.append(f"{label}: {fault}")

    def row(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "target": self.target,
            "attacks": self.endings.total(),
            "endings": dict(sorted(self.endings.items())),
            "most_MiB_above_declared": round(self.most_bytes_above_declared / 2**20, 1),
            "most_seconds": round(self.most_seconds, 3),
            "faults": self.faults,
        }


def publish(name: str, tallies: Sequence[Tally], folder: Path = RESULTS) -> bool:
    """Print the tallies and write them to `name`.json, one a line; is there no fault?"""
    rows = [tally.row() for tally in tallies]
    for row in rows:
        faults = row["faults"]
        print({**row, "faults": len(faults)}, *faults[:10], sep="\n    ")
    setting = describe_setting(("torch", "numpy", "zstandard", "pillow", "onnx"))
    write_json(folder / f"{name}.json", {**setting, "rows": rows})
    return not any(row["faults"] for row in rows)
