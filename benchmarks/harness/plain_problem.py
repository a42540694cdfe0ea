"""A problem as plain lists, which owes nothing to `mincut`: what random problems are drawn as, and what oracles solve."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PlainProblem:
    """A problem as plain lists; tensors are (producer or -1, readers, wire bytes, may cross)."""

    device_ns: list[int]
    server_ns: list[int]
    download_bytes: list[int]
    pinned: list[int]
    tensors: list[tuple[int, list[int], int, bool]]

    @property
    def op_count(self) -> int:
        return len(self.device_ns)
