"""Two hosts on one machine: network namespaces on a shaped link, a device held back on one core, a server on the other.

The link is a pair of virtual Ethernet cards, each shaped by a token bucket (`tc-tbf`) of one packet, or of 0.25 ms above 50
Mbit/s. What is in a bucket passes at any rate: with one of 64 kB, 100 kB go at 25 Mbit/s over a link of 10. What is asked for
is what the payload of a TCP transfer gets; the rate of the bucket is higher by the headers. The device's core is held by
`benchmarks.testbed.brake` for a part of each millisecond, as if it were slower; while ops are profiled, it has a quota of a
control group instead, which `cic profile` can see and take into account. Linux, root, iproute2.
`benchmarks.testbed.fault_proxy` does what a bucket cannot: delay, jitter, stalls, resets, truncation.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self

from benchmarks.cost.quota_group import QuotaGroup, quota_group

REPOSITORY = Path(__file__).resolve().parents[2]
DEVICE_ADDRESS, SERVER_ADDRESS = "10.77.0.1", "10.77.0.2"
PERIOD_S = 0.005
# A packet with its headers has to fit in; and what may pass at once must last until the kernel looks again.
BURST_BYTES, BURST_S = 1_600, 2.5e-4
# A packet of 1,500 bytes has 20 bytes of IP, 32 of TCP with time stamps, and 14 of Ethernet before it.
PACKET_BYTES, PAYLOAD_BYTES = 1514, 1448
# Room for what TCP has under way: where a queue overflows, latency tells of retransmissions.
QUEUE_BYTES = 4_000_000
# The kernel refuses less than 1 ms in a period of a quota, and lets real-time processes have 95 % of a core.
LEAST_SHARE = 0.001 / PERIOD_S
SLOWEST_BPS = 8_000.0
# What has a core to itself goes before all other work of the machine.
REAL_TIME = ("chrt", "--fifo", "1")


class TestbedMissingError(Exception):
    """There can be no testbed here: it says why, for whoever skips."""

    __test__ = False


@dataclass(frozen=True)
class Host:
    """One side. namespace: of its network. core: where all of its processes run.

    group: its control group; None: none, and before whatever else wants the core.
    """

    namespace: str
    group: QuotaGroup | None
    core: int
    card: str
    address: str

    def start(
        self, command: Sequence[str], environment: Mapping[str, str] | None = None, **options: Any
    ) -> subprocess.Popen[Any]:
        """Start a command on this host, in the folder of the repository and with one thread."""
        told = {**os.environ, "OMP_NUM_THREADS": "1", **(environment or {})}
        # `ip netns exec` would hide the control groups, of which whoever measures times wants to know.
        entered = 'echo $$ > "$0" && exec nsenter --net="$1" taskset -c "$2" "${@:3}"'
        processes = "/dev/null" if self.group is None else str(self.group.folder / "cgroup.procs")
        first = list(REAL_TIME) if self.group is None else []
        inside = [processes, f"/run/netns/{self.namespace}", str(self.core), *first, *command]
        return subprocess.Popen(["bash", "-c", entered, *inside], cwd=REPOSITORY, env=told, **options)


class Testbed:
    """Device and server, ready to run commands; a context manager.

    device_share: of a core, at least 0.2; None: a whole one. cores: of device and server; where there is one, they share it.
    quota: hold the device back by a quota, in slots of a millisecond and more, instead of the brake.

    Raises:
        TestbedMissingError: the kernel, the rights or a program is missing; says which.
    """

    __test__ = False

    device: Host
    server: Host

    def __init__(self, device_share: float | None = None, cores: tuple[int, int] | None = None, *, quota: bool = False) -> None:
        if device_share is not None and not LEAST_SHARE <= device_share <= 1:
            raise ValueError(f"the device's share of a core is {device_share}; from {LEAST_SHARE} to 1 is possible")
        self._share, self._quota = device_share, quota
        self._cores = cores or two_cores()
        self._brake: subprocess.Popen[bytes] | None = None
        self._open = ExitStack()
        self._started: list[subprocess.Popen[Any]] = []

    def __enter__(self) -> Self:
        check_possible()
        _tidy_up()
        with ExitStack() as opening:
            names = [f"cic-{os.getpid()}-{side}" for side in ("device", "server")]
            cards = [f"cic{os.getpid()}{side}" for side in ("d", "s")]
            try:
                groups = (opening.enter_context(quota_group("cic-testbed-device")), None)
                for name in names:
                    opening.enter_context(_namespace(name))
                _connect(names, cards)
            except (OSError, subprocess.CalledProcessError) as error:
                raise TestbedMissingError(f"no testbed can be made: {_told(error)}") from error
            self.device, self.server = (
                Host(*each) for each in zip(names, groups, self._cores, cards, (DEVICE_ADDRESS, SERVER_ADDRESS), strict=True)
            )
            self.slow_down(self._share)
            self._open = opening.pop_all()
        return self

    def __exit__(self, *raised: object) -> None:
        self._release()
        for process in self._started:
            process.kill()
            process.wait()
        self._open.close()

    @property
    def address(self) -> str:
        """Of the server, as the device sees it."""
        return SERVER_ADDRESS

    def run_on_device(self, command: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
        """Start a command on the device; options as of `subprocess.Popen`. It ends with the testbed."""
        self._started.append(self.device.start(command, **options))
        return self._started[-1]

    def run_on_server(self, command: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
        """Start a command on the server; options as of `subprocess.Popen`. It ends with the testbed."""
        self._started.append(self.server.start(command, **options))
        return self._started[-1]

    def slow_down(self, device_share: float | None) -> None:
        """Give the device this share of its core from now on; None: all of it."""
        assert self.device.group is not None
        if self._quota:
            self.device.group.limit(device_share, PERIOD_S)
            return
        self._release()
        if device_share is not None and device_share < 1:
            brake = [sys.executable, "-m", "benchmarks.testbed.brake", str(self.device.core), str(device_share)]
            self._brake = subprocess.Popen(brake, cwd=REPOSITORY)

    def _release(self) -> None:
        if self._brake is not None:
            self._brake.kill()
            self._brake.wait()
            self._brake = None

    def shape(self, uplink_bps: float | None, downlink_bps: float | None = None) -> None:
        """From now on TCP's payload passes at these rates; None: as fast as it can. Connections stay, and so do their queues.

        downlink_bps: None: as the uplink. Rates below 8 kbit/s become that: a bucket cannot stand still.
        """
        for host, rate in ((self.device, uplink_bps), (self.server, uplink_bps if downlink_bps is None else downlink_bps)):
            _shape(host, rate)


def two_cores() -> tuple[int, int]:
    """The last two cores of this process, for device and server; one twice if there is only one."""
    cores = sorted(os.sched_getaffinity(0))
    return cores[-1], cores[-2] if len(cores) > 1 else cores[-1]


def check_possible() -> None:
    """Raise TestbedMissingError where it is known that there can be no testbed."""
    if sys.platform != "linux":
        raise TestbedMissingError(f"network namespaces are of Linux, this is {sys.platform}")
    if os.geteuid() != 0:
        raise TestbedMissingError("network namespaces and control groups need root")
    missing = [program for program in ("ip", "tc", "taskset", "chrt", "nsenter", "bash") if shutil.which(program) is None]
    if missing:
        raise TestbedMissingError(f"programs are missing: {', '.join(missing)}; Debian has them in iproute2 and util-linux")


def _tidy_up() -> None:
    """Remove what testbeds left behind whose process was killed."""
    for left in Path("/run/netns").glob("cic-*-*"):
        _, owner, _ = left.name.split("-", 2)
        if not Path("/proc", owner).exists():
            subprocess.run(["ip", "netns", "del", left.name], check=False)


@contextmanager
def _namespace(name: str) -> Any:
    _run("ip", "netns", "add", name)
    try:
        yield
    finally:
        subprocess.run(["ip", "netns", "del", name], check=False)


def _connect(namespaces: Sequence[str], cards: Sequence[str]) -> None:
    """A card in each namespace, and a bucket on each card."""
    device, server = namespaces
    _run("ip", "link", "add", cards[0], "netns", device, "type", "veth", "peer", "name", cards[1], "netns", server)
    for name, card, address in zip(namespaces, cards, (DEVICE_ADDRESS, SERVER_ADDRESS), strict=True):
        _run("ip", "-n", name, "address", "add", f"{address}/24", "dev", card)
        _run("ip", "-n", name, "link", "set", card, "up")
        _run("ip", "-n", name, "link", "set", "lo", "up")
    for name, card in zip(namespaces, cards, strict=True):
        _run("tc", "-n", name, "qdisc", "replace", "dev", card, "root", *_bucket(1e9))
        _run("tc", "-n", name, "qdisc", "del", "dev", card, "root")


def _shape(host: Host, rate_bps: float | None) -> None:
    if rate_bps is None:
        subprocess.run(["tc", "-n", host.namespace, "qdisc", "del", "dev", host.card, "root"], check=False, capture_output=True)
        return
    _run("tc", "-n", host.namespace, "qdisc", "replace", "dev", host.card, "root", *_bucket(max(rate_bps, SLOWEST_BPS)))


def _bucket(rate_bps: float) -> list[str]:
    wire_bps = rate_bps * PACKET_BYTES / PAYLOAD_BYTES
    burst = max(BURST_BYTES, round(wire_bps / 8 * BURST_S))
    return ["tbf", "rate", f"{wire_bps:.0f}bit", "burst", str(burst), "limit", str(QUEUE_BYTES)]


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)


def _told(error: Exception) -> str:
    said: str | IO[str] | None = getattr(error, "stderr", None)
    return str(said).strip() if said else str(error)
