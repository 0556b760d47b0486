"""Layout of graphs: what holds for every drawing in layers.

Oracle: geometry, on random graphs.
"""

import random
from itertools import combinations

import pytest

from fastgrad.pages.layout import place


def random_graph(seed):
    rng = random.Random(seed)
    n = rng.randint(1, 40)
    sizes = [(rng.uniform(40, 160), rng.uniform(20, 60)) for _ in range(n)]
    edges = [(rng.randrange(i), i) for i in range(1, n) for _ in range(rng.randint(0, 3))]
    return sizes, list(dict.fromkeys(edges))


@pytest.mark.parametrize("upright", [False, True])
def test_boxes_are_apart_inside_the_picture_and_behind_their_operands(upright):
    for seed in range(60):
        sizes, edges = random_graph(seed)
        found = place(sizes, edges, upright)
        for x, y, w, h in found.boxes:
            assert -0.1 <= x - w / 2 <= x + w / 2 <= found.width + 0.1
            assert -0.1 <= y - h / 2 <= y + h / 2 <= found.height + 0.1
        for (x, y, w, h), (u, v, ww, hh) in combinations(found.boxes, 2):
            assert abs(x - u) >= (w + ww) / 2 or abs(y - v) >= (h + hh) / 2
        for start, end in edges:
            (x, y, w, h), (u, v, ww, hh) = found.boxes[start], found.boxes[end]
            assert y + h / 2 < v - hh / 2 if upright else x + w / 2 < u - ww / 2


@pytest.mark.parametrize("upright", [False, True])
def test_edges_lead_from_box_to_box_and_on(upright):
    for seed in range(60):
        sizes, edges = random_graph(seed)
        found = place(sizes, edges, upright)
        assert len(found.edges) == len(edges)
        for (start, end), points in zip(edges, found.edges, strict=True):
            (x, y, w, h), (u, v, ww, hh) = found.boxes[start], found.boxes[end]
            first, last = ((x, y + h / 2), (u, v - hh / 2)) if upright else (
                (x + w / 2, y), (u - ww / 2, v))  # fmt: skip
            assert points[0] == pytest.approx(first, abs=0.2)
            assert points[-1] == pytest.approx(last, abs=0.2)
            along = [point[upright] for point in points]
            assert along == sorted(along)


def test_a_chain_is_a_straight_line():
    found = place([(50, 20)] * 5, [(i, i + 1) for i in range(4)], upright=False)
    assert {y for _, y, _, _ in found.boxes} == {10.0}


def test_leaves_come_late():
    sizes = [(10, 10)] * 5
    found = place(sizes, [(0, 1), (1, 2), (2, 3), (4, 3)], upright=False)
    assert found.boxes[4][0] == found.boxes[2][0]
