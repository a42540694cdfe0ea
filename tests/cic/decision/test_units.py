"""What people write becomes the number they mean, or a clear error."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cic.decision.units import (
    BITS_PER_S,
    BYTES_PER_S,
    bits_per_second,
    byte_count,
    factor,
    seconds,
    show_bandwidth,
    show_bytes,
    show_seconds,
)
from cic.errors import CicError, UnitError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("18.88Mbps", 18.88e6),
        ("18.88 Mbit/s", 18.88e6),
        ("2.5MB/s", 20e6),
        ("2.5 mb/s", 2.5e6),
        ("50kbps", 5e4),
        ("10Gbps", 1e10),
        ("1000 b/s", 1000),
        (7, 7.0),
        (7.5, 7.5),
    ],
)
def test_bandwidths(text: str | float, expected: float) -> None:
    assert bits_per_second(text) == pytest.approx(expected, rel=1e-12)


BAD = [0, -1, float("nan"), float("inf"), 1e-300, 1e18, "", "fast", "0Mbps", "-5Mbps", "5 parsec", "nan", "inf", "5 MBps"]


@pytest.mark.parametrize("bad", [*BAD, None, True, [], {}, b"5Mbps", "1e400", "5Mbps5", "Mbps"])
def test_bad_bandwidths_are_refused_and_quoted(bad: object) -> None:
    with pytest.raises(UnitError) as caught:
        bits_per_second(bad, "uplink")  # type: ignore[arg-type]
    assert "uplink" in str(caught.value)
    assert repr(bad) in str(caught.value)
    assert isinstance(caught.value, CicError)


@pytest.mark.parametrize("text", ["20", "0.5", "1e6", " 20 ", "-5", "0"])
def test_a_bandwidth_without_a_unit_is_refused_with_those_it_may_mean(text: str) -> None:
    with pytest.raises(UnitError, match=f"{text.strip()} what. Write") as caught:
        bits_per_second(text)
    if float(text) > 0:
        written = str(caught.value).split('"')[1]
        assert bits_per_second(written) > 0 and written.startswith(text.strip())


@pytest.mark.parametrize("text", ["40", "0.04"])
def test_a_time_without_a_unit_is_refused_with_those_it_may_mean(text: str) -> None:
    with pytest.raises(UnitError, match=f'--rtt .* no unit: {text} what. Write "{text}ms" or "{text}s"'):
        seconds(text, "--rtt")


def test_zero_is_the_same_in_each_unit_of_time() -> None:
    assert seconds("0") == seconds("0.0") == seconds("0ms") == 0


@pytest.mark.parametrize("bad", [-1, "-1ms", "3 fortnights", float("nan"), float("inf"), "soon", None, "nan s"])
def test_bad_times_are_refused(bad: object) -> None:
    with pytest.raises(UnitError):
        seconds(bad)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "expected"), [("512MB", 512_000_000), ("1.5 GiB", 3 << 29), ("64kB", 64_000), ("1B", 1), ("2.9B", 2)]
)
def test_sizes(text: str, expected: int) -> None:
    assert byte_count(text, "--memory-limit") == expected


@pytest.mark.parametrize("bad", ["512", "0MB", "-1MB", "0.5B", "5 Mb", "5MBps", "nanMB", "infMB", "1e300GB", "big", ""])
def test_bad_sizes_are_refused_and_quoted(bad: str) -> None:
    with pytest.raises(UnitError, match=f"--max-body '{bad}'"):
        byte_count(bad, "--max-body")


@pytest.mark.parametrize("bad", [0, -2, float("nan"), float("inf"), "2", None, True])
def test_bad_factors_are_refused(bad: object) -> None:
    with pytest.raises(UnitError):
        factor(bad)  # type: ignore[arg-type]


def test_times() -> None:
    assert seconds("40ms") == pytest.approx(0.04)
    assert seconds("3 us") == pytest.approx(3e-6)
    assert seconds(0) == 0


@given(st.floats(1, 1e9), st.sampled_from([*BITS_PER_S, *BYTES_PER_S]))
def test_every_unit_scales_linearly(number: float, unit: str) -> None:
    if number * bits_per_second(f"1{unit}") > 1e14:
        return
    assert bits_per_second(f"{number!r} {unit}") == pytest.approx(number * bits_per_second(f"1{unit}"), rel=1e-9)


@given(st.floats(1e-3, 1e13))
def test_what_is_shown_can_be_read_back(value: float) -> None:
    assert bits_per_second(show_bandwidth(value)) == pytest.approx(value, rel=0.01)
    assert show_seconds(value) and show_bytes(value)
