"""A process that holds a core most of the time, in turns of a millisecond: all else there runs as on a slower one.

    python -m benchmarks.testbed.brake CORE SHARE

A quota of a control group has slots of 1 ms at least. What needs a little more than a slot waits for the next one, and a group
that was idle has up to a period to its credit: under a fifth of a core the same network took 43 ms after a pause of the link
and 55 ms after none. The brake knows no credit: it holds the core until its part of the time since it began was held. Runs of 2
to 40 ms of processor time, after pauses of 0 to 50 ms, all took the same multiple within 2 %.
"""

from __future__ import annotations

import os
import sys
from time import perf_counter, sleep

TURN_S = 0.001
"""Of holding the core and letting go of it; waking takes a little longer."""
# A turn has two changes of process, in which the core computes nothing; so much is lost to the others here.
_CHANGES_S = 16e-6
# So much is made up for at most, after a pause of the whole machine, say.
_MOST_BEHIND_S = 0.01


def main() -> None:
    """Ends when it is killed, or whoever started it is gone."""
    core, share = int(sys.argv[1]), float(sys.argv[2])
    os.sched_setaffinity(0, {core})
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(2))
    began_s, held_s = perf_counter(), 0.0
    while os.getppid() != 1:
        entered_s = now_s = perf_counter()
        if (1 - share) * (entered_s - began_s) - held_s > _MOST_BEHIND_S:
            began_s, held_s = entered_s, 0.0
        while held_s + now_s - entered_s < (1 - share) * (now_s - began_s):
            now_s = perf_counter()
        held_s += now_s - entered_s + _CHANGES_S
        sleep(TURN_S * share)


if __name__ == "__main__":
    main()
