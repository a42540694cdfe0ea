"""One table serves every batch: which conditions at the compiled batch order all cuts as the given ones do at another batch.

A model that is compiled with an open batch has amounts that all grow in proportion with it: tracing at two batches shows
that every tensor does, and refuses by name one that does not (`cic.trace.open_batch`). Of op times it is an assumption, since
they are known at the compiled batch alone; one large batch often takes a machine less than so many small ones. So it is of
payloads under codecs that squeeze without loss, and of the time of packing them.

Let a cut have device time D, server time S, bits U up and W down, and o = 1 if it offloads, at the compiled batch b0. At the
batch b = r b0 it has r D, r S, r U and r W, and still pays one round trip. Under conditions c with slowdowns d and s,
uplink u, downlink w and round trip t it takes

    d r D + s r S + r U / u + r W / w + o t  =  r (d D + s S + U / u + W / w + o t / r),

which is r times what it takes at b0 under the *equivalent conditions*: c with the round trip divided by r. A factor that is
the same for all cuts changes no order of them. So a cut that is best of all closed sets at b0 under the equivalent conditions,
as a look-up in the box proves, is so at b under c. The same holds for joules, in which a power stands before each term.

Where the equivalent conditions lie outside the box, to multiply all five weights by one number changes no order either; with a
number that leads into the box, if there is one, the table still answers (`cic.decision.equivalent`). QED

A fixed part that does not grow with the batch would make the order of cuts at b another one than at b0 under any conditions.
That is why such a model is refused, rather than decided for by a rule of thumb.

Standard library only.
"""

from __future__ import annotations

from cic.decision.conditions import Box, Conditions
from cic.decision.cut_table import LARGEST_BATCH
from cic.decision.units import shown
from cic.errors import DecisionError


def ratio_of(batch: int, compiled: int | None, name: str) -> float:
    """How many times the compiled batch this one is.

    Raises:
        DecisionError: it is no batch, or the model was compiled with fixed shapes.
    """
    if type(batch) is not int or not 0 < batch <= LARGEST_BATCH:
        raise DecisionError(f"the batch is {shown(batch)}; give a whole number from 1 to {LARGEST_BATCH}")
    if compiled is None:
        raise DecisionError(
            f"batch is {batch}, and {name} was compiled with fixed shapes; compile it with an open batch,"
            ' dynamic={"x": {0: "batch"}} for the input x'
        )
    return batch / compiled


def per_compiled_batch(conditions: Conditions, ratio: float) -> Conditions:
    """The equivalent conditions: those under which the compiled batch takes 1 / ratio of what the batch takes."""
    uplink_bps, downlink_bps, rtt_s, device, server = conditions.numbers
    return Conditions(uplink_bps, downlink_bps, rtt_s / ratio, device, server)


def moved_into(box: Box, conditions: Conditions) -> Conditions:
    """Conditions that order all cuts alike, in the box if any such are."""
    if box.contains(conditions):
        return conditions
    from cic.decision.equivalent import SECONDS, equivalent

    return equivalent(SECONDS, conditions, box)
