"""Layout: where the boxes of a graph and its edges go, in layers, from operands to results.

Layers by longest paths (leaves just before their first user), the order in them by the medians of
neighbours, places by least squares: what Sugiyama, Tagawa and Toda 1981 describe, and no more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

__all__ = ["Placed", "place"]

SWEEPS = 12
BETWEEN = 18  # boxes of a layer
LAYERS = 54  # from layer to layer


@dataclass(frozen=True, slots=True)
class Placed:
    """Coordinates: of boxes their middle and size, of edges the points that they go through."""

    width: float
    height: float
    boxes: list[tuple[float, float, float, float]]
    edges: list[list[tuple[float, float]]]


def place(
    sizes: Sequence[tuple[float, float]], edges: Sequence[tuple[int, int]], upright: bool
) -> Placed:
    """Place boxes of given width and height; from left to right, or from the top down.

    Nodes are numbered so that an edge leads from a lower number to a higher one. Cost: 0.1 s for a
    thousand nodes.
    """
    across = [w if upright else h for w, h in sizes]  # the extent within a layer
    along = [h if upright else w for w, h in sizes]
    layer = _layers(len(sizes), edges)
    chains, layer, across = _with_bends(edges, layer, across)
    order = _ordered(layer, chains)
    places = _places(order, chains, across)
    depth = [0.0] * len(order)
    for node, extent in enumerate(along):
        depth[layer[node]] = max(depth[layer[node]], extent)
    middle, end = [], 0.0
    for extent in depth:
        middle.append(end + extent / 2)
        end += extent + LAYERS
    least = min(p - extent / 2 for p, extent in zip(places, across, strict=True))
    most = max(p + extent / 2 for p, extent in zip(places, across, strict=True))

    def point(node: int, shift: float = 0.0) -> tuple[float, float]:
        x, y = middle[layer[node]] + shift, places[node] - least
        return (round(y, 1), round(x, 1)) if upright else (round(x, 1), round(y, 1))

    boxes = [(*point(node), *size) for node, size in enumerate(sizes)]
    lines = []
    for chain in chains:
        first, last = chain[0], chain[-1]
        ends = point(first, along[first] / 2), point(last, -along[last] / 2)
        lines.append([ends[0], *map(point, chain[1:-1]), ends[1]])
    size = most - least, end - LAYERS
    width, height = size if upright else size[::-1]
    return Placed(round(width, 1), round(height, 1), boxes, lines)


def _layers(n: int, edges: Sequence[tuple[int, int]]) -> list[int]:
    """Give each node a layer behind those of its operands; leaves come late."""
    layer, has_operands = [0] * n, [False] * n
    for start, end in sorted(edges, key=lambda edge: edge[1]):
        layer[end], has_operands[end] = max(layer[end], layer[start] + 1), True
    first_user = [n] * n
    for start, end in edges:
        first_user[start] = min(first_user[start], layer[end])
    return [
        rank if has_operands[node] or first_user[node] == n else first_user[node] - 1
        for node, rank in enumerate(layer)
    ]


def _with_bends(
    edges: Sequence[tuple[int, int]], layer: list[int], across: list[float]
) -> tuple[list[list[int]], list[int], list[float]]:
    """Cut edges that pass layers by points in them: each edge becomes a chain of nodes."""
    layer, across, chains = list(layer), list(across), []
    for start, end in edges:
        bends = range(len(layer), len(layer) + layer[end] - layer[start] - 1)
        chains.append([start, *bends, end])
        layer += range(layer[start] + 1, layer[end])
        across += [4.0] * len(bends)
    return chains, layer, across


def _neighbours(n: int, chains: list[list[int]]) -> tuple[list[list[int]], list[list[int]]]:
    before: list[list[int]] = [[] for _ in range(n)]
    behind: list[list[int]] = [[] for _ in range(n)]
    for chain in chains:
        for start, end in pairwise(chain):
            before[end].append(start)
            behind[start].append(end)
    return before, behind


def _ordered(layer: list[int], chains: list[list[int]]) -> list[list[int]]:
    """Order each layer by the mean place of what its nodes are joined to, there and back."""
    order: list[list[int]] = [[] for _ in range(max(layer) + 1)]
    for node, rank in enumerate(layer):
        order[rank].append(node)
    before, behind = _neighbours(len(layer), chains)
    at = [0.0] * len(layer)

    def number(nodes: list[int]) -> None:
        for place, node in enumerate(nodes):
            at[node] = place / max(len(nodes) - 1, 1)

    for nodes in order:
        number(nodes)
    for sweep in range(SWEEPS):
        forth = sweep % 2 == 0
        for nodes in order if forth else reversed(order):
            joined = before if forth else behind
            mean = {
                node: sum(at[other] for other in joined[node]) / len(joined[node])
                if joined[node]
                else at[node]
                for node in nodes
            }
            nodes.sort(key=mean.__getitem__)
            number(nodes)
    return order


def _places(order: list[list[int]], chains: list[list[int]], across: list[float]) -> list[float]:
    """Move nodes towards their neighbours, without changing their order or letting them touch."""
    before, behind = _neighbours(len(across), chains)
    places = [0.0] * len(across)
    for nodes in order:
        offset = 0.0
        for node in nodes:
            places[node] = offset + across[node] / 2
            offset += across[node] + BETWEEN
        for node in nodes:
            places[node] -= offset / 2
    for sweep in range(SWEEPS):
        for nodes in order if sweep % 2 == 0 else reversed(order):
            wished = []
            for node in nodes:
                joined = before[node] + behind[node]
                mean = sum(places[other] for other in joined) / len(joined) if joined else 0.0
                wished.append(mean)
            for node, found in zip(nodes, _apart(nodes, wished, across), strict=True):
                places[node] = found
    return places


def _apart(nodes: list[int], wished: list[float], across: list[float]) -> list[float]:
    """Return the places nearest to those wished for that keep the order and the distances."""
    offsets, offset = [], 0.0
    for previous, node in zip([None, *nodes], nodes, strict=False):
        if previous is not None:
            offset += (across[previous] + across[node]) / 2 + BETWEEN
        offsets.append(offset)
    blocks: list[list[float]] = []  # sum, count: neighbours that would overlap move as one
    for wish, offset in zip(wished, offsets, strict=True):
        blocks.append([wish - offset, 1])
        while len(blocks) > 1 and blocks[-2][0] / blocks[-2][1] > blocks[-1][0] / blocks[-1][1]:
            total, count = blocks.pop()
            blocks[-1][0] += total
            blocks[-1][1] += count
    starts = [total / count for total, count in blocks for _ in range(int(count))]
    return [start + offset for start, offset in zip(starts, offsets, strict=True)]
