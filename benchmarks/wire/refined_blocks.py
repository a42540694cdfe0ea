"""Published blocks refined to ops: our trace of the same network, its op times adding up to each block's published times.

The ends of blocks are found in the trace by the size of what crosses there: they are places where a single tensor crosses, in
the same order, with as many ops between them as Keras has layers. Keras pads in layers of its own, torch within convolutions;
such a layer is put into the graph as an op. So every cut between published blocks is also a cut of the refined graph, at the
same cost, and the best cut of the refined graph can only be better. Within a block, times are shared out by the roofline that
was fitted to the same two machines.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate

from benchmarks.wire.forms import Form, Wire
from benchmarks.wire.published_blocks import FLOAT_BYTES, Network
from cic.cost.catalogue import machine
from cic.cost.roofline import predict
from cic.graph import Graph, Op
from mincut.problem import MODEL_INPUT, Problem, make_problem

DEVICE, SERVER = "raspberry-pi-4-tensorflow", "i7-6700k-tensorflow"

# The published networks that torchvision has, by both names.
TORCHVISION = {
    "vgg16": "vgg16",
    "vgg19": "vgg19",
    "resnet50": "resnet50",
    "resnet101": "resnet101",
    "resnet152": "resnet152",
    "inception_v3": "inception_v3",
    "mobilenetv2": "mobilenet_v2",
    "densenet121": "densenet121",
    "densenet169": "densenet169",
    "densenet201": "densenet201",
}
NS_PER_S = 1e9
# What rectifies, and what passes on what it is given.
RECTIFYING = {"relu", "relu_", "hardtanh", "hardtanh_", "relu6"}
PASSING = {"max_pool2d", "avg_pool2d", "adaptive_avg_pool2d", "cat", "dropout", "dropout_", "flatten", "view", "reshape"}
PADDING = "padding"


@dataclass(frozen=True)
class WireTensor:
    """What can cross.

    producer: op index, or -1 for the picture. readers: op indices. values: how many. rectified: whether many are 0 and none
    is negative. only_padded: the picture itself, with a border.
    """

    producer: int
    readers: tuple[int, ...]
    values: int
    rectified: bool
    only_padded: bool = False


@dataclass(frozen=True)
class RefinedNetwork:
    """A network as a graph of ops, and where the published blocks end in it.

    names, device_s, server_s: of each op, in an order in which every op follows those it reads.
    block_ends: for each published block but the last, the op after which it ends.
    """

    published: Network
    names: tuple[str, ...]
    device_s: tuple[float, ...]
    server_s: tuple[float, ...]
    tensors: tuple[WireTensor, ...]
    block_ends: tuple[int, ...]

    def problem(self, wire: Wire) -> Problem:
        """As a minimum cut problem; results are not downloaded, as in the published figures."""
        forms = [self.forms(tensor, wire) for tensor in self.tensors]
        return make_problem(
            [round(seconds * NS_PER_S) for seconds in self.device_s],
            [round(seconds * NS_PER_S) for seconds in self.server_s],
            [(tensor.producer, tensor.readers, 0) for tensor in self.tensors],
            may_cross=[wire.padding_counts or not tensor.only_padded for tensor in self.tensors],
            codecs=[
                [(form.bytes, round(form.device_s * NS_PER_S), round(form.server_s * NS_PER_S)) for form in options]
                for options in forms
            ],
        )

    def forms(self, tensor: WireTensor, wire: Wire) -> Sequence[Form]:
        """In which a tensor may cross; the picture crosses in its own."""
        if tensor.producer == MODEL_INPUT:
            return (Form(wire.picture_bytes(tensor.values)),)
        return wire.forms(tensor.values, tensor.rectified)

    @cached_property
    def computing_s(self) -> tuple[float, ...]:
        """Seconds of both machines when the first 0, 1, … all ops are on the device."""
        on_device = accumulate(self.device_s, initial=0.0)
        on_server = list(accumulate(reversed(self.server_s), initial=0.0))[::-1]
        return tuple(device + server for device, server in zip(on_device, on_server, strict=True))

    def crossing(self, position: int) -> list[WireTensor]:
        """What crosses when the first `position` ops, in the order they stand in, are on the device."""
        return [tensor for tensor in self.tensors if tensor.producer < position <= max(tensor.readers)]

    def published_with_kinds(self) -> Network:
        """The published network, with what the trace says of the tensors between its blocks."""
        before = [self.crossing(end + 1)[0].rectified for end in self.block_ends]
        blocks = [replace(block, rectified=known) for block, known in zip(self.published.blocks, before, strict=False)]
        return replace(self.published, blocks=(*blocks, self.published.blocks[-1]))

    @cached_property
    def chain(self) -> tuple[tuple[int, WireTensor], ...]:
        """The places where one tensor crosses, other than the picture: (ops up to there, that tensor)."""
        found = [(position, self.crossing(position)) for position in range(1, len(self.names))]
        return tuple((position, tensors[0]) for position, tensors in found if len(tensors) == 1 and tensors[0].producer >= 0)


def refine(published: Network, graph: Graph) -> RefinedNetwork:
    """The published network's blocks, refined.

    Args:
        graph: the trace for one picture; before fusion, or after it if Keras has activations inside convolutions (VGG).

    Raises:
        ValueError: published network and trace do not match.
    """
    ends = _block_ends(published, graph)
    order: list[Op | int] = []  # an op, or the number of a published block that only pads
    block_of: list[int] = []
    position = 0
    block_ends = []
    for index, end in enumerate(ends):
        if end is None:
            order.append(index)
            block_of.append(index)
        else:
            order += graph.ops[position : end + 1]
            block_of += [index] * (end + 1 - position)
            position = end + 1
        block_ends.append(len(order) - 1)
    device_s, server_s = _times(published, order, block_of)
    names = tuple(entry.name if isinstance(entry, Op) else f"{PADDING} {entry}" for entry in order)
    return RefinedNetwork(published, names, device_s, server_s, _tensors(published, graph, order), tuple(block_ends[:-1]))


def _times(published: Network, order: Sequence[Op | int], block_of: Sequence[int]) -> tuple[tuple[float, ...], ...]:
    """Each block's published seconds, shared out over its ops."""
    result = []
    for name, side in ((DEVICE, "device_s"), (SERVER, "server_s")):
        figures = machine(name)
        predicted = [predict(entry, figures) if isinstance(entry, Op) else 1.0 for entry in order]
        totals = [0.0] * len(published.blocks)
        for block, seconds in zip(block_of, predicted, strict=True):
            totals[block] += seconds
        published_s = [getattr(block, side) for block in published.blocks]
        result.append(tuple(s * published_s[b] / totals[b] for b, s in zip(block_of, predicted, strict=True)))
    return tuple(result)


def _tensors(published: Network, graph: Graph, order: Sequence[Op | int]) -> tuple[WireTensor, ...]:
    position = {entry.name: index for index, entry in enumerate(order) if isinstance(entry, Op)}
    rectified = rectified_tensors(graph)
    tensors = []
    for tensor in graph.tensors:
        if not tensor.consumers:
            continue
        producer = MODEL_INPUT if tensor.producer is None else position[tensor.producer]
        readers = tuple(sorted(position[name] for name in tensor.consumers))
        values = tensor.bytes // FLOAT_BYTES
        while isinstance(padding := order[producer + 1], int):
            tensors.append(_tensor(order, producer, (producer + 1,), values, rectified[tensor.name]))
            producer += 1
            values = published.blocks[padding].output_values
        tensors.append(_tensor(order, producer, readers, values, rectified[tensor.name]))
    return tuple(tensors)


def _tensor(order: Sequence[Op | int], producer: int, readers: tuple[int, ...], values: int, rectified: bool) -> WireTensor:
    only_padded = producer >= 0 and all(isinstance(entry, int) for entry in order[: producer + 1])
    return WireTensor(producer, readers, values, rectified, only_padded)


def rectified_tensors(graph: Graph) -> dict[str, bool]:
    """Of each tensor, whether it was rectified, perhaps before it was pooled or joined to others."""
    rectified = {tensor.name: False for tensor in graph.tensors}
    for op in graph.ops:
        kind = op.kinds[-1]
        passed_on = kind in PASSING and all(rectified[name] for name in op.inputs)
        for name in op.outputs:
            rectified[name] = kind in RECTIFYING or passed_on
    return rectified


def _block_ends(published: Network, graph: Graph) -> list[int | None]:
    """The op after which each published block ends, None for a block that only pads."""
    places = [(index, values) for index, values in _single_tensors(graph)]
    places.append((len(graph.ops) - 1, published.blocks[-1].output_values))
    # Keras counts its input as layer 0.
    layers = [block.last_layer - max(block.first_layer - 1, 0) for block in published.blocks]
    best: dict[int, tuple[float, tuple[int | None, ...]]] = {-1: (0.0, ())}  # ops passed → (penalty, ends so far)
    for number, block in enumerate(published.blocks):
        found: dict[int, tuple[float, tuple[int | None, ...]]] = {}
        for passed, (penalty, ends) in best.items():
            _keep(found, passed, penalty + _INSERTED, (*ends, None))
            for index, values in places:
                if index > passed and values == block.output_values:
                    difference = abs(index - passed - layers[number])
                    _keep(found, index, penalty + difference, (*ends, index))
        best = found
    matches = [entry for passed, entry in best.items() if passed == len(graph.ops) - 1]
    if not matches:
        raise ValueError(f"{published.name}: the traced network does not end as the published one does")
    ends = list(matches[0][1])
    _check(published, ends)
    return ends


# A block that is found nowhere costs more than any difference in the number of layers.
_INSERTED = 1000.0


def _keep(
    found: dict[int, tuple[float, tuple[int | None, ...]]],
    passed: int,
    penalty: float,
    ends: tuple[int | None, ...],
) -> None:
    if passed not in found or penalty < found[passed][0]:
        found[passed] = (penalty, ends)


def _check(published: Network, ends: Sequence[int | None]) -> None:
    """Only blocks of one layer that make their input a little larger may be missing from the trace."""
    before = published.pixels
    for block, end in zip(published.blocks, ends, strict=True):
        first = max(block.first_layer, 1)
        if end is None and not (block.last_layer == first and before < block.output_values <= 1.2 * before):
            raise ValueError(f"{published.name}: layers {block.first_layer} to {block.last_layer} are nowhere in the trace")
        before = block.output_values


def _single_tensors(graph: Graph) -> Iterator[tuple[int, int]]:
    """(op, values) for each op after which a single tensor is still to be read."""
    position = {op.name: index for index, op in enumerate(graph.ops)}
    spans = [
        (-1 if tensor.producer is None else position[tensor.producer], max(position[name] for name in tensor.consumers), tensor)
        for tensor in graph.tensors
        if tensor.consumers
    ]
    for index in range(len(graph.ops)):
        crossing = [tensor for made, read, tensor in spans if made <= index < read]
        if len(crossing) == 1 and crossing[0].producer is not None:
            yield index, crossing[0].bytes // FLOAT_BYTES
