"""Fuse: an op and the unary elementwise op that alone reads its result become one run, as the runtime runs them.

Rule. Op `v` has exactly one result `t`; `t` is no model output; its only reader is `w`; `w` is elementwise, reads nothing
but `t` (weights and constants aside) and has one result `u` with as many bytes as `t`; `u` may cross if `t` may. Then `v`
and `w` merge. Applied along chains this gives runs such as convolution + batch norm + activation.

Why no cut worth having is lost. Merging forbids only the sets S with `v` on the device and `w` on the server; in each of
them `t` crosses. Let S' = S + {w}. It is closed under predecessors, since `w` reads only `t`, whose producer `v` is in S.
Wire: in S' `t` no longer crosses (`w` was its only reader), instead `u` does, if anyone on the server reads it; nothing
else changes. bytes(u) = bytes(t) and `u` may be sent wherever `t` may, so S' sends at most as much; if `u` is a model
output, S' downloads less, too. Time: S' moves `w` to the device. A run is priced as one, measured with `w` executed
inside the loop that writes `v`'s result, so within the run `w` has no price of its own: under fused pricing the device
time of {v} without `w` is the time of {v, w}, as is the server time that S would have to add for running `w` alone a
pass over memory. Hence T(S') ≤ T(S) for every bandwidth, and S need not be offered. (With per-op prices this would be the
rule *expand*, which needs d(w) compared with the wire; fuse holds because the price is the run's.)

Plain data only: ops and tensors are numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

# Elementwise with one operand; with a constant second operand also the arithmetic ones. Whether a second operand is a
# constant shows in the wiring: an op that reads two tensors is not unary.
_ELEMENTWISE = (
    "batch_norm _native_batch_norm_legit_no_training native_batch_norm cudnn_batch_norm"
    " relu relu6 leaky_relu prelu rrelu elu selu celu gelu silu mish hardtanh hardswish hardsigmoid hardshrink softshrink"
    " tanhshrink threshold sigmoid tanh softplus softsign log_sigmoid logit"
    " dropout alpha_dropout feature_dropout native_dropout"
    " add sub rsub mul div true_divide addcmul addcdiv lerp pow square sqrt rsqrt exp expm1 log log1p log2 log10 sin cos tan"
    " sinh cosh asin acos atan erf erfc abs neg sign reciprocal floor ceil round trunc frac"
    " clamp clamp_min clamp_max clip maximum minimum fmod remainder"
    " masked_fill where nan_to_num eq ne lt le gt ge logical_not logical_and logical_or logical_xor bitwise_not"
    " bitwise_and bitwise_or bitwise_xor to _to_copy type_as"
)
ELEMENTWISE_KINDS = frozenset(_ELEMENTWISE.split())


@dataclass(frozen=True, slots=True)
class Wiring:
    """A graph by numbers; op `i` reads the tensors `reads[i]` and makes `makes[i]`, both by tensor number.

    kinds: what each op does, one or more kinds in order.
    size_bytes, is_output, may_cross: for each tensor its contiguous size, whether the model returns it, and whether it may
    be sent.
    """

    kinds: tuple[tuple[str, ...], ...]
    reads: tuple[tuple[int, ...], ...]
    makes: tuple[tuple[int, ...], ...]
    size_bytes: tuple[int, ...]
    is_output: tuple[bool, ...]
    may_cross: tuple[bool, ...]


def fused_runs(wiring: Wiring) -> tuple[tuple[int, ...], ...]:
    """Return every op in exactly one run; the ops of a run in order, the runs by their first op.

    A run can stand where its first op stood: its other ops read nothing from outside. Ops must be in topological order.
    """
    readers: dict[int, list[int]] = {}
    for op, tensors in enumerate(wiring.reads):
        for tensor in set(tensors):
            readers.setdefault(tensor, []).append(op)
    run_of: dict[int, list[int]] = {}
    runs: list[list[int]] = []
    for op in range(len(wiring.kinds)):
        if op in run_of:
            continue
        run, last = [op], op
        while (follower := _follower(wiring, readers, last)) is not None:
            run.append(follower)
            last = follower
        runs.append(run)
        run_of.update(dict.fromkeys(run, run))
    return tuple(map(tuple, runs))


def _follower(wiring: Wiring, readers: dict[int, list[int]], op: int) -> int | None:
    """Return the op that merges into `op`'s run, if there is one."""
    if len(wiring.makes[op]) != 1:
        return None
    made = wiring.makes[op][0]
    if wiring.is_output[made] or len(readers.get(made, ())) != 1:
        return None
    follower = readers[made][0]
    if wiring.reads[follower] != (made,) or len(wiring.makes[follower]) != 1:
        return None
    if not all(kind in ELEMENTWISE_KINDS for kind in wiring.kinds[follower]):
        return None
    result = wiring.makes[follower][0]
    if wiring.size_bytes[result] != wiring.size_bytes[made]:
        return None
    return follower if wiring.may_cross[result] or not wiring.may_cross[made] else None
