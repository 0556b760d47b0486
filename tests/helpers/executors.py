"""What executors are tried with: a network, its data, the sha256 of what is made of them."""

import hashlib
import random

import numpy as np

import fastgrad as fg
from fastgrad import MLP, record

N = 1500


def network():
    random.seed(3)
    model = MLP(2, [5, 3, 1])
    return record(
        lambda x, y: (model(x) - y) ** 2 + 1e-3 * sum(p * p for p in model.parameters()),
        np.zeros(2), 0.0,
    )  # fmt: skip


def drawn(n=N):
    rng = np.random.default_rng(5)
    return rng.normal(size=(n, 2)), rng.normal(size=n)


def digest(executor=None, steps=50):
    """Return the sha256 of all that executors compute: results, gradients, 50 steps of Adam."""
    tape, (x, y) = network(), drawn()
    numbers = [tape(x, y, executor=executor)]
    for reduce in ("mean", "sum"):
        value, gradient = tape.value_and_grad(x, y, reduce=reduce, executor=executor)
        numbers += [[value], gradient]
    numbers += tape.value_and_grad(x, y, reduce=None, executor=executor)
    optimizer = fg.optim.Adam(tape.parameters, lr=0.02)
    numbers.append(fg.fit(tape, x, y, optimizer=optimizer, steps=steps, executor=executor))
    how = {"batch_size": 400, "seed": 9, "start": 2, "executor": executor}
    numbers.append(fg.fit(tape, x, y, optimizer=optimizer, steps=steps // 5, **how))
    numbers.append([tape.backward(x, y, executor=executor)])
    numbers.append([p.data for p in tape.parameters] + [p.grad for p in tape.parameters])
    found = hashlib.sha256()
    for part in numbers:
        found.update(np.ascontiguousarray(part, np.float64).tobytes())
    return found.hexdigest()
