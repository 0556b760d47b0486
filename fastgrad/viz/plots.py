"""Plots: functions, losses, boundaries, landscapes and networks, by matplotlib.

Each function draws on the axes that it is given, or on new ones, and returns them.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fastgrad import nn
from fastgrad.engine import Value, no_grad
from fastgrad.errors import (
    FastgradError,
    FastgradTypeError,
    FastgradValueError,
    FastgradWarning,
    MissingExtraError,
    describe,
    explain,
)
from fastgrad.tape import record

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "plot_activations",
    "plot_boundary",
    "plot_fit",
    "plot_function",
    "plot_gradients",
    "plot_landscape",
    "plot_loss",
    "plot_parameters",
]

_INK, _BLUE, _RED, _GREEN, _GREY = "#333333", "#1f77b4", "#d1495b", "#2a9d5c", "#999999"
_FLOOR = 1e-300  # what a logarithm is taken of where there is 0


def plot_function(
    f: Callable[[Any], Any],
    x: float,
    *,
    h: float | None = 1.0,
    span: float = 3.0,
    ax: Axes | None = None,
) -> Axes:
    """Draw a function, its tangent at a point, and a secant.

    Parameters
    ----------
    f : callable
        Of one Value; it returns a Value.
    x : float
        Where the tangent is drawn: its slope is the derivative that `backward` finds.
    h : float or None
        The secant goes through the points at x and x + h: the smaller h, the closer its slope to
        that of the tangent. None leaves it out.
    span : float
        How far to each side of x the function is drawn.
    ax : matplotlib Axes, optional
        Where to draw; new ones unless given.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    MissingExtraError
        If matplotlib or NumPy is not installed.
    FastgradValueError
        If h is 0, or span is not positive.
    """
    if h == 0 or not span > 0:
        got = f"h={h}, span={span}"
        raise FastgradValueError(explain("h other than 0, span above 0", got, "plot_function"))
    ax = _axes(ax)
    np = _numpy()
    xs = np.linspace(x - span, x + span, 241)
    ys = np.array([_number_or_nan(f, float(number)) for number in xs])
    point = Value(x)
    y = f(point)
    y.backward()
    slope, height = point.grad, y.data
    ax.plot(xs, ys, color=_BLUE, linewidth=2, label=f"f, f({x:g}) = {height:.4g}")
    low, high = ax.get_ylim()
    if h is not None:
        other = _number_or_nan(f, x + h)
        rise = (other - height) / h
        ax.plot(
            xs, height + rise * (xs - x), color=_GREEN, linewidth=1.3, linestyle="--",
            label=f"secant, h = {h:g}: slope {rise:.4g}",
        )  # fmt: skip
        ax.plot([x, x + h], [height, other], "o", color=_GREEN, markersize=5)
    ax.plot(xs, height + slope * (xs - x), color=_RED, label=f"tangent: slope {slope:.4g}")
    ax.plot([x], [height], "o", color=_RED, markersize=7)
    ax.set(xlabel="x", ylabel="f(x)", xlim=(xs[0], xs[-1]), ylim=(low, high))
    ax.legend(frameon=False)
    return ax


def plot_loss(
    history: Sequence[float] | Mapping[str, Sequence[float]],
    *,
    log: bool | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw a loss over the steps of a training, as `fit` returns it.

    Parameters
    ----------
    history : sequence of float, or mapping of names to such
        One curve, or one for each name.
    log : bool, optional
        Whether the loss has a logarithmic scale; where it falls to less than a tenth unless given.
    ax : matplotlib Axes, optional
        Where to draw; new ones unless given.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    MissingExtraError
        If matplotlib or NumPy is not installed.
    FastgradValueError
        If there is no loss.
    """
    curves = history if isinstance(history, Mapping) else {"": history}
    losses = [float(loss) for curve in curves.values() for loss in curve]
    if not losses:
        raise FastgradValueError(explain("losses", "none", "history of plot_loss"))
    ax = _axes(ax)
    for name, curve in curves.items():
        last = f"{float(curve[-1]):.4g}" if len(curve) else "none"
        ax.plot(
            range(len(curve)), [float(loss) for loss in curve], linewidth=1.8,
            label=f"{name}: {last} at the end" if name else f"{last} at the end",
        )  # fmt: skip
    if log or (log is None and 0 < min(losses) < max(losses) / 10):
        ax.set_yscale("log")
    ax.set(xlabel="step", ylabel="loss")
    ax.legend(frameon=False)
    return ax


def plot_fit(
    model: Callable[[Any], Any],
    x: Sequence[float],
    y: Sequence[float],
    *,
    ax: Axes | None = None,
) -> Axes:
    """Draw points and the curve that a model makes of them, with the error of each.

    Parameters
    ----------
    model : callable
        Of one number; it returns a Value.
    x, y : sequence of float
        The points.
    ax : matplotlib Axes, optional
        Where to draw; new ones unless given.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    MissingExtraError
        If matplotlib or NumPy is not installed.
    FastgradValueError
        If there are no points, or more of one than of the other.
    """
    if not len(x) or len(x) != len(y):
        got = f"{len(x)} and {len(y)}"
        raise FastgradValueError(explain("as many x as y, at least one", got, "plot_fit"))
    ax = _axes(ax)
    np = _numpy()
    xs, ys = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    room = 0.06 * (xs.max() - xs.min() or 1.0)
    grid = np.linspace(xs.min() - room, xs.max() + room, 200)
    curve, guesses = _evaluate(model, grid), _evaluate(model, xs)
    ax.vlines(xs, ys, guesses, color=_RED, linewidth=1, alpha=0.6)
    ax.plot(xs, ys, "o", color=_INK, markersize=5)
    error = float(np.mean((guesses - ys) ** 2))
    ax.plot(grid, curve, color=_BLUE, linewidth=2, label=f"mean squared error {error:.4g}")
    ax.set(xlabel="x", ylabel="y", xlim=(grid[0], grid[-1]))
    ax.legend(frameon=False)
    return ax


def plot_boundary(
    model: Callable[[Any], Any],
    X: Sequence[Sequence[float]],
    y: Sequence[Any],
    *,
    points: int = 100,
    ax: Axes | None = None,
) -> Axes:
    """Colour the plane by what a classifier says of it, the samples on top.

    Parameters
    ----------
    model : callable
        Of a list of two numbers. It returns a Value whose sign decides, or several, of which the
        largest does.
    X : sequence of pairs
        The samples.
    y : sequence
        Their classes: of two, the larger is where the model is positive.
    points : int
        Points of the grid in each direction.
    ax : matplotlib Axes, optional
        Where to draw; new ones unless given.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    MissingExtraError
        If matplotlib or NumPy is not installed.
    FastgradValueError
        If the samples are not pairs, or there are more of them than classes, or fewer.
    """
    np = _numpy()
    samples, classes = np.asarray(X, dtype=float), np.asarray(y).reshape(-1)
    if samples.ndim != 2 or samples.shape[1] != 2 or len(samples) != len(classes):
        got = f"shapes {samples.shape} and {classes.shape}"
        raise FastgradValueError(explain("n pairs and n classes", got, "plot_boundary"))
    ax = _axes(ax, grid=False)
    sides = [_side(samples[:, i], points) for i in (0, 1)]
    plane = np.stack(np.meshgrid(*sides), axis=-1).reshape(-1, 2)
    shape = (len(sides[1]), len(sides[0]))
    scores = _evaluate(model, plane)
    known, which = np.unique(classes, return_inverse=True)
    if scores.ndim == 1:
        scores = scores.reshape(shape)
        limit = float(np.nanpercentile(np.abs(scores), 95)) or 1.0
        levels = np.linspace(-limit, limit, 21)
        ax.contourf(*sides, scores, levels, cmap="RdBu", alpha=0.75, extend="both")
        if np.nanmin(scores) < 0 < np.nanmax(scores):
            ax.contour(*sides, scores, [0], colors=_INK, linewidths=1.8)
        colours: Any = np.array([_RED, _BLUE] if len(known) <= 2 else _many(len(known)))
        found = (_evaluate(model, samples) > 0).astype(int)
        right = found == which if len(known) == 2 else None
    else:
        found = scores.argmax(axis=1).reshape(shape)
        colours = np.array(_many(scores.shape[1]))
        from matplotlib.colors import ListedColormap

        levels = np.arange(scores.shape[1] + 1) - 0.5
        ax.contourf(*sides, found, levels, cmap=ListedColormap(list(colours)), alpha=0.35)
        right = _evaluate(model, samples).argmax(axis=1) == which
    ax.scatter(
        samples[:, 0], samples[:, 1], c=colours[which % len(colours)], s=34, edgecolors="white",
        linewidths=0.8, zorder=3,
    )  # fmt: skip
    title = "" if right is None else f"{int(right.sum())} of {len(right)} right"
    ax.set(xlim=sides[0][[0, -1]], ylim=sides[1][[0, -1]], title=title)
    return ax


def plot_landscape(
    f: Callable[[Any, Any], Any],
    x: tuple[float, float],
    y: tuple[float, float],
    *,
    path: Sequence[tuple[float, float]] = (),
    surface: bool = False,
    points: int = 80,
    ax: Axes | None = None,
) -> Axes:
    """Draw a loss over two of its parameters, and the way that a descent took.

    Parameters
    ----------
    f : callable
        Of two numbers; it returns a Value.
    x, y : (float, float)
        From where to where each goes.
    path : sequence of pairs
        Points on the way, in their order.
    surface : bool
        Draw it in three dimensions, not as a map.
    points : int
        Points of the grid in each direction.
    ax : matplotlib Axes, optional
        Where to draw, of three dimensions for a surface; new ones unless given.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    MissingExtraError
        If matplotlib or NumPy is not installed.
    FastgradValueError
        If x or y is no range.

    Notes
    -----
    Colours have a logarithmic scale where f is positive: a valley within a valley stays visible.
    """
    for name, side in (("x", x), ("y", y)):
        if len(side) != 2 or not side[0] < side[1]:
            got = f"{tuple(side)}"
            raise FastgradValueError(explain("a smaller and a larger number", got, name))
    np = _numpy()
    ax = _axes(ax, "3d" if surface else None, grid=False)
    from matplotlib.colors import LogNorm, Normalize

    sides = np.linspace(*x, points), np.linspace(*y, points)
    plane = np.meshgrid(*sides)
    heights = _evaluate(f, *(side.reshape(-1) for side in plane)).reshape(points, points)
    low, high = float(np.nanmin(heights)), float(np.nanmax(heights))
    is_log = low > 0 and high > 4 * low
    norm = LogNorm(low, high) if is_log else Normalize(low, high if high > low else low + 1)
    way = np.asarray(path, dtype=float).reshape(-1, 2)
    along = _evaluate(f, *way.T) if len(way) else way[:, 0]
    label = f"{along[0]:.4g} to {along[-1]:.4g} in {len(way) - 1} steps" if len(way) else ""
    if surface:
        tall = np.log10(heights) if is_log else heights
        colours = _colourmap()(norm(heights))
        made: Any = ax
        made.plot_surface(*plane, tall, facecolors=colours, rstride=1, cstride=1, shade=False)
        if len(way):
            high_way = np.log10(np.maximum(along, _FLOOR)) if is_log else along
            made.plot(*way.T, high_way, ".-", color="white", zorder=9, linewidth=2.4)
            made.plot(*way.T, high_way, ".-", color=_RED, zorder=10, label=label, linewidth=1.4)
        made.set_zlabel("log10 of loss" if is_log else "loss")
        made.view_init(elev=38, azim=-60)
    else:
        steps = np.geomspace(low, high, 19) if is_log else np.linspace(low, norm.vmax, 19)
        drawn = ax.contourf(*sides, heights, steps, cmap=_colourmap(), norm=norm, extend="both")
        ax.contour(*sides, heights, steps, colors="white", linewidths=0.4, alpha=0.6)
        bar = ax.figure.colorbar(drawn, ax=ax, label="loss")
        bar.ax.set_yticks(steps[::3], [f"{step:.3g}" for step in steps[::3]])
        bar.ax.minorticks_off()
        if len(way):
            ax.plot(*way.T, ".-", color="white", linewidth=2.6, markersize=7)
            ax.plot(*way.T, ".-", color=_RED, linewidth=1.3, markersize=4, label=label)
            ax.plot(*way[-1], "*", color=_RED, markersize=14, markeredgecolor="white")
        ax.set(xlim=x, ylim=y)
    if len(way):
        ax.legend(loc="upper right")
    return ax


def plot_parameters(model: Any, *, bins: int = 30, ax: Axes | None = None) -> Axes:
    """Draw how the parameters of a model are distributed, a curve for each group of them.

    Parameters
    ----------
    model : Module, mapping of names to Values, or iterable of Values
        A Module's groups are those of `named_parameters`: the weights of a layer, its biases.
    bins : int
        Bins of the histograms.
    ax : matplotlib Axes, optional
        Where to draw; new ones unless given.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    MissingExtraError
        If matplotlib or NumPy is not installed.
    FastgradTypeError
        If model is none of these.
    """
    groups = {name: [v.data for v in values] for name, values in _groups(model).items()}
    return _histograms(groups, "parameter", bins, ax)


def plot_gradients(model: Any, *, bins: int = 30, ax: Axes | None = None) -> Axes:
    """Draw how the gradients of a model are distributed, as `plot_parameters` does its data.

    Parameters
    ----------
    model : Module, mapping of names to Values, or iterable of Values
        After `backward`.
    bins : int
        Bins of the histograms.
    ax : matplotlib Axes, optional
        Where to draw; new ones unless given.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    MissingExtraError
        If matplotlib or NumPy is not installed.
    FastgradTypeError
        If model is none of these.
    """
    groups = {name: [v.grad for v in values] for name, values in _groups(model).items()}
    return _histograms(groups, "gradient", bins, ax)


def plot_activations(
    model: Any, X: Iterable[Sequence[float]], *, bins: int = 30, ax: Axes | None = None
) -> Axes:
    """Draw how the outputs of each layer are distributed over some samples.

    Parameters
    ----------
    model : MLP or Sequential
        Its layers are called one after another.
    X : iterable of sequences
        The samples.
    bins : int
        Bins of the histograms.
    ax : matplotlib Axes, optional
        Where to draw; new ones unless given.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    MissingExtraError
        If matplotlib or NumPy is not installed.
    FastgradTypeError
        If model is neither.
    FastgradValueError
        If there are no samples.
    """
    if not isinstance(model, nn.MLP | nn.Sequential):
        got = describe(model)
        raise FastgradTypeError(explain("an MLP or a Sequential", got, "plot_activations"))
    layers = list(model.layers if isinstance(model, nn.MLP) else model)
    names = [_layer_name(i, layer) for i, layer in enumerate(layers)]
    groups: dict[str, list[float]] = {name: [] for name in names}
    with no_grad():
        for sample in X:
            x: Any = list(sample)
            for name, layer in zip(names, layers, strict=True):
                x = layer(x if isinstance(x, list) else [x])
                groups[name] += [_data(out) for out in (x if isinstance(x, list) else [x])]
    if not all(groups.values()):
        raise FastgradValueError(explain("samples", "none", "X of plot_activations"))
    return _histograms(groups, "output", bins, ax)


# What they share ----------------------------------------------------------------------------------


def missing(error: ImportError) -> MissingExtraError:
    expected, remedy = "matplotlib and NumPy", "pip install 'fastgrad[viz]'"
    return MissingExtraError(explain(expected, f"no {error.name}", "plots", remedy))


def _numpy() -> Any:
    try:
        import numpy as np
    except ImportError as error:
        raise missing(error) from error
    return np


def _axes(ax: Any, projection: str | None = None, grid: bool = True) -> Any:
    """Return the axes to draw on, with little ink of their own."""
    try:
        from matplotlib import pyplot as plt
    except ImportError as error:
        raise missing(error) from error
    if ax is None:
        how = {"projection": projection}
        _, ax = plt.subplots(figsize=(6.4, 4.4), layout="constrained", subplot_kw=how)
    if projection is None:
        ax.spines[["top", "right"]].set_visible(False)
        ax.set_axisbelow(True)
        if grid:
            ax.grid(True, color="#e4e4e4", linewidth=0.8)
    return ax


def _colourmap() -> Any:
    from matplotlib import colormaps

    return colormaps["viridis"]


def _many(count: int) -> list[Any]:
    from matplotlib import colormaps

    return [colormaps["tab10"](i % 10) for i in range(count)]


def _side(numbers: Any, points: int) -> Any:
    room = 0.15 * (numbers.max() - numbers.min() or 1.0)
    return _numpy().linspace(numbers.min() - room, numbers.max() + room, points)


def _data(out: Any) -> float:
    return out.data if isinstance(out, Value) else float(out)


def _number_or_nan(f: Callable[[Any], Any], x: float) -> float:
    """Return f at a point, nan where it is not defined."""
    try:
        with no_grad():
            return _data(f(Value(x)))
    except (ArithmeticError, ValueError):
        return math.nan


def _evaluate(f: Callable[..., Any], *columns: Any) -> Any:
    """Return f at each row of some columns: numbers, or rows of them.

    It runs as a tape; where that would freeze a decision, or cannot be, point by point.
    """
    np = _numpy()
    example = [column[0].tolist() for column in columns]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FastgradWarning)
            tape = record(f, *example)
        if not tape.decisions:
            return np.asarray(tape(*columns), dtype=float)
    except FastgradError:
        pass
    with no_grad():
        rows = zip(*(column.tolist() for column in columns), strict=True)
        found = [f(*map(_as_values, row)) for row in rows]
    return np.array(
        [list(map(_data, out)) if isinstance(out, list) else _data(out) for out in found]
    )


def _as_values(part: Any) -> Any:
    return [Value(number) for number in part] if isinstance(part, list) else Value(part)


def _values_in(part: Any) -> list[Value]:
    return [part] if isinstance(part, Value) else [v for inner in part for v in _values_in(inner)]


def _groups(model: Any) -> dict[str, list[Value]]:
    if isinstance(model, nn.Module):
        pairs: Iterable[tuple[str, Any]] = model.named_parameters()
    elif isinstance(model, Mapping):
        pairs = model.items()
    else:
        pairs = [("all", model)]
    try:
        groups = {str(name): _values_in(part) for name, part in pairs}
    except TypeError:
        groups = {}
    if not any(groups.values()):
        expected = "a Module or Values, at least one"
        raise FastgradTypeError(explain(expected, describe(model), "model of a plot"))
    return {name: values for name, values in groups.items() if values}


def _layer_name(place: int, layer: Any) -> str:
    if isinstance(layer, nn.Layer):
        return f"{place}: {len(layer.neurons)} x {repr(layer.neurons[0]).partition('Neuron')[0]}"
    return f"{place}: {type(layer).__name__}"


def _histograms(groups: dict[str, list[float]], what: str, bins: int, ax: Any) -> Axes:
    """Draw the density of each group in a row of its own, the first on top."""
    np = _numpy()
    made: Axes = _axes(ax)
    every = [number for numbers in groups.values() for number in numbers if math.isfinite(number)]
    edges = np.histogram_bin_edges(every, bins=bins)
    middles = (edges[1:] + edges[:-1]) / 2
    names = []
    for row, (name, numbers) in enumerate(reversed(groups.items())):
        finite = np.array([number for number in numbers if math.isfinite(number)])
        counts, _ = np.histogram(finite, bins=edges)
        heights = row + 0.85 * counts / max(counts.max(), 1)
        colour = _many(len(groups))[len(groups) - 1 - row]
        made.fill_between(middles, row, heights, step="mid", color=colour, alpha=0.3)
        made.step(middles, heights, where="mid", color=colour, linewidth=1.3)
        about = f"{finite.mean():.2g} ± {finite.std():.2g}" if len(finite) else "none finite"
        names.append(f"{name}\n{len(numbers)}: {about}")
    made.set(xlabel=what, ylim=(-0.1, len(groups)))
    made.set_yticks([row + 0.3 for row in range(len(groups))], names, fontsize=8)
    made.tick_params(axis="y", length=0)
    made.spines["left"].set_visible(False)
    return made
