"""micrograd's two-moons demo: train it, again on a tape, beside micrograd; draw what it learnt.

The training code is that of micrograd's demo.ipynb, and takes `Value` and `MLP` as parameters: both
libraries run the same function, so the factor compares nothing but the libraries.  The tape is of
one point's loss, whose mean over the points is the notebook's.
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
from fastgrad import engine, nn, optim
from fastgrad.command.bench.workloads import Library, sample_loss, total_loss, training_step
from fastgrad.errors import FastgradValueError, MissingExtraError, explain
from fastgrad.tape import record
from fastgrad.training import fit

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.figure import Figure

__all__ = ["Library", "run_demo", "total_loss", "training_step"]

# Steps of fastgrad for one of micrograd's in a round: enough for a median, too few to notice.
_STEPS_PER_ROUND = 10
_TAPE_STEPS_PER_ROUND = 100
_TRAININGS = 5  # on the tape: one takes a millisecond, and the median should not be chance
_SAME = 1e-9  # gradients that differ by more belong to different programs: no factor is quoted

FASTGRAD = Library("fastgrad", engine.Value, nn.MLP)


def run_demo(
    steps: int = 100,
    seed: int = 1337,
    output: str = "moons.png",
    spacing: float = 0.02,
    rounds: int = 3,
    recorded: bool = True,
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
    recorded : bool
        Train a second time on a tape, and time that too.

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

    losses, eager = _train(model, X, y, steps, tqdm)
    print(f"one step: {eager * 1e3:.3f} ms, the median of {steps}")
    others = []
    if recorded:
        taped = _Recorded(X, y, seed)
        taped.train(losses, eager)
        taped.optimizer.lr = 0.1
        others.append(("fastgrad, tape", taped.step, _TAPE_STEPS_PER_ROUND))
    if rounds:
        _compare(X, y, seed, rounds, tqdm, *others)
    _draw(figure, model, X, y, spacing)
    figure.savefig(output)
    print(f"decision boundary: {output}")


def _rate(k: int) -> float:
    """Return the notebook's learning rate at step k."""
    return 1.0 - 0.9 * min(k, 100) / 100


def _train(model: Any, X: Any, y: Any, steps: int, tqdm: Any) -> tuple[list[float], float]:
    """Run the notebook's loop; return the losses, and the median step in seconds."""
    times, losses = [], []
    with tqdm(range(steps), desc="training", unit="step", disable=None) as progress:
        for k in progress:
            start = perf_counter()
            loss, accuracy = training_step(FASTGRAD, model, X, y, _rate(k))
            times.append(perf_counter() - start)
            losses.append(float(loss))
            progress.set_postfix_str(f"loss {loss:.4f}, accuracy {accuracy:.0%}", refresh=False)
            if k == 0 or k == steps - 1:
                progress.write(f"step {k}: loss {float(loss)!r}, accuracy {accuracy:.0%}")
    return losses, median(times)


class _Recorded:
    """The same network and points, on a tape; `step` is one of the loop's, driven from Python."""

    def __init__(self, X: Any, y: Any, seed: int) -> None:
        start = perf_counter()
        self.model = _model(FASTGRAD, seed)
        self.tape = record(lambda x, y: sample_loss(self.model, x, y), [0.0, 0.0], 1.0)
        self.seconds = perf_counter() - start
        self.optimizer = optim.SGD(self.model.parameters(), lr=1.0)
        self.data = X, y.astype(float)

    def step(self) -> float:
        """Take a step, and return the loss before it."""
        self.optimizer.zero_grad()
        loss: float = self.tape.backward(*self.data)
        self.optimizer.step()
        return loss

    def train(self, expected: list[float], eager: float) -> None:
        """Train as often as the eager loop did, by steps and by one call of fit; print both."""
        rates = [_rate(k) for k in range(len(expected))]
        start = [p.data for p in self.model.parameters()]
        stats = self.tape.stats()
        print(
            f"recorded in {self.seconds * 1e3:.1f} ms: {stats['operations']} operations, for the "
            f"{stats['recorded']} of a point's loss"
        )
        for what, run in (("on the tape, from Python", self._loop), ("of fit", self._fit)):
            times = []
            for _ in range(_TRAININGS):
                for p, number in zip(self.model.parameters(), start, strict=True):
                    p.data = number
                begin = perf_counter()
                losses = run(rates)
                times.append((perf_counter() - begin) / len(rates))
            seconds = median(times)
            pairs = zip(losses, expected, strict=True)
            difference = max(abs(ours - theirs) for ours, theirs in pairs)
            print(
                f"one step {what}: {seconds * 1e3:.4f} ms, {eager / seconds:,.0f} times as fast; "
                f"losses differ by {difference:.0e} at most"
            )

    def _loop(self, rates: list[float]) -> list[float]:
        losses = []
        for rate in rates:
            self.optimizer.lr = rate
            losses.append(self.step())
        return losses

    def _fit(self, rates: list[float]) -> list[float]:
        return fit(
            self.tape, *self.data, optimizer=self.optimizer, steps=len(rates), schedule=rates
        )


def _model(library: Library, seed: int) -> Any:
    """Return the network as it starts after `make_moons`, which leaves `random` alone."""
    random.seed(seed)
    return library.MLP(2, [16, 16, 1])


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


def _compare(
    X: Any, y: Any, seed: int, rounds: int, tqdm: Any, *others: tuple[str, Callable[[], Any], int]
) -> None:
    """Time the same step on both, alternately, and print the factors, if the gradients agree."""
    other = _micrograd()
    if other is None:
        print("no comparison: micrograd is not installed (pip install micrograd)")
        return
    models = {}
    for library in (FASTGRAD, other):
        models[library] = _model(library, seed)
        training_step(library, models[library], X, y, 1.0)
    pairs = zip(*(models[library].parameters() for library in models), strict=True)
    difference = max(abs(ours.grad - theirs.grad) for ours, theirs in pairs)
    if not difference <= _SAME:
        print(f"no comparison: gradients of fastgrad and {other.name} differ by {difference:.0e}")
        return

    def eagerly(library: Library) -> Callable[[], Any]:
        return lambda: training_step(library, models[library], X, y, 0.1)

    turns: list[tuple[str, Callable[[], Any], int]] = [
        ("fastgrad", eagerly(FASTGRAD), _STEPS_PER_ROUND),
        *others,
        (other.name, eagerly(other), 1),
    ]
    times: dict[str, list[float]] = {name: [] for name, _, _ in turns}
    for _ in tqdm(range(rounds), desc=f"timing {other.name}", unit="step", disable=None):
        for name, step, repeats in turns:
            for _ in range(repeats):
                start = perf_counter()
                step()
                times[name].append(perf_counter() - start)
    print(f"the same training, in alternation, gc on; gradients agree to {difference:.0e}:")
    theirs = median(times[other.name])
    for name, taken in times.items():
        ours = median(taken)
        factor = "" if name == other.name else f": {theirs / ours:,.0f} times as fast"
        print(f"    {name:<16} {ours * 1e3:12.4f} ms a step{factor}")


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
