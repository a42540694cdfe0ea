"""The search for the cuts of a table: once under the codecs there are, and again where transforms were trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from cic.compilation.constraints import Constraint, Constraints, smallest_contradiction
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
from mincut.bounded import solve_bounded
from mincut.errors import InfeasibleError, MincutError
from mincut.rows import row_of


@dataclass(frozen=True, eq=False)
class CutSearch:
    """What a search is given besides codecs.

    prices: seconds of each op of the graph, on device and server. costs: of device and server, for their codecs.
    known: what cuts kept, once they were run.
    """

    graph: Graph
    prices: tuple[Sequence[float], Sequence[float]]
    costs: tuple[CostSource, CostSource]
    constraints: Constraints
    bounds: Bounds
    most_solves: int
    tell: Tell
    known: Known = field(default_factory=dict)

    def found(self, examined: Examined) -> tuple[Lowered, WithinTarget, Examined]:
        """The priced graph, its cuts, and the codecs among which they were found.

        Raises:
            CompileError: no cut satisfies the constraints, of which the fewest are named, or the cuts cannot be computed.
        """
        lowered, chosen = self._once(examined)
        if examined.asked.train is not None:
            used = used_transforms(chosen, lowered.problem, lowered.forms, lowered.tensors)
            if (more := with_trained(examined, self.graph, used, self.costs, self.tell)) is not None:
                return *self._once(more), more
        return lowered, chosen, examined

    def _once(self, examined: Examined) -> tuple[Lowered, WithinTarget]:
        lowered = self._lowered(self.constraints, examined)
        self.tell(Progress(f"finding every optimal cut of {len(self.graph.ops)} ops"))
        try:
            chosen = within_target(
                lowered.problem,
                lowered.forms,
                self.bounds,
                examined.runner(lowered.graph, lowered.problem, lowered.tensors),
                limits=lowered.rows,
                most_solves=self.most_solves,
                tell=self.tell,
                known=self.known,
            )
        except InfeasibleError as error:
            raise CompileError(self._contradiction(examined)) from error
        except (MincutError, CompressError) as error:
            raise CompileError(f"the cuts of {self.graph.name} cannot be computed: {error}") from error
        return lowered, chosen

    def _lowered(self, constraints: Constraints, examined: Examined) -> Lowered:
        return lower(
            self.graph,
            *self.prices,
            pins=constraints.pins,
            private=constraints.private_tensors(self.graph),
            forms=examined.forms,
            limits=constraints.limits,
        )

    def _contradiction(self, examined: Examined) -> str:
        """The fewest constraints that leave no cut, in words."""

        def leaves_a_cut(kept: Sequence[Constraint]) -> bool:
            try:
                lowered = self._lowered(self.constraints.only(kept), examined)
                rows = [] if lowered.rows is None else lowered.rows(lowered.problem)
                solve_bounded(lowered.problem, row_of(lowered.problem, "nothing"), rows)
            except (InfeasibleError, CompileError):
                return False
            return True

        asked = self.constraints.asked
        if leaves_a_cut(asked):
            return (
                f"no cut of {self.graph.name} keeps both the accuracy asked for and {_listed(asked)}; lower the accuracy, "
                "allow more codecs, or loosen a limit"
            )
        blamed = smallest_contradiction(asked, leaves_a_cut)
        them = "it" if len(blamed) == 1 else "one of these"
        return f"no cut of {self.graph.name} is allowed with {_listed(blamed)}; drop or loosen {them}"


def _listed(constraints: Sequence[Constraint]) -> str:
    texts = [each.text for each in constraints]
    return " and ".join(filter(None, (", ".join(texts[:-1]), texts[-1])))
