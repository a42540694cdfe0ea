"""The splitting model: all cuts that can be optimal, and the look-up among them. Runs on the device, standard library only."""

from __future__ import annotations

from bisect import bisect_right

from cic.decision.answer import BestKnownDecision, Decision, RoundedDecision, SolvedDecision
from cic.decision.cic_file import PARTS, check_writable, pack, parsed, read, unpack, write
from cic.decision.conditions import Conditions
from cic.decision.cut import Cut
from cic.decision.cut_table import CutTable, just_above, read_table, rows_to_search, table_document
from cic.decision.units import bits_per_second, factor, seconds, shown
from cic.errors import ArtifactError, CicError, CodecError, DecisionError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from os import PathLike
    from typing import Any

    from cic.codec.codec import Codec
    from cic.decision.cic_file import Lines
    from cic.decision.energy import Energy, Limited
    from cic.decision.off_table.solving import OffTable, Solved
    from cic.decision.pareto import ParetoFront
    from cic.decision.quantile import Factors as LatencyIntervals
    from cic.decision.stored_graph import StoredGraph
    from cic.decision.throughput import Throughput


class SplittingModel:
    """What `compile` makes and a device loads.

    Everything in its table is an attribute, too: name, cuts, break_points, best_between, box, default_rtt_s,
    default_downlink_ratio, information and proof; `CutTable` says what they are.

    table: all that `decide` needs.
    graph: a function that gives the ops, tensors and cuts in full; called only when they are asked for.
    stored_codecs: a function that gives the contents that codecs are made from (`cic.decision.stored_codecs`), by their
        SHA-256; called only when they are asked for.

    Raises:
        ArtifactError: `table` is no table.
    """

    def __init__(
        self,
        table: CutTable,
        graph: Callable[[], StoredGraph],
        stored_codecs: Callable[[], Mapping[str, bytes]] = dict,
    ) -> None:
        if not isinstance(table, CutTable):
            raise ArtifactError(f"the table is {shown(table)}; a CutTable is expected")
        self.table = table
        self.graph = graph
        # Plain attributes, since a property would take a tenth of a look-up.
        self.name, self.cuts, self.box = table.name, table.cuts, table.box
        self.break_points, self.best_between = table.break_points, table.best_between
        self.default_rtt_s, self.default_downlink_ratio = table.default_rtt_s, table.default_downlink_ratio
        self.information, self.proof = table.information, table.proof
        # Of cuts that differ only in their codecs the first: head and tail are the same.
        self.cut_by_id: dict[str, Cut] = {}
        for cut in self.cuts:
            self.cut_by_id.setdefault(cut.id, cut)
        # The edges of the range are break points too, with no cut beyond them; NaN ends up beyond the last one.
        slowest, fastest = table.box.uplink_bps
        self._best = [None, *(self.cuts[index] for index in self.best_between), None]
        self._points = [slowest, *self.break_points, just_above(fastest)]
        self._rows = rows_to_search(table.searched)
        self._off_table: OffTable | None = None
        self._read_stored = stored_codecs
        self._stored: Mapping[str, bytes] | None = None

    def decide(
        self,
        bandwidth: float | str,
        rtt: float | str | None = None,
        downlink: float | str | None = None,
        device_slowdown: float | None = None,
        server_slowdown: float | None = None,
        op_times: Mapping[str, tuple[float, float]] | None = None,
        among: Collection[str] | None = None,
        objective: Energy | Limited | Throughput | str | None = None,
        batch: int | None = None,
        quantile: float | None = None,
        intervals: LatencyIntervals | None = None,
    ) -> Decision:
        """The best cut right now.

        Args:
            bandwidth: uplink, a number of bit/s or a text such as "18.88Mbps".
            rtt: round trip, seconds or text; default: as compiled.
            downlink: like `bandwidth`; default: the uplink times the compiled ratio.
            device_slowdown, server_slowdown: factors on the profiled op times.
            op_times: seconds (device, server) of ops by name, where they differ from the profile.
            among: ids of the cuts there are to choose from, such as the emitted ones; None: all.
            objective: what is to be least, an `Energy`, which answers an `EnergyDecision`; or one with a limit, such as
                `energy.with_deadline("80ms")`, which answers a `LimitedDecision`; or "throughput", which answers a
                `ThroughputDecision`. None: latency.
            batch: how many are answered together, by a model that was compiled with an open batch; answers a `BatchDecision`.
                None: as many as in the example. `op_times` are those of the example's batch in any case.
            quantile, intervals: by the least time that this share of calls keeps (`cic.decision.quantile.QuantileDecision`).

        Raises:
            UnitError: a value cannot be understood (zero, negative, NaN, unknown unit).
            DecisionError: an op in `op_times` does not exist, or `among` names no cut of the table, or both are given, or a
                batch is given and shapes are fixed; or no cut keeps the limit of the objective.
        """
        if objective is not None or batch is not None or quantile is not None or intervals is not None:
            from cic.decision.other_questions import decide_otherwise

            conditions = self._conditions(bandwidth, rtt, downlink, device_slowdown, server_slowdown)
            solvers, chosen = (self.decide, self.solve_stages, self._solve_within), self._among(among)
            return decide_otherwise(
                *solvers, self.table, conditions, objective, batch, (quantile, intervals), op_times, among, chosen
            )
        if among is not None:
            conditions = self._conditions(bandwidth, rtt, downlink, device_slowdown, server_slowdown)
            return self._decide_among(conditions, op_times, among)
        if rtt is None and downlink is None and device_slowdown is None and server_slowdown is None and op_times is None:
            if type(bandwidth) is float:
                cut = self._best[bisect_right(self._points, bandwidth)]
                if cut is not None:
                    return Decision(cut, bandwidth, self.table)
        elif op_times is None and (
            type(bandwidth) is type(rtt) is type(downlink) is type(device_slowdown) is type(server_slowdown) is float
        ):
            # Plain numbers need no parsing; NaN fails every comparison of `covers`.
            numbers = (bandwidth, downlink, rtt, device_slowdown, server_slowdown)
            if self.box.covers(*numbers):
                return Decision(self.best_of_table(*numbers), numbers, self.table)
        conditions = self._conditions(bandwidth, rtt, downlink, device_slowdown, server_slowdown)
        if op_times is None and self.box.contains(conditions):
            return Decision(self.best_of_table(*conditions.numbers), conditions.numbers, self.table)
        return self._decide_off_table(conditions, op_times)

    def pareto(
        self,
        first: str = "latency",
        second: str = "energy",
        *,
        bandwidth: float | str,
        rtt: float | str | None = None,
        downlink: float | str | None = None,
        device_slowdown: float | None = None,
        server_slowdown: float | None = None,
        energy: Energy | None = None,
    ) -> ParetoFront:
        """The Pareto-optimal cuts by two of latency, energy, upload and server (see `cic.decision.pareto.SUMS`).

        Args:
            energy: what the device draws, where it is asked for. The others: as of `decide`.

        Raises:
            UnitError: as `decide`. DecisionError: there is no such sum, or no powers for it, or it is named twice.
        """
        from cic.decision.pareto import pareto_front

        conditions = self._conditions(bandwidth, rtt, downlink, device_slowdown, server_slowdown)
        return pareto_front(self.table, (first, second), conditions, energy)

    def costs(self, conditions: Conditions, among: Collection[str] | None = None) -> list[tuple[float, Cut]]:
        """Predicted end-to-end seconds of the cuts of the table with these ids (None: of all), the fastest first.

        Of equally fast ones the one with less on the device comes first, as in `best_of_table`.

        Raises:
            DecisionError: the table has no cut with such an id.
        """
        return sorted(((cut.latency_s(conditions), cut) for cut in self._among(among)), key=lambda costed: costed[0])

    @property
    def proved(self) -> bool:
        """Is every look-up inside the box optimal, up to `NEGLIGIBLE_GAP`? Not if it may lack a cut."""
        return self.table.proved

    @property
    def stored_codecs(self) -> Mapping[str, bytes]:
        """What codecs of its cuts are made from, by the SHA-256 of each content; empty where they need nothing.

        Raises:
            ArtifactError: a content is damaged, or missing though a cut has a codec made from it.
        """
        if self._stored is None:
            self._stored = self._read_stored()
        return self._stored

    def codec(self, name: str) -> Codec:
        """The codec of this name, such as `decision.codecs` has for each crossing tensor. Needs numpy.

        Raises:
            CodecError: there is no such codec, what it is made from is not stored here, or numpy is not installed.
            ArtifactError: as `stored_codecs`.
        """
        try:
            from cic.codec.registry import codec
        except ImportError as error:
            raise CodecError(f"codecs need the package {error.name}, which is not installed here: pip install numpy") from None
        return codec(name, self.stored_codecs)

    def default_conditions(self, uplink_bps: float) -> Conditions:
        """The conditions assumed when only the uplink is known."""
        return self.table.default_conditions(uplink_bps)

    def best_of_table(
        self, uplink_bps: float, downlink_bps: float, rtt_s: float, device_slowdown: float, server_slowdown: float
    ) -> Cut:
        """The fastest of the known cuts; of equally fast ones the one with less on the device."""
        rows, device_only, download_bits = self._rows
        # What every cut that offloads pays alike is weighed once, against the cut that does not.
        shared_s = rtt_s + download_bits / downlink_bps
        if device_only is None:
            best, lowest = self.cuts[0], float("inf")
        else:
            best, lowest = device_only, device_slowdown * device_only.row[0] - shared_s
        up = 1 / uplink_bps
        if rows and len(rows[0]) == 5:
            down = 1 / downlink_bps
            for device_s, server_s, upload_bits, extra_bits, cut in rows:
                latency = device_slowdown * device_s + server_slowdown * server_s + up * upload_bits + down * extra_bits
                if latency <= lowest:
                    lowest = latency
                    best = cut
            return best
        for device_s, server_s, upload_bits, cut in rows:
            latency = device_slowdown * device_s + server_slowdown * server_s + up * upload_bits
            if latency <= lowest:
                lowest = latency
                best = cut
        return best

    def save(self, path: str | PathLike[str]) -> None:
        """Write a `.cic` file, all or nothing: a temporary file beside it, then a rename.

        Raises:
            ArtifactError: the file cannot be written, or could not be loaded again.
        """
        check_writable(path)
        content = dumps(self)
        try:
            loads(content, "it").stored_codecs  # noqa: B018 - read, and so checked
        except ArtifactError as error:
            raise ArtifactError(f"{self.name!a} is not saved, since it could not be loaded again: {error}") from error
        write(path, content)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled as the content of its `.cic` file, which is checked again when it comes back."""
        return loads, (dumps(self), f"the pickled splitting model {self.name}")

    def _conditions(
        self,
        bandwidth: float | str,
        rtt: float | str | None,
        downlink: float | str | None,
        device_slowdown: float | None,
        server_slowdown: float | None,
    ) -> Conditions:
        uplink_bps = bits_per_second(bandwidth)
        return Conditions(
            uplink_bps,
            uplink_bps * self.default_downlink_ratio if downlink is None else bits_per_second(downlink, "downlink"),
            self.default_rtt_s if rtt is None else seconds(rtt, "rtt"),
            1.0 if device_slowdown is None else factor(device_slowdown, "device_slowdown"),
            1.0 if server_slowdown is None else factor(server_slowdown, "server_slowdown"),
        )

    def _among(self, ids: Collection[str] | None) -> Sequence[Cut]:
        """The cuts with these ids."""
        if ids is None:
            return self.cuts
        cuts = [] if isinstance(ids, str) else [cut for cut in self.cuts if cut.id in ids]
        if not cuts:
            raise DecisionError(
                f"among is {shown(ids)}; ids of cuts are expected, of which {self.name} has {shown(', '.join(self.cut_by_id))}"
            )
        return cuts

    def _decide_among(
        self, conditions: Conditions, op_times: Mapping[str, tuple[float, float]] | None, ids: Collection[str]
    ) -> Decision:
        """The fastest of the cuts with these ids: said to be optimal where it is as fast as what the whole table has."""
        if op_times is not None:
            raise DecisionError(
                "op_times and among are both given; other op times may make a cut best that is not in the table"
            )
        lowest, cut = self.costs(conditions, ids)[0]
        covered = self.box.contains(conditions)
        kind = Decision if covered and lowest <= self.costs(conditions)[0][0] else BestKnownDecision
        return kind(cut, conditions.numbers, self.table)

    def solve_stages(self, conditions: Conditions, op_times: Mapping[str, tuple[float, float]] | None) -> Cut | None:
        """The cut with the shortest interval of all (`cic.decision.throughput`); None where there is no solver to find it.

        Raises:
            DecisionError: there are op times and no solver, or they are none.
        """
        solver = self._solver(op_times)
        solved = None if solver is None else solver.solve_stages(conditions, op_times)
        return None if solved is None else solved.cut or self._cut_of(solved)

    def _solver(self, op_times: Mapping[str, tuple[float, float]] | None) -> OffTable | None:
        """None on a device without numpy and numba."""
        try:
            from cic.decision.off_table.solving import OffTable
        except ImportError:
            if op_times is not None:
                raise DecisionError(
                    "op_times needs the solver: pip install 'cic-compiler[solve]' on this device, or use device_slowdown"
                ) from None
            return None
        if self._off_table is None:
            self._off_table = OffTable(self.table, self.graph())
        return self._off_table

    def _decide_off_table(self, conditions: Conditions, op_times: Mapping[str, tuple[float, float]] | None) -> Decision:
        solver = self._solver(op_times)
        if solver is None:
            # It still gets the best known cut, and is told that it is only that.
            return BestKnownDecision(self.best_of_table(*conditions.numbers), conditions.numbers, self.table)
        solved = solver.solve(conditions, op_times)
        kind = SolvedDecision if solved.exact else RoundedDecision
        return kind(solved.cut or self._cut_of(solved), conditions.numbers, self.table)

    def _solve_within(
        self, objective: Limited, conditions: Conditions, known_cost: float | None
    ) -> tuple[Cut | None, float] | None:
        """The cheapest cut that keeps a limit, None if none does, and a lower bound; None if nothing is there to compute it."""
        try:
            from cic.decision.off_table.solving_within import solve_within

            solver = self._solver(None)
            found = None if solver is None else solve_within(solver, objective, conditions, known_cost)
        except ImportError:  # of scipy
            return None
        if found is None:
            return None
        solved = found.solved
        return None if solved is None else solved.cut or self._cut_of(solved), found.at_least

    def _cut_of(self, solved: Solved) -> Cut:
        """A cut that is not in the table."""
        return Cut(solved.cut_id, solved.features, lambda: self.graph().names(solved.device_ops), solved.codecs)

    def __repr__(self) -> str:
        return f"SplittingModel({self.name!r}, {len(self.cuts)} cuts, {len(self.break_points)} break points)"


def load(path: str | PathLike[str]) -> SplittingModel:
    """Read a `.cic` file.

    Raises:
        ArtifactError: missing, damaged, foreign or of another version; says which.
    """
    return _made_of(read(path))


def loads(content: bytes, where: str = "splitting model") -> SplittingModel:
    """A splitting model from the bytes of a `.cic` file; `where` names it in errors.

    Raises:
        ArtifactError: as in `load`.
    """
    return _made_of(unpack(content, where))


def dumps(model: SplittingModel) -> bytes:
    """A splitting model as the bytes of a `.cic` file."""
    from cic.decision.stored_codecs import stored_document

    stored = stored_document(model.stored_codecs)
    return pack(model.name, table_document(model.table), model.graph(), stored, model.information.made)


def _made_of(lines: Lines) -> SplittingModel:
    """The graph and the stored codecs are parsed and checked when they are asked for, which deciding does not."""
    parsed_graph: list[StoredGraph] = []

    def graph() -> StoredGraph:
        if not parsed_graph:
            from cic.decision.graph_document import read_graph

            document = parsed(lines.graph, lines.where, PARTS[1])
            codecs = [cut.codecs for cut in table.cuts]
            parsed_graph.append(read_graph(document, table.information.ops, codecs, lines.where))
        return parsed_graph[0]

    def stored_codecs() -> Mapping[str, bytes]:
        from cic.decision.stored_codecs import read_stored

        return read_stored(parsed(lines.stored(), lines.where, PARTS[2]), table.cuts, lines.where)

    document = parsed(lines.table, lines.where, PARTS[0])
    try:
        table = read_table(document, graph, lines.made)
    except CicError as error:
        raise ArtifactError(f"{lines.where}: {error}") from error
    except ValueError as error:
        raise ArtifactError(f"{lines.where}: the table is not as CIC writes it: {error}; compile again") from error
    return SplittingModel(table, graph, stored_codecs)
