"""A cut for machines in a row at work on this machine: a process for each of them, and a paced link between neighbours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from cic.decision.conditions import Conditions
from cic.decision.cut import Cut
from cic.decision.tiered_cut import TieredConditions, TieredCut
from cic.errors import ArtifactError
from cic.runtime.onward import Onward
from cic.runtime.paced_link import Pacing
from cic.runtime.rehearsal import Rehearsal
from cic.runtime.server_process import ServerProcess
from codegen.chain import steps_of
from codegen.errors import codegen_error_as


@contextmanager
def tiered_rehearsal(
    directory: str | Path,
    cut: TieredCut,
    conditions: TieredConditions,
    *,
    threads: int = 1,
    patience_s: float = 60.0,
    format_name: str | None = None,
) -> Iterator[Rehearsal]:
    """This process is the first machine; the others are started, the last one first. Slowdowns are not imitated.

    In the timings of an inference the uplink is the first one, and all that follows it is the server's time.

    Raises:
        ArtifactError: the directory holds no such cut, or a file is damaged.
        LinkError: a process does not start or cannot be reached, or has a part of another emission.
    """
    with codegen_error_as(ArtifactError):
        steps = steps_of(directory, cut.id)
    if len(steps) != max(cut.links, 1):
        raise ArtifactError(
            f"{directory} has {len(steps)} bundles for {cut.id}, which uses {cut.links} links; compiled again since? Emit again"
        )
    with ExitStack() as running:
        server: ServerProcess | None = None
        # Process k answers over link k - 1, and asks process k + 1 over link k.
        for machine in range(cut.links, 0, -1):
            bundle, cut_id = steps[machine - 1]
            back = Pacing(conditions.downlink_bps[machine - 1], conditions.rtt_s[machine - 1] / 2, patience_s)
            onward = None
            if server is not None:
                onward_bundle, onward_cut = steps[machine]
                rtt_s = conditions.rtt_s[machine]
                there = Pacing(conditions.uplink_bps[machine], rtt_s / 2, patience_s)
                onward = Onward(onward_bundle, onward_cut, server.port(), there, rtt_s)
            server = ServerProcess(bundle, cut_id, back, format_name=format_name, threads=threads, onward=onward)
            running.callback(server.stop)
        first, cut_id = steps[0]
        first_link = Conditions(conditions.uplink_bps[0], conditions.downlink_bps[0], conditions.rtt_s[0])
        rest_s = sum(cut.terms(conditions)[2:])
        yield running.enter_context(
            Rehearsal(
                first,
                _as_halves(cut, cut_id),
                first_link,
                threads=threads,
                patience_s=patience_s + rest_s,
                format_name=format_name,
                server=server,
            )
        )


def _as_halves(cut: TieredCut, cut_id: str) -> Cut:
    """The cut over the first link, all that follows it being the server."""
    offloads = int(cut.links > 0)
    features = cut.tier_ns[0], sum(cut.tier_ns[1:]), cut.upload_bytes[0], cut.download_bytes[0], offloads
    return Cut(cut_id, features, lambda: ((), ()))
