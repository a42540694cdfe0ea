"""Residual capacities raised under a flow when prices rise: what `benchmarks.decision.sweep` pushes on from.

Closed file: no call leaves it, because a cached numba kernel does not notice a change in a callee elsewhere.
"""

from __future__ import annotations

from numba import njit

# The same as in `mincut.problem`, which a cached kernel would not see change (a test compares them).
ON_DEVICE, ON_SERVER = 1, 2
INFINITE = -1
LARGEST_SUM = 2**62


@njit(cache=True)
def _capped(amount, unit, most, limit):  # type: ignore[no-untyped-def]
    """min(amount * unit, limit) for most = limit // unit (any, if unit is 0), never forming a product that wraps."""
    return amount * unit if amount <= most else limit


@njit(cache=True)
def _most(unit, limit):  # type: ignore[no-untyped-def]
    return limit // unit if unit > 0 else LARGEST_SUM


@njit(cache=True)
def grow(  # type: ignore[no-untyped-def]
    device_ns,
    server_ns,
    download_bytes,
    pinned,
    arc_tensor,
    crossing_before,
    crossing_after,
    source_before,
    source_after,
    fresh,
    before,
    after,
    limit,
    capacity,
    terminal,
):
    """Raise residual capacities from prices `before` to prices `after`, none of them lower, under whatever flow there is.

    Args:
        device_ns, server_ns, download_bytes: int64[n]; pinned: int8[n].
        arc_tensor: int64[A]; see `mincut.network.Network`.
        crossing_before, crossing_after: int64[m], what each tensor costs if it crosses; source_before, source_after: int64[N],
            what the model inputs fed to each node cost; at most `limit`, at either prices.
        fresh: are `capacity` and `terminal` all zero yet? Then what was before is not looked at.
        before, after: five int64 (device, server, upload, download, offload), each in 0..2^61.
        limit: finite infinity, the same for all prices that follow each other.
        capacity: int64[A], terminal: int64[N]; residual, changed in place. The last node is the offload node.

    Returns:
        What this adds to the part of the cost that flows from the source over one node to the sink.
    """
    for arc in range(len(arc_tensor)):
        tensor = arc_tensor[arc]
        if tensor >= 0:
            capacity[arc] += crossing_after[tensor]
            if not fresh:
                capacity[arc] -= crossing_before[tensor]
        elif tensor == INFINITE and fresh:
            capacity[arc] = limit
    device_before = _most(before[0], limit)
    device_after = _most(after[0], limit)
    server_before = _most(before[1], limit)
    server_after = _most(after[1], limit)
    download_before = _most(before[3], limit)
    download_after = _most(after[3], limit)
    ops = len(device_ns)
    constant = 0
    for node in range(len(terminal)):
        source_old = source_before[node]
        source_new = source_after[node]
        sink_old = 0
        sink_new = 0
        if node < ops:
            source_old += _capped(server_ns[node], before[1], server_before, limit)
            source_old += _capped(download_bytes[node], before[3], download_before, limit)
            source_new += _capped(server_ns[node], after[1], server_after, limit)
            source_new += _capped(download_bytes[node], after[3], download_after, limit)
            sink_old = _capped(device_ns[node], before[0], device_before, limit)
            sink_new = _capped(device_ns[node], after[0], device_after, limit)
            if pinned[node] == ON_DEVICE:
                source_old = source_new = limit
            elif pinned[node] == ON_SERVER:
                sink_old = sink_new = limit
        elif ops and node == len(terminal) - 1:
            source_old = before[4]
            source_new = after[4]
        source_more = min(source_new, limit)
        sink_more = sink_new
        if not fresh:
            source_more -= min(source_old, limit)
            sink_more -= sink_old
        rest = terminal[node]
        constant += min(max(rest, 0) + source_more, max(-rest, 0) + sink_more)
        terminal[node] = rest + source_more - sink_more
    return constant
