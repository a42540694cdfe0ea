"""Each field of a `.cic` file that is not as it should be is named in the error."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

import pytest

from benchmarks.harness.random_problems import network_shaped
from cic.decision.conditions import Box
from cic.decision.cut_table import read_table
from cic.decision.frozen import plain
from cic.decision.graph_document import read_graph
from cic.decision.splitting_model import dumps
from cic.decision.stored_graph import StoredForm
from cic.errors import ArtifactError, CicError
from tests.cic.hand_made import splitting_model

MODEL = splitting_model(network_shaped(random.Random(2), 12), Box(), 0.01, 2.0)
TABLE, GRAPH = (json.loads(line) for line in dumps(MODEL).splitlines()[1:3])
OPS, CODECS = len(GRAPH["ops"]), [cut.codecs for cut in MODEL.cuts]
# What they hold is their own, or read by somebody else.
OPEN = {"structure", "values"}


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every field, of lists to that of the first item only."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield (*path, name)
            if name not in OPEN:
                yield from places(item, (*path, name))
    elif isinstance(value, list) and value:
        yield from places(value[0], (*path, 0))


def changed(document: Any, path: tuple[Any, ...], value: object) -> Any:
    again = copy.deepcopy(document)
    inner = again
    for step in path[:-1]:
        inner = inner[step]
    if value is KeyError:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return again


def with_codecs() -> Any:
    """The graph, with two forms for its first tensor."""
    sizes = (("raw", 8), ("int8", 2))
    forms = [StoredForm(codec=codec, wire_bytes=size, encode_ns=0, decode_ns=0, error=0.0) for codec, size in sizes]
    return changed(changed(GRAPH, ("tensors", 0, "forms"), plain(forms)), ("alternatives",), [[[0, 1]]])


def test_a_graph_comes_back_as_it_was() -> None:
    assert read_graph(GRAPH, OPS, CODECS, "here") == MODEL.graph()
    graph = read_graph(with_codecs(), OPS, CODECS, "here")
    assert json.loads(json.dumps(plain(graph))) == with_codecs()
    assert graph.tensors[0].codecs == ("raw", "int8") and graph.has_codecs and graph.alternatives == (((0, 1),),)


@pytest.mark.parametrize("value", [KeyError, {"a": 1}, "\ud800", -5, 1e999, [None]], ids=repr)
def test_every_wrong_field_of_the_graph_is_named(value: object) -> None:
    tried = list(places(GRAPH))
    assert len(tried) > 20
    for path in tried:
        with pytest.raises(ArtifactError, match="the graph is not as CIC writes it") as caught:
            read_graph(changed(GRAPH, path, value), OPS, CODECS, "here.cic")
        assert str(path[-1]) in str(caught.value) and "here.cic" in str(caught.value)


@pytest.mark.parametrize("value", [KeyError, {"a": 1}, "\ud800", -5], ids=repr)
def test_every_wrong_field_of_the_table_is_named(value: object) -> None:
    tried = list(places(TABLE))
    assert len(tried) > 40
    for path in tried:
        with pytest.raises((ValueError, CicError)) as caught:
            read_table(changed(TABLE, path, value), MODEL.graph, MODEL.information.made)
        named = str(path[-1]).removesuffix("_bps").removesuffix("_s").replace("_", " ")
        assert named in str(caught.value).replace("_", " "), path
