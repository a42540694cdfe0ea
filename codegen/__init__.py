"""From a traced module and a set of nodes to two halves on disk. Never imports `cic`.

A graph is cut by the names of its nodes; what crosses is found, and both halves together are the whole:

>>> import torch
>>> from torch.fx.experimental.proxy_tensor import make_fx
>>> from codegen.splitters.fx import split
>>> x = torch.tensor([[1.0, -1.0]])
>>> whole = make_fx(lambda x: (torch.relu(x * 2) + 1,), tracing_mode="fake")(x)
>>> halves = split(whole, device_nodes={"mul"}, tensors={"x_1", "mul", "relu", "add"})
>>> [(wire.name, wire.shape, wire.bytes) for wire in halves.crossing]
[('mul', (1, 2), 8)]
>>> torch.equal(halves.tail(*halves.head(x))[0], whole(x)[0])
True
"""
