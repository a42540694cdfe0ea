"""Capacities from op times, bytes and prices in one pass: `mincut.network.price` without numpy's many passes.

Closed file: no call leaves it, because a cached numba kernel does not notice a change in a callee elsewhere.
"""

from __future__ import annotations

import numpy as np
from numba import njit

# The same as in `mincut.problem`, which a cached kernel would not see change (a test compares them).
LARGEST_AMOUNT, LARGEST_COST = 2**48, 2**60
ON_DEVICE, ON_SERVER = 1, 2
INFINITE, NOTHING = -1, -2
FITS, BAD_DEVICE, BAD_SERVER, BAD_WIRE, TOO_DEAR = 0, 1, 2, 3, 4
LARGEST_SUM = 2**62
# Rows of the arrays that `mincut.prepared` lays out once: an array costs as much to pass as some ten ops to price.
DOWNLOAD_BYTES, PINNED, FEASIBLE = 0, 1, 2
DEVICE_NS, SERVER_NS, TENSOR, CROSSES = 0, 1, 2, 3
NODE, BY = 0, 1


@njit(cache=True)
def _split_sum(amounts, chosen):  # type: ignore[no-untyped-def]
    """Sums of the chosen and of all amounts; the second is -1 if an amount or the sum is out of range."""
    inside = 0
    everything = 0
    for index in range(len(amounts)):
        amount = amounts[index]
        # Below 2^62 + 2^48 here, so the sum cannot wrap before it is found too large.
        if amount < 0 or amount >= LARGEST_AMOUNT or everything >= LARGEST_SUM:
            return 0, -1
        everything += amount
        if chosen[index]:
            inside += amount
    return (inside, everything) if everything < LARGEST_SUM else (0, -1)


@njit(cache=True)
def _capped(amount, unit, most, limit):  # type: ignore[no-untyped-def]
    """min(amount * unit, limit) for most = limit // unit (any, if unit is 0), never forming a product that wraps."""
    return amount * unit if amount <= most else limit


@njit(cache=True)
def _most(unit, limit):  # type: ignore[no-untyped-def]
    return limit // unit if unit > 0 else LARGEST_SUM


@njit(cache=True)
def _known_cost(device, server, upload, download, offloads, prices):  # type: ignore[no-untyped-def]
    """Cost of a placement with these features, or LARGEST_COST if it is that or more."""
    cost = _capped(device, prices[0], _most(prices[0], LARGEST_COST), LARGEST_COST)
    cost += _capped(server, prices[1], _most(prices[1], LARGEST_COST), LARGEST_COST)
    cost += _capped(upload, prices[2], _most(prices[2], LARGEST_COST), LARGEST_COST)
    # At most 3 * 2^60 so far, 5 * 2^60 in the end.
    cost += _capped(download, prices[3], _most(prices[3], LARGEST_COST), LARGEST_COST)
    cost += _capped(offloads, prices[4], _most(prices[4], LARGEST_COST), LARGEST_COST)
    return min(cost, LARGEST_COST)


@njit(cache=True)
def run(device_ns, server_ns, wire_bytes, ops, codecs, arc_tensor, fed, prices, capacity, terminal):  # type: ignore[no-untyped-def]
    """Fill in `capacity` and `terminal`.

    Args:
        device_ns, server_ns: int64[n]. wire_bytes: int64[K], of each codec of each tensor; see `mincut.codecs.Codecs`.
        ops: int64[3, n], for each op DOWNLOAD_BYTES, PINNED, and FEASIBLE: is it on the device in a placement that is allowed?
        codecs: int64[4, K], for each codec DEVICE_NS, SERVER_NS, its TENSOR (ascending, each at least once), and CROSSES: does
            its tensor cross in that placement, under this codec?
        arc_tensor: int64[A]; the tensor whose crossing an arc costs, INFINITE or NOTHING.
        fed: int64[2, *]; the NODE that the source feeds, and BY which tensor (or INFINITE).
        prices: five int64 (device, server, upload, download, offload), each in 0..2^61.
        capacity: int64[A], terminal: int64[N]; overwritten. The last node is the offload node.

    Returns:
        (FITS or what is wrong, the constant paid in every cut).
    """
    device_inside, device_all = _split_sum(device_ns, ops[FEASIBLE])
    if device_all < 0:
        return BAD_DEVICE, 0
    server_inside, server_all = _split_sum(server_ns, ops[FEASIBLE])
    if server_all < 0:
        return BAD_SERVER, 0
    upload, wire_all = _split_sum(wire_bytes, codecs[CROSSES])
    if wire_all < 0:
        return BAD_WIRE, 0
    encoding = 0
    decoding = 0
    for codec in range(len(wire_bytes)):
        if codecs[CROSSES, codec]:
            encoding += codecs[DEVICE_NS, codec]
            decoding += codecs[SERVER_NS, codec]
    download = 0
    offloads = 0
    may_stay = True
    for op in range(len(device_ns)):
        if not ops[FEASIBLE, op]:
            download += ops[DOWNLOAD_BYTES, op]
            offloads = 1
        if ops[PINNED, op] == ON_SERVER:
            may_stay = False
    known = _known_cost(device_inside + encoding, server_all - server_inside + decoding, upload, download, offloads, prices)
    if may_stay:
        known = min(known, _known_cost(device_all, 0, 0, 0, 0, prices))
    if known >= LARGEST_COST:
        return TOO_DEAR, 0
    limit = known + 1
    most_device = _most(prices[0], limit)
    most_server = _most(prices[1], limit)
    most_upload = _most(prices[2], limit)
    most_download = _most(prices[3], limit)

    crossing = np.full(codecs[TENSOR, -1] + 1 if len(wire_bytes) else 0, limit, np.int64)
    for codec in range(len(wire_bytes)):
        # Each term is at most limit <= 2^60, so the sum fits.
        cost = _capped(wire_bytes[codec], prices[2], most_upload, limit)
        cost += _capped(codecs[DEVICE_NS, codec], prices[0], most_device, limit)
        cost += _capped(codecs[SERVER_NS, codec], prices[1], most_server, limit)
        tensor = codecs[TENSOR, codec]
        crossing[tensor] = min(crossing[tensor], cost)
    for arc in range(len(arc_tensor)):
        tensor = arc_tensor[arc]
        if tensor >= 0:
            capacity[arc] = crossing[tensor]
        else:
            capacity[arc] = limit if tensor == INFINITE else 0
    for node in range(len(terminal)):
        terminal[node] = 0
    for index in range(fed.shape[1]):
        node = fed[NODE, index]
        tensor = fed[BY, index]
        amount = limit
        if tensor >= 0:
            amount = crossing[tensor]
        terminal[node] = min(terminal[node] + amount, limit)
    constant = 0
    for op in range(len(device_ns)):
        # Each term is at most limit <= 2^60, so the sum fits.
        from_source = terminal[op] + _capped(server_ns[op], prices[1], most_server, limit)
        from_source += _capped(ops[DOWNLOAD_BYTES, op], prices[3], most_download, limit)
        to_sink = _capped(device_ns[op], prices[0], most_device, limit)
        pinned = ops[PINNED, op]
        if pinned == ON_DEVICE or from_source > limit:
            from_source = limit
        if pinned == ON_SERVER:
            to_sink = limit
        # Paid in every cut, so its sum stays below `limit`.
        constant += min(from_source, to_sink)
        terminal[op] = from_source - to_sink
    if len(device_ns):
        terminal[-1] = min(prices[4], limit)
    return FITS, constant
