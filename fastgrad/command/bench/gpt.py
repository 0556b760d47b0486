"""What the benchmarks compute (W5): a GPT on scalars and its training step, in micrograd style."""

from __future__ import annotations

import random
from operator import getitem
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["GPT", "HEADS", "NAMES", "SHAPES", "Adam", "gpt_step", "start", "tokens"]

EMBEDDING, HEADS, BLOCK, VOCABULARY = 16, 4, 16, 27  # 26 letters, and one mark for both ends
HEAD = EMBEDDING // HEADS
END = VOCABULARY - 1
# Rows and columns of each matrix, 4,192 parameters in all.
SHAPES = {
    "token": (VOCABULARY, EMBEDDING),
    "position": (BLOCK, EMBEDDING),
    "query": (EMBEDDING, EMBEDDING),
    "key": (EMBEDDING, EMBEDDING),
    "value": (EMBEDDING, EMBEDDING),
    "out": (EMBEDDING, EMBEDDING),
    "up": (4 * EMBEDDING, EMBEDDING),
    "down": (EMBEDDING, 4 * EMBEDDING),
    "head": (VOCABULARY, EMBEDDING),
}
# One name for each length that is common in names.txt: 5 to 9 tokens, 7 in the mean.
NAMES = ("nora", "clara", "sophia", "matilda", "santiago")


def tokens(name: str) -> list[int]:
    """Return the name's letters as numbers, between two end marks."""
    return [END, *(ord(letter) - ord("a") for letter in name), END]


def start() -> dict[str, list[list[float]]]:
    """Return the matrices' first data: normal, with standard deviation 0.08."""
    rng = random.Random(42)
    return {
        name: [[rng.gauss(0, 0.08) for _ in range(columns)] for _ in range(rows)]
        for name, (rows, columns) in SHAPES.items()
    }


def _linear(x: list[Any], w: list[list[Any]]) -> list[Any]:
    return [sum(wi * xi for wi, xi in zip(row, x, strict=True)) for row in w]


def _largest(logits: list[Any]) -> Any:
    return max(val.data for val in logits)


def _softmax(logits: list[Any], largest_of: Callable[[list[Any]], Any]) -> list[Any]:
    largest = largest_of(logits)
    exps = [(val - largest).exp() for val in logits]
    total = sum(exps)
    return [e / total for e in exps]


def _rmsnorm(x: list[Any]) -> list[Any]:
    mean_square = sum(xi * xi for xi in x) / len(x)
    scale = (mean_square + 1e-5) ** -0.5
    return [xi * scale for xi in x]


class GPT:
    """One layer of attention and one of ReLU, without biases; the names of SHAPES are attributes.

    Parameters
    ----------
    Value : class
        An engine's scalar with + * / ** - and relu, exp, log.
    take : callable
        Chooses an entry of a table; where tokens are numbers of an engine, they need the engine's.
    largest : callable
        What is taken off scores before exp, which changes nothing but keeps them from overflow.
    data : dict, optional
        Numbers of the matrices; those of the benchmark unless given.
    """

    def __init__(
        self,
        Value: Any,
        take: Callable[[Any, Any], Any] = getitem,
        largest: Callable[[list[Any]], Any] = _largest,
        data: dict[str, list[list[float]]] | None = None,
    ) -> None:
        self.take, self.largest = take, largest
        self.w = {
            name: [[Value(number) for number in row] for row in rows]
            for name, rows in (start() if data is None else data).items()
        }

    def parameters(self) -> list[Any]:
        """Return all parameters; the benchmark's are 4,192."""
        return [p for matrix in self.w.values() for row in matrix for p in row]

    def logits(self, token: Any, position: int, keys: list[Any], values: list[Any]) -> list[Any]:
        """Return the scores of the next token; keys and values gain this position's."""
        w = self.w
        row = self.take(w["token"], token)
        x = [t + p for t, p in zip(row, w["position"][position], strict=True)]
        x = _rmsnorm(x)

        before = x
        x = _rmsnorm(x)
        q = _linear(x, w["query"])
        keys.append(_linear(x, w["key"]))
        values.append(_linear(x, w["value"]))
        attended = []
        for h in range(0, EMBEDDING, HEAD):
            q_h = q[h : h + HEAD]
            k_h = [k[h : h + HEAD] for k in keys]
            v_h = [v[h : h + HEAD] for v in values]
            weights = _softmax(
                [sum(q_h[j] * k[j] for j in range(HEAD)) / HEAD**0.5 for k in k_h], self.largest
            )
            attended += [sum(weights[t] * v_h[t][j] for t in range(len(v_h))) for j in range(HEAD)]
        x = [a + b for a, b in zip(_linear(attended, w["out"]), before, strict=True)]

        before = x
        x = [xi.relu() for xi in _linear(_rmsnorm(x), w["up"])]
        x = [a + b for a, b in zip(_linear(x, w["down"]), before, strict=True)]
        return _linear(x, w["head"])

    def loss(self, name: str) -> Any:
        """Return the mean cross-entropy of a name's tokens."""
        line = tokens(name)[: BLOCK + 1]
        return self.cross_entropy(line[:-1], line[1:])

    def cross_entropy(self, given: list[Any], wanted: list[Any]) -> Any:
        """Return the mean cross-entropy of what follows each token."""
        keys: list[Any] = []
        values: list[Any] = []
        losses = []
        for position, (token, following) in enumerate(zip(given, wanted, strict=True)):
            scores = self.logits(token, position, keys, values)
            probabilities = _softmax(scores, self.largest)
            losses.append(-self.take(probabilities, following).log())
        return (1 / len(losses)) * sum(losses)


class Adam:
    """Adam on anything with `.data` and `.grad`, as a script writes it: two lists of floats."""

    def __init__(self, parameters: list[Any], learning_rate: float = 0.01) -> None:
        self.parameters = parameters
        self.learning_rate = learning_rate
        self.m = [0.0] * len(parameters)
        self.v = [0.0] * len(parameters)
        self.steps = 0

    def step(self) -> None:
        """Update all parameters and clear their grads."""
        beta1, beta2 = 0.9, 0.99
        self.steps += 1
        m, v, learning_rate = self.m, self.v, self.learning_rate
        for i, p in enumerate(self.parameters):
            m[i] = beta1 * m[i] + (1 - beta1) * p.grad
            v[i] = beta2 * v[i] + (1 - beta2) * p.grad**2
            m_hat = m[i] / (1 - beta1**self.steps)
            v_hat = v[i] / (1 - beta2**self.steps)
            p.data -= learning_rate * m_hat / (v_hat**0.5 + 1e-8)
            p.grad = 0


def gpt_step(model: GPT, optimizer: Adam, name: str) -> float:
    """Take one training step on one name, and return the loss before it."""
    loss = model.loss(name)
    loss.backward()
    optimizer.step()
    return float(loss.data)
