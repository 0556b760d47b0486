"""Notebook: what Jupyter and marimo show of a Value, a Module, a tape."""

from __future__ import annotations

import math
from html import escape
from typing import Any

from fastgrad import nn
from fastgrad.engine import Value
from fastgrad.errors import FastgradValueError, MissingExtraError, printable
from fastgrad.tape import Tape
from fastgrad.viz.dot import draw_dot

__all__ = ["svg_of"]

_MOST = 16  # neurons of a layer that are drawn
_STEP, _GAP, _RADIUS = 34.0, 150.0, 11.0
_POSITIVE, _NEGATIVE = "#1f77b4", "#d1495b"  # told apart by the colour-blind, too
_HEAD = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="{0:.0f}" height="{1:.0f}" '
    'viewBox="0 0 {0:.0f} {1:.0f}">'
)
_FONT = 'font-family="Helvetica,Arial,sans-serif" font-size="12"'


def svg_of(thing: Any) -> str | None:
    """Return a picture in SVG, or None where text serves better.

    Parameters
    ----------
    thing : Value, Module or Tape
        A Value is drawn as `draw_dot` draws it, and so is a tape; a Neuron, Layer or MLP as a
        network with its weights, any other Module as the table of `fastgrad.nn.summary`.

    Returns
    -------
    str or None
        None for a leaf, for graphs of more nodes than `draw_dot` takes, and where nothing that
        can place nodes is installed.
    """
    if isinstance(thing, Value | Tape):
        if isinstance(thing, Value) and not thing.operands:
            return None
        try:
            return draw_dot(thing)._repr_svg_()
        except (FastgradValueError, MissingExtraError):
            return None
    layers = _layers(thing)
    return _table(nn.summary(thing)) if layers is None else _network(repr(thing), layers)


def _layers(module: Any) -> list[list[Any]] | None:
    """Return the neurons of a network, layer by layer; None where it is none of micrograd's."""
    if type(module) is nn.MLP:
        layers = [layer.neurons for layer in module.layers if type(layer) is nn.Layer]
        is_known = len(layers) == len(module.layers)
    elif type(module) is nn.Layer:
        layers, is_known = [module.neurons], True
    else:
        layers, is_known = [[module]], True
    if not is_known or not all(layers):
        return None
    plain = all(type(neuron) is nn.Neuron for layer in layers for neuron in layer)
    return layers if plain else None


def _shown(count: int) -> list[int | None]:
    """Return which of a column's circles are drawn; None stands for those left out."""
    if count <= _MOST:
        return list(range(count))
    half = _MOST // 2
    return [*range(half), None, *range(count - half + 1, count)]


def _network(text: str, layers: list[list[Any]]) -> str:
    counts = [len(layers[0][0].w), *map(len, layers)]
    columns = [_shown(count) for count in counts]
    tallest = max(map(len, columns))
    width, height = _GAP * (len(counts) - 1) + 90, _STEP * tallest + 46
    at = {
        (c, which): (45 + _GAP * c, 20 + _STEP * (tallest - len(column) + 2 * row + 1) / 2)
        for c, column in enumerate(columns)
        for row, which in enumerate(column)
    }
    sizes = [abs(w.data) for layer in layers for neuron in layer for w in neuron.w]
    largest = max(filter(math.isfinite, sizes), default=0.0) or 1.0
    lines = [_HEAD.format(width, height), f"<title>{escape(printable(text))}</title>"]
    lines.append('<rect width="100%" height="100%" fill="white"/>')
    for c, layer in enumerate(layers, 1):
        for which in columns[c]:
            weights = layer[which].w if which is not None else ()
            for i, w in enumerate(weights):
                if (c - 1, i) in at:
                    lines.append(_edge(at[c - 1, i], at[c, which], w.data, largest))
    for (c, which), (x, y) in at.items():
        if which is None:
            lines.append(f'<text x="{x}" y="{y + 4}" text-anchor="middle" {_FONT}>⋮</text>')
            continue
        note = (
            f"x[{which}]"
            if c == 0
            else f"{layers[c - 1][which]!r}, b = {layers[c - 1][which].b.data:.4g}"
        )
        lines.append(
            f'<circle cx="{x}" cy="{y}" r="{_RADIUS}" fill="white" stroke="#333" '
            f'stroke-width="1.3"><title>{escape(note)}</title></circle>'
        )
    for c, count in enumerate(counts):
        name = f"{count} in" if c == 0 else _name(layers[c - 1])
        x = 45 + _GAP * c
        place = f'x="{x}" y="{height - 12}" text-anchor="middle" fill="#333"'
        lines.append(f"<text {place} {_FONT}>{name}</text>")
    return "\n".join([*lines, "</svg>"])


def _name(layer: list[Any]) -> str:
    kinds = {repr(neuron).partition("Neuron")[0] for neuron in layer}
    return f"{len(layer)} {kinds.pop() if len(kinds) == 1 else 'mixed'}"


def _edge(
    start: tuple[float, float], end: tuple[float, float], weight: float, largest: float
) -> str:
    colour = _POSITIVE if weight >= 0 else _NEGATIVE
    part = abs(weight) / largest if math.isfinite(weight) else 1.0
    return (
        f'<line x1="{start[0] + _RADIUS}" y1="{start[1]}" x2="{end[0] - _RADIUS}" y2="{end[1]}" '
        f'stroke="{colour}" stroke-width="{0.3 + 3.2 * part:.2f}" stroke-opacity="0.75">'
        f"<title>{weight:.4g}</title></line>"
    )


def _table(text: str) -> str:
    rows = text.splitlines()
    width, height = 16 + 7.4 * max(map(len, rows)), 16 + 17 * len(rows)
    lines = [_HEAD.format(width, height), '<rect width="100%" height="100%" fill="white"/>']
    for i, row in enumerate(rows):
        lines.append(
            f'<text x="8" y="{20 + 17 * i}" font-family="monospace" font-size="12" fill="#333" '
            f'xml:space="preserve">{escape(printable(row))}</text>'
        )
    return "\n".join([*lines, "</svg>"])
