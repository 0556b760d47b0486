"""The workloads on tapes: recorded once, then replayed, fitted; or recorded again and again.

fastgrad is handed in, as `fg`: see __init__.
"""

from __future__ import annotations

import random
from functools import partial, reduce
from typing import TYPE_CHECKING, Any

from .cases import BATCH, KALMAN, POINTS, SIZES, STEPS, WORKLOADS, Case, Unsupported
from .gpt import GPT, NAMES, tokens
from .workloads import (
    LEARNING_RATE,
    LECTURE_RATE,
    LECTURE_XS,
    LECTURE_YS,
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
    moons,
    observations,
    rosenbrock,
    rosenbrock_point,
    sample_loss,
)  # fmt: skip

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["fit_case", "recording_case", "tape_case"]

_STEPS = 1_000  # of one call of fit, where the workload is one step


def tape_case(fg: Any, workload: str, threads: int = 1) -> Case:
    """Return a workload as a loop in Python around a tape.

    Raises
    ------
    Unsupported
        If it is not written for tapes.
    """
    kind, _, size = workload.partition("-")
    if kind in _LONG:
        return _replay(fg, *_LONG[kind](fg, SIZES[size]))
    if workload == "expression":
        return _expression(fg)
    if workload in POINTS:
        return _points(fg, workload, threads)
    if kind == "rosenbrock":
        return _gradient(fg, rosenbrock, rosenbrock_point(int(size)))
    if workload == "kalman":
        zs = observations(STEPS)
        return _gradient(fg, lambda a, q, r: kalman(zs, a, q, r), *KALMAN)
    if workload == "gpt":
        return _gpt(fg)
    steps = 20 if kind == "lecture" else 1
    tape, optimizer, parameters, data, over = _network(fg, workload)

    backward = partial(tape.backward, *data, reduce=over, threads=threads)
    if (over, threads) == ("mean", 1):  # as one would write it
        backward = partial(tape.backward, *data)

    def forward() -> None:
        for _ in range(steps):
            optimizer.zero_grad()
            backward()
            optimizer.step()

    return Case(forward, lambda: [p.grad for p in parameters])


def fit_case(fg: Any, workload: str) -> Case:
    """Return a workload as one call of fit.

    Notes
    -----
    fit leaves grads alone: the gradient to be checked is what the run's last update took off the
    parameters, which then go back to where they started.
    """
    kind, _, _ = workload.partition("-")
    if workload != "moons" and kind != "lecture":
        raise Unsupported("no loop over one tape")
    tape, optimizer, parameters, data, over = _network(fg, workload)
    steps, times = (20, 1) if kind == "lecture" else (1, _STEPS)

    def fit(count: int) -> list[float]:
        fg.fit(tape, *data, optimizer=optimizer, steps=count, reduce=over)
        return [p.data for p in parameters]

    start = [p.data for p in parameters]
    before, after = fit(steps - 1), fit(1)
    gradient = [(a - b) / optimizer.lr for a, b in zip(before, after, strict=True)]
    for p, number in zip(parameters, start, strict=True):
        p.data = number
    return Case(lambda: fit(steps * times), lambda: gradient, times=times)


def recording_case(fg: Any, workload: str) -> Case:
    """Return the recording of a long graph, which includes building it."""
    kind, _, size = workload.partition("-")
    if kind not in _LONG:
        raise Unsupported("too short to tell recording from calling")
    function, arguments = _LONG[kind](fg, SIZES[size])
    tapes: list[Any] = []

    def forward() -> None:
        tapes[:] = [fg.record(function, *arguments)]

    def gradients() -> list[float]:
        return _flat(tapes[0].value_and_grad(*arguments, wrt="inputs")[1])

    return Case(forward, gradients)


def _flat(gradient: Any) -> list[float]:
    """Flatten the gradient in several numbers, or in one list or array."""
    first = gradient[0]
    return list(gradient if isinstance(first, float) else first)


def _replay(fg: Any, function: Callable[..., Any], arguments: list[Any]) -> Case:
    """Return a case that replays one sample: forward alone, then forward and reverse."""
    tape = fg.record(function, *arguments)
    found: list[Any] = []

    def both() -> None:
        found[:] = tape.value_and_grad(*arguments, wrt="inputs")

    return Case(both, lambda: _flat(found[1]), apart=lambda: tape(*arguments))


def _chain(_: Any, operations: int) -> tuple[Callable[..., Any], list[Any]]:
    return lambda x, a, b: chain(x, a, b, operations), [1.0, 0.999999, 1e-6]


def _dag(_: Any, operations: int) -> tuple[Callable[..., Any], list[Any]]:
    program = dag_program(operations)
    return lambda leaves: dag(leaves, program), [dag_leaves()]


def _dense(fg: Any, operations: int) -> tuple[Callable[..., Any], list[Any]]:
    layers = [[list(map(fg.Value, row)) for row in rows] for rows in dense_weights(operations)]
    rng = random.Random(5)
    return lambda xs: dense(xs, layers), [[rng.uniform(-1, 1) for _ in layers[0][0]]]


_LONG = {"chain": _chain, "dag": _dag, "dense": _dense}


def _expression(fg: Any) -> Case:
    tape = fg.record(expression, -4.0, 2.0)
    found: list[Any] = []

    def forward() -> None:
        for _ in range(WORKLOADS["expression"].per):
            found[:] = tape.value_and_grad(-4.0, 2.0, wrt="inputs")

    return Case(forward, lambda: list(found[1]))


def _points(fg: Any, workload: str, threads: int) -> Case:
    import numpy as np

    function, points = POINTS[workload][0], POINTS[workload][1]()
    tape = fg.record(function, *points[0])
    columns = np.array(points).T.copy()
    found: list[Any] = []

    def forward() -> None:
        found[:] = tape.value_and_grad(*columns, wrt="inputs", reduce="sum", threads=threads)

    return Case(forward, lambda: [x for column in found[1] for x in column.tolist()])


def _gradient(fg: Any, function: Callable[..., Any], *arguments: Any) -> Case:
    """Return a case that asks for value and gradient of one sample; a list travels as an array."""
    import numpy as np

    tape = fg.record(function, *arguments)
    given = [np.array(a) if isinstance(a, list) else a for a in arguments]
    found: list[Any] = []

    def forward() -> None:
        found[:] = tape.value_and_grad(*given, wrt="inputs")

    return Case(forward, lambda: _flat(found[1]))


def _network(fg: Any, workload: str) -> tuple[Any, Any, list[Any], tuple[Any, Any], str]:
    """Return tape, optimizer, parameters, data and reduction of W3 and W4."""
    if workload in {"moons", "moons-batch"}:
        X, y = moons(BATCH) if workload == "moons-batch" else moons()
        model = fg.nn.MLP(2, [16, 16, 1])
        tape = fg.record(lambda x, y: sample_loss(model, x, y), [0.0, 0.0], 1.0)
        optimizer = fg.optim.SGD(model.parameters(), lr=LEARNING_RATE)
        return tape, optimizer, model.parameters(), (X, y.astype(float)), "mean"
    if workload == "lecture":
        model = fg.nn.MLP(3, [4, 4, 1], activation="tanh", output_activation="tanh")
    elif workload == "lecture-loops":
        model = lecture_mlp(fg.Value)(3, [4, 4, 1])
    else:
        raise Unsupported("not written for tapes")
    for p, data in zip(model.parameters(), lecture_start(), strict=True):
        p.data = data
    tape = fg.record(lambda x, y: (model(x) - y) ** 2, [0.0, 0.0, 0.0], 1.0)
    optimizer = fg.optim.SGD(model.parameters(), lr=LECTURE_RATE)
    return tape, optimizer, model.parameters(), (LECTURE_XS, LECTURE_YS), "sum"


def _gpt(fg: Any) -> Case:
    """Return W5: a tape for each name, as a graph's size goes with the name's."""
    functional = fg.functional
    model = GPT(fg.Value, fg.take, lambda scores: reduce(functional.max, scores))
    optimizer = fg.optim.Adam(model.parameters(), lr=0.01, betas=(0.9, 0.99))
    work = []
    for name in NAMES:
        line = tokens(name)
        data = line[:-1], line[1:]
        work.append((fg.record(model.cross_entropy, *data), data))

    def forward() -> None:
        for tape, data in work:
            optimizer.zero_grad()
            tape.backward(*data)
            optimizer.step()

    def gradients() -> list[float]:
        return [state["exp_avg"] for state in optimizer.state_dict()["state"].values()]

    return Case(forward, gradients)
