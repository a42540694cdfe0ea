"""More requests than a server can answer: it answers some, in a bounded time, refuses the rest, and then it is as before."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from benchmarks.harness.report import Target
from benchmarks.trust.attack.attacked_server import MIB, PATIENCE_S, QUEUE, Victim, ask, high, read_reply


def attack_by_overload(server: Victim, other: Victim, seconds: float) -> list[Target]:
    """Eight clients ask again at once, which is all that can be answered, and three times as many requests come besides.

    It takes `seconds` for each half, and as long without the load and beside another server.

    The processor is shared with whoever attacks, so the same number of bad requests to another server is what to compare with.
    """

    async def clients(served: list[tuple[int, float]], end_s: float) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        while time.perf_counter() < end_s:
            began_s = time.perf_counter()
            writer.write(server.request())
            status, _ = await asyncio.wait_for(read_reply(reader), PATIENCE_S)
            served.append((status, time.perf_counter() - began_s))
            if status != 200:
                # As all that was not read has to be forgotten, a refusal ends its connection.
                writer.close()
                await asyncio.sleep(0.05)
                reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.close()

    async def flood(target: Victim, sent: bytes, rate: float, end_s: float) -> list[tuple[int, float, bytes]]:
        asked: list[asyncio.Task[tuple[int, float, bytes]]] = []
        while time.perf_counter() < end_s:
            asked.append(asyncio.create_task(ask(target, sent)))
            await asyncio.sleep(max(0.0, end_s - seconds + len(asked) / rate - time.perf_counter()))
        return list(await asyncio.gather(*asked))

    async def load(target: Victim, sent: bytes, rate: float) -> tuple[list[tuple[int, float]], list[tuple[int, float, bytes]]]:
        served: list[tuple[int, float]] = []
        end_s = time.perf_counter() + seconds
        flooding = asyncio.create_task(flood(target, sent, rate, end_s)) if rate else None
        await asyncio.gather(*(clients(served, end_s) for _ in range(8)))
        return served, await flooding if flooding else []

    def answered(replies: Sequence[tuple[Any, ...]]) -> list[float]:
        return [took_s for status, took_s, *_ in replies if status == 200]

    alone = [asyncio.run(ask(server, server.request())) for _ in range(20)]
    full = len(answered(asyncio.run(load(server, b"", 0))[0])) / seconds
    beside = len(answered(asyncio.run(load(other, other.request(b"{}"), 3 * full))[0]))
    served, flooded = asyncio.run(load(server, server.request(), 3 * full))
    held = server.resident_bytes
    more_served, more_flooded = asyncio.run(load(server, server.request(), 3 * full))
    served, flooded = [*served, *more_served], [*flooded, *more_flooded]
    after = [asyncio.run(ask(server, server.request())) for _ in range(20)]
    grown = server.resident_bytes - held
    statuses = Counter(status for status, *_ in [*served, *flooded])
    share = statuses[200] / beside / 2
    refused = [took_s for status, took_s, _ in flooded if status == 503]
    # As long as all that may wait takes, and what comes meanwhile, at the rate that the attack leaves.
    bound_s = 2 * (QUEUE + 8) / (beside / seconds)
    slowest_s = high([*answered(served), *answered(flooded)])
    return [
        Target(
            "under four times the load that can be answered 90 % of it is, and all else is refused with 503",
            f"{full:.0f}/s at full, {beside / seconds:.0f}/s beside as many bad requests to another server, "
            f"{statuses[200] / seconds / 2:.0f}/s under load ({share:.0%}); {dict(statuses)}, refused in "
            f"{high(refused, 0.5):.3f} s",
            statuses.keys() <= {200, 503} and share >= 0.9 and len(refused) > 0,
        ),
        Target(
            f"what is answered then takes no longer than twice the queue, {bound_s:.2f} s",
            f"99 in 100 below {slowest_s:.3f} s",
            slowest_s < bound_s,
        ),
        Target(
            "afterwards each request is answered as fast as before, and memory grew by less than 8 MiB in the second half",
            f"{high(answered(after), 0.5) * 1e3:.1f} ms after, {high(answered(alone), 0.5) * 1e3:.1f} ms before, "
            f"{len(answered(after))} of 20 answered, {grown / MIB:+.1f} MiB",
            len(answered(after)) == 20 and high(answered(after), 0.5) < 2 * high(answered(alone), 0.5) and grown < 8 * MIB,
        ),
    ]
