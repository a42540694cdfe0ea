"""Records of runs that never were: a link that goes up and down, three cuts, and a fallback now and then."""

from __future__ import annotations

import math
import random
from pathlib import Path

from cic.decision.conditions import Conditions
from cic.session.record import Record, Terms, line_of

ROWS = {
    # By cut: seconds on the device and on the server, bytes up.
    "device-only": (0.180, 0.0, 0),
    "cut-2": (0.060, 0.012, 25_000),
    "cut-1": (0.020, 0.016, 110_000),
    "server-only": (0.0, 0.020, 602_112),
}
DOWN_BYTES = 4_000


def predicted(cut_id: str, conditions: Conditions) -> Terms:
    device_s, server_s, upload_bytes = ROWS[cut_id]
    terms = (
        device_s,
        upload_bytes * 8 / conditions.uplink_bps,
        server_s * conditions.server_slowdown,
        (DOWN_BYTES * 8 / conditions.downlink_bps) * (upload_bytes > 0),
        conditions.rtt_s * (upload_bytes > 0),
    )
    return Terms(*terms, sum(terms))


def made_run(count: int = 400, seed: int = 0, deadline_s: float | None = 0.3) -> list[Record]:
    """`count` records, one every 0.3 s."""
    chance = random.Random(seed)
    records = []
    for number in range(count):
        uplink_bps = 10 ** (6.6 + 1.2 * math.sin(number / count * 9))
        conditions = Conditions(uplink_bps, uplink_bps * 2, 0.008, 1.0, 1.0)
        times = {cut_id: predicted(cut_id, conditions) for cut_id in ROWS}
        cut_id = min(times, key=lambda each: times[each].latency_s)
        failed = cut_id != "device-only" and chance.random() < 0.02
        records.append(_record(number, cut_id, times, conditions, failed, chance, deadline_s))
    return records


def _record(
    number: int,
    cut_id: str,
    times: dict[str, Terms],
    conditions: Conditions,
    failed: bool,
    chance: random.Random,
    deadline_s: float | None,
) -> Record:
    told = times[cut_id]
    noise = [time * chance.lognormvariate(0.02, 0.08) for time in (told.device_s or 0, told.uplink_s or 0, told.server_s or 0)]
    measured = Terms(*noise, told.downlink_s, told.rtt_s, sum(noise) + (told.downlink_s or 0) + (told.rtt_s or 0))
    if failed:
        measured = Terms(noise[0], None, None, None, None, 0.19 + noise[0] + chance.random() * 0.2)
    local = cut_id == "device-only"
    return Record(
        request_id=f"made-{number}",
        started_s=1000 + number * 0.3,
        wall_time_s=1.79e9 + number * 0.3,
        cut_id=cut_id,
        codecs=("linear4+zstd@0123456789abcdef",) if cut_id.startswith("cut") else (),
        why=f"{cut_id} is the fastest at {conditions.uplink_bps / 1e6:.3g} Mbit/s",
        conditions=conditions,
        predicted=told,
        device_only_s=times["device-only"].latency_s,
        server_only_s=times["server-only"].latency_s,
        measured=measured,
        upload_bytes=0 if local else ROWS[cut_id][2],
        download_bytes=0 if local or failed else DOWN_BYTES,
        outcome="fallback: the server closed the connection" if failed else "local" if local else "remote",
        deadline_s=deadline_s,
    )


def write_run(path: Path, records: list[Record]) -> Path:
    path.write_text("".join(line_of(record) for record in records))
    return path
