"""XAD's Python bindings: a C++ tape behind Python objects, recorded anew for every run."""

import importlib.metadata

from benchmarks.workloads import (
    WORKLOADS,
    Case,
    Unsupported,
    cases,
    chain,
    dag,
    dag_leaves,
    dag_program,
    expression,
    kalman,
    moons,
    observations,
    plain,
    rosenbrock,
    rosenbrock_point,
    workloads,
)  # fmt: skip

label = "XAD, Python"


def version():
    return importlib.metadata.version("xad")


def build(workload):
    import xad.adj_1st as adjoint
    import xad.math as xmath

    tape = adjoint.Tape()
    tape.activate()
    run = _Run(tape, adjoint.Real)
    kind, _, _ = workload.partition("-")
    size = WORKLOADS[workload].size

    def relu(x):
        return xmath.max(x, 0.0)

    if workload == "expression":
        return _expression(run, relu)
    if kind == "chain":
        return run.long([1.0, 0.999999, 1e-6], lambda leaves: chain(*leaves, size))
    if kind == "dag":
        program = dag_program(size)
        return run.long(dag_leaves(), lambda leaves: dag(leaves, program))
    if kind == "rosenbrock":
        return run.long(rosenbrock_point(int(workload.partition("-")[2])), rosenbrock)
    if workload == "kalman":
        zs = observations(cases.STEPS)
        return run.long(cases.KALMAN, lambda leaves: kalman(zs, *leaves, xmath.log))
    if workload == "moons":
        return _moons(run, relu)
    if workload.startswith("lecture"):
        return _lecture(run, xmath.tanh)
    raise Unsupported("not written for it")


class _Run:
    """Record, differentiate, read."""

    def __init__(self, tape, Real):
        self.tape, self.Real = tape, Real

    def start(self, data):
        self.tape.clearAll()
        leaves = [self.Real(x) for x in data]
        self.tape.registerInputs(leaves)
        self.tape.newRecording()
        return leaves

    def backward(self, root):
        self.tape.registerOutput(root)
        root.setDerivative(1.0)
        self.tape.computeAdjoints()

    def long(self, data, build):
        leaves = []

        def forward():
            leaves.clear()
            leaves[:] = self.start(data)
            return build(leaves)

        return Case(forward, lambda: [v.getDerivative() for v in leaves], self.backward)


def _expression(run, relu):
    leaves = []

    def forward():
        for _ in range(WORKLOADS["expression"].per):
            leaves.clear()  # numbers of the last recording would give up slots of the new one
            leaves[:] = run.start((-4.0, 2.0))
            run.backward(expression(*leaves, relu))

    return Case(forward, lambda: [v.getDerivative() for v in leaves])


def _network(run, net, activations, loss_of, rate, steps):
    """Train plain.MLP's numbers on XAD's: `loss_of(model, parameters)`."""
    data = [p.data for p in net.parameters()]
    shapes = [(len(layer), len(layer[0][0])) for layer in net.layers]
    grads = []

    def step():
        parameters = run.start(data)
        layers, k = [], 0
        for nout, nin in shapes:
            layers.append([])
            for _ in range(nout):
                layers[-1].append((parameters[k : k + nin], parameters[k + nin]))
                k += nin + 1

        def model(x):
            for layer, activation in zip(layers, activations, strict=True):
                x = [sum((wi * xi for wi, xi in zip(w, x, strict=True)), b) for w, b in layer]
                x = [activation(v) for v in x] if activation else x
            return x[0]

        run.backward(loss_of(model, parameters))
        grads[:] = [p.getDerivative() for p in parameters]
        for i, grad in enumerate(grads):
            data[i] -= rate * grad

    def forward():
        for _ in range(steps):
            step()

    return Case(forward, lambda: list(grads))


def _moons(run, relu):
    X, y = moons()
    X, y = X.tolist(), y.tolist()

    def loss_of(model, parameters):
        losses = [relu(1 + -yi * model(x)) for x, yi in zip(X, y, strict=True)]
        return sum(losses) * (1.0 / len(losses)) + 1e-4 * sum(p * p for p in parameters)

    net = plain.MLP(2, [16, 16, 1])
    return _network(run, net, [relu, relu, None], loss_of, workloads.LEARNING_RATE, 1)


def _lecture(run, tanh):
    net = plain.MLP(3, [4, 4, 1])
    for p, data in zip(net.parameters(), workloads.lecture_start(), strict=True):
        p.data = data

    def loss_of(model, _):
        ypred = [model(x) for x in workloads.LECTURE_XS]
        return sum((out - y) ** 2 for y, out in zip(workloads.LECTURE_YS, ypred, strict=True))

    return _network(run, net, [tanh] * 3, loss_of, workloads.LECTURE_RATE, 20)
