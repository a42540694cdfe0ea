"""A network on a pair of machines while bandwidth and load change, in virtual time: no threads, no sockets, no waiting.

What is true are op times that were measured on real machines. A session in such a world has a table that was compiled without
them. An inference takes, each part with log-normal noise of its own:

    device factor * device ops + bits up over the trace + round trip + server factor * server ops + bits down

where bits pass at the bandwidth the trace has at that time, and the factors are those of the load when the inference begins.
Nothing is given up, however long it takes. What is best is found among all cuts that can be optimal at the true op times.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from math import exp
from pathlib import Path
from typing import NamedTuple

import cic
from benchmarks.adaptation.measured_ops import MeasuredOps
from benchmarks.harness.torchvision_zoo import load as load_network
from benchmarks.testbed.traces import Trace
from cic.cost.pricing import Source, resolve
from cic.decision.cut import Cut
from cic.decision.splitting_model import SplittingModel
from cic.session.forecast import OVERHEAD_DOWN_BYTES, OVERHEAD_UP_BYTES, Parts
from cic.session.link_estimate import Exchanged
from cic.trace.fx.traced_model import TracedModel

WORK = Path(__file__).parent / "materials"
TRUE_BOX = cic.Box(("50kbps", "10Gbps"), (1, 1), (0, "200ms"), (0.5, 16), (0.5, 16))
"""In which the best cut of the true op times is known exactly."""

# A link that is quite dead for the rest of a trace would never let an inference end.
_LEAST_BPS = 1e4


class Outcome(NamedTuple):
    """An inference that was run. exchanged: as a session sees it, None for device-only. served_s: what the server said."""

    parts: Parts
    exchanged: Exchanged | None
    served_s: float | None


class Work(NamedTuple):
    """What a cut really has to do: seconds of its ops on either side, and bits up and down, those of HTTP included."""

    device_s: float
    server_s: float
    up_bits: float
    down_bits: float
    offloads: int


@dataclass(frozen=True)
class Load:
    """How busy both machines are: factors on their op times, from each of these seconds to the next; the first is 0."""

    seconds: tuple[float, ...] = (0.0,)
    device: tuple[float, ...] = (1.0,)
    server: tuple[float, ...] = (1.0,)

    def __post_init__(self) -> None:
        if self.seconds[0] != 0 or not len(self.seconds) == len(self.device) == len(self.server):
            raise ValueError(f"load: {self.seconds}, {self.device} and {self.server}; as many of each, from second 0 on")

    def at(self, now_s: float) -> tuple[float, float]:
        """The factors of device and server."""
        place = bisect_right(self.seconds, now_s) - 1
        return self.device[place], self.server[place]


CALM = Load()


@dataclass(frozen=True)
class Tables:
    """A network on a pair of machines.

    prior: the splitting model that was compiled without the true op times. works: of its cuts, by label.
    true: the works of all cuts that can be optimal at the true op times.
    """

    network: str
    device: str
    server: str
    prior: SplittingModel
    works: Mapping[str, Work]
    true: Sequence[Work]


@dataclass
class World:
    """One network, its true op seconds on device and server, the bandwidth of the uplink, and the load of both machines.

    noise: the standard deviation of the logarithm of each part. rtt_s: without noise. downlink_ratio: downlink / uplink.
    """

    tables: Tables
    trace: Trace
    load: Load = CALM
    noise: float = 0.1
    rtt_s: float = 0.01
    downlink_ratio: float = 1.0
    _uplink: _Uplink = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._uplink = _Uplink(self.trace)

    @property
    def cuts(self) -> Mapping[str, Cut]:
        """What the session has: the cuts of the table that was compiled without the true times, by label."""
        return {cut.label: cut for cut in self.tables.prior.cuts}

    def true_parts(self, label: str, now_s: float) -> Parts:
        """What a cut takes that begins at a time, without noise."""
        return self._parts(self.tables.works[label], now_s)

    def run(self, label: str, now_s: float, rng: random.Random) -> Outcome:
        """What it takes with noise, and what a session sees of it."""
        parts = self.true_parts(label, now_s)
        parts = Parts(*(part * exp(rng.gauss(0.0, self.noise)) for part in parts))
        work = self.tables.works[label]
        if not work.offloads:
            return Outcome(parts, None, None)
        first_byte_s = parts.uplink_s + parts.rtt_s + parts.server_s
        seen = Exchanged(
            bytes_up=round(work.up_bits / 8),
            bytes_down=round(work.down_bits / 8),
            first_byte_s=first_byte_s,
            last_byte_s=first_byte_s + parts.downlink_s,
            server_s=parts.server_s,
            receive_s=parts.uplink_s,
        )
        return Outcome(parts, seen, parts.server_s)

    def probe(self, size_bytes: int, now_s: float, rng: random.Random) -> Exchanged:
        """What a session sees of a request of so many bytes that asks the server to compute nothing."""
        uplink_s = self._uplink.sent_at(now_s, size_bytes * 8) - now_s
        uplink_s, rtt_s = (part * exp(rng.gauss(0.0, self.noise)) for part in (uplink_s, self.rtt_s))
        answered_s = uplink_s + rtt_s
        return Exchanged(size_bytes, OVERHEAD_DOWN_BYTES, answered_s, answered_s, 0.0, uplink_s)

    def best_s(self, now_s: float) -> float:
        """The least latency of all cuts there are, of an inference that begins at a time, without noise."""
        return min(self._parts(work, now_s).latency_s for work in self.tables.true)

    def best_known_s(self, now_s: float) -> float:
        """The least one of the cuts that the session has."""
        return min(self._parts(work, now_s).latency_s for work in self.tables.works.values())

    def _parts(self, work: Work, now_s: float) -> Parts:
        device, server = self.load.at(now_s)
        device_s = device * work.device_s
        if not work.offloads:
            return Parts(device_s)
        begun_s = now_s + device_s
        uplink_s = self._uplink.sent_at(begun_s, work.up_bits) - begun_s
        server_s = server * work.server_s
        replied_s = begun_s + uplink_s + server_s + self.rtt_s
        downlink_s = work.down_bits / (self._uplink.at(replied_s) * self.downlink_ratio)
        return Parts(device_s, uplink_s, server_s, downlink_s, self.rtt_s)


class _Uplink:
    """A trace as `Trace.sent_at` reads it, but in logarithmic time."""

    def __init__(self, trace: Trace) -> None:
        self._seconds, self._bps = trace.seconds, [max(bps, _LEAST_BPS) for bps in trace.bps]
        self._bits = [0.0]
        for place in range(1, len(self._seconds)):
            self._bits.append(self._bits[-1] + self._bps[place - 1] * (self._seconds[place] - self._seconds[place - 1]))

    def at(self, second: float) -> float:
        return self._bps[bisect_right(self._seconds, second) - 1]

    def sent_at(self, start_s: float, bits: float) -> float:
        place = bisect_right(self._seconds, start_s) - 1
        total = self._bits[place] + self._bps[place] * (start_s - self._seconds[place]) + bits
        place = bisect_right(self._bits, total) - 1
        return self._seconds[place] + (total - self._bits[place]) / self._bps[place]


def tables_of(
    measured: MeasuredOps,
    network: str,
    device: str,
    server: str,
    *,
    prior: tuple[Source, Source] = ("unknown", "unknown"),
    folder: Path = WORK,
) -> Tables:
    """Both tables of a network on a pair of machines, compiled once and then read from files in `folder`.

    prior: what the session's table is compiled for: names of the catalogue, or "unknown".
    """
    sides = measured.side(network, device), measured.side(network, server)
    true = _compiled(network, sides, TRUE_BOX, folder)
    assumed = _compiled(network, prior, None, folder)
    seconds = sides[0].seconds, sides[1].seconds
    works = dict(zip([cut.label for cut in assumed.cuts], _works(assumed, seconds), strict=True))
    return Tables(network, device, server, assumed, works, _works(true, seconds))


def _works(model: SplittingModel, seconds: tuple[Sequence[float], Sequence[float]]) -> list[Work]:
    on_device, on_server = seconds
    whole_s, works = sum(on_server), []
    for cut, ops in zip(model.cuts, model.graph().cuts, strict=True):
        up_bytes, down_bytes = cut.upload_bytes, cut.download_bytes
        if cut.offloads:
            up_bytes, down_bytes = up_bytes + OVERHEAD_UP_BYTES, down_bytes + OVERHEAD_DOWN_BYTES
        server_s = max(whole_s - sum(on_server[op] for op in ops), 0.0) if cut.offloads else 0.0
        works.append(Work(sum(on_device[op] for op in ops), server_s, up_bytes * 8, down_bytes * 8, cut.offloads))
    return works


def _compiled(network: str, sides: tuple[Source, Source], box: cic.Box | None, folder: Path) -> SplittingModel:
    device, server = resolve(sides[0], "the device"), resolve(sides[1], "the server")
    path = folder / f"{network}.{device.digest[:8]}.{server.digest[:8]}.cic"
    if path.exists():
        return cic.load(path)
    model = cic.compile(traced_network(network), device=device, server=server, box=box)
    path.parent.mkdir(parents=True, exist_ok=True)
    model.save(path)
    return model


@cache
def traced_network(network: str) -> TracedModel:
    return load_network(network).traced
