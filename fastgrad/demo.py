"""micrograd's two-moons demo: train it, time it beside micrograd, draw what it learnt.

Layer: command line.  May import: the public API, and the extras of `fastgrad[demo]`.

The training code is that of micrograd's demo.ipynb, and takes `Value` and `MLP` as parameters: both
libraries run the same function, so the factor compares nothing but the libraries.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import random
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

import fastgrad
from fastgrad import engine, nn
from fastgrad.bench.workloads import Library, total_loss, training_step
from fastgrad.errors import FastgradValueError, MissingExtraError, explain

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Library", "run_demo", "total_loss", "training_step"]

# Steps of fastgrad for one of micrograd's in a round: enough for a median, too few to notice.
_STEPS_PER_ROUND = 10
_SAME = 1e-9  # gradients that differ by more belong to different programs: no factor is quoted

FASTGRAD = Library("fastgrad", engine.Value, nn.MLP)


def run_demo(
    steps: int = 100,
    seed: int = 1337,
    output: str = "moons.png",
    spacing: float = 0.02,
    rounds: int = 3,
) -> None:
    """Train, time, compare and draw; print what happens.

    Parameters
    ----------
    steps : int
        Training steps; the learning rate falls from 1 to 0.1 over 100 of them, and stays there.
    seed : int
        Of `numpy.random` and `random`.  The notebook's, 1337, starts at loss 0.8958441028683222.
    output : str
        Picture to write, in any format that matplotlib knows by its suffix.
    spacing : float
        Distance of the picture's grid points; the notebook's is 0.25.
    rounds : int
        Timed steps of micrograd; 0 leaves it out.

    Raises
    ------
    MissingExtraError
        If the extra `fastgrad[demo]` is not installed.
    FastgradValueError
        If the picture cannot be written to `output`; nothing has been trained by then.
    """
    try:
        import numpy as np
        from matplotlib.figure import Figure
        from sklearn.datasets import make_moons
        from tqdm import tqdm
    except ImportError as error:
        needed = "scikit-learn, matplotlib and tqdm"
        raise MissingExtraError(
            explain(needed, f"no {error.name}", "demo", "pip install 'fastgrad[demo]'")
        ) from error
    figure = Figure(figsize=(6, 5), dpi=150, layout="constrained")
    _check_output(output, sorted(figure.canvas.get_supported_filetypes()))
    if spacing <= 0:
        raise FastgradValueError(explain("a positive grid spacing", str(spacing), "--spacing"))

    np.random.seed(seed)  # noqa: NPY002  # the notebook's generator, for the notebook's points
    random.seed(seed)
    X, y = make_moons(n_samples=100, noise=0.1)
    y = y * 2 - 1  # make y be -1 or 1
    model = FASTGRAD.MLP(2, [16, 16, 1])  # 2-layer neural network
    print(f"fastgrad {fastgrad.__version__}: {len(X)} points of two moons, seed {seed}")
    print(f"MLP(2, [16, 16, 1]): {len(model.parameters())} parameters")

    step_ms = _train(model, X, y, steps, tqdm)
    print(f"one step: {step_ms:.3f} ms, the median of {steps}")
    if rounds:
        _compare(X, y, seed, rounds, tqdm)
    _draw(figure, model, X, y, spacing)
    figure.savefig(output)
    print(f"decision boundary: {output}")


def _train(model: Any, X: Any, y: Any, steps: int, tqdm: Any) -> float:
    """Run the notebook's loop; return the median step in milliseconds."""
    times = []
    with tqdm(range(steps), desc="training", unit="step", disable=None) as progress:
        for k in progress:
            start = perf_counter()
            loss, accuracy = training_step(FASTGRAD, model, X, y, 1.0 - 0.9 * min(k, 100) / 100)
            times.append(perf_counter() - start)
            progress.set_postfix_str(f"loss {loss:.4f}, accuracy {accuracy:.0%}", refresh=False)
            if k == 0 or k == steps - 1:
                progress.write(f"step {k}: loss {float(loss)!r}, accuracy {accuracy:.0%}")
    return median(times) * 1e3


def _micrograd() -> Library | None:
    """Return PyPI's micrograd, if `import micrograd` really gives it."""
    try:
        from micrograd.engine import Value
        from micrograd.nn import MLP
    except ImportError:
        return None
    if Value is engine.Value:  # install_as_micrograd() is in force
        return None
    try:
        version = importlib.metadata.version("micrograd")
    except importlib.metadata.PackageNotFoundError:  # a checkout on sys.path
        version = "from " + str(Path(MLP.__init__.__code__.co_filename).parent)
    return Library(f"micrograd {version}", Value, MLP)


def _compare(X: Any, y: Any, seed: int, rounds: int, tqdm: Any) -> None:
    """Time the same step on both, alternately, and print the factor, if the gradients agree."""
    other = _micrograd()
    if other is None:
        print("no comparison: micrograd is not installed (pip install micrograd)")
        return
    models = {}
    for library in (FASTGRAD, other):
        random.seed(seed)
        models[library] = library.MLP(2, [16, 16, 1])
        training_step(library, models[library], X, y, 1.0)
    pairs = zip(*(models[library].parameters() for library in models), strict=True)
    difference = max(abs(ours.grad - theirs.grad) for ours, theirs in pairs)
    if not difference <= _SAME:
        print(f"no comparison: gradients of fastgrad and {other.name} differ by {difference:.0e}")
        return

    times: dict[Library, list[float]] = {FASTGRAD: [], other: []}
    for _ in tqdm(range(rounds), desc=f"timing {other.name}", unit="step", disable=None):
        for library, repeats in ((FASTGRAD, _STEPS_PER_ROUND), (other, 1)):
            for _ in range(repeats):
                start = perf_counter()
                training_step(library, models[library], X, y, 0.1)
                times[library].append(perf_counter() - start)
    ours, theirs = median(times[FASTGRAD]) * 1e3, median(times[other]) * 1e3
    print(f"the same code, in alternation, gc on; gradients agree to {difference:.0e}:")
    factor = f"fastgrad is {theirs / ours:,.0f} times as fast"
    print(f"    fastgrad         {ours:10.3f} ms a step")
    print(f"    {other.name:<16} {theirs:10.3f} ms a step: {factor}")


def _check_output(output: str, suffixes: list[str]) -> None:
    path = Path(output)
    if path.suffix.removeprefix(".").lower() not in suffixes:
        raise FastgradValueError(
            explain(f"a file name ending in one of {', '.join(suffixes)}", repr(output), "--output")
        )
    if not path.parent.is_dir():
        raise FastgradValueError(
            explain("a folder that exists", repr(str(path.parent)), "--output", "create it first")
        )


def _draw(figure: Figure, model: Any, X: Any, y: Any, spacing: float) -> None:
    """Colour the plane by the model's score, the boundary in black, the points on top."""
    import numpy as np

    x_min, x_max = X[:, 0].min() - 1, X[:, 0].max() + 1
    y_min, y_max = X[:, 1].min() - 1, X[:, 1].max() + 1
    xx, yy = np.meshgrid(np.arange(x_min, x_max, spacing), np.arange(y_min, y_max, spacing))
    start = perf_counter()
    # Nothing will be differentiated here, so no graph is needed.
    with getattr(fastgrad, "no_grad", contextlib.nullcontext)():
        scores = np.array([model(point).data for point in np.c_[xx.ravel(), yy.ravel()].tolist()])
    print(f"grid of {xx.shape[1]} x {xx.shape[0]} points: {perf_counter() - start:.2f} s")

    axes = figure.add_subplot()
    levels = np.linspace(-4, 4, 33)
    axes.contourf(
        xx, yy, scores.reshape(xx.shape), levels, cmap="Spectral", alpha=0.8, extend="both"
    )
    if scores.min() < 0 < scores.max():  # an untrained model may see one class only
        axes.contour(xx, yy, scores.reshape(xx.shape), [0], colors="black", linewidths=1.5)
    axes.scatter(X[:, 0], X[:, 1], c=y, s=40, cmap="Spectral", edgecolors="black", linewidths=0.5)
    axes.set(
        xlim=(xx.min(), xx.max()),
        ylim=(yy.min(), yy.max()),
        title="fastgrad on micrograd's two moons",
    )
