"""Break points: the envelope of lines, against trying every line."""

from __future__ import annotations

import random
from bisect import bisect_right

from cic.decision.break_points import break_points


def test_between_break_points_no_line_is_lower() -> None:
    rng = random.Random(4)
    pieces = 0
    for _ in range(2000):
        choices = [0.0, 0.5, 1.0, rng.uniform(0, 2)]
        lines = [(rng.choice(choices), rng.choice([0.0, 1e5, 3e5, rng.uniform(0, 1e7)])) for _ in range(rng.randint(1, 9))]
        slowest, fastest = sorted(10 ** rng.uniform(4, 10) for _ in range(2))
        points, best = break_points(lines, (slowest, fastest))
        pieces += len(points)
        assert len(best) == len(points) + 1
        assert points == sorted(set(points))
        assert all(slowest <= point <= fastest for point in points)
        for _ in range(30):
            bandwidth = slowest * (fastest / slowest) ** rng.random()
            chosen_intercept, chosen_slope = lines[best[bisect_right(points, bandwidth)]]
            lowest = min(intercept + slope / bandwidth for intercept, slope in lines)
            assert chosen_intercept + chosen_slope / bandwidth <= lowest * (1 + 1e-9) + 1e-15
        for index, point in enumerate(points):
            before, after = lines[best[index]], lines[best[index + 1]]
            assert abs(before[0] + before[1] / point - after[0] - after[1] / point) <= 1e-9 * (before[0] + before[1] / point)
    assert pieces > 300, "most draws must have something to find"


def test_one_line_has_no_break_point() -> None:
    assert break_points([(1.0, 2.0)], (1e3, 1e9)) == ([], [0])
