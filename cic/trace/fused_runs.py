"""Fuse: an op and the elementwise ops through which alone its result is read become one run, as the runtime runs them.

Rule. Op `v` has exactly one result `t`, which is no model output. `W` are elementwise ops that read nothing but `t` and each
other's results (weights and constants aside) and have one result each; all their readers, and those of `t`, are in `W`, but
for the last one's result `u`, which has at most as many bytes as `t` and as each value within; `u` may cross if one of
these may. Then `v` and `W` merge. Applied along chains this gives runs such as convolution + batch norm + activation, also
where the activation is written out, as `x * sigmoid(x)`, and convolution + quantisation.

Why no cut worth having is lost. Merging forbids only the sets S that hold `v` but not all of `W`. Every op of `W` leads to
the last one, since only `u` is read outside; so the last one is not in S, and on the way to it some value, `t` or one made
in `W`, goes from S to an op outside: it crosses. Let S' = S + W. It is closed under predecessors, since `W` reads only `t`,
whose producer `v` is in S, and itself. Wire: in S' no value of the run crosses but `u`, if anyone on the server reads it;
nothing else changes. `u` has at most as many bytes as the value that crossed and may be sent wherever that may, so S' sends
at most as much; if `u` is a model output, S' downloads less, too. Time: S' moves ops of `W` to the device. A run is priced
as one, measured with `W` executed inside the loop that writes `v`'s result, so within the run `W` has no price of its own:
under fused pricing the device time of {v} without `W` is the time of {v} + W, as is the server time that S would have to
add for running `W` alone a pass over memory. Hence T(S') ≤ T(S) for every bandwidth, and S need not be offered. (With
per-op prices this would be the rule *expand*, which needs d(w) compared with the wire; fuse holds because the price is the
run's.)

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
    " bitwise_and bitwise_or bitwise_xor to _to_copy type_as quantize_linear dequantize_linear"
)
ELEMENTWISE_KINDS = frozenset(_ELEMENTWISE.split())
# Activations written out take at most six ops (GELU by tanh); the bound keeps the search short in large graphs.
LARGEST_REGION = 12


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
        run = [op]
        while followers := _followers(wiring, readers, run[-1]):
            run += followers
        runs.append(run)
        run_of.update(dict.fromkeys(run, run))
    return tuple(map(tuple, runs))


def _followers(wiring: Wiring, readers: dict[int, list[int]], op: int) -> list[int]:
    """Return the ops that merge into the run that ends with `op`: as few as the rule allows, none if it allows none."""
    if len(wiring.makes[op]) != 1:
        return []
    last = wiring.makes[op][0]
    within, waiting = [last], set[int]()
    region: list[int] = []
    while len(region) < LARGEST_REGION and not wiring.is_output[last]:
        waiting.update(readers.get(last, ()))
        ready = [reader for reader in waiting if set(wiring.reads[reader]) <= set(within)]
        if not ready or not _is_elementwise(wiring, min(ready)):
            return []
        waiting.remove(min(ready))
        region.append(min(ready))
        last = wiring.makes[min(ready)][0]
        if not waiting:
            return region if _may_stand_for(wiring, last, within) else []
        within.append(last)
    return []


def _is_elementwise(wiring: Wiring, op: int) -> bool:
    return len(wiring.makes[op]) == 1 and all(kind in ELEMENTWISE_KINDS for kind in wiring.kinds[op])


def _may_stand_for(wiring: Wiring, result: int, within: list[int]) -> bool:
    """Tell whether `result` is no larger than any of the values `within` and may cross if one of them may."""
    small = all(wiring.size_bytes[result] <= wiring.size_bytes[value] for value in within)
    return small and (wiring.may_cross[result] or not any(wiring.may_cross[value] for value in within))
