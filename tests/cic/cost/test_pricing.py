"""Prices come in graph order from whichever source, and every way of naming a source is understood or refused."""

from dataclasses import dataclass

import pytest

from cic.cost.catalogue import machine
from cic.cost.cost_source import CostSource
from cic.cost.machine import Machine
from cic.cost.predicted_costs import PredictedCosts
from cic.cost.pricing import price, resolve
from cic.cost.profile import OpTime
from cic.cost.roofline import predict
from cic.decision.provenance import MachineProvenance
from cic.errors import CostError
from cic.graph import Graph, Op
from tests.cic.cost.test_profile import make_profile

OPS = tuple(
    Op(f"op{i}", ("conv2d",), (f"n{i}",), (), (), flops=10**i, memory_bytes=10**3, signature=f"s{i % 2}") for i in range(6, 10)
)
GRAPH = Graph("net", OPS, (), (), ())
PROFILE = make_profile(
    ops=(OpTime("s0", ("op6", "op8"), 0.25, 0.25, 0.25, 0.25, 0.0), OpTime("s1", ("op7", "op9"), 0.75, 0.75, 0.75, 0.75, 0.0))
)


def test_a_profile_prices_in_graph_order():
    assert price(GRAPH, PROFILE) == (0.25, 0.75, 0.25, 0.75)


def test_a_machine_prices_by_the_roofline():
    board = machine("raspberry-pi-4")
    assert price(GRAPH, board) == tuple(predict(op, board) for op in OPS)


def test_a_profile_of_another_model_is_refused():
    other = Graph("net", (*OPS, Op("late", ("relu",), ("n",), (), (), signature="new")), (), (), ())
    with pytest.raises(CostError, match="late"):
        price(other, PROFILE)


@pytest.mark.parametrize("source", ["", None, 3])
def test_prices_from_anything_else_are_refused(source):
    with pytest.raises(CostError, match=r"Machine\("):
        price(GRAPH, source)


@dataclass(frozen=True)
class _Guess:
    """A source of a kind that this package knows nothing of: any op takes a second, any codec none."""

    name: str = "guess"
    digest: str = "1"

    def op_seconds(self, graph: Graph) -> tuple[float, ...]:
        return (1.0,) * len(graph.ops)

    def codec_seconds(self, codec: str, elements: int, wire_bytes: int) -> tuple[float, float]:
        return 0.0, 0.0

    def provenance(self, graph: Graph, runtime: str) -> MachineProvenance:
        nothing = dict.fromkeys(("source", "digest", "date", "engine", "warning"))
        return MachineProvenance(kind="guess", name=self.name, doubts=(), **nothing)


def test_any_source_of_costs_will_do():
    guess = _Guess()
    assert resolve(guess) is guess
    assert price(GRAPH, guess) == (1.0,) * len(OPS)
    assert all(isinstance(source, CostSource) for source in (guess, PROFILE, resolve("rpi4")))


def test_resolve_takes_every_accepted_form(tmp_path, monkeypatch):
    board = Machine("mine", 1e9, 1e9)
    assert resolve(board) == PredictedCosts(board)
    assert resolve(PROFILE) is PROFILE
    assert resolve("Raspberry Pi 4") == PredictedCosts(machine("raspberry-pi-4b"))
    path = tmp_path / "board.profile.json"
    PROFILE.save(path)
    assert resolve(path) == resolve(str(path)) == PROFILE
    monkeypatch.chdir(tmp_path)
    path.rename(tmp_path / "board-profile")
    assert resolve("board-profile") == PROFILE
    # A file that happens to have a catalogue name does not hide the machine.
    (tmp_path / "rpi4").write_text("{}")
    assert resolve("rpi4") == PredictedCosts(machine("rpi4"))


@pytest.mark.parametrize("spec", ["rpi44", "", None, 4, 1.5, ["rpi4"], type(PROFILE), _Guess])
def test_resolve_says_what_is_accepted(spec):
    with pytest.raises(CostError, match=r"Machine\(") as caught:
        resolve(spec)
    assert "profile file" in str(caught.value)


def test_a_missing_profile_file_is_named(tmp_path):
    with pytest.raises(CostError, match=r"missing\.json"):
        resolve(str(tmp_path / "missing.json"))
