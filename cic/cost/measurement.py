"""How the times of a profile were taken: the clock, the statistic, repetitions, spread, and what the machine withheld."""

from __future__ import annotations

from dataclasses import dataclass

from cic.cost.timing import LOW_QUANTILE, MEAN, Pace, Timing

ELAPSED = "elapsed"
# Processor time of all threads over that of the one that runs.
SEVERAL_THREADS = 1.2


@dataclass(frozen=True, slots=True)
class Measurement:
    """How a profile was measured.

    clock: "elapsed", time on the wall. statistic: "median", "low quantile" or "mean", as `cic.cost.timing` chose.
    repetitions: timed samples of the whole model; op_repetitions: of each op alone.
    whole_low_s, whole_median_s, whole_mean_s: of the whole model's samples; spread: their inter-quartile range over the median.
    elapsed_s: of all timed runs together; processor_s: of the thread that ran them. They are equal on a quiet machine.
    quota: processors that control groups allow, None if no limit is known. throttled: share of the quota's periods in which
    the process was stopped.
    warning: what a reader of the times should know; empty on a quiet machine.
    """

    clock: str
    statistic: str
    repetitions: int
    op_repetitions: int
    whole_low_s: float
    whole_median_s: float
    whole_mean_s: float
    spread: float
    elapsed_s: float
    processor_s: float
    quota: float | None
    throttled: float
    warning: str


def describe_measurement(pace: Pace, whole: Timing, op_repetitions: int, quota: float | None) -> Measurement:
    """pace: of all that was timed. whole: samples of the whole model. quota: processors allowed."""
    return Measurement(
        clock=ELAPSED,
        statistic=pace.statistic,
        repetitions=len(whole.elapsed_s),
        op_repetitions=op_repetitions,
        whole_low_s=whole.low_s,
        whole_median_s=whole.median_s,
        whole_mean_s=whole.mean_s,
        spread=whole.spread,
        elapsed_s=pace.elapsed_s,
        processor_s=pace.thread_s,
        quota=quota,
        throttled=pace.throttled,
        warning=_warning(pace, quota),
    )


def _warning(pace: Pace, quota: float | None) -> str:
    ratio = f"elapsed time was {pace.elapsed_s / max(pace.thread_s, 1e-9):.2f} times processor time"
    if pace.statistic == MEAN:
        limit = "a quota" if quota is None else f"a quota of {quota:.2f} processors"
        told = (
            f"{ratio}: {limit} stopped this process in {pace.throttled:.0%} of its periods. The times are means under that "
            "quota, as runs take that follow each other. Profile again if the model will run under another quota"
        )
        if pace.process_s < SEVERAL_THREADS * pace.thread_s:
            return told
        return (
            f"{told}. Its threads spend the quota also while they wait for each other, as long as it happens to take, so times "
            "of parts may be off by a tenth, of small ones by more: one thread is steadier, and faster where the quota is low"
        )
    if pace.statistic == LOW_QUANTILE:
        return (
            f"{ratio}, though no quota is known that stopped this process: the machine was busy with other work, or something "
            "that cannot be seen from here holds it back. The times are low quantiles, as a quiet machine takes; they may "
            "still be too long, or too short if this machine is never quiet. Profile again when it is"
        )
    return ""
