"""Nouns of the device half behave as frozen dataclasses do."""

from __future__ import annotations

import copy
import json
import pickle

import pytest

import cic.decision.stored_graph  # noqa: F401 - its nouns are looked for below
from cic.decision.cut_table import CutTable
from cic.decision.frozen import Frozen, plain
from cic.decision.proof import StoredProof

PROOF = StoredProof(complete=True, gap=0.5, solves=3, rays=((1, 2, 3, 4, 5),))


def test_every_noun_has_a_slot_for_each_of_its_fields() -> None:
    kinds = Frozen.__subclasses__()
    assert CutTable in kinds and len(kinds) >= 11
    for kind in kinds:
        assert set(kind.__slots__) == set(kind.__annotations__), kind


def test_nothing_can_be_changed_or_added() -> None:
    for name in ("gap", "other"):
        with pytest.raises(AttributeError, match="StoredProof cannot be changed"):
            setattr(PROOF, name, 1.0)
    assert PROOF.gap == 0.5 and not hasattr(PROOF, "__dict__")


def test_all_fields_have_to_be_given_and_no_others() -> None:
    fields = PROOF.fields()
    for wrong in ({**fields, "other": 1}, {name: fields[name] for name in ("gap", "rays")}, {}):
        with pytest.raises(TypeError, match="StoredProof has the fields"):
            StoredProof(**wrong)
    with pytest.raises((TypeError, KeyError)):
        StoredProof(**{**{name: fields[name] for name in ("gap", "rays", "solves")}, "other": 1})  # type: ignore[arg-type]


def test_equal_by_value() -> None:
    again = StoredProof(**PROOF.fields())
    assert again == PROOF and hash(again) == hash(PROOF) and repr(again) == repr(PROOF)
    assert PROOF.replaced(gap=0.25) != PROOF and PROOF.replaced(gap=0.25).replaced(gap=0.5) == PROOF
    assert PROOF.fields() != PROOF


def test_copied_and_pickled() -> None:
    assert copy.deepcopy(PROOF) == PROOF
    assert pickle.loads(pickle.dumps(PROOF)) == PROOF  # noqa: S301


def test_plain_values_are_json() -> None:
    document = plain(("a", PROOF))
    assert json.loads(json.dumps(document)) == document
    assert document[1]["rays"] == [[1, 2, 3, 4, 5]] and list(document[1]) == ["complete", "gap", "solves", "rays"]
