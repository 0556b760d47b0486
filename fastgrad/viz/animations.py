"""Animations: training and a backward pass as GIF, or MP4 where ffmpeg is."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastgrad.engine import Value
from fastgrad.errors import (
    FastgradTypeError,
    FastgradValueError,
    MissingExtraError,
    describe,
    explain,
    show,
)
from fastgrad.graphs import trace
from fastgrad.viz.dot import LIMIT, draw_dot
from fastgrad.viz.paint import painted_figure
from fastgrad.viz.plots import missing, plot_boundary, plot_fit, plot_landscape

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["animate_backward", "animate_boundary", "animate_descent", "animate_fit"]

_NOW, _DONE, _NEXT = "#ffd166", "#d8f3dc", "#ffe8a8"


def animate_fit(
    path: str | os.PathLike[str],
    model: Callable[[Any], Any],
    x: Sequence[float],
    y: Sequence[float],
    step: Callable[[], Any],
    *,
    frames: int = 40,
    fps: int = 12,
) -> Path:
    """Show how a curve swings into place among its points.

    Parameters
    ----------
    path : str or path
        A file that ends in .gif, or in .mp4 where ffmpeg is installed.
    model, x, y
        As for `plot_fit`.
    step : callable
        Trains a little; it is called between two frames.
    frames : int
        The first shows the model as it is, the last what ``frames - 1`` calls of `step` make of it.
    fps : int
        Frames a second.

    Returns
    -------
    Path
        Of the file.

    Raises
    ------
    MissingExtraError
        If matplotlib, NumPy, or for .mp4 ffmpeg, is not installed.
    FastgradTypeError, FastgradValueError
        If path ends otherwise, or frames or fps is no positive whole number; as for `plot_fit`.
    OSError
        If the file cannot be written.

    Notes
    -----
    Cost: some 0.1 s a frame.
    """

    def draw(figure: Figure, frame: int) -> None:
        if frame:
            step()
        axes = figure.add_subplot()
        plot_fit(model, x, y, ax=axes)
        heights = [float(number) for number in y]
        room = 0.4 * (max(heights) - min(heights) or 1.0)
        axes.set(ylim=(min(heights) - room, max(heights) + room), title=f"step {frame}")
        axes.legend(frameon=False, loc="upper left")

    return _animate(path, draw, frames, fps)


def animate_boundary(
    path: str | os.PathLike[str],
    model: Callable[[Any], Any],
    X: Sequence[Sequence[float]],
    y: Sequence[Any],
    step: Callable[[], Any],
    *,
    frames: int = 40,
    fps: int = 12,
    points: int = 60,
) -> Path:
    """Show how a classifier's boundary finds its way between the samples.

    Parameters
    ----------
    path : str or path
        A file that ends in .gif, or in .mp4 where ffmpeg is installed.
    model, X, y, points
        As for `plot_boundary`.
    step : callable
        Trains a little; it is called between two frames.
    frames : int
        The first shows the model as it is, the last what ``frames - 1`` calls of `step` make of it.
    fps : int
        Frames a second.

    Returns
    -------
    Path
        Of the file.

    Raises
    ------
    MissingExtraError
        If matplotlib, NumPy, or for .mp4 ffmpeg, is not installed.
    FastgradTypeError, FastgradValueError
        If path ends otherwise, or frames or fps is no positive whole number; as for
        `plot_boundary`.
    OSError
        If the file cannot be written.
    """

    def draw(figure: Figure, frame: int) -> None:
        if frame:
            step()
        axes = plot_boundary(model, X, y, points=points, ax=figure.add_subplot())
        axes.set_title(f"step {frame}: {axes.get_title()}")

    return _animate(path, draw, frames, fps)


def animate_descent(
    path: str | os.PathLike[str],
    f: Callable[[Any, Any], Any],
    x: tuple[float, float],
    y: tuple[float, float],
    way: Sequence[tuple[float, float]],
    *,
    fps: int = 12,
    points: int = 60,
) -> Path:
    """Show the way of a descent over a loss, a frame for each of its points.

    Parameters
    ----------
    path : str or path
        A file that ends in .gif, or in .mp4 where ffmpeg is installed.
    f, x, y, points
        As for `plot_landscape`.
    way : sequence of pairs
        Points on the way, in their order.
    fps : int
        Frames a second.

    Returns
    -------
    Path
        Of the file.

    Raises
    ------
    MissingExtraError
        If matplotlib, NumPy, or for .mp4 ffmpeg, is not installed.
    FastgradTypeError, FastgradValueError
        If path ends otherwise, fps is no positive whole number, or `way` is empty; as for
        `plot_landscape`.
    OSError
        If the file cannot be written.
    """

    def draw(figure: Figure, frame: int) -> None:
        axes = figure.add_subplot()
        plot_landscape(f, x, y, path=way[: frame + 1], points=points, ax=axes)

    return _animate(path, draw, len(way), fps)


def animate_backward(
    path: str | os.PathLike[str],
    root: Value | Iterable[Value],
    *,
    rankdir: str = "LR",
    limit: int = LIMIT,
    fps: int = 2,
) -> Path:
    """Show how a backward pass brings each node its gradient.

    Parameters
    ----------
    path : str or path
        A file that ends in .gif, or in .mp4 where ffmpeg is installed.
    root : Value
        What the gradients are of. Its graph is left as it is.
    rankdir, limit
        As for `draw_dot`.
    fps : int
        Frames a second.

    Returns
    -------
    Path
        Of the file.

    Raises
    ------
    MissingExtraError
        If matplotlib, or for .mp4 ffmpeg, is not installed, or nothing that can place nodes.
    FastgradTypeError, FastgradValueError
        If path ends otherwise, fps is no positive whole number, or a node has no derivatives that
        are numbers: its backward step is a Python function, or infinite there; as for `draw_dot`.
    OSError
        If the file cannot be written.

    Notes
    -----
    The first frame has the root's gradient, 1; then there is one for each operation, from the root
    back; the last shows what ``backward()`` leaves in all nodes whose gradients were 0.
    """
    picture = draw_dot(root, rankdir=rankdir, limit=limit)
    graph = trace(root)
    for node in graph.nodes:
        if node.partials is None:
            expected = "derivatives that are numbers"
            got = f"none of {show(node.operation)}"
            raise FastgradValueError(explain(expected, got, "animate_backward"))
    grads = [0.0] * len(graph.nodes)
    for i in graph.roots:
        grads[i] = 1.0
    order = [node for node in reversed(graph.nodes) if node.operands]
    done: set[int] = set()

    def texts() -> dict[str, list[str]]:
        shown = {}
        for node in graph.nodes:
            fields = picture.drawing.marks[f"{node.id}"].fields
            shown[f"{node.id}"] = [*fields[:-1], f"grad {grads[node.id]:.4f}"]
        return shown

    def draw(frame: int) -> tuple[dict[str, str], dict[str, list[str]], str]:
        if not frame:
            return {f"{i}": _NOW for i in graph.roots}, texts(), "the root: its gradient is 1"
        node = order[frame - 1]
        for operand, partial in zip(node.operands, node.partials or (), strict=True):
            grads[operand] += partial * grads[node.id]
        done.add(node.id)
        fills = {f"{i}": _DONE for i in done} | {f"{i}": _NEXT for i in node.operands}
        fills |= {f"{node.id}op": _NOW, f"{node.id}": _NOW}
        if frame == len(order):
            fills = {f"{other.id}": _DONE for other in graph.nodes}
        parts = ", ".join(f"{partial:.4g}" for partial in node.partials or ())
        title = f"{node.symbol}: local derivatives {parts}, times {grads[node.id]:.4g}"
        return fills, texts(), title

    figure, paint = painted_figure(picture.source, picture.drawing.marks, "animation", 28.0)

    def show_frame(_: Figure, frame: int) -> None:
        fills, fields, title = draw(frame)
        paint(fills, fields)
        figure.suptitle(title, fontsize=13, y=0.98, va="top")

    return _animate(path, show_frame, len(order) + 1, fps, figure)


def _animate(
    path: str | os.PathLike[str],
    draw: Callable[[Figure, int], None],
    frames: int,
    fps: int,
    figure: Figure | None = None,
) -> Path:
    """Write a file of frames, each drawn once, in their order."""
    path = Path(path)
    for name, number in (("frames", frames), ("fps", fps)):
        if not isinstance(number, int) or isinstance(number, bool):
            expected, got = "a whole number", describe(number)
            raise FastgradTypeError(explain(expected, got, f"{name} of an animation"))
    if path.suffix not in (".gif", ".mp4") or frames < 1 or fps < 1:
        got = f"{show(path.name)}, {frames} frames, {fps} a second"
        expected = "a .gif or .mp4, at least one frame and one a second"
        raise FastgradValueError(explain(expected, got, "animation"))
    try:
        from matplotlib.animation import FFMpegWriter, PillowWriter
        from matplotlib.figure import Figure
    except ImportError as error:
        raise missing(error) from error
    if path.suffix == ".gif":
        writer: Any = PillowWriter(fps=fps)
    elif FFMpegWriter.isAvailable():
        writer = FFMpegWriter(fps=fps)
    else:
        expected = "the program ffmpeg"
        raise MissingExtraError(explain(expected, "none", path.name, "install it, or write a .gif"))
    shown = figure or Figure(figsize=(6.4, 4.4), layout="constrained", dpi=90)
    with writer.saving(shown, str(path), shown.dpi):
        for frame in range(frames):
            if figure is None:
                shown.clear()
            draw(shown, frame)
            writer.grab_frame(facecolor="white")
    return path
