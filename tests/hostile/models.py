"""Small models that are hard to cut: each is split exactly, or refused by an error that names what stands in the way."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations

Body = Callable[..., Any]


@dataclass(frozen=True)
class Hostile:
    """make: returns model, args, kwargs. refusal: a phrase of the TraceError, or "" if the model must be split.

    stays: kinds of the ops whose results must not be sent. file_format: what the halves are saved as.
    """

    name: str
    make: Callable[[], tuple[nn.Module, Sequence[Any], Mapping[str, Any]]]
    refusal: str = ""
    stays: frozenset[str] = frozenset()
    file_format: str = "torchscript"


HOSTILE: dict[str, Hostile] = {}


class Hosted(nn.Module):
    """A few layers and buffers around a function that misuses them."""

    def __init__(self, body: Body) -> None:
        super().__init__()
        self.linear, self.other = nn.Linear(6, 6), nn.Linear(6, 6)
        self.norm = nn.BatchNorm1d(6)
        self.words = nn.Embedding(10, 6)
        self.register_buffer("table", torch.randn(4, 6))
        self.plain = torch.randn(6)  # neither parameter nor buffer
        self.body, self.calls, self.last = body, 0, None

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.body(self, *args, **kwargs)


def hostile(
    refusal: str = "", stays: Sequence[str] = (), file_format: str = "torchscript", **kwargs: Any
) -> Callable[[Body], Body]:
    """Register a function as the body of a hostile model that takes one tensor (4, 6), or `args`, and `kwargs`."""

    def register(body: Body) -> Body:
        def make() -> tuple[nn.Module, Sequence[Any], Mapping[str, Any]]:
            given = {key: value() if callable(value) else value for key, value in kwargs.items()}
            args = given.pop("args", (torch.randn(4, 6),))
            return Hosted(body), args, given

        HOSTILE[body.__name__] = Hostile(body.__name__, make, refusal, frozenset(stays), file_format)
        return body

    return register


def whole_model(refusal: str = "") -> Callable[[Any], Any]:
    """Register a function that makes the model and its arguments itself."""

    def register(make: Any) -> Any:
        HOSTILE[make.__name__] = Hostile(make.__name__, lambda: (*make(), {}), refusal)
        return make

    return register


# --------------------------------------------------------------------------------------------------- aliases and writes


@hostile()
def alias_across_the_cut(m: Hosted, x: Tensor) -> Any:
    y = m.linear(x)
    view = y[:, 1:3]
    return m.other(y.relu()).sum(1) + view.sum(1), view


@hostile()
def in_place_after_the_cut(m: Hosted, x: Tensor) -> Any:
    y = m.linear(x)
    view = y.view(-1)
    z = m.other(y)
    y.mul_(2)
    return view.sum() + z


@hostile()
def in_place_on_a_slice(m: Hosted, x: Tensor) -> Any:
    y = m.linear(x)
    y[:, ::2] += 1
    y[1:3] = m.other(y)[:2]
    return y, y[0]


@hostile()
def index_put(m: Hosted, x: Tensor) -> Any:
    y = m.linear(x)
    before = y.sum(0)
    y[torch.tensor([0, 2, 0])] = m.plain
    y[y > 1] = 0.5
    y.index_put_((torch.tensor([1, 1]),), before, accumulate=True)
    return m.other(y)


@hostile()
def cumulative_loop_in_place(m: Hosted, x: Tensor) -> Any:
    out = torch.zeros(3, *x.shape)
    state = x.clone()
    for step in range(3):
        state += torch.tanh(m.linear(state))
        out[step] = state
    return out.mean(0), state


@hostile()
def two_halves_write_each_other(m: Hosted, x: Tensor) -> Any:
    left, right = m.linear(x).chunk(2, 1)
    left += right
    right.mul_(left)
    return torch.cat([right, left], 1)


@hostile()
def swapped_through_a_buffer(m: Hosted, x: Tensor) -> Any:
    a, b = m.linear(x), m.other(x)
    a, b = a.copy_(b), b.copy_(a)
    return a, b


@hostile()
def written_through_detach(m: Hosted, x: Tensor) -> Any:
    y = m.linear(x)
    y.detach().add_(1)
    return m.other(y)


@hostile()
def written_through_data(m: Hosted, x: Tensor) -> Any:
    y = m.linear(x)
    y.data.mul_(2)
    return m.other(y)


@hostile()
def read_through_data(m: Hosted, x: Tensor) -> Any:
    y = m.linear(x)
    return m.other(y) + y.data * 2


@hostile()
def transposed_in_place(m: Hosted, x: Tensor) -> Any:
    y = m.linear(x)
    z = y.unsqueeze(0).squeeze_()
    y.t_().add_(1)
    return y, z, y.transpose_(0, 1)


@hostile()
def list_of_tensors_written_at_once(m: Hosted, x: Tensor) -> Any:
    a, b = m.linear(x), m.other(x)
    torch._foreach_mul_([a, b], 0.5)
    torch._foreach_add_([b], [a])
    return a * b


@hostile()
def out_argument(m: Hosted, x: Tensor) -> Any:
    y = torch.empty(4, 6)
    torch.matmul(x, m.linear.weight, out=y)
    return torch.add(y, 1, out=y), m.other(y)


@hostile("changes the model input 'input_0' in place")
def input_changed(m: Hosted, x: Tensor) -> Any:
    x.relu_()
    return m.linear(x)


@hostile("changes the model input 'input_0' in place")
def input_changed_through_a_view(m: Hosted, x: Tensor) -> Any:
    row = x.t()[0].view(2, 2)
    row[1] = 5
    return m.linear(x)


@hostile("changes the model input 'input_0' in place, as unsqueeze_ and t_ do")
def input_reshaped(m: Hosted, x: Tensor) -> Any:
    return m.linear(x.unsqueeze_(0))


@hostile("changes the parameter or buffer 'table' in place")
def buffer_updated(m: Hosted, x: Tensor) -> Any:
    m.table.mul_(0.9).add_(x)
    return m.linear(m.table)


@hostile("changes the parameter or buffer 'linear.weight' in place")
def weight_updated(m: Hosted, x: Tensor) -> Any:
    with torch.no_grad():
        m.linear.weight[0] += 1
    return m.linear(x)


# --------------------------------------------------------------------------------------------- values, sizes, randomness


@hostile(r"control flow that depends on tensor values cannot be split; use torch\.where")
def control_flow_on_values(m: Hosted, x: Tensor) -> Any:
    if m.linear(x).sum() > 0:
        return m.other(x)
    return x


@hostile("cannot be traced")
def loop_of_unknown_length(m: Hosted, x: Tensor) -> Any:
    for _ in range(int(x.abs().sum())):
        x = m.linear(x)
    return x


@hostile()
def size_across_the_cut(m: Hosted, x: Tensor) -> Any:
    count, width = x.size(0), x.shape[-1]
    y = m.linear(x).relu()
    return (y / count).view(count, -1), torch.arange(width) * y.shape[0], y.new_full((count,), width)


@hostile(stays=["item"])
def item_across_the_cut(m: Hosted, x: Tensor) -> Any:
    scale = x.abs().max().item()
    return m.other(m.linear(x) / scale) * scale


@hostile(stays=["item"])
def numbers_from_data(m: Hosted, x: Tensor) -> Any:
    first, *_, last = x[0].tolist()
    y = m.linear(x).clamp(max=x.mean().item()) * first
    row = y[0]
    y.mul_(last)
    return row + 1, m.other(y), torch.full((3,), (x > 0.3).sum().item())


@hostile(stays=["nonzero", "sym_size", "index", "mul", "cumsum", "arange"])
def count_of_rows(m: Hosted, x: Tensor) -> Any:
    rows = m.other(x)[x[:, 0] > 0.1]
    flat = rows.reshape(rows.shape[0] * 6).cumsum(0)
    return m.linear(x) * (x > 0.5).nonzero().shape[0], flat.sum() + torch.arange(rows.shape[0]).sum()


@hostile("the model's output cannot be kept")
def number_from_data_returned(m: Hosted, x: Tensor) -> Any:
    return m.linear(x), x.sum().item()


@hostile(stays=["index"])
def nonzero_inside(m: Hosted, x: Tensor) -> Any:
    return m.other(m.linear(x)[x[:, 0] > 0].sum(0))


@hostile("gives an output whose size depends on the data and has no known limit")
def size_from_data_returned(m: Hosted, x: Tensor) -> Any:
    return m.linear(x).repeat_interleave(x[:, 0].abs().ceil().long(), 0)


@hostile("draws random numbers")
def noise(m: Hosted, x: Tensor) -> Any:
    return m.linear(x) + torch.randn_like(x)


@hostile("draws random numbers")
def dropout_left_on(m: Hosted, x: Tensor) -> Any:
    return F.dropout(m.linear(x), 0.5, training=True)


@hostile("disagree: .* keeps state between calls")
def counter_of_calls(m: Hosted, x: Tensor) -> Any:
    m.calls += 1
    return m.linear(x) * m.calls


@hostile("cannot be kept: who is ")
def object_returned(m: Hosted, x: Tensor) -> Any:
    return {"x": m.linear(x), "who": object()}


@hostile("cannot be traced")
def through_numpy(m: Hosted, x: Tensor) -> Any:
    return torch.from_numpy(m.linear(x).numpy() * 2)


@hostile("returns no tensor")
def nothing_returned(m: Hosted, x: Tensor) -> Any:
    m.linear(x)


@hostile(stays=["to_sparse"])
def sparse_between(m: Hosted, x: Tensor) -> Any:
    return torch.sparse.mm(m.linear(x).to_sparse(), m.other.weight)


@hostile("output 0 is a sparse_coo tensor, which cannot be sent")
def sparse_returned(m: Hosted, x: Tensor) -> Any:
    return m.linear(x).to_sparse()


@hostile(file_format="exported_program")
def branch_kept_whole(m: Hosted, x: Tensor) -> Any:
    return torch.cond(x.sum() > 0, lambda y: y + 1, lambda y: y - 1, (m.linear(x),)) * 2


# ----------------------------------------------------------------------------------------------- containers, inputs, outputs


@dataclass
class Answer:
    """What some models return."""

    scores: Tensor
    hidden: list[Tensor] = field(default_factory=list)
    loss: Tensor | None = None


class Pair(NamedTuple):
    first: Tensor
    second: Tensor


@hostile(
    args=lambda: ([{"a": (torch.randn(4, 6), None)}, {"b": (torch.randn(6), 2.0)}],),
    extra={"n": None, "list": [], "word": "relu"},
)
def list_dict_none(m: Hosted, nested: Any, *, extra: Any) -> Any:
    (x, nothing), (bias, factor) = nested[0]["a"], nested[1]["b"]
    assert nothing is None and extra["n"] is None
    y = getattr(torch, extra["word"])(m.linear(x) + bias) * factor
    return [{"y": (y, None, {"deep": [y.sum(), [m.other(y)]]})}, None, 3, "text"]


@hostile(args=lambda: (torch.randn(4, 6), None, torch.randn(4, 6)), mask=lambda: torch.rand(4, 6) > 0.5, states=None, scale=0.5)
def kwargs_and_none(m: Hosted, x: Tensor, memory: Any, other: Tensor, *, mask: Tensor, states: Any, scale: float) -> Any:
    y = m.linear(x) * scale + (0 if memory is None else memory)
    return OrderedDict(y=y.masked_fill(mask, 0), states=states, z=m.other(y) + other)


@hostile()
def dataclass_output(m: Hosted, x: Tensor) -> Any:
    y = m.linear(x)
    return Answer(scores=m.other(y), hidden=[x, y])


@hostile()
def namedtuple_output(m: Hosted, x: Tensor) -> Any:
    y = m.linear(x)
    return Pair(second=y, first=m.other(y))


@hostile()
def output_is_an_input(m: Hosted, x: Tensor) -> Any:
    return x, m.linear(x), x.t()


@whole_model()
def output_is_the_input() -> Any:
    return nn.Identity(), (torch.randn(4, 6),)


@hostile(args=lambda: (torch.randn(4, 6), torch.randn(3)))
def inputs_only_swapped(m: Hosted, a: Tensor, b: Tensor) -> Any:
    return b, a


@hostile()
def same_tensor_returned_twice(m: Hosted, x: Tensor) -> Any:
    y = m.linear(x)
    z = m.other(y)
    return y, z, {"again": y, "view": z[:2], "once more": z}


@hostile(args=lambda: (torch.randn(4, 6),) * 2)
def same_tensor_given_twice(m: Hosted, a: Tensor, b: Tensor) -> Any:
    return m.linear(a) + m.other(b)


@hostile(args=lambda: (torch.randn(4, 6), torch.randn(7)), unused=lambda: torch.ones(2))
def unused_inputs(m: Hosted, x: Tensor, never: Tensor, *, unused: Tensor) -> Any:
    return m.linear(x)


@hostile()
def dead_branch(m: Hosted, x: Tensor) -> Any:
    y = m.linear(x)
    m.other(y).relu().topk(2)
    if x.shape[0] > 100:
        return m.norm(y)
    return y * 2


@hostile()
def constants_returned(m: Hosted, x: Tensor) -> Any:
    return m.table, torch.ones(2, 3), m.linear(x), torch.arange(x.shape[0]), m.plain * 2


@hostile()
def only_constants_returned(m: Hosted, x: Tensor) -> Any:
    return m.table * 2


@hostile()
def non_contiguous_outputs(m: Hosted, x: Tensor) -> Any:
    y = m.linear(x)
    return y.t(), y[:, ::2], y.unsqueeze(0).expand(3, -1, -1), y.flip(0).permute(1, 0)


@whole_model()
def no_arguments_but_a_list() -> Any:
    return Hosted(lambda m, xs: [m.linear(x) for x in xs]), ([torch.randn(2, 6), torch.randn(3, 6), torch.randn(6)],)


# ------------------------------------------------------------------------------------------------------- types and shapes


@hostile(stays=["complex", "mul", "fft_rfft"])
def complex_between(m: Hosted, x: Tensor) -> Any:
    turned = torch.complex(m.linear(x), x)
    return (turned * turned).abs(), torch.fft.rfft(x).real


@hostile(stays=["mul", "conj"], args=lambda: (torch.randn(4, 6, dtype=torch.complex64),))
def complex_in_and_out(m: Hosted, x: Tensor) -> Any:
    return x * x.conj(), m.linear(x.real)


@hostile(stays=["view_as_complex", "mul"])
def pairs_seen_as_complex(m: Hosted, x: Tensor) -> Any:
    return torch.view_as_real(torch.view_as_complex(x.reshape(4, 3, 2)) * (1 + 2j)).flatten(1) + m.plain


@hostile(stays=["complex", "conj"])
def conjugate_returned(m: Hosted, x: Tensor) -> Any:
    turned = torch.complex(m.linear(x), x).conj()
    return turned, turned.imag, m.other(turned.imag)


@hostile(args=lambda: (torch.randint(0, 9, (4, 6)).to(torch.uint16), torch.randint(-9, 9, (4, 6), dtype=torch.int8)))
def narrow_whole_numbers(m: Hosted, x: Tensor, y: Tensor) -> Any:
    return m.linear(x.float()), (m.other(y.float()) > 0, y + 1)


@hostile()
def eight_bit_floats(m: Hosted, x: Tensor) -> Any:
    return (x * 2).to(torch.float8_e4m3fn), m.linear(x.to(torch.float8_e5m2).float())


@hostile(args=lambda: (torch.randn(0, 6), torch.randn(4, 6)))
def empty_tensors(m: Hosted, nothing: Tensor, x: Tensor) -> Any:
    y = torch.cat([m.linear(nothing), m.other(x)])
    return y, y[:0], nothing.sum(), m.linear(nothing)


@hostile(args=lambda: (torch.tensor(0.7), torch.tensor(3)))
def zero_dimensional(m: Hosted, scale: Tensor, power: Tensor) -> Any:
    y = scale * m.plain.sum()
    return y, (m.table * y).sum() ** power, power + 1


@hostile()
def mixed_types(m: Hosted, x: Tensor) -> Any:
    y = m.linear(x)
    return y.double().cumsum(0), y.half(), (y * 10).to(torch.int32) // 3, (y > 0).sum(1), y.to(torch.uint8)


@hostile()
def seen_as_another_type(m: Hosted, x: Tensor) -> Any:
    bits = (x * 2 + m.plain).view(torch.int32)  # no sums, whose last bit depends on the memory order
    return (bits & 0x7FFFFFFF).view(torch.float32), bits


@hostile()
def autocast_region(m: Hosted, x: Tensor) -> Any:
    y = m.linear(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        z = m.other(y)
    return m.linear(z.float())


@whole_model()
def half_weights() -> Any:
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 6)).half(), (torch.randn(4, 6).half(),)


@whole_model()
def bfloat16_weights() -> Any:
    return Hosted(lambda m, x: m.other(m.linear(x.bfloat16())).float() + x).bfloat16(), (torch.randn(4, 6),)


@whole_model()
def channels_last_weights() -> Any:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.Flatten(2))
    return model.to(memory_format=torch.channels_last), (torch.randn(1, 3, 8, 8).to(memory_format=torch.channels_last),)


@hostile()
def expanded_views(m: Hosted, x: Tensor) -> Any:
    wide = m.linear(x).mean(1, keepdim=True).expand(4, 6)
    return m.other(wide) + wide, wide.unsqueeze(1).expand(-1, 3, -1).reshape(4, -1)


@hostile()
def strided_by_hand(m: Hosted, x: Tensor) -> Any:
    y = m.linear(x.t().contiguous().t())
    return torch.as_strided(y, (3, 4), (5, 1), 2) + 1, y.unfold(1, 3, 2).sum(-1)


@hostile(args=lambda: (torch.randn(6, 4).t(), torch.randn(3, 5).expand(2, 3, 5)[:, ::2]))
def inputs_that_are_views(m: Hosted, x: Tensor, wide: Tensor) -> Any:
    y = m.linear(x.data.mul(2))
    y.data.mul_(0.5)
    return y.diagonal() + 1, torch.as_strided(y + x, (2, 2), (1, 1)), wide.reshape(-1, 5).sum(1)


@whole_model()
def viewed_as_channels_last() -> Any:
    picture = torch.randn(2, 3, 4, 4).to(memory_format=torch.channels_last)
    return Hosted(lambda m, x: m.linear(x.permute(0, 2, 3, 1).view(-1, 6)) + m.plain), (picture,)


@hostile(args=lambda: (torch.randn(6, 4).t(),))
def order_of_the_input_asked(m: Hosted, x: Tensor) -> Any:
    y = m.linear(x) if x.is_contiguous() else m.other(x) * 2
    return torch.as_strided(x, (3, 2), (2, 1)) + 1, y.reshape(-1)[::5]


@hostile()
def view_of_a_buffer(m: Hosted, x: Tensor) -> Any:
    return m.linear(x) + m.table[:, 0:1], m.table.t(), m.other(x) @ m.table.t()


# ---------------------------------------------------------------------------------------- several results, whole numbers


@hostile()
def chunks(m: Hosted, x: Tensor) -> Any:
    a, b, c = m.linear(x).chunk(3, 1)
    d, *_, e = m.other(x).split([1, 2, 3], 1)
    return a * b + c, d, e.unbind(1)[2]


@hostile()
def sorted_and_looked_up(m: Hosted, x: Tensor) -> Any:
    values, order = m.linear(x).sort(dim=1, stable=True)
    best, places = values.topk(3, dim=1)
    return m.other(x).gather(1, order), places, best, x[order[0] % 4]


@hostile()
def masks(m: Hosted, x: Tensor) -> Any:
    mask = m.linear(x) > 0
    y = m.other(x).masked_fill(~mask, -1)
    return torch.where(mask & (y < 1), y, 0.5), mask.any(1), mask


@hostile(args=lambda: (torch.randint(0, 10, (2, 5)),))
def embedding_of_whole_numbers(m: Hosted, ids: Tensor) -> Any:
    return m.linear(m.words(ids)), F.one_hot(ids, 10).sum(1), ids


# ---------------------------------------------------------------------------------------------------- weights and modules


@hostile(args=lambda: (torch.randint(0, 10, (2, 5)),))
def tied_weights(m: Hosted, ids: Tensor) -> Any:
    return m.linear(m.words(ids)) @ m.words.weight.t()


@hostile()
def module_called_twice(m: Hosted, x: Tensor) -> Any:
    return m.linear(m.linear(x).relu())


@whole_model()
def shared_block_with_batch_norm() -> Any:
    block = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU(inplace=True))
    return nn.Sequential(OrderedDict(a=block, pool=nn.MaxPool2d(2), b=block, c=block)).train(), (torch.randn(2, 3, 8, 8),)


@whole_model()
def dropout_in_train_mode() -> Any:
    return nn.Sequential(nn.Linear(6, 6), nn.Dropout(0.5), nn.AlphaDropout(0.3), nn.Linear(6, 3)).train(), (torch.randn(4, 6),)


@whole_model()
def offsets_that_must_be_sorted() -> Any:
    return nn.EmbeddingBag(10, 6), (torch.randint(0, 10, (7,)), torch.tensor([0, 2, 5]))


@whole_model("disagree: .*torch.nn.TransformerEncoder with a padding mask")
def fast_path_of_padded_batches() -> Any:
    encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2)
    padded = torch.tensor([[False, False, True], [False, False, False]])
    model = Hosted(lambda m, x, padded: m.encoder(x, src_key_padding_mask=padded))
    model.encoder = encoder
    return model, (torch.randn(2, 3, 8), padded)


# torch 2.9 does not let torch.export look into what torch.compile has wrapped; 2.13 does.
@whole_model("" if torch.__version__ >= "2.13" else "cannot be traced")
def compiled_and_parallel_parts() -> Any:
    parts = torch.compile(nn.Linear(6, 6)), nn.ReLU(), nn.DataParallel(nn.Linear(6, 6))
    return nn.Sequential(*parts), (torch.randn(4, 6),)


@whole_model()
def recurrent_with_state() -> Any:
    return nn.LSTM(6, 5, num_layers=2, dropout=0.4), (torch.randn(3, 2, 6), (torch.randn(2, 2, 5), torch.randn(2, 2, 5)))


@hostile()
def modes_inside(m: Hosted, x: Tensor) -> Any:
    with torch.no_grad():
        y = m.linear(x)
    with torch.enable_grad():
        y = m.other(y)
    with torch.autocast("cpu", enabled=False), torch.inference_mode(False):
        return y + m.linear(y)


@hostile()
def scalars_and_functionals(m: Hosted, x: Tensor) -> Any:
    y = F.hardtanh(m.linear(x), -0.5, 0.5) ** 2 - 3
    return 1 / (2 + y.abs()), F.leaky_relu(1 - y, 0.2), torch.lerp(y, x, 0.25), y.add(x, alpha=3)


@whole_model()
def hooks_and_parametrizations() -> Any:
    model = nn.Sequential(parametrizations.weight_norm(nn.Linear(6, 6)), nn.Tanh(), nn.Linear(6, 3))
    model[0].register_forward_hook(lambda module, args, output: output * 2)
    model[2].register_forward_pre_hook(lambda module, args: (args[0] + 1,))
    return model, (torch.randn(4, 6),)


class Doubled(torch.autograd.Function):
    """An operator of the model's own, with a gradient of its own."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x * 2

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient


@hostile()
def own_autograd_function(m: Hosted, x: Tensor) -> Any:
    return m.other(Doubled.apply(m.linear(x)))


@hostile()
def value_remembered(m: Hosted, x: Tensor) -> Any:
    m.last = x.shape
    return m.linear(x)
