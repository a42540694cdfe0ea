"""How far a splitting model is off by a session's records: intervals for decisions by a quantile. Standard library only.

The score of a record is measured latency / the latency that the model predicts for the cut and the conditions of the record;
those of the device alone are kept apart. The factor of a quantile q is the ceil((n + 1) q)-th smallest of n such scores, as in
`cic.session.intervals`, and holds as said there if the next inference may be exchanged with the recorded ones: for conditions
that are known as well as the session knew them (`Session.conditions`), and a link that behaves as it did.
"""

from __future__ import annotations

from math import inf
from pathlib import Path

from cic.decision.arguments import check_model, check_path
from cic.decision.cut import DEVICE_ONLY, Cut
from cic.decision.splitting_model import SplittingModel
from cic.errors import InputError
from cic.session.intervals import Scores
from cic.session.record import Record
from cic.session.record_reading import read_records

_REMEMBERED = 4096
_SHORTEST_S = 1e-9


class LatencyIntervals:
    """By what factor an inference takes longer than a splitting model predicts, with a given probability.

        intervals = cic.LatencyIntervals.from_records("run.jsonl", splitting_model)
        decision = splitting_model.decide("20Mbps", quantile=0.95, intervals=intervals)
        print(decision.upper_s)

    device, server: ratios of measured to predicted latencies, of the device alone and of all others.
    """

    def __init__(self, device: Scores, server: Scores) -> None:
        self._device, self._server = device, server

    @classmethod
    def from_records(cls, path: str | Path, model: SplittingModel) -> LatencyIntervals:
        """From the last 4,096 records of each kind in a file that a session wrote.

        model: that the session had.

        Raises:
            InputError: the file cannot be read, a line is no record, or a record has a cut that the model has not.
            ArgumentError: these are no path and no splitting model.
        """
        check_path(path, "the file of records")
        check_model(model)
        intervals = cls(Scores(inf, (), _REMEMBERED), Scores(inf, (), _REMEMBERED))
        cuts = {(cut.id, cut.codecs): cut for cut in model.cuts}
        for number, record in enumerate(read_records(path)[0], 1):
            cut = cuts.get((record.cut_id, record.codecs))
            if cut is None:
                raise InputError(
                    f"{path}, record {number}: {model.name} has no cut {record.cut_id} with the codecs"
                    f" {', '.join(record.codecs) or 'of a session without any'}; give the splitting model of that session"
                )
            intervals._remember(cut, record)
        return intervals

    def factor(self, quantile: float, *, offloads: bool) -> float:
        """By this factor at most, with this probability; infinite where fewer were recorded than that needs."""
        score = (self._server if offloads else self._device).window(quantile)
        return inf if score is None else score

    def count(self, *, offloads: bool) -> int:
        """How many records there are of that kind."""
        return len(self._server if offloads else self._device)

    def _remember(self, cut: Cut, record: Record) -> None:
        predicted_s = max(cut.latency_s(record.conditions), _SHORTEST_S)
        scores = self._device if record.cut_id == DEVICE_ONLY else self._server
        scores.remember(record.measured.latency_s / predicted_s)
