"""Codec times: what is measured predicts what was measured, and the catalogue scales it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cic.codec.registry import codec_names, input_codecs
from cic.cost.catalogue import machine, machines
from cic.cost.codec_time import CodecTime, Rate
from cic.cost.core_slowdown import core_slowdown
from cic.cost.machine import Machine
from cic.cost.pricing import Source, resolve
from cic.errors import CostError
from tests.cic.cost.test_profile import make_profile

amounts = st.integers(0, 10**9)


def codec_seconds(source: Source, codec_name: str, elements: int, wire_bytes: int) -> tuple[float, float]:
    return resolve(source).codec_seconds(codec_name, elements, wire_bytes)


@given(amounts, amounts, amounts)
def test_more_never_takes_less(elements: int, fewer_bytes: int, more: int) -> None:
    for name in ("int8+zstd", "raw", "fp32", "int4-clip"):
        small = codec_seconds(machine("raspberry-pi-4b"), name, elements, fewer_bytes)
        large = codec_seconds(machine("raspberry-pi-4b"), name, elements + more, fewer_bytes + more)
        assert 0 <= small[0] <= large[0] and 0 <= small[1] <= large[1]


def test_every_codec_is_known_for_every_machine_of_the_catalogue() -> None:
    for known in machines():
        for name in (*codec_names(), *input_codecs("uint8, std=0.5", lossy=True)):
            assert all(0 < seconds < 60 for seconds in codec_seconds(known, name, 200_704, 100_000))


def test_a_profile_answers_with_what_was_measured_there() -> None:
    time = CodecTime("int8+zstd", Rate(1e-3, 2e-6, 3e-9), Rate(4e-3, 5e-6, 6e-9))
    profile = make_profile(codecs=(time,))
    assert codec_seconds(profile, "int8+zstd", 1000, 500) == (1e-3 + 2e-3 + 1.5e-6, 4e-3 + 5e-3 + 3e-6)
    with pytest.raises(CostError, match="the codec 'int4' is not in the profile of 'net'"):
        codec_seconds(profile, "int4", 1000, 500)


def test_an_old_profile_says_that_codecs_are_missing() -> None:
    with pytest.raises(CostError, match="which has none: profile again"):
        codec_seconds(make_profile(codecs=()), "raw", 1, 4)


def test_slow_machines_code_slowly_and_none_faster_than_the_known_one() -> None:
    pi, server = machine("raspberry-pi-4b-1-thread"), machine("i7-13700k")
    assert core_slowdown(server) == 1
    assert 2 < core_slowdown(pi) < 10
    assert core_slowdown(machine("rtx-3090")) == 1
    assert core_slowdown(machine("jetson-nano-gpu")) == core_slowdown(machine("jetson-nano-cpu")) > 2
    # One board by two sets of figures: with one thread and with four.
    assert core_slowdown(machine("raspberry-pi-4b")) == pytest.approx(core_slowdown(pi), rel=0.25)
    assert core_slowdown(replace(pi, flops_per_s=pi.flops_per_s / 2, memory_bytes_per_s=pi.memory_bytes_per_s / 2)) == (
        pytest.approx(2 * core_slowdown(pi))
    )
    for name in codec_names():
        device, host = (codec_seconds(each, name, 50_000, 20_000) for each in (pi, server))
        assert device[0] > host[0] and device[1] > host[1]


@pytest.mark.parametrize("wrong", [-1.0, float("nan"), float("inf"), None, "1", True])
def test_a_rate_that_is_no_time_is_refused(wrong: object) -> None:
    with pytest.raises(CostError, match="per_element_s of a codec"):
        Rate(0.0, wrong, 0.0)  # type: ignore[arg-type]


def test_a_machine_of_ones_own_is_priced_too() -> None:
    mine = Machine("mine", 1e9, 1e9, 0.0)
    assert codec_seconds(mine, "int4+zstd", 1000, 500)[0] > codec_seconds(machine("raspberry-pi-5"), "int4+zstd", 1000, 500)[0]
