"""The search for the cuts of a table: once under the codecs there are, and again where transforms were trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cic.compilation.lowering import Lowered, lower
from cic.cost.cost_source import CostSource
from cic.errors import CompileError
from cic.graph import Graph
from cic.precision.examination import Examined
from cic.precision.target_search import Known, WithinTarget, within_target
from cic.precision.trained_stage import used_transforms, with_trained
from cic.progress import Progress, Tell
from compress.bounds import Bounds
from compress.errors import CompressError
from mincut.errors import InfeasibleError, MincutError


@dataclass(frozen=True, eq=False)
class CutSearch:
    """What a search is given besides codecs.

    prices: seconds of each op of the graph, on device and server. costs: of device and server, for their codecs.
    known: what cuts kept, once they were run.
    """

    graph: Graph
    prices: tuple[Sequence[float], Sequence[float]]
    costs: tuple[CostSource, CostSource]
    pins: Mapping[str, str] | None
    private: Sequence[str]
    bounds: Bounds
    most_solves: int
    tell: Tell
    known: Known = field(default_factory=dict)

    def found(self, examined: Examined) -> tuple[Lowered, WithinTarget, Examined]:
        """The priced graph, its cuts, and the codecs among which they were found.

        Raises:
            CompileError: no cut satisfies pins and private tensors, or the cuts cannot be computed.
        """
        lowered, chosen = self._once(examined)
        if examined.asked.train is not None:
            used = used_transforms(chosen, lowered.problem, lowered.forms, lowered.tensors)
            if (more := with_trained(examined, self.graph, used, self.costs, self.tell)) is not None:
                return *self._once(more), more
        return lowered, chosen, examined

    def _once(self, examined: Examined) -> tuple[Lowered, WithinTarget]:
        lowered = lower(self.graph, *self.prices, pins=self.pins, private=self.private, forms=examined.forms)
        self.tell(Progress(f"finding every optimal cut of {len(self.graph.ops)} ops"))
        try:
            chosen = within_target(
                lowered.problem,
                lowered.forms,
                self.bounds,
                examined.runner(lowered.graph, lowered.problem, lowered.tensors),
                most_solves=self.most_solves,
                tell=self.tell,
                known=self.known,
            )
        except InfeasibleError as error:
            raise CompileError(f"no cut satisfies the pins and private tensors: {error}") from error
        except (MincutError, CompressError) as error:
            raise CompileError(f"the cuts of {self.graph.name} cannot be computed: {error}") from error
        return lowered, chosen
