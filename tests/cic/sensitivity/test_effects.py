"""Effects are what their definitions say, on tables where they are known."""

from __future__ import annotations

import random
from itertools import product

import pytest

from cic.errors import InputError
from cic.sensitivity.effects import PAYS, sensitivity
from cic.sensitivity.states import StateTable
from cic.sensitivity.words import in_words


def grid(latency, levels=((1, 2, 4), (1, 3)), cuts=("near", "far"), usual=0) -> StateTable:  # type: ignore[no-untyped-def]
    states = tuple(product(*levels))
    rows = tuple(tuple(float(latency(cut, *state)) for cut in cuts) for state in states)
    names = tuple(f"factor {number}" for number in range(len(levels)))
    return StateTable("a network", names, states, cuts, rows, usual, proved=True)


def test_a_factor_that_does_nothing_has_no_share_and_one_that_does_all_has_it_all() -> None:
    found = sensitivity(grid(lambda cut, a, _: a if cut == "near" else 3 * a))
    first, second = found.effects
    assert (first.share, second.share) == (pytest.approx(1), pytest.approx(0))
    assert (first.spread, second.spread, found.spread) == (4, 1, 4)
    assert found.changed == found.pays == found.stale_worst == 0 and found.best == (("near", 6),)
    assert found.together == 0 and found.static_cut == found.usual_cut == "near"


def test_what_only_two_factors_together_do_is_told_apart() -> None:
    # "near" loses only where both factors are high, and by just 4 % where one is.
    found = sensitivity(
        grid(lambda cut, a, b: 1 if cut == "far" else {2: 0.9, 3: 1.04, 4: 2.0}[a + b], levels=((1, 2), (1, 2)))
    )
    assert found.usual_cut == "near" and found.together == 1 and found.pays == 0.25
    assert all(effect.stale <= PAYS and effect.cuts == 2 for effect in found.effects)
    assert found.stale_worst == pytest.approx(1.0)


def test_losses_and_shares_agree_with_their_definitions_on_random_tables() -> None:
    rng = random.Random(90)
    for _ in range(30):
        levels = tuple(tuple(range(1, 2 + rng.randrange(1, 4))) for _ in range(rng.randrange(1, 4)))
        cuts = tuple(f"cut {number}" for number in range(rng.randrange(1, 5)))
        table = grid(lambda *_: rng.uniform(1, 3), levels, cuts, usual=0)
        found, best = sensitivity(table), table.best
        stale = [row[best[0]] / min(row) - 1 for row in table.latency_s]
        assert found.stale_mean == pytest.approx(sum(stale) / len(stale)) and found.stale_worst == max(stale)
        assert sum(count for _, count in found.best) == len(table.states)
        pairs = [row[other] / min(row) - 1 for row in table.latency_s for other in best]
        assert found.other_mean == pytest.approx(sum(pairs) / len(pairs))
        assert found.static_mean <= found.stale_mean + 1e-12 and found.static_mean <= found.other_mean + 1e-12
        assert sum(effect.share for effect in found.effects) <= 1 + 1e-9
        assert found.spread >= max(effect.spread for effect in found.effects)


def test_the_paragraph_holds_its_figures() -> None:
    table = grid(lambda cut, a, b: a if cut == "near" else 1.5 + b / 10)
    found = sensitivity(table)
    text = in_words(table, found)
    most = max(found.effects, key=lambda effect: effect.share)
    for part in (
        f"{most.factor} most",
        f"{found.stale_worst:.0%} at worst",
        f"{found.changed:.0%}",
        found.static_cut,
        "proved",
    ):
        assert part in text


@pytest.mark.parametrize(
    ("states", "rows"), [((), ()), (((1,), (2,)), ((1.0,),)), (((1,),), ((0.0,),)), (((1, 2),), ((1.0,),))]
)
def test_tables_that_do_not_fit_are_refused(states: tuple[tuple[int, ...], ...], rows: tuple[tuple[float, ...], ...]) -> None:
    with pytest.raises(InputError, match="a network"):
        StateTable("a network", ("load",), states, ("near",), rows, 0, proved=False)
