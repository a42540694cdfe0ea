"""The page of numbers is one that Prometheus reads, and its histograms add up."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from cic.protocol.answer import ServerTimes
from cic.serving.metrics import Metrics
from tests.draws import draws

LINE = re.compile(r'([a-z_]+)(\{(?:[a-z_]+="(?:[^"\\]|\\["\\n])*",?)*\})? (\S+)')


def read(page: str) -> dict[tuple[str, str], float]:
    """The samples of a page by name and labels; each belongs to a family that is declared before it."""
    samples: dict[tuple[str, str], float] = {}
    families: dict[str, str] = {}
    for line in page.splitlines():
        if line.startswith("# TYPE "):
            name, kind = line.split()[2:]
            assert name not in families and kind in ("counter", "gauge", "histogram")
            families[name] = kind
        elif not line.startswith("# HELP "):
            match = LINE.fullmatch(line)
            assert match, line
            family = re.sub("_(bucket|sum|count)$", "", match[1]) if match[1] not in families else match[1]
            assert family in families and (match[1], match[2] or "") not in samples
            samples[match[1], match[2] or ""] = float(match[3])
    return samples


@settings(max_examples=draws(50), deadline=None)
@given(st.lists(st.integers(0, 10**8), min_size=1, max_size=30))
def test_histograms_count_each_inference_once(times: list[int]) -> None:
    metrics = Metrics()
    for time_us in times:
        metrics.answered("m", ServerTimes(0, 0, 0, time_us, 0), 5, 7)
    samples = read(metrics.page({}, {}))
    buckets = [value for (name, labels), value in samples.items() if name.endswith("_bucket") and 'stage="compute"' in labels]
    assert buckets == sorted(buckets) and buckets[-1] == len(times)
    bounds = [
        float(match[1])
        for name, labels in samples
        if name.endswith("_bucket") and 'stage="compute"' in labels and (match := re.search('le="([^"]*)"', labels))
    ]
    for bound, below in zip(bounds, buckets, strict=True):
        assert below == sum(time_us / 1e6 <= bound for time_us in times)
    assert abs(samples["cic_stage_seconds_sum", '{model="m",stage="compute"}'] - sum(times) / 1e6) < 1e-5
    assert samples["cic_request_bytes_total", '{model="m"}'] == 5 * len(times)


def test_labels_may_hold_anything() -> None:
    metrics = Metrics()
    metrics.requests['a"b\\c\nd', 200] += 1
    samples = read(metrics.page({"cic_ready": ("About.", 1.0)}, {"version": '"'}))
    assert samples["cic_ready", ""] == 1 and sum(samples.values()) == 3
