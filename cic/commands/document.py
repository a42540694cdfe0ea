"""`cic show --json`: a splitting model as plain JSON from which any solver can recompute the optimum."""

from __future__ import annotations

from cic.decision.frozen import plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from cic.decision.cut import Cut
    from cic.decision.splitting_model import SplittingModel
    from cic.decision.stored_graph import StoredGraph, StoredOp, StoredTensor

INPUT, OUTPUT = "@input", "@output"
SIDES = (None, "device", "server")
"""By the number that the graph of a `.cic` file keeps for a pin."""

BOX = ("uplink_bps", "downlink_ratio", "rtt_s", "device_slowdown", "server_slowdown")
NS_PER_S = 10**9

COST = (
    "latency_s = device_slowdown * device_s + server_slowdown * server_s + 8 * upload_bytes / uplink_bps "
    "+ 8 * download_bytes / downlink_bps + offloads * rtt_s, where device_s and server_s sum over the ops on either side; "
    "upload_bytes sums wire_bytes, once each, over tensors with a consumer among the server's ops whose producer is on the "
    'device or "@input", all of which must have may_cross; download_bytes sums wire_bytes of tensors with the consumer '
    '"@output" that an op on the server produces; offloads is 1 if any op is on the server; '
    'every producer of an op on the device is on the device or is "@input", and pinned ops are on their side. '
    "downlink_bps is downlink_ratio * uplink_bps unless known. A tensor that lists codecs crosses under one of them: its "
    "wire_bytes are then that codec's, its encode_s counts as device_s and its decode_s as server_s; download_bytes stay "
    "plain. Each set in forbidden names (tensor, codec) pairs of one alternative: a choice of codecs is allowed if it uses no "
    "pair of at least one of these sets, or if there are none."
)


def solver_document(model: SplittingModel) -> dict[str, Any]:
    """Ops, tensors, cuts, break points, defaults, box and the cost function in words.

    Times are seconds, the stored whole nanoseconds divided by 10⁹.
    """
    graph = model.graph()
    return {
        "name": model.name,
        "cost": COST,
        "ops": [_op(op) for op in graph.ops],
        "tensors": [_tensor(tensor, graph) for tensor in graph.tensors],
        "cuts": [_cut(cut) for cut in model.cuts],
        "forbidden": _forbidden(graph),
        "break_points": [
            {"uplink_bps": point, "below": model.cuts[below].label, "above": model.cuts[above].label}
            for point, below, above in zip(model.break_points, model.best_between, model.best_between[1:], strict=False)
        ],
        "defaults": {"rtt_s": model.default_rtt_s, "downlink_ratio": model.default_downlink_ratio},
        "box": {name: list(getattr(model.box, name)) for name in BOX},
        "information": plain(model.information.fields()),
        "proof": plain(model.proof),
        **({} if model.table.few is None else {"few": plain(model.table.few)}),
        "calibration": plain(graph.calibration),
    }


def _op(op: StoredOp) -> dict[str, Any]:
    return {
        "name": op.name,
        "kinds": list(op.kinds),
        "device_s": op.device_ns / NS_PER_S,
        "server_s": op.server_ns / NS_PER_S,
        "pinned": SIDES[op.pinned],
    }


def _tensor(tensor: StoredTensor, graph: StoredGraph) -> dict[str, Any]:
    return {
        "name": tensor.name,
        "producer": INPUT if tensor.producer < 0 else graph.ops[tensor.producer].name,
        "consumers": [graph.ops[op].name for op in tensor.consumers] + [OUTPUT] * tensor.is_output,
        "wire_bytes": tensor.wire_bytes,
        "codecs": [
            {
                "codec": form.codec,
                "wire_bytes": form.wire_bytes,
                "encode_s": form.encode_ns / NS_PER_S,
                "decode_s": form.decode_ns / NS_PER_S,
            }
            for form in tensor.forms
        ],
        "may_cross": tensor.may_cross,
        "dtype": tensor.dtype,
        "shape": list(tensor.shape),
    }


def _cut(cut: Cut) -> dict[str, Any]:
    return {
        "id": cut.id,
        "device_ops": list(cut.device_ops),
        "crossing": list(cut.crossing),
        "codecs": cut.codec_of,
        "accuracy": cut.accuracy,
        "features": {
            "device_s": cut.device_ns / NS_PER_S,
            "server_s": cut.server_ns / NS_PER_S,
            "upload_bytes": cut.upload_bytes,
            "download_bytes": cut.download_bytes,
            "offloads": cut.offloads,
        },
    }


def _forbidden(graph: StoredGraph) -> list[list[list[str]]]:
    """The alternatives of `cic.precision.target_search` by name."""
    read = graph.read
    return [[[read[tensor].name, read[tensor].codecs[form]] for tensor, form in forbidden] for forbidden in graph.alternatives]
