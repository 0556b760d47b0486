"""What the benchmarks compute (W1 to W4, W6 to W8), in micrograd's style, for any engine."""

from __future__ import annotations

import random
from dataclasses import dataclass
from itertools import pairwise
from math import isqrt
from operator import methodcaller
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

__all__ = [
    "ALPHA", "LEARNING_RATE", "LECTURE_RATE", "LECTURE_XS", "LECTURE_YS", "Library",
    "accumulated_step", "batch_points", "black_scholes", "chain", "dag", "dag_leaves",
    "dag_program", "dense", "dense_weights", "expression", "kalman", "kalman_step", "lecture_mlp",
    "lecture_start", "lecture_step", "moons", "observations", "options", "rosenbrock",
    "rosenbrock_point", "sample_loss", "total_loss", "training_step",
]  # fmt: skip


@dataclass(frozen=True)
class Library:
    """What a program needs of micrograd, or of its replacement.

    `case` gives a workload by its name, where it is no program in micrograd's style.
    """

    name: str
    Value: Any = None
    MLP: Any = None
    case: Callable[[str], Any] | None = None


# -- W1: the expression of micrograd's README


def expression(a: Any, b: Any, relu: Callable[[Any], Any] | None = None) -> Any:
    """Return g of micrograd's README: 39 nodes, for a = -4 and b = 2 the value 24.7041.

    `relu` is for libraries whose numbers have no such method.
    """
    c = a + b
    d = a * b + b**3
    c += c + 1
    c += 1 + c + (-a)
    d += d * 2 + ((b + a).relu() if relu is None else relu(b + a))
    d += 3 * d + ((b - a).relu() if relu is None else relu(b - a))
    e = c - d
    f = e**2
    g = f / 2.0
    g += 10.0 / f
    return g


def batch_points(count: int) -> list[tuple[float, float]]:
    """Return as many pairs (a, b) near the README's, where the expression has no pole."""
    rng = random.Random(11)
    return [(rng.uniform(-4.5, -3.5), rng.uniform(1.5, 2.5)) for _ in range(count)]


# -- W2: long graphs of + and *


def chain(x: Any, a: Any, b: Any, operations: int) -> Any:
    """Return x after `operations` operations, two in every `x = x*a + b`."""
    for _ in range(operations // 2):
        x = x * a + b
    return x


# The results are kept within these bounds: then the adjoints of a million nodes neither overflow
# nor vanish (they grow by 1e17), so gradients can be compared and no denormal slows anybody.
_SMALLEST, _LARGEST = 0.01, 1.0


def dag_program(operations: int, leaves: int = 100) -> list[tuple[bool, int]]:
    """Draw the random graph: one (whether it is a product, other operand) for each operation.

    The first operand is the node before; the other is a leaf (1 in 8), one of the last 1,000 nodes
    (1 in 2), or any node (3 in 8). Leaf i is node i.
    """
    rng = random.Random(20)
    uniform, below = rng.random, rng.randrange
    values = dag_leaves(leaves)
    program = []
    x = values[-1]
    for k in range(leaves, leaves + operations):
        while True:
            where = uniform()
            if where < 0.125:
                j = below(leaves)
            elif where < 0.625:
                j = below(max(0, k - 1000), k)
            else:
                j = below(k)
            product = uniform() < 0.5
            result = x * values[j] if product else x + values[j]
            if _SMALLEST < abs(result) < _LARGEST:
                break
        values.append(result)
        program.append((product, j))
        x = result
    return program


def dag_leaves(leaves: int = 100) -> list[float]:
    """Return the data of the graph's leaves."""
    rng = random.Random(7)
    return [rng.choice((-1, 1)) * rng.uniform(0.5, 1.5) for _ in range(leaves)]


def dag(leaves: Iterable[Any], program: Sequence[tuple[bool, int]]) -> Any:
    """Run the program on leaves of an engine, and return the last node."""
    nodes = list(leaves)
    append = nodes.append
    x = nodes[-1]
    for product, j in program:
        x = x * nodes[j] if product else x + nodes[j]
        append(x)
    return x


def dense_weights(operations: int) -> list[list[list[float]]]:
    """Draw the weights of as many layers, at most 100 neurons each, as make `operations` nodes."""
    rng = random.Random(3)
    width = min(100, isqrt(operations // 4))
    layers = max(1, operations // (2 * width * width))
    spread = (6 / width) ** 0.5
    return [
        [[rng.uniform(-spread, spread) for _ in range(width)] for _ in range(width)]
        for _ in range(layers)
    ]


def dense(xs: list[Any], layers: Sequence[Sequence[Sequence[Any]]]) -> Any:
    """Apply layers of neurons with ReLU, one `*` and one `+` at a time, and sum the outputs."""
    for layer in layers:
        xs = [sum(w * x for w, x in zip(ws, xs, strict=True)).relu() for ws in layer]
    return sum(xs)


# -- W3: micrograd's demo.ipynb

LEARNING_RATE = 0.1  # of the timed steps; the notebook's falls from 1 to 0.1
ALPHA = 1e-4  # weight of the squared parameters


def moons(points: int = 100) -> tuple[Any, Any]:
    """Return the notebook's points and labels, and leave `random` seeded as it does."""
    import numpy as np
    from sklearn.datasets import make_moons

    np.random.seed(1337)  # noqa: NPY002  # the notebook's generator, for the notebook's points
    random.seed(1337)
    X, y = make_moons(n_samples=points, noise=0.1)
    return X, y * 2 - 1  # make y be -1 or 1


def total_loss(library: Library, model: Any, X: Any, y: Any) -> tuple[Any, float]:
    """Compute loss and accuracy as cell 6 of micrograd's demo.ipynb does.

    Parameters
    ----------
    library : Library
        Whose `Value` holds the inputs.
    model : callable
        Maps a list of 2 Values to a Value.
    X : array, shape (n, 2)
        Points.
    y : array, shape (n,)
        Labels, -1 or 1.

    Returns
    -------
    loss : Value
        Mean of the max-margin losses, plus 1e-4 times the sum of the squared parameters.
    accuracy : float
        Share of points on the right side, in [0, 1].
    """
    inputs = [list(map(library.Value, xrow)) for xrow in X]
    scores = list(map(model, inputs))

    # svm "max-margin" loss
    losses = [(1 + -yi * scorei).relu() for yi, scorei in zip(y, scores)]  # noqa: B905
    data_loss = sum(losses) * (1.0 / len(losses))
    # L2 regularization
    alpha = 1e-4
    reg_loss = alpha * sum(p * p for p in model.parameters())

    accuracy = [(yi > 0) == (scorei.data > 0) for yi, scorei in zip(y, scores)]  # noqa: B905
    return data_loss + reg_loss, sum(accuracy) / len(accuracy)


def training_step(
    library: Library, model: Any, X: Any, y: Any, learning_rate: float
) -> tuple[float, float]:
    """Take one step of gradient descent, as the notebook's loop does.

    Returns
    -------
    loss, accuracy : float
        Before the step.
    """
    loss, accuracy = total_loss(library, model, X, y)
    model.zero_grad()
    loss.backward()
    for p in model.parameters():
        p.data -= learning_rate * p.grad
    return loss.data, accuracy


def sample_loss(model: Any, x: Sequence[Any], y: Any) -> Any:
    """Return one point's part of the loss: the mean over the points is the notebook's."""
    return (1 + -y * model(x)).relu() + ALPHA * sum(p * p for p in model.parameters())


def accumulated_step(library: Library, model: Any, X: Any, y: Any, learning_rate: float) -> None:
    """Take the same step with a graph for each point: grads add up, and memory stays small."""
    model.zero_grad()
    for xrow, yi in zip(X.tolist(), y.tolist(), strict=True):
        score = model(list(map(library.Value, xrow)))
        ((1 + -yi * score).relu() * (1.0 / len(X))).backward()
    (ALPHA * sum(p * p for p in model.parameters())).backward()
    for p in model.parameters():
        p.data -= learning_rate * p.grad


# -- W4: the network of Karpathy's first lecture

LECTURE_XS = [[2.0, 3.0, -1.0], [3.0, -1.0, 0.5], [0.5, 1.0, 1.0], [1.0, 1.0, -1.0]]
LECTURE_YS = [1.0, -1.0, -1.0, 1.0]
LECTURE_RATE = 0.05


def lecture_mlp(Value: Any) -> Callable[[int, list[int]], Any]:
    """Return the lecture's own MLP class on some Value class: tanh neurons, written as loops."""

    class Neuron:
        def __init__(self, nin: int) -> None:
            self.w = [Value(random.uniform(-1, 1)) for _ in range(nin)]
            self.b = Value(random.uniform(-1, 1))

        def __call__(self, x: Any) -> Any:
            return sum((wi * xi for wi, xi in zip(self.w, x, strict=True)), self.b).tanh()

    class Layer:
        def __init__(self, nin: int, nout: int) -> None:
            self.neurons = [Neuron(nin) for _ in range(nout)]

        def __call__(self, x: Any) -> Any:
            outs = [n(x) for n in self.neurons]
            return outs[0] if len(outs) == 1 else outs

    class MLP:
        def __init__(self, nin: int, nouts: list[int]) -> None:
            self.layers = [Layer(a, b) for a, b in pairwise([nin, *nouts])]

        def __call__(self, x: Any) -> Any:
            for layer in self.layers:
                x = layer(x)
            return x

        def parameters(self) -> list[Any]:
            return [p for layer in self.layers for n in layer.neurons for p in [*n.w, n.b]]

    return MLP


def lecture_start(count: int = 41) -> list[float]:
    """Return the data of the parameters that W4 starts from."""
    rng = random.Random(4)
    return [rng.uniform(-1, 1) for _ in range(count)]


def lecture_step(model: Any, steps: int = 20) -> Any:
    """Train for some steps with the lecture's loop, and return the last loss."""
    loss = None
    for _ in range(steps):
        ypred = [model(x) for x in LECTURE_XS]
        loss = sum((yout - ygt) ** 2 for ygt, yout in zip(LECTURE_YS, ypred, strict=True))
        for p in model.parameters():
            p.grad = 0.0
        loss.backward()
        for p in model.parameters():
            p.data += -LECTURE_RATE * p.grad
    return loss


# -- W6: Rosenbrock's function


def rosenbrock(xs: Sequence[Any]) -> Any:
    """Return the sum of 100 (x[i+1] - x[i]^2)^2 + (x[i] - 1)^2."""
    total: Any = 0.0
    for a, b in pairwise(xs):
        t, u = b - a * a, a - 1.0
        total = total + (t * t * 100.0 + u * u)
    return total


def rosenbrock_point(n: int) -> list[float]:
    """Return n numbers between -2 and 2."""
    rng = random.Random(n)
    return [rng.uniform(-2, 2) for _ in range(n)]


# -- W7: Black and Scholes' price of a call


def black_scholes(
    s: Any, k: Any, r: Any, v: Any, t: Any,
    exp: Callable[[Any], Any] = methodcaller("exp"),
    log: Callable[[Any], Any] = methodcaller("log"),
    erf: Callable[[Any], Any] = methodcaller("erf"),
) -> Any:  # fmt: skip
    """Return the price; its derivatives are the Greeks.

    Spot price, strike, rate, volatility, years. The functions are methods where none is given.
    """

    def normal(x: Any) -> Any:
        return (erf(x * 0.7071067811865476) + 1.0) * 0.5

    spread = v * t**0.5
    d = (log(s / k) + (r + v * v * 0.5) * t) / spread
    return s * normal(d) - k * exp(-(r * t)) * normal(d - spread)


def options(count: int) -> list[tuple[float, ...]]:
    """Return calls near the money: (s, k, r, v, t) of each."""
    rng = random.Random(7)
    ranges = ((80.0, 120.0), (90.0, 110.0), (0.01, 0.05), (0.1, 0.4), (0.5, 2.0))
    return [tuple(rng.uniform(*limits) for limits in ranges) for _ in range(count)]


# -- W8: a Kalman filter of one number


def kalman_step(
    state: tuple[Any, Any, Any], z: Any, a: Any, q: Any, r: Any,
    log: Callable[[Any], Any] = methodcaller("log"),
) -> tuple[Any, Any, Any]:  # fmt: skip
    """Return (estimate, its variance, loss) after the observation z.

    The state is multiplied by a and gets noise of variance q, what is seen of it noise of
    variance r; the loss adds up -2 log-likelihood.
    """
    x, p, loss = state
    x, p = a * x, a * a * p + q
    s = p + r
    gain, error = p / s, x - z
    return x - gain * error, p - gain * p, log(s) + error * error / s + loss


def kalman(
    zs: Iterable[float], a: Any, q: Any, r: Any,
    log: Callable[[Any], Any] = methodcaller("log"),
) -> Any:  # fmt: skip
    """Return the loss over all observations."""
    state: tuple[Any, Any, Any] = (0.0, 1.0, 0.0)
    for z in zs:
        state = kalman_step(state, z, a, q, r, log)
    return state[2]


def observations(count: int) -> list[float]:
    """Return what such a system shows, for a = 0.9, q = 0.1, r = 0.5."""
    rng = random.Random(13)
    x, found = 0.0, []
    for _ in range(count):
        x = 0.9 * x + rng.gauss(0.0, 0.1**0.5)
        found.append(x + rng.gauss(0.0, 0.5**0.5))
    return found
