"""HIPS autograd: NumPy traced anew for every run."""

import importlib.metadata

from benchmarks.workloads import WORKLOADS, Case, Unsupported, chain, expression

label = "autograd (HIPS)"


def version():
    return importlib.metadata.version("autograd")


def build(workload):
    import autograd
    import autograd.numpy as np

    per = WORKLOADS[workload].per
    if workload == "expression":

        def loss(p):
            return expression(p[0], p[1], lambda x: np.maximum(x, 0.0))

        return _scalars(autograd, loss, (-4.0, 2.0), per)
    if workload == "chain-1e4":

        def loop(p):
            return chain(*p, per)

        return _scalars(autograd, loop, (1.0, 0.999999, 1e-6), 1)
    if workload in {"moons", "moons-batch"}:
        return _network(autograd, np, workload, 1)
    if workload.startswith("lecture"):
        return _network(autograd, np, "lecture", 20)
    raise Unsupported("minutes a round, or not written for it")


def _scalars(autograd, function, data, repeats):
    gradient = autograd.value_and_grad(function)
    found = []

    def forward():
        for _ in range(repeats):
            found[:] = gradient(data)

    return Case(forward, lambda: [float(x) for x in found[1]])


def _network(autograd, np, name, steps):
    from benchmarks import arrays

    (X, y, weights), loss_of, rate = arrays.network(name)
    gradient = autograd.grad(lambda w: loss_of(np, w, X, y))
    state = [weights, None]

    def forward():
        for _ in range(steps):
            state[1] = gradient(state[0])
            state[0] = [
                (w - rate * dw, b - rate * db) for (w, b), (dw, db) in zip(*state, strict=True)
            ]

    return Case(forward, lambda: arrays.flat(state[1]))
