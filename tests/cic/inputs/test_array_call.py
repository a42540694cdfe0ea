"""Calls drawn with numpy alone are as those of torch: nesting, shapes, types, and ranges of values."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from cic.codec.tensors import carrier
from cic.decision.stored_graph import StoredCall, StoredInput
from cic.errors import ArtifactError, InputError
from cic.inputs.array_call import drawn_call, read_call
from cic.inputs.example_inputs import describe_inputs, make_inputs
from codegen.calls.structure import describe


def test_a_drawn_call_is_like_the_example() -> None:
    image, ids = torch.randn(2, 3, 40, 40) * 5 + 2, torch.randint(3, 9, (50, 50))
    more = {"mask": torch.randint(0, 2, (40,)).bool(), "half": torch.randn(3, 5).to(torch.bfloat16), "pair": (ids, 7)}
    described = describe_inputs((image,), more)
    (drawn,), named = drawn_call(described)
    (as_torch,), as_torch_named = make_inputs(described)
    assert drawn.dtype == np.float32 and drawn.shape == tuple(as_torch.shape)
    assert abs(drawn.mean() - 2) < 0.5 and abs(drawn.std() - 5) < 0.5
    assert named["pair"][1] == 7 and named["pair"][0].min() == 3 and named["pair"][0].max() == 8
    assert named["mask"].dtype == np.bool_ and named["half"].dtype == carrier("bfloat16")
    assert list(named) == list(as_torch_named)
    assert (drawn_call(described)[0][0] == drawn).all(), "the seed is fixed"


def test_a_damaged_description_is_told() -> None:
    structure, _ = describe({"args": (torch.zeros(1),), "kwargs": {}})
    with pytest.raises(ArtifactError, match="compile again"):
        drawn_call(StoredCall(structure=structure, tensors=()))
    unknown = StoredInput(name="x", shape=(1,), dtype="float31", values={}, order=None, open_axes=())
    with pytest.raises(ArtifactError, match="compile again"):
        drawn_call(StoredCall(structure=structure, tensors=(unknown,)))


def test_files_hold_the_arguments(tmp_path: Path) -> None:
    one, two = np.arange(6).reshape(2, 3), np.ones(4, np.float32)
    np.save(tmp_path / "one.npy", one)
    np.savez(tmp_path / "both.npz", first=one, second=two)
    (first, second, third), kwargs = read_call([str(tmp_path / "one.npy"), str(tmp_path / "both.npz")])
    assert (first == one).all() and (second == one).all() and (third == two).all() and kwargs == {}
    (tmp_path / "bad.npy").write_bytes(b"no array")
    np.save(tmp_path / "objects.npy", np.array([{}], object))
    for name in ("bad.npy", "objects.npy", "missing.npy"):
        with pytest.raises(InputError, match="cannot be read as arrays"):
            read_call([str(tmp_path / name)])
