"""Extreme rays: against SciPy's vertex enumeration, and by what defines them."""

from __future__ import annotations

import random

import numpy as np
from scipy.spatial import HalfspaceIntersection

from mincut.rays import RayCone, rank


def orthant(dimensions: int) -> RayCone:
    unit = [tuple(int(i == j) for j in range(dimensions)) for i in range(dimensions)]
    return RayCone(unit, unit)


def random_rows(rng: random.Random, dimensions: int, count: int) -> list[tuple[int, ...]]:
    # Every row is positive at (1, …, 1), so the cone keeps an interior.
    rows = []
    while len(rows) < count:
        row = tuple(rng.randint(-20, 20) for _ in range(dimensions))
        if sum(row) > 0:
            rows.append(row)
    return rows


def test_rays_equal_the_vertices_scipy_finds() -> None:
    rng = random.Random(5)
    for _ in range(60):
        dimensions = rng.randint(2, 4)
        rows = random_rows(rng, dimensions, rng.randint(0, 12))
        cone = orthant(dimensions)
        cone.add_all(rows)
        # Cut the cone with the plane sum = 1 and drop the last coordinate.
        everything = [tuple(int(i == j) for j in range(dimensions)) for i in range(dimensions)] + rows
        halfspaces = [[-(row[i] - row[-1]) for i in range(dimensions - 1)] + [-row[-1]] for row in everything]
        if dimensions == 2:
            low = max((-row[1] / (row[0] - row[1]) for row in everything if row[0] > row[1]), default=0.0)
            high = min((-row[1] / (row[0] - row[1]) for row in everything if row[0] < row[1]), default=1.0)
            expected = np.array([[low], [high]])
        else:
            inner = np.full(dimensions - 1, 1 / dimensions)
            expected = HalfspaceIntersection(np.array(halfspaces, dtype=float), inner).intersections
        found = np.array([np.array(ray[:-1]) / sum(ray) for ray in cone.rays])
        for vertex in found:
            assert np.abs(expected - vertex).max(axis=1).min() < 1e-9
        for vertex in expected:
            assert np.abs(found - vertex).max(axis=1).min() < 1e-9


def test_every_ray_satisfies_every_row_and_is_tight_on_enough_of_them() -> None:
    rng = random.Random(6)
    for _ in range(100):
        dimensions = rng.randint(2, 5)
        rows = random_rows(rng, dimensions, 10)
        cone = orthant(dimensions)
        cone.add_all(rows)
        everything = [tuple(int(i == j) for j in range(dimensions)) for i in range(dimensions)] + rows
        for ray in cone.rays:
            values = [sum(a * b for a, b in zip(row, ray, strict=True)) for row in everything]
            assert min(values) >= 0
            tight = [index for index, value in enumerate(values) if value == 0]
            assert tight == cone.tight_rows(ray)
            assert rank([everything[index] for index in tight]) == dimensions - 1


def test_a_row_nothing_satisfies_leaves_no_ray() -> None:
    cone = orthant(3)
    cone.add((-1, -1, -1))
    assert cone.rays == ()


def test_rank() -> None:
    rng = random.Random(2)
    for _ in range(200):
        matrix = [tuple(rng.randint(-3, 3) for _ in range(4)) for _ in range(rng.randint(0, 5))]
        assert rank(matrix) == (np.linalg.matrix_rank(np.array(matrix)) if matrix else 0)
