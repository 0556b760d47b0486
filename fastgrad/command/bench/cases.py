"""The workloads by name, and how any library in micrograd's style runs them."""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from .gpt import GPT, NAMES, Adam, gpt_step
from .workloads import (
    LEARNING_RATE,
    accumulated_step,
    batch_points,
    black_scholes,
    chain,
    dag,
    dag_leaves,
    dag_program,
    dense,
    dense_weights,
    expression,
    kalman,
    lecture_mlp,
    lecture_start,
    lecture_step,
    moons,
    observations,
    options,
    rosenbrock,
    rosenbrock_point,
    training_step,
)  # fmt: skip

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .workloads import Library

__all__ = [
    "BATCH", "CONTROL", "KALMAN", "POINTS", "SIZES", "WORKLOADS", "Case", "Unsupported", "Workload",
    "control_case", "eager_case",
]  # fmt: skip


class Unsupported(Exception):  # no fault of anybody: a table has gaps
    """A library cannot run a workload; the text says why."""


@dataclass(frozen=True)
class Workload:
    """A row of the table.

    Attributes
    ----------
    name : str
        Short, as given on the command line.
    title : str
        For the table.
    per : int
        How many of what the figure counts (operations, steps) one run does.
    unit : str
        "ns", "us" or "ms", for one of them.
    size : int
        Operations of the graph, as micrograd counts them; 0 if that is no round figure.
    """

    name: str
    title: str
    per: int
    unit: str
    size: int = 0


CONTROL = Workload("control", "a Python loop on floats, no engine", 100_000, "ns")
BATCH = 10_000  # points of a large batch
SIZES = {"1e4": 10_000, "1e5": 100_000, "1e6": 1_000_000}
KALMAN = (0.8, 0.2, 0.4)  # a, q, r, where the likelihood of `STEPS` observations is taken
STEPS = 50_000
# Functions of a point, and the points of a large batch.
POINTS: dict[str, tuple[Callable[..., Any], Callable[[], Sequence[tuple[float, ...]]]]] = {
    "expression-batch": (expression, partial(batch_points, BATCH)),
    "black-scholes": (black_scholes, partial(options, BATCH)),
}
WORKLOADS = {
    w.name: w
    for w in (
        CONTROL,
        Workload("expression", "W1 README expression, 39 nodes", 100, "us", 39),
        Workload("expression-batch", "W1 on 10,000 points, a point", BATCH, "ns"),
        *(Workload(f"chain-{n}", f"W2 chain, {n} operations", k, "ns", k)
          for n, k in SIZES.items()),
        *(Workload(f"dag-{n}", f"W2 random graph, {n} operations", k, "ns", k)
          for n, k in SIZES.items()),
        *(Workload(f"dense-{n}", f"W2 dense layers, {n} operations", k, "ns", k)
          for n, k in SIZES.items()),
        Workload("moons", "W3 moons demo, a training step", 1, "ms", 65_818),
        Workload("moons-batch", "W3 on 10,000 points, a training step", 1, "ms"),
        Workload("lecture", "W4 lecture's network, 20 steps", 1, "ms"),
        Workload("lecture-loops", "W4 with the lecture's own classes, 20 steps", 1, "ms"),
        Workload("gpt", "W5 GPT on scalars, a training step", len(NAMES), "ms"),
        *(Workload(f"rosenbrock-{n}", f"W6 Rosenbrock's function of {n} numbers", 1, "us")
          for n in (10, 100, 1000)),
        Workload("black-scholes", "W7 Black-Scholes with 5 Greeks, a price of 10,000", BATCH, "ns"),
        Workload("kalman", f"W8 Kalman filter of {STEPS:,} steps", 1, "ms"),
    )
}  # fmt: skip


@dataclass
class Case:
    """One workload on one library, ready to run.

    Attributes
    ----------
    forward : callable
        Does the work, or its first half: returns what `backward` takes.
    gradients : callable
        After exactly one run from the start, gives the numbers to compare with the reference.
    backward : callable, optional
        The second half, where the two are timed apart.
    apart : callable, optional
        The first half by itself, where `forward` does both and cannot be cut in two: it is run and
        timed before each run, and the second half is what a run takes longer.
    times : int
        How often `forward` does what the workload calls a run.
    """

    forward: Callable[[], Any]
    gradients: Callable[[], list[float]]
    backward: Callable[[Any], Any] | None = None
    apart: Callable[[], Any] | None = None
    times: int = 1


def control_case() -> Case:
    """Return the loop that touches no engine: W2's chain on floats."""
    return Case(lambda: chain(1.0, 0.999999, 1e-6, CONTROL.per), list)


def eager_case(library: Library, workload: str) -> Case:
    """Return a workload written in micrograd's style, on a library's classes.

    Raises
    ------
    Unsupported
        If the library has no MLP and the workload is about it.
    """
    kind, _, size = workload.partition("-")
    if kind in _LONG:
        return _LONG[kind](library.Value, SIZES[size])
    if workload not in _STEPS:
        raise Unsupported("no engine takes part")
    return _STEPS[workload](library)


def _case(leaves: list[Any], build: Callable[..., Any], make: Callable[[], list[Any]]) -> Case:
    """Wrap `build(*leaves)`; new leaves for each run, so that grads start at 0."""

    def forward() -> Any:
        leaves[:] = make()
        return build()

    return Case(forward, lambda: [float(v.grad) for v in leaves], lambda root: root.backward())


def _chain(Value: Any, operations: int) -> Case:
    leaves: list[Any] = []
    return _case(
        leaves,
        lambda: chain(leaves[0], leaves[1], leaves[2], operations),
        lambda: [Value(1.0), Value(0.999999), Value(1e-6)],
    )


def _dag(Value: Any, operations: int) -> Case:
    program = dag_program(operations)
    leaves: list[Any] = []
    return _case(leaves, lambda: dag(leaves, program), lambda: list(map(Value, dag_leaves())))


def _dense(Value: Any, operations: int) -> Case:
    layers = [[list(map(Value, row)) for row in rows] for rows in dense_weights(operations)]
    rng = random.Random(5)
    data = [rng.uniform(-1, 1) for _ in layers[0][0]]
    leaves: list[Any] = []
    return _case(leaves, lambda: dense(leaves, layers), lambda: list(map(Value, data)))


def _expression(library: Library) -> Case:
    Value = library.Value
    leaves: list[Any] = []

    def forward() -> None:
        for _ in range(WORKLOADS["expression"].per):
            a, b = Value(-4.0), Value(2.0)
            expression(a, b).backward()
        leaves[:] = a, b

    return Case(forward, lambda: [float(v.grad) for v in leaves])


def _points(workload: str, library: Library) -> Case:
    """Return a case with one small graph for each point."""
    Value = library.Value
    function, points = POINTS[workload][0], POINTS[workload][1]()
    found: list[list[float]] = []
    _try(function, *map(Value, points[0]))

    def forward() -> None:
        found.clear()
        for point in points:
            leaves = [Value(x) for x in point]
            function(*leaves).backward()
            found.append([float(v.grad) for v in leaves])

    return Case(forward, lambda: [x for column in zip(*found, strict=True) for x in column])


def _try(function: Callable[..., Any], *arguments: Any) -> None:
    """Call a function, to see that a library has all that it uses."""
    try:
        function(*arguments)
    except AttributeError as error:
        raise Unsupported(f"it lacks a function: {error}") from None


def _rosenbrock(n: int, library: Library) -> Case:
    leaves: list[Any] = []

    def forward() -> None:
        leaves[:] = map(library.Value, rosenbrock_point(n))
        rosenbrock(leaves).backward()

    return Case(forward, lambda: [float(v.grad) for v in leaves])


def _kalman(library: Library) -> Case:
    zs, leaves = observations(STEPS), list(map(library.Value, KALMAN))
    _try(kalman, zs[:1], *leaves)

    def forward() -> None:
        leaves[:] = map(library.Value, KALMAN)
        kalman(zs, *leaves).backward()

    return Case(forward, lambda: [float(v.grad) for v in leaves])


def _network(library: Library) -> Any:
    """Return a library's MLP, if it has one."""
    if library.MLP is None:
        raise Unsupported("it has no MLP")
    return library.MLP


def _moons(library: Library) -> Case:
    MLP = _network(library)
    X, y = moons()
    model = MLP(2, [16, 16, 1])
    return Case(
        lambda: training_step(library, model, X, y, LEARNING_RATE),
        lambda: [float(p.grad) for p in model.parameters()],
    )


def _moons_batch(library: Library) -> Case:
    MLP = _network(library)
    X, y = moons(BATCH)
    model = MLP(2, [16, 16, 1])
    return Case(
        lambda: accumulated_step(library, model, X, y, LEARNING_RATE),
        lambda: [float(p.grad) for p in model.parameters()],
    )


def _lecture(library: Library) -> Case:
    MLP = _network(library)
    try:
        model = MLP(3, [4, 4, 1], activation="tanh", output_activation="tanh")
    except TypeError:
        raise Unsupported("its MLP knows no tanh") from None
    return _lecture_case(model)


def _lecture_loops(library: Library) -> Case:
    return _lecture_case(lecture_mlp(library.Value)(3, [4, 4, 1]))


def _lecture_case(model: Any) -> Case:
    for p, data in zip(model.parameters(), lecture_start(), strict=True):
        p.data = data
    return Case(lambda: lecture_step(model), lambda: [float(p.grad) for p in model.parameters()])


def _gpt(library: Library) -> Case:
    model = GPT(library.Value)
    optimizer = Adam(model.parameters())

    def forward() -> None:
        for name in NAMES:
            gpt_step(model, optimizer, name)

    return Case(forward, lambda: list(optimizer.m))


_LONG = {"chain": _chain, "dag": _dag, "dense": _dense}
_STEPS: dict[str, Callable[[Library], Case]] = {
    "expression": _expression,
    **{name: partial(_points, name) for name in POINTS},
    "moons": _moons,
    "moons-batch": _moons_batch,
    "lecture": _lecture,
    "lecture-loops": _lecture_loops,
    "gpt": _gpt,
    **{f"rosenbrock-{n}": partial(_rosenbrock, n) for n in (10, 100, 1000)},
    "kalman": _kalman,
}
