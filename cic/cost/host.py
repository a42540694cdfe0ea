"""The machine this process runs on, described for the reader of a profile."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Host:
    """platform: system and architecture. processor: model name. cores: logical. memory_bytes: 0 if unknown."""

    platform: str
    processor: str
    cores: int
    memory_bytes: int


def describe_host() -> Host:
    """The machine this process runs on; fields that the system does not tell are "unknown" or 0."""
    return Host(
        platform=f"{platform.system()}-{platform.machine()}",
        processor=_processor_name(),
        cores=os.cpu_count() or 1,
        memory_bytes=_memory_bytes(),
    )


def _processor_name() -> str:
    # Arm boards name themselves in the device tree ("Raspberry Pi 4 Model B Rev 1.4"), PCs in /proc/cpuinfo.
    for path, key in (("/proc/device-tree/model", None), ("/proc/cpuinfo", "model name")):
        try:
            text = Path(path).read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        if key is None:
            return text.strip("\0\n ") or "unknown"
        for line in text.splitlines():
            if line.startswith(key):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"


def _memory_bytes() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return 0
