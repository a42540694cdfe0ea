"""A server that anybody may talk to: half headers, slow bodies, lies about lengths, more requests than it can answer, kills.

    OMP_NUM_THREADS=1 python -m benchmarks.trust.attack.server       # writes benchmarks/results/attack_server.json and .md

A process of `cic serve` is attacked from another one, which watches its memory, files and threads from outside and asks sound
questions meanwhile. The list is that of Triton's own tests (L0_http, L0_input_validation) and more. Linux.
"""

from __future__ import annotations

import asyncio
import json
import random
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, suppress
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness.report import Report, Section, Target, shared_options
from benchmarks.trust.attack.attacked_server import (
    BODY_S,
    HEADER_S,
    MIB,
    PATIENCE_S,
    Victim,
    ask,
    emit,
    high,
    read_reply,
    sound_times,
    started,
    victim,
)
from benchmarks.trust.attack.mutations import mutated_bytes, mutated_json
from benchmarks.trust.attack.overload import attack_by_overload
from benchmarks.trust.attack.server_lies import MAY_BE_CLOSED, lies
from cic.protocol.request import coded_inputs, write_request

# From one to the other end of this machine with a busy other core.
_AT_ONCE_S = 0.25
# Of damaged requests; fewer than may wait, so that none is refused for that.
_TOGETHER = 10


def attack_by_lies(server: Victim) -> tuple[Target, Section]:
    """Every lie is refused with a status from 400 to 499 at once, in little memory, and the next sound request is answered."""
    held, rows, faults, slowest_s = server.resident_bytes, [], [], 0.0
    for name, sent in lies(server).items():
        status, seconds, body = asyncio.run(ask(server, sent))
        sound, *_ = asyncio.run(ask(server, server.request()))
        fine = (400 <= status < 500 and b"Traceback" not in body) or (status == 0 and name in MAY_BE_CLOSED)
        # A large request takes its time to come, and one without an end is waited for.
        fine = fine and sound == 200 and seconds < _AT_ONCE_S + len(sent) / (20 * MIB)
        slowest_s = max(slowest_s, seconds)
        rows.append((name, str(status), f"{seconds * 1e3:.1f} ms", body.decode("utf-8", "replace")[:150]))
        faults += [] if fine else [f"{name}: {status} after {seconds:.3f} s, then {sound}"]
    grown = server.resident_bytes - held
    told = f"{len(rows)} lies, {len(faults)} faults {'; '.join(faults)[:400]}"
    measured = f"{told}; slowest {slowest_s * 1e3:.0f} ms, {grown / MIB:+.1f} MiB"
    target = Target(
        "each lie is refused at once by a 4xx, and memory grows by less than 8 MiB", measured, not faults and grown < 8 * MIB
    )
    return target, Section("Lies", ("lie", "status", "after", "answer"), rows)


def attack_by_mutations(server: Victim, count: int, seed: int = 0) -> Target:
    """Sound requests with some of their JSON, their payload or all of them changed by chance."""
    draw, statuses, faults = random.Random(seed), Counter[int](), []
    arrays = [np.zeros(each.wire.shape, np.float32) for each in server.tail.inputs]
    _, (text, *payloads) = write_request(server.tail, "1", coded_inputs(server.tail, arrays))
    payload = b"".join(bytes(each) for each in payloads)
    held = server.resident_bytes

    def made(number: int) -> tuple[str, bytes]:
        part = draw.choice(("json", "json", "text", "payload", "whole"))
        if part == "json":
            value, way = mutated_json(json.loads(bytes(text)), draw, draw.choice((1, 1, 2, 5)))
            sent = server.request(json.dumps(value).encode("utf-8", "surrogatepass"))
        elif part == "text":
            changed, way = mutated_bytes(bytes(text), draw)
            sent = server.request(changed)
        elif part == "payload":
            changed, way = mutated_bytes(payload, draw)
            sent = server.request(payload=changed)
        else:
            sent, way = mutated_bytes(server.request(), draw)
            # So that a header at least has an end; of a body that was made longer the rest is waited for.
            sent += b"\r\n\r\n"
        return f"{number} {part} {way}", sent

    async def one(label: str, sent: bytes) -> None:
        status, _, body = await ask(server, sent, patience_s=4 * BODY_S)
        statuses[status] += 1
        if status >= 500 or b"Traceback" in body:
            faults.append(f"{label}: {status}")

    numbers = iter(range(count))

    async def attack() -> None:
        for number in numbers:
            await one(*made(number))
            if number % 20 == 0 and (await ask(server, server.request()))[0] != 200:
                faults.append(f"{number}: a sound request thereafter was not answered")

    async def together() -> None:
        await asyncio.gather(*(attack() for _ in range(_TOGETHER)))

    asyncio.run(together())
    grown = server.resident_bytes - held
    measured = f"{dict(sorted(statuses.items()))}, {len(faults)} faults {'; '.join(faults)[:300]}, {grown / MIB:+.1f} MiB"
    return Target(
        f"of {count:,} damaged requests none is answered with a 5xx or hurts the next",
        measured,
        not faults and grown < 32 * MIB,
    )


async def _drip(port: int, begin: bytes, rest: bytes, every_s: float, longest_s: float) -> tuple[float, int]:
    """Send the beginning, then a byte at a time; seconds until the server closes, and the status it gives."""
    began_s = time.perf_counter()
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(begin)
        reply = asyncio.ensure_future(read_reply(reader))
        for place in range(int(longest_s / every_s)):
            await asyncio.wait({reply}, timeout=every_s)
            if reply.done():
                break
            with suppress(ConnectionError):
                writer.write(rest[place : place + 1])
        status = reply.result()[0] if reply.done() else -1
        reply.cancel()
        writer.close()
    except ConnectionError:
        status = 0
    return time.perf_counter() - began_s, status


def drip_together(port: int, begin: bytes, rest: bytes, longest_s: float, count: int) -> list[tuple[float, int]]:
    """So many slow clients at once, each a byte a second; how long each was let be, and the status it got."""

    async def many() -> list[tuple[float, int]]:
        return list(await asyncio.gather(*(_drip(port, begin, rest, 1.0, longest_s) for _ in range(count))))

    return asyncio.run(many())


def attack_by_slowness(server: Victim, count: int) -> list[Target]:
    """Half headers and bodies that come a byte a second, by hundreds at once."""
    targets = []
    baseline = asyncio.run(sound_times(server, asyncio.sleep(5)))
    attacks = {
        "headers": (b"POST /v2 HTTP/1.1\r\nX: ", b"y" * 1000, HEADER_S),
        "bodies": (server.request()[:2000], b"\0" * 1000, BODY_S),
    }
    for name, (begin, rest, limit_s) in attacks.items():
        arguments = (server.port, begin, rest, limit_s + 10, count)
        # In a process of its own, or the sound requests would wait for the attack's own work.
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:

            async def both(pool: ProcessPoolExecutor = pool, arguments: Any = arguments) -> tuple[list[float], list[Any]]:
                attack = asyncio.get_running_loop().run_in_executor(pool, drip_together, *arguments)
                return await sound_times(server, attack), attack.result()

            times, ends = asyncio.run(both())
        longest_s = max(seconds for seconds, _ in ends)
        # What is usual is what another five seconds show, whichever are the worse: other work of the machine comes and goes.
        ratio = high(times) / max(high(baseline), high(asyncio.run(sound_times(server, asyncio.sleep(5)))))
        sound = f"p99 of sound requests {high(times) * 1e3:.1f} ms, {ratio:.2f} × the usual"
        measured = f"closed after {longest_s:.1f} s at the latest; {sound}"
        kept = longest_s < limit_s + 2 and all(status != 200 for _, status in ends) and ratio < 2
        targets.append(
            Target(f"{count} slow {name} are closed within {limit_s:g} s and one, and slow nobody down to half", measured, kept)
        )
    return targets


def attack_by_vanishing(server: Victim, count: int) -> Target:
    """Clients that go away in the middle of their request, or of the reply."""
    sent = server.request()
    draw = random.Random(0)

    async def vanish() -> None:
        with suppress(ConnectionError):
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            if draw.random() < 0.5:
                writer.write(sent[: draw.randrange(len(sent))])
            else:
                writer.write(sent)
                await asyncio.wait_for(reader.read(draw.randrange(1, 40)), PATIENCE_S)
            if draw.random() < 0.5:
                writer.transport.abort()
            writer.close()

    async def many(count: int) -> None:
        for _ in range(count // 20):
            await asyncio.gather(*(vanish() for _ in range(20)))

    asyncio.run(many(count // 10))
    time.sleep(1)
    held, files, threads = server.resident_bytes, server.files, server.threads
    asyncio.run(many(count))
    time.sleep(2 + BODY_S)
    asyncio.run(ask(server, server.request()))
    grown = server.resident_bytes / held - 1
    measured = f"memory {grown:+.1%}, files {files} → {server.files}, threads {threads} → {server.threads}"
    return Target(
        f"after {count:,} clients that vanished memory is within 2 %, and no file or thread is left",
        measured,
        grown < 0.02 and server.files <= files + 2 and server.threads <= threads,
    )


def attack_by_signals(bundle: Path, server: Victim) -> list[Target]:
    """SIGTERM under load, and SIGKILL with a new start."""

    async def loaded() -> tuple[Counter[int], float]:
        statuses: Counter[int] = Counter()

        async def client() -> None:
            with suppress(ConnectionError):
                reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
                while True:
                    writer.write(server.request())
                    status, _ = await asyncio.wait_for(read_reply(reader), PATIENCE_S)
                    statuses[status] += 1
                    if status != 200:
                        return

        clients = [asyncio.ensure_future(client()) for _ in range(8)]
        await asyncio.sleep(1)
        began_s = time.perf_counter()
        server.process.send_signal(signal.SIGTERM)
        while server.process.poll() is None and time.perf_counter() < began_s + 20:
            await asyncio.sleep(0.02)
        took_s = time.perf_counter() - began_s
        await asyncio.wait(clients, timeout=5)
        return statuses, took_s

    statuses, took_s = asyncio.run(loaded())
    clean = server.process.poll() == 0 and took_s < 6
    ended = Target(
        "SIGTERM under load ends the server with 0 within its grace",
        f"exit {server.process.poll()} after {took_s:.2f} s; statuses {dict(statuses)}",
        clean,
    )
    process, port = started(bundle, server.port)
    process.kill()
    process.wait()
    began_s = time.perf_counter()
    process, port = started(bundle, server.port)
    ready_s = time.perf_counter() - began_s
    again = Victim(process, port, server.tail)
    answered = asyncio.run(ask(again, again.request()))[0]
    process.kill()
    process.wait()
    return [
        ended,
        Target("killed, it is ready again within 3 s", f"{ready_s:.2f} s, then {answered}", ready_s < 3 and answered == 200),
    ]


def main() -> None:
    parser = shared_options(__doc__, "few of each")
    options = parser.parse_args()
    count = (lambda full, few: few) if options.quick else (lambda full, few: full)
    with ExitStack() as stack:
        bundle = emit(Path(stack.enter_context(tempfile.TemporaryDirectory())))
        server, other = stack.enter_context(victim(bundle)), stack.enter_context(victim(bundle))
        steps: list[Callable[[], Any]] = [
            lambda: attack_by_lies(server),
            lambda: attack_by_mutations(server, count(3000, 100)),
            lambda: attack_by_slowness(server, count(450, 50)),
            lambda: attack_by_overload(server, other, count(30, 3)),
            lambda: attack_by_vanishing(server, count(10_000, 200)),
            lambda: attack_by_signals(bundle, server),
        ]
        targets: list[Target] = []
        sections: list[Section] = []
        for step in steps:
            result = step()
            for each in result if isinstance(result, list | tuple) else [result]:
                (targets if isinstance(each, Target) else sections).append(each)
                print(each if isinstance(each, Target) else "", flush=True)
    report = Report("attack_server", "A server under attack", sections, targets, {"lies": len(sections[0].rows)})
    report.publish(options.results)
    if not report.kept:
        raise SystemExit("server: not all ended as they must")


if __name__ == "__main__":
    main()
