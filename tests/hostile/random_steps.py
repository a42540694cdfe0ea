"""The steps random modules are made of: each takes values, appends new ones, or writes to one in place.

A step looks at shapes and types only, never at numbers, and does nothing if no value fits it.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

Step = Callable[[Any, random.Random, list[Tensor]], None]
_LIMIT = 4096  # elements, so that expansions do not multiply


def may_be_written(value: Tensor) -> bool:
    """Tell whether torch lets one write to a value: no element of it stands twice in memory."""
    return value.numel() > 0 and all(stride > 0 or size == 1 for stride, size in zip(value.stride(), value.shape, strict=True))


def _is_float(value: Tensor) -> bool:
    return value.is_floating_point()


def _pick(dice: random.Random, values: list[Tensor], fits: Callable[[Tensor], bool]) -> Tensor | None:
    """Return one fitting value, recent ones rather than old ones."""
    fitting = [value for value in values if fits(value)]
    recent = fitting[-4:] if dice.random() < 0.7 else fitting
    return dice.choice(recent) if recent else None


def _keep(values: list[Tensor], *made: Tensor) -> None:
    values += [value for value in made if 0 < value.numel() <= _LIMIT and value.dim() <= 5]


def _broadcasts(a: Tensor, b: Tensor) -> bool:
    return all(m in (n, 1) or n == 1 for m, n in zip(a.shape[::-1], b.shape[::-1], strict=False))


# ------------------------------------------------------------------------------------------------------------ new values

_UNARY: list[Callable[[Tensor], Tensor]] = [
    lambda t: t.tanh(),
    lambda t: t.sigmoid(),
    lambda t: t.relu(),
    lambda t: t * 0.5 + 1,
    lambda t: t.abs().sqrt(),
    F.gelu,
    lambda t: t.clamp(-1, 1),
    lambda t: F.dropout(t, 0.5, training=False),
    lambda t: t.double(),
    lambda t: t.float(),
    lambda t: t.clone(),
    lambda t: t * t.shape[0],
    lambda t: torch.zeros_like(t) + t,
    lambda t: t.new_ones(t.shape) * t,
]
_REDUCED: list[Callable[[Tensor], Any]] = [
    lambda t: t.mean(-1, keepdim=True),
    lambda t: t.sum(),
    lambda t: t.amax(0),
    lambda t: t.cumsum(-1),
    lambda t: t.softmax(-1),
    lambda t: t.sort(-1),
    lambda t: t.max(0),
    lambda t: t.topk(1, dim=-1),
    lambda t: torch.var_mean(t, dim=-1, correction=0),
    lambda t: (t.argmax(-1), t.amin(-1)),
    lambda t: t.float().norm(dim=0),
]
_BINARY: list[Callable[[Tensor, Tensor], Tensor]] = [
    lambda a, b: a + b,
    lambda a, b: a * b,
    torch.maximum,
    lambda a, b: torch.where(b > 0, a, a * 0.5),
    lambda a, b: a > b,
    lambda a, b: torch.addcmul(a, b, b, value=0.5),
    lambda a, b: torch.cat([a.flatten(), b.flatten()]),
]


def unary(module: Any, dice: random.Random, values: list[Tensor]) -> None:
    value = _pick(dice, values, _is_float)
    if value is not None:
        _keep(values, dice.choice(_UNARY)(value))


def reduced(module: Any, dice: random.Random, values: list[Tensor]) -> None:
    value = _pick(dice, values, lambda t: _is_float(t) and t.dim() > 0)
    if value is not None:
        made = dice.choice(_REDUCED)(value)
        _keep(values, *([made] if isinstance(made, Tensor) else made))


def binary(module: Any, dice: random.Random, values: list[Tensor]) -> None:
    left = _pick(dice, values, _is_float)
    right = _pick(dice, values, lambda t: left is not None and t.dtype == left.dtype and _broadcasts(left, t))
    if left is not None and right is not None:
        _keep(values, dice.choice(_BINARY)(left, right))


def promoted(module: Any, dice: random.Random, values: list[Tensor]) -> None:
    left = _pick(dice, values, lambda t: True)
    right = _pick(dice, values, lambda t: left is not None and _broadcasts(left, t))
    if left is not None and right is not None:
        _keep(values, left * right)


def layers(module: Any, dice: random.Random, values: list[Tensor]) -> None:
    value = _pick(dice, values, lambda t: t.dtype == torch.float32 and t.dim() in (2, 3) and t.shape[-1] == 6)
    if value is None:
        return
    chosen = dice.choice(["layer", "tied", "norm", "twice", "conv", "batch_norm", "attention"])
    if chosen == "twice":
        _keep(values, module.layer(module.layer(value).relu_()))
    elif chosen == "conv":
        _keep(values, module.conv(value.reshape(-1, 1, 6)))
    elif chosen == "batch_norm":
        _keep(values, module.batch_norm(value.reshape(-1, 6)))
    elif chosen == "attention":
        _keep(values, F.scaled_dot_product_attention(value, value, value))
    else:
        _keep(values, getattr(module, chosen)(value))


def looked_up(module: Any, dice: random.Random, values: list[Tensor]) -> None:
    places = _pick(dice, values, lambda t: t.dtype == torch.int64 and t.dim() <= 2)
    rows = _pick(dice, values, lambda t: _is_float(t) and t.dim() > 0)
    if places is None or rows is None:
        return
    valid = places.clamp(0, 3)
    if dice.random() < 0.5:
        _keep(values, module.table(valid))
    else:
        _keep(values, rows[places.remainder(rows.shape[0])])


def whole_numbers(module: Any, dice: random.Random, values: list[Tensor]) -> None:
    value = _pick(dice, values, lambda t: t.dtype == torch.int64)
    if value is not None:
        made = [value + 1, value * 2 - 1, value.bool(), value.float(), value.int(), value > value.max() - 1]
        _keep(values, dice.choice(made))


def truths(module: Any, dice: random.Random, values: list[Tensor]) -> None:
    truth = _pick(dice, values, lambda t: t.dtype == torch.bool)
    value = _pick(dice, values, lambda t: truth is not None and _is_float(t) and _broadcasts(t, truth))
    if truth is not None and value is not None:
        chosen = dice.choice([torch.where(truth, value, 0.25), value.masked_fill(truth, 2.0), truth & truth.any(), ~truth])
        _keep(values, chosen)


def narrower(module: Any, dice: random.Random, values: list[Tensor]) -> None:
    value = _pick(dice, values, _is_float)
    if value is not None and dice.random() < 0.3:
        _keep(values, value.to(dice.choice([torch.float16, torch.bfloat16])) * 0.5)


def complex_numbers(module: Any, dice: random.Random, values: list[Tensor]) -> None:
    value = _pick(dice, values, lambda t: t.dtype == torch.float32)
    if value is not None and dice.random() < 0.4:
        turned = torch.complex(value, value.tanh())
        _keep(values, (turned * turned).real if dice.random() < 0.5 else turned.imag, torch.view_as_real(turned))


# ----------------------------------------------------------------------------------------------------------------- views

_VIEWS: list[Callable[[Tensor], Any]] = [
    lambda t: t.transpose(0, -1),
    lambda t: t.reshape(-1),
    lambda t: t.reshape(t.shape[0], -1),
    lambda t: t[0],
    lambda t: t[1:],
    lambda t: t[..., ::2],
    lambda t: t[..., -1],
    lambda t: t.unsqueeze(0),
    lambda t: t.unsqueeze(1).expand(-1, 3, *(-1,) * (t.dim() - 1)),
    lambda t: t.detach(),
    lambda t: t.contiguous(),
    lambda t: t.chunk(2),
    lambda t: t.split(1)[-1],
    lambda t: t.unbind(0)[:2],
    lambda t: t.flatten(),
    lambda t: t.narrow(0, 0, 1),
    lambda t: t.squeeze(),
    lambda t: t.movedim(0, -1),
    lambda t: t.diagonal() if t.dim() > 1 else t,
    lambda t: t.unfold(0, 1, 1),
    lambda t: t.flip(0),
    lambda t: t.repeat(2, *(1,) * (t.dim() - 1)),
    lambda t: t.permute(*reversed(range(t.dim()))),
    lambda t: t.contiguous().view(torch.int32).view(torch.float32) if t.dtype == torch.float32 else t,
    lambda t: torch.as_strided(t.contiguous(), (2, 2), (1, 1)) if t.numel() > 3 else t,
]


def viewed(module: Any, dice: random.Random, values: list[Tensor]) -> None:
    value = _pick(dice, values, lambda t: t.dim() > 0)
    if value is not None:
        made = dice.choice(_VIEWS)(value)
        _keep(values, *([made] if isinstance(made, Tensor) else made))


# ---------------------------------------------------------------------------------------------------------------- writes

_WRITES: list[Callable[[Tensor, Tensor], object]] = [
    lambda t, s: t.add_(s),
    lambda t, s: t.mul_(0.5),
    lambda t, s: t.relu_(),
    lambda t, s: t.copy_(s),
    lambda t, s: t.fill_(2.0),
    lambda t, s: t.data.mul_(0.5),
    lambda t, s: t.zero_(),
    lambda t, s: t.copy_(s.expand(t.shape).double()),
    lambda t, s: t.t_().sub_(1) if t.dim() == 2 else t.squeeze_(),
    lambda t, s: t.lerp_(torch.ones_like(t), 0.5),
    lambda t, s: t.addcmul_(t.clone(), s, value=2),
    lambda t, s: t.scatter_(0, torch.zeros_like(t, dtype=torch.int64)[:1], 0.125),
    lambda t, s: torch.nn.functional.leaky_relu(t, 0.1, inplace=True),
    lambda t, s: t.clamp_(min=0),
    lambda t, s: t.select(0, 0).sub_(s),
    lambda t, s: t[..., ::2].mul_(3),
    lambda t, s: t[1:].copy_(t[:-1].clone()),
    lambda t, s: t.masked_fill_(t > 0.5, 0.25),
    lambda t, s: t.index_fill_(0, torch.tensor([0]), 1.5),
    lambda t, s: t.__setitem__(0, s),
    lambda t, s: t.__setitem__(t > 1, 0.75),
    lambda t, s: t.__setitem__((..., slice(0, 1)), 0.5),
    lambda t, s: t.unsqueeze_(0),
    lambda t, s: t.transpose_(0, -1),
    lambda t, s: t.cumsum_(-1),
    lambda t, s: t.detach().add_(1),
    lambda t, s: t.view(-1).mul_(2) if t.is_contiguous() else t.neg_(),
    lambda t, s: torch.add(t, 1, out=t),
    lambda t, s: t.index_put_((torch.tensor([0, 0]),), s, accumulate=True),
    lambda t, s: t.index_add_(0, torch.tensor([0]), t[:1].clone()),
    lambda t, s: t.__iadd__(s.expand(t.shape)),
    lambda t, s: [row.add_(index) for index, row in enumerate(t.unbind(0))],
    lambda t, s: torch._foreach_mul_([t], 0.5),
]


def write(module: Any, dice: random.Random, values: list[Tensor]) -> None:
    target = _pick(dice, values, lambda t: _is_float(t) and 0 < t.dim() < 5 and may_be_written(t) and not _overlaps(t))
    if target is not None:
        number = _pick(dice, values, lambda t: t.dtype == target.dtype)
        assert number is not None
        dice.choice(_WRITES)(target, number.float().mean().to(target.dtype))


def write_number(module: Any, dice: random.Random, values: list[Tensor]) -> None:
    target = _pick(dice, values, lambda t: t.dtype == torch.int64 and t.dim() > 0 and may_be_written(t) and not _overlaps(t))
    if target is not None:
        dice.choice([lambda t: t.add_(1), lambda t: t.clamp_(0, 3), lambda t: t[:1].mul_(2)])(target)


def _overlaps(value: Tensor) -> bool:
    """Tell whether two places of a value may be one place in memory (as_strided, unfold)."""
    reach = 0
    for stride, size in sorted(zip(value.stride(), value.shape, strict=True)):
        if size > 1 and stride <= reach:
            return True
        reach += stride * (size - 1)
    return False


STEPS: dict[str, Step] = {
    "unary": unary,
    "reduced": reduced,
    "binary": binary,
    "promoted": promoted,
    "layers": layers,
    "looked_up": looked_up,
    "whole_numbers": whole_numbers,
    "truths": truths,
    "narrower": narrower,
    "complex_numbers": complex_numbers,
    "viewed": viewed,
    "viewed_again": viewed,
    "write": write,
    "write_again": write,
    "write_number": write_number,
}
