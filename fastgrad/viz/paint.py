"""Paint: a picture on matplotlib's axes, where Graphviz would have put it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fastgrad.errors import MissingExtraError, explain, printable
from fastgrad.viz.layout import place_dot

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Mark", "clean", "painted_figure"]

_MARGIN = 4.0
_FONTS = ["STIXGeneral", "DejaVu Sans"]  # as wide as Graphviz takes its font for; more letters


@dataclass
class Mark:
    """A box with fields, an oval with one, or dots."""

    fields: list[str]
    shape: str  # "record", "ellipse", "plaintext"
    is_value: bool = True


def clean(text: str) -> str:
    """Return a text without control characters but line ends: they are written out."""
    return "\n".join(map(printable, text.splitlines()))


def painted_figure(
    source: str, marks: Mapping[str, Mark], what: str, heading: float = 0.0
) -> tuple[Figure, Callable[[Mapping[str, str], Mapping[str, list[str]]], None]]:
    """Return a figure as large as a picture, and what paints it.

    Parameters
    ----------
    source : str
        The picture in the DOT language.
    marks : mapping of names to Mark
        What it shows, by the names in `source`.
    what : str
        What this is for: a word for an error.
    heading : float
        Room above the picture for a title, in points.

    Returns
    -------
    figure : matplotlib Figure
    paint : callable
        ``paint(fills, fields)`` paints all anew, some marks filled with a colour or with other
        texts in their fields, by name.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed, or nothing that can place nodes.
    """
    try:
        from matplotlib.figure import Figure
        from matplotlib.patches import Ellipse, PathPatch, Polygon, Rectangle
        from matplotlib.path import Path as Curve
    except ImportError as error:
        expected = "pygraphviz, the program dot or matplotlib"
        remedy = "pip install matplotlib"
        raise MissingExtraError(explain(expected, "none", what, remedy)) from error
    found = place_dot(source)
    width, height = found.width + 2 * _MARGIN, found.height + 2 * _MARGIN
    figure = Figure(figsize=(width / 72, (height + heading) / 72), dpi=144)
    axes = figure.add_axes((0, 0, 1, height / (height + heading)), frameon=False)

    def paint(fills: Mapping[str, str], fields: Mapping[str, list[str]]) -> None:
        axes.clear()
        axes.set(xlim=(-_MARGIN, width - _MARGIN), ylim=(height - _MARGIN, -_MARGIN))
        axes.set(xticks=[], yticks=[])
        for name, mark in marks.items():
            box = found.boxes[name]
            left, top = box.x - box.width / 2, box.y - box.height / 2
            right, bottom = box.x + box.width / 2, box.y + box.height / 2
            look: dict[str, Any] = {"facecolor": fills.get(name, "none"), "edgecolor": "black"}
            if mark.shape == "ellipse":
                axes.add_patch(Ellipse((box.x, box.y), box.width, box.height, **look))
            elif mark.shape == "record":
                axes.add_patch(Rectangle((left, top), box.width, box.height, **look))
            cells = box.cells or ((left, top, right, bottom),)
            for field, cell in zip(fields.get(name, mark.fields), cells, strict=True):
                axes.text(
                    (cell[0] + cell[2]) / 2,
                    (cell[1] + cell[3]) / 2,
                    clean(field).replace("$", r"\$"),
                    ha="center",
                    va="center",
                    fontfamily=_FONTS,
                    fontsize=14,
                )
                if cell[2] < right - 1:
                    axes.plot([cell[2], cell[2]], [top, bottom], color="black", linewidth=1.0)
                if cell[3] < bottom - 1:
                    axes.plot([left, right], [cell[3], cell[3]], color="black", linewidth=1.0)
        for path in found.paths:
            codes = [Curve.MOVETO] + [Curve.CURVE4] * (len(path.points) - 1)
            axes.add_patch(PathPatch(Curve(path.points, codes), facecolor="none"))
            axes.add_patch(Polygon(_head(path.points[-1], path.tip), color="black"))

    return figure, paint


def _head(base: tuple[float, float], tip: tuple[float, float]) -> list[tuple[float, float]]:
    """Return the corners of an arrow's head, as wide as Graphviz makes it."""
    x, y = 0.35 * (tip[0] - base[0]), 0.35 * (tip[1] - base[1])
    return [tip, (base[0] - y, base[1] + x), (base[0] + y, base[1] - x)]
