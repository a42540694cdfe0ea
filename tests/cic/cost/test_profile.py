"""A profile file: what is written is read back, and nothing else is read at all."""

import contextlib
import copy
import json
import math
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cic.cost.codec_time import CodecTime, Rate
from cic.cost.host import Host, describe_host
from cic.cost.measurement import Measurement
from cic.cost.pricing import resolve
from cic.cost.profile import LARGEST_FILE_BYTES, OpTime, Profile, load_profile
from cic.errors import CicError, CostError
from cic.graph import Op

MEASURED = Measurement("elapsed", "mean", 70, 200, 0.2, 0.25, 0.26, 0.1, 12.0, 3.0, 0.25, 0.9, "a quota stopped this process")


def make_profile(**changes):
    fields = {
        "model": "net",
        "graph_digest": "ab" * 32,
        "host": Host("Linux-aarch64", "Raspberry Pi 4", 4, 4 << 30),
        "engine": "torchscript",
        "torch_version": "2.13.0",
        "threads": 2,
        "date": "2026-01-31T12:00:00+00:00",
        "measured": MEASURED,
        "whole_s": 0.25,
        "sum_s": 0.26,
        "halves_error": 0.02,
        "codecs": (CodecTime("int8+zstd", Rate(1e-4, 2e-9, 0.0), Rate(4e-5, 1e-9, 3e-9)),),
        "ops": (
            OpTime("sig-a", ("conv1", "conv2"), 0.1, 0.2, 0.19, 0.21, 0.02),
            OpTime("sig-b", ("fc",), 0.06, 0.07, 0.06, 0.08, 0.3),
        ),
    }
    return Profile(**{**fields, **changes})


@given(
    seconds=st.lists(st.floats(0, 1000), min_size=1, max_size=8),
    threads=st.integers(1, 128),
    name=st.text(min_size=1).filter(lambda text: text.isprintable()),
)
@settings(max_examples=50)
def test_a_saved_profile_comes_back_equal(tmp_path_factory, seconds, threads, name):
    path = tmp_path_factory.mktemp("profiles") / "p.json"
    ops = tuple(OpTime(f"s{index}", (name,), value, value, value, value, 0.0) for index, value in enumerate(seconds))
    profile = make_profile(ops=ops, threads=threads)
    profile.save(path)
    assert load_profile(path) == profile
    assert load_profile(path).digest == profile.digest


@pytest.mark.parametrize("version", [1, 2])
def test_files_of_earlier_versions_hold_processor_time_and_are_refused(tmp_path, version):
    path = tmp_path / "p.json"
    make_profile().save(path)
    body = json.loads(path.read_text())
    del body["measured"]
    path.write_text(json.dumps({**body, "version": version}))
    with pytest.raises(CostError, match="elapsed time: profile again"):
        load_profile(path)


def test_the_file_says_what_was_measured_and_what_to_mind(tmp_path):
    path = tmp_path / "p.json"
    make_profile().save(path)
    measured = json.loads(path.read_text())["measured"]
    assert measured["clock"] == "elapsed" and measured["statistic"] == "mean" and measured["quota"] == 0.25
    assert measured["warning"] == "a quota stopped this process"
    assert measured["elapsed_s"] == 12.0 and measured["processor_s"] == 3.0 and measured["repetitions"] == 70


def test_the_digest_follows_the_content():
    assert make_profile().digest == make_profile().digest
    assert make_profile(threads=3).digest != make_profile().digest


def test_saving_leaves_one_file_and_replaces_an_old_one(tmp_path):
    path = tmp_path / "p.json"
    path.write_text("old")
    make_profile().save(path)
    assert load_profile(path) == make_profile()
    assert [entry.name for entry in tmp_path.iterdir()] == ["p.json"]


def test_saving_where_nothing_can_be_written_is_a_clear_error(tmp_path):
    with pytest.raises(CostError, match="nowhere"):
        make_profile().save(tmp_path / "nowhere" / "p.json")


def test_seconds_for_finds_ops_by_signature_and_explains_a_miss():
    profile = make_profile()
    assert profile.seconds_for(Op("renamed", ("conv2d",), ("n",), ("x",), ("y",), signature="sig-a")) == 0.1
    with pytest.raises(CostError, match="layer9") as caught:
        profile.seconds_for(Op("layer9.conv", ("conv2d",), ("n",), ("x",), ("y",), signature="other"))
    assert "Profile this model again" in str(caught.value) and "Machine" in str(caught.value)


def put(*keys_and_value):
    *keys, value = keys_and_value

    def change(body):
        for key in keys[:-1]:
            body = body[key]
        body[keys[-1]] = value

    return change


def drop(*keys):
    def change(body):
        for key in keys[:-1]:
            body = body[key]
        del body[keys[-1]]

    return change


BROKEN = [
    (put("format", "onnx"), "format"),
    (drop("format"), "format"),
    (put("version", 99), "upgrade"),
    (put("version", "1"), "version"),
    (put("version", 0), "version"),
    (put("model", ""), "model"),
    (put("model", 7), "model"),
    (drop("model"), "model"),
    (put("graph_digest", None), "graph_digest"),
    (put("torch_version", []), "torch_version"),
    (put("threads", 0), "threads"),
    (put("threads", 1.5), "threads"),
    (put("threads", True), "threads"),
    (put("date", "yesterday"), "date"),
    (drop("measured"), "measured"),
    (drop("measured", "quota"), "measured lacks quota"),
    (put("measured", "clock", "processor"), "measured.clock"),
    (put("measured", "statistic", "mode"), "measured.statistic"),
    (put("measured", "statistic", []), "measured.statistic"),
    (put("measured", "repetitions", 0), "measured.repetitions"),
    (put("measured", "elapsed_s", math.nan), "measured.elapsed_s"),
    (put("measured", "quota", "half"), "measured.quota"),
    (put("measured", "throttled", 10**400), "measured.throttled"),
    (put("measured", "warning", None), "measured.warning"),
    (put("ops", 0, "low_s", -0.1), r"ops\[0\].low_s"),
    (put("whole_s", -1), "whole_s"),
    (put("whole_s", math.nan), "whole_s"),
    (put("sum_s", math.inf), "sum_s"),
    (put("sum_s", "1"), "sum_s"),
    (put("host", "pi"), "host"),
    (drop("host", "cores"), "host lacks cores"),
    (put("host", "cores", -4), "host.cores"),
    (put("host", "colour", "red"), "colour"),
    (put("ops", {}), "ops"),
    (put("ops", []), "ops"),
    (put("ops", 0, None), r"ops\[0\]"),
    (put("ops", 1, "seconds", math.nan), r"ops\[1\].seconds"),
    (put("ops", 1, "seconds", -1e-9), r"ops\[1\].seconds"),
    (put("ops", 1, "seconds", 10**400), r"ops\[1\].seconds"),
    (put("ops", 1, "seconds", None), r"ops\[1\].seconds"),
    (put("halves_error", math.nan), "halves_error"),
    (put("ops", 0, "alone_s", -0.1), r"ops\[0\].alone_s"),
    (put("ops", 0, "spread", -0.1), r"ops\[0\].spread"),
    (put("ops", 0, "names", "conv1"), r"ops\[0\].names"),
    (put("ops", 0, "names", [1]), r"ops\[0\].names"),
    (put("ops", 1, "signature", "sig-a"), "twice"),
    (put("ops", 0, "signature", ""), r"ops\[0\].signature"),
    (drop("ops", 0, "signature"), "signature"),
    (put("surprise", 1), "surprise"),
    (put("codecs", {}), "codecs"),
    (put("codecs", 0, None), r"codecs\[0\]"),
    (put("codecs", 0, "codec", ""), r"codecs\[0\]"),
    (put("codecs", 0, "codec", ["raw"]), r"codecs\[0\]"),
    (drop("codecs", 0, "decode"), r"codecs\[0\]"),
    (put("codecs", 0, "encode", "per_byte_s", -1e-9), r"codecs\[0\].*per_byte_s"),
    (put("codecs", 0, "encode", "per_byte_s", math.nan), r"codecs\[0\].*per_byte_s"),
    (put("codecs", 0, "encode", "fixed_s", True), r"codecs\[0\].*fixed_s"),
    (put("codecs", 0, "encode", "fixed_s", 10**400), r"codecs\[0\].*fixed_s"),
    (put("codecs", 0, "decode", "surprise", 1.0), r"codecs\[0\].decode"),
    (lambda body: body["codecs"].append(body["codecs"][0]), "twice"),
    (put("codecs", []), "digest"),
    (put("threads", 3), "digest"),
    (put("ops", 0, "seconds", 0.2), "digest"),
]


@pytest.mark.parametrize("change, names", BROKEN)
def test_a_broken_file_is_refused_naming_the_file_and_field(tmp_path, change, names):
    path = tmp_path / "broken.json"
    make_profile().save(path)
    body = json.loads(path.read_text())
    change(body)
    path.write_text(json.dumps(body))
    with pytest.raises(CostError, match=names) as caught:
        load_profile(path)
    assert "broken.json" in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"null", b"[]", b"3", b"\xff\xfe\x00", b"[" * 100_000, b'{"format": "cic-profile"}', b"PK\x03\x04"],
)
def test_a_foreign_file_is_refused(tmp_path, content):
    path = tmp_path / "foreign.json"
    path.write_bytes(content)
    with pytest.raises(CostError, match=r"foreign.json"):
        load_profile(path)


def test_a_truncated_file_is_refused_wherever_it_ends(tmp_path):
    path = tmp_path / "p.json"
    make_profile().save(path)
    content = path.read_bytes().rstrip()
    for length in range(0, len(content), 37):
        path.write_bytes(content[:length])
        with pytest.raises(CostError):
            load_profile(path)


def test_a_flipped_bit_is_refused_or_changes_nothing(tmp_path):
    path = tmp_path / "p.json"
    make_profile().save(path)
    content = path.read_bytes()
    for index in range(len(content)):
        damaged = bytearray(content)
        damaged[index] ^= 1 << (index % 8)
        path.write_bytes(bytes(damaged))
        # White space may turn into other white space; anything else is refused.
        with contextlib.suppress(CostError):
            assert load_profile(path) == make_profile()


def test_a_huge_or_missing_file_or_a_folder_is_refused(tmp_path):
    huge = tmp_path / "huge.json"
    with huge.open("wb") as file:
        file.truncate(LARGEST_FILE_BYTES + 1)
    os.mkfifo(tmp_path / "pipe.json")
    for path in (huge, tmp_path / "missing.json", tmp_path, tmp_path / "pipe.json", Path("/dev/zero")):
        with pytest.raises(CostError, match=path.name):
            load_profile(path)
    for no_path in (None, 0, b"p.json", "a\0b", "x" * 5000):
        with pytest.raises(CicError):
            load_profile(no_path)
        with pytest.raises(CicError):
            resolve(no_path)


def test_what_never_ends_is_refused_before_it_is_read(tmp_path):
    os.mkfifo(tmp_path / "pipe.json")
    for path in (tmp_path / "pipe.json", "/dev/zero"):
        with pytest.raises(CostError, match="only regular files are read"):
            load_profile(path)


def test_a_file_written_by_hand_needs_no_digest(tmp_path):
    path = tmp_path / "p.json"
    make_profile().save(path)
    body = json.loads(path.read_text())
    changed = copy.deepcopy(body)
    del changed["digest"]
    changed["ops"][0]["seconds"] = 0.2
    path.write_text(json.dumps(changed))
    assert load_profile(path).seconds["sig-a"] == 0.2


def test_this_machine_can_be_described():
    host = describe_host()
    assert host.platform and host.processor and host.cores >= 1 and host.memory_bytes >= 0
