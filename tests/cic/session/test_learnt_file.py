"""What was learnt is kept whole, comes back as it was, and goes with one splitting model."""

from __future__ import annotations

import json
import threading
from collections import deque
from pathlib import Path

import pytest
import torch

import cic
from cic.errors import CicWarning, InputError
from cic.session.learned_machines import LearnedMachines, learned_machines
from cic.session.learnt_file import SAVE_S, LearntFile
from tests.cic.session.unknown_network import unknown_network


def learned() -> LearnedMachines:
    """Of machines that are slower than usual, each with cuts that are not as others."""
    _, model = unknown_network()
    found = learned_machines(model)
    for side, scale in ((0, 5.0), (1, 9.0)):
        estimate = (found.device, found.server)[side]
        assert estimate is not None
        for step, cut in enumerate(model.cuts * 3):
            if cut.row[side]:
                estimate.observe(cut.label, cut.row[side], scale * cut.row[side] * (1 + 0.01 * step), step * 0.1)
    return found


def saved(path: Path, of: LearnedMachines) -> deque[str]:
    news: deque[str] = deque()
    LearntFile(path, unknown_network()[1], of, 0.0).save(1.0, threading.Lock(), lambda: None, news)
    return news


def test_what_was_learnt_comes_back(tmp_path: Path) -> None:
    path, before, after = tmp_path / "learnt.json", learned(), learned_machines(unknown_network()[1])
    assert not saved(path, before) and not list(tmp_path.glob("*.tmp"))
    LearntFile(path, unknown_network()[1], after, 0.0)
    for cut in unknown_network()[1].cuts:
        for side, (old, new) in enumerate(zip(before, after, strict=True)):
            assert old is not None and new is not None
            assert new.seconds(cut.label, cut.row[side], new.slowdown(0.0)) == old.seconds(
                cut.label, cut.row[side], old.slowdown(0.0)
            )
            if cut.row[side]:
                doubt = new.doubt({cut.label: 1.0}).variance
                assert old.doubt({cut.label: 1.0}).variance < doubt < 1.0, "how fast it is may be different by now"


def test_all_that_was_seen_is_told_before_it_is_saved(tmp_path: Path) -> None:
    path, told = tmp_path / "learnt.json", []
    lock = threading.Lock()
    file = LearntFile(path, unknown_network()[1], learned(), 0.0)
    assert not file.due(SAVE_S - 1) and file.due(SAVE_S)
    file.save(SAVE_S, lock, lambda: told.append(lock.locked()), deque())
    assert told == [True] and not lock.locked() and not file.due(SAVE_S + 1)


def test_another_splitting_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "learnt.json"
    saved(path, learned())
    content = path.read_bytes()
    network, _ = unknown_network()
    other = cic.compile(network, (torch.rand(1, 3, 96, 96),), device="unknown", server="unknown")
    with pytest.raises(InputError, match="name another file, or delete it"):
        LearntFile(path, other, learned_machines(other), 0.0)
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("state", [0.0]),
        ("state", [float("nan")] * 5),
        ("variances", [[1.0] * 5] * 4),
        ("variances", [[0.0] * 5] * 5),
        ("variances", [["1"] * 5] * 5),
        ("noise", -1.0),
        ("noise", None),
        ("top_s", 1e9),
        ("own", []),
        ("own", {"server-only": [1.0]}),
    ],
)
def test_a_damaged_file_is_set_aside_and_nothing_of_it_is_believed(tmp_path: Path, field: str, value: object) -> None:
    path = tmp_path / "learnt.json"
    saved(path, learned())
    document = json.loads(path.read_bytes())
    document["machines"]["server"][field] = value
    path.write_text(json.dumps(document))
    fresh = learned_machines(unknown_network()[1])
    with pytest.warns(CicWarning, match="damaged, so all is learnt anew"):
        LearntFile(path, unknown_network()[1], fresh, 0.0)
    assert all(side.slowdown(0.0) == 1.0 for side in fresh.by_side.values()), "the other side is fine, and goes with it"


NOT_SUCH = [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000, b'{"version": 1}', b'{"version": "1", "digest": "a"}']


@pytest.mark.parametrize("content", NOT_SUCH)
def test_what_is_no_such_file_is_said_to_be_damaged(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "learnt.json"
    path.write_bytes(content)
    with pytest.warns(CicWarning, match="damaged"):
        LearntFile(path, unknown_network()[1], learned(), 0.0)


def test_a_later_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "learnt.json"
    saved(path, learned())
    path.write_text(json.dumps(json.loads(path.read_bytes()) | {"version": 2}))
    with pytest.raises(InputError, match="version 2, this CIC reads version 1"):
        LearntFile(path, unknown_network()[1], learned(), 0.0)


def test_a_place_that_cannot_be_written_is_told_at_once(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing" / "learnt.json"):
        with pytest.raises(InputError, match="cannot be kept there"):
            LearntFile(path, unknown_network()[1], learned(), 0.0)


def test_inferences_go_on_when_it_cannot_be_saved(tmp_path: Path) -> None:
    (folder := tmp_path / "gone").mkdir()
    file = LearntFile(folder / "learnt.json", unknown_network()[1], learned(), 0.0)
    folder.rmdir()
    news: deque[str] = deque()
    file.save(1.0, threading.Lock(), lambda: None, news)
    assert len(news) == 1 and "is not saved" in news[0]
