"""Contents that codecs are made from: they go with the splitting model, whole and by their digest, and are read late."""

from __future__ import annotations

import json
import os
import random
from binascii import crc32
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

import cic
from benchmarks.harness.random_problems import network_shaped
from cic.decision.cic_file import LARGEST_STORED_BYTES
from cic.decision.conditions import Box
from cic.decision.provenance import CodecProvenance
from cic.decision.splitting_model import SplittingModel, dumps, loads
from cic.decision.stored_codecs import needed_digest, needed_digests, read_stored
from cic.decision.stored_graph import StoredForm
from cic.errors import ArtifactError
from tests.cic.hand_made import changed, splitting_model, with_stored

PLAIN = splitting_model(network_shaped(random.Random(2), 12), Box(), 0.01, 2.0)
CONTENTS = [random.Random(seed).randbytes(5000 + seed) for seed in range(3)]
MODEL = with_stored(PLAIN, CONTENTS)


def digest(content: bytes) -> str:
    return sha256(content).hexdigest()


def with_line(content: bytes, line: bytes) -> bytes:
    """The file with another line of stored codecs, and all checksums right."""
    lines = [*content.splitlines()[1:3], line]
    header = json.loads(content.splitlines()[0])
    header |= {"bytes": [len(each) for each in lines], "crc32": [crc32(each) for each in lines]}
    return b"\n".join([json.dumps(header).encode(), *lines, b""])


def test_contents_come_back_by_their_digest(tmp_path: Path) -> None:
    MODEL.save(tmp_path / "m.cic")
    for again in (cic.load(tmp_path / "m.cic"), loads(dumps(MODEL))):
        assert again.stored_codecs == {digest(content): content for content in CONTENTS}
        assert dumps(again) == dumps(MODEL)
        assert [cut.codecs for cut in again.cuts] == [cut.codecs for cut in MODEL.cuts]
    assert loads(dumps(PLAIN)).stored_codecs == {}


def test_contents_are_read_when_they_are_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "m.cic"
    MODEL.save(path)
    monkeypatch.chdir(tmp_path)
    early, late = cic.load("m.cic"), cic.load("m.cic")
    monkeypatch.chdir("/")
    assert early.stored_codecs == MODEL.stored_codecs
    with path.open("r+b") as file:  # the last content alone
        file.seek(-20, os.SEEK_END)
        file.write(b"AAAA")
    late = cic.load(path)
    assert late.decide(2e7).cut_id == MODEL.decide(2e7).cut_id
    with pytest.raises(ArtifactError, match=r"m\.cic is damaged: the store of codecs has checksum"):
        late.stored_codecs  # noqa: B018
    PLAIN.save(path)
    with pytest.raises(ArtifactError, match=r"m\.cic was replaced after it was loaded; load it again"):
        late.stored_codecs  # noqa: B018
    path.unlink()
    with pytest.raises(ArtifactError, match=r"cannot read the stored codecs of .*m\.cic: No such file"):
        late.stored_codecs  # noqa: B018
    assert early.stored_codecs == MODEL.stored_codecs


def test_a_model_that_stores_nothing_needs_its_file_no_more(tmp_path: Path) -> None:
    PLAIN.save(tmp_path / "m.cic")
    model = cic.load(tmp_path / "m.cic")
    (tmp_path / "m.cic").unlink()
    assert dumps(model) == dumps(PLAIN)


FIRST, SECOND = (digest(content) for content in CONTENTS[:2])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda document: [], "no texts by their SHA-256"),
        (lambda document: {**document, FIRST: 5}, "no texts by their SHA-256"),
        (lambda document: {**document, FIRST: "AAA"}, f"{FIRST}' is no base64"),
        (lambda document: {**document, FIRST: "é"}, f"{FIRST}' is no base64"),
        (lambda document: {**document, FIRST: document[SECOND]}, f"{FIRST}' has the SHA-256 {SECOND}"),
        (lambda document: {**document, "../x": "AAAA"}, r"'\.\./x' has the SHA-256"),
        (lambda document: {SECOND: document[SECOND]}, f"the SHA-256 '{FIRST}', and no such content is stored"),
    ],
)
def test_contents_that_are_none_are_told_by_file_and_digest(change: Callable[[Any], Any], told: str) -> None:
    content = dumps(MODEL)
    document = json.loads(content.splitlines()[3])
    damaged = loads(with_line(content, json.dumps(change(document)).encode()), "the file")
    assert damaged.decide(2e7).cut_id == MODEL.decide(2e7).cut_id
    with pytest.raises(ArtifactError, match=rf"^the file: .*{told}"):
        damaged.stored_codecs  # noqa: B018


def test_absurd_sizes_are_refused_before_anything_is_read(tmp_path: Path) -> None:
    header, *lines = dumps(MODEL).splitlines()
    sizes = json.loads(header)["bytes"]
    for size in (LARGEST_STORED_BYTES + 1, 2**40 - 1):
        told = json.dumps({**json.loads(header), "bytes": [*sizes[:2], size]}).encode()
        (tmp_path / "m.cic").write_bytes(b"\n".join([told, *lines, b""]))
        with pytest.raises(ArtifactError, match=rf"m\.cic announces {size} bytes of stored codecs"):
            cic.load(tmp_path / "m.cic")


def test_a_model_without_the_content_of_a_codec_is_not_saved(tmp_path: Path) -> None:
    stored = {digest(CONTENTS[0]): CONTENTS[0]}
    with pytest.raises(ArtifactError, match=f"not saved, .*'{SECOND}', and no such content is stored"):
        SplittingModel(MODEL.table, MODEL.graph, lambda: stored).save(tmp_path / "m.cic")
    assert not list(tmp_path.iterdir())


def test_needed_is_what_decisions_can_ask_for() -> None:
    """With an accuracy target only what a cut of the table loses may be lost, without one every form may be used."""
    graph = MODEL.graph()
    other = f"transform-0.25@{'0' * 64}"
    form = StoredForm(codec=other, wire_bytes=1, encode_ns=1, decode_ns=1, error=0.1)
    graph = graph.replaced(tensors=(graph.tensors[0].replaced(forms=(form,)), *graph.tensors[1:]))
    of_cuts = {digest(content) for content in CONTENTS}
    asked = CodecProvenance(
        precision=None,
        input=None,
        accuracy_target="top1>=0.9",
        calibration_samples=1,
        samples_needed=1,
        enough_samples=True,
        whole_top1=None,
        cuts_run=1,
        accuracy_exact=True,
    )
    table = MODEL.table.replaced(information=MODEL.information.replaced(codecs=asked))
    assert needed_digests(table, graph) == of_cuts
    free = table.replaced(information=MODEL.information.replaced(codecs=asked.replaced(accuracy_target=None)))
    assert needed_digests(free, graph) == {*of_cuts, "0" * 64}


def test_names_that_need_nothing() -> None:
    assert [needed_digest(name) for name in ("raw", "int8+zstd", "png, mean=0.5, std=0.25")] == [None] * 3
    assert read_stored({}, PLAIN.cuts, "the file") == {}


def test_labels_are_short_unless_they_would_be_alike() -> None:
    cut = next(cut for cut in MODEL.cuts if cut.crossing)
    assert cut.label == f"{cut.id} {','.join(['transform-0.5'] * len(cut.crossing))}"
    twins = [type(cut)(cut.id, cut.features, cut._details, [f"transform-0.5@{each * 64}"]) for each in "ab"]
    near = type(cut)(cut.id, cut.features, cut._details, [f"transform-0.5@{'b' * 32 + 'c' * 32}"])
    labels = [each.label for each in changed(MODEL, cuts=(*twins, near), best_between=(0,), break_points=()).cuts]
    assert labels == [
        f"{cut.id} transform-0.5@aaaaaaaa",
        f"{cut.id} transform-0.5@{'b' * 64}",
        f"{cut.id} transform-0.5@{'b' * 32 + 'c' * 32}",
    ]
