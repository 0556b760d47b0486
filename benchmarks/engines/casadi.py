"""CasADi: the graph is built once, as SX, and called for each step.  Building is not timed."""

import importlib.metadata

from benchmarks.workloads import (
    WORKLOADS,
    Case,
    Unsupported,
    black_scholes,
    cases,
    chain,
    dag,
    dag_leaves,
    dag_program,
    expression,
    kalman,
    observations,
    options,
    rosenbrock,
    rosenbrock_point,
)  # fmt: skip

label = "CasADi, SX"


def version():
    return importlib.metadata.version("casadi")


def build(workload):
    import casadi as ca

    kind, _, _ = workload.partition("-")
    size = WORKLOADS[workload].size
    per = WORKLOADS[workload].per
    if workload == "expression":
        relu = lambda x: ca.fmax(x, 0)  # noqa: E731
        return _scalars(ca, [-4.0, 2.0], lambda leaves: expression(*leaves, relu), per)
    if kind == "chain":
        return _scalars(ca, [1.0, 0.999999, 1e-6], lambda leaves: chain(*leaves, size), 1)
    if kind == "dag":
        program = dag_program(size)
        return _scalars(ca, dag_leaves(), lambda leaves: dag(leaves, program), 1)
    if kind == "rosenbrock":
        return _scalars(ca, rosenbrock_point(int(workload.partition("-")[2])), rosenbrock, 1)
    if workload == "kalman":
        zs = observations(cases.STEPS)
        return _scalars(ca, cases.KALMAN, lambda leaves: kalman(zs, *leaves, ca.log), 1)
    if workload == "black-scholes":
        return _points(ca)
    if workload == "moons":
        return _training(ca, *network(ca, "moons"), 1)
    if kind == "lecture":
        return _training(ca, *network(ca, "lecture"), 20)
    raise Unsupported("not written for it")


def _scalars(ca, data, build, repeats):
    leaves = [ca.SX.sym(f"x{i}") for i in range(len(data))]
    vector = ca.vertcat(*leaves)
    root = build(leaves)
    call = ca.Function("f", [vector], [root, ca.gradient(root, vector)])
    found = []

    def forward():
        for _ in range(repeats):
            found[:] = call(data)

    return Case(forward, lambda: [float(x) for x in found[1].full().ravel()])


def _points(ca):
    """Return the case of Black and Scholes, mapped over the points on one thread."""
    import numpy as np

    leaves = ca.SX.sym("x", 5)
    price = black_scholes(*(leaves[i] for i in range(5)), ca.exp, ca.log, ca.erf)
    points = np.array(options(cases.BATCH)).T
    call = ca.Function("f", [leaves], [price, ca.gradient(price, leaves)]).map(points.shape[1])
    found = []

    def forward():
        found[:] = call(points)

    return Case(forward, lambda: found[1].full().ravel().tolist())


def network(ca, name):
    """Return the function (loss, gradient) of all parameters, their start, the learning rate."""
    import numpy as np

    from benchmarks import arrays

    (X, y, weights), _, rate = arrays.network(name)
    start = np.array(arrays.flat(weights))
    p = ca.SX.sym("p", len(start))
    h, k = ca.DM(X.T), 0
    for i, (w, _) in enumerate(weights):
        nout, nin = w.shape
        both = ca.reshape(p[k : k + nout * (nin + 1)], nin + 1, nout).T
        k += nout * (nin + 1)
        h = ca.mtimes(both[:, :nin], h) + ca.repmat(both[:, nin], 1, X.shape[0])
        if name == "lecture":
            h = ca.tanh(h)
        elif i < len(weights) - 1:
            h = ca.fmax(h, 0)
    if name == "lecture":
        loss = ca.sumsqr(h - ca.DM(y).T)
    else:
        losses = ca.fmax(1 - ca.DM(y).T * h, 0)
        loss = ca.sum2(losses) / X.shape[0] + 1e-4 * ca.sumsqr(p)
    return ca.Function("f", [p], [loss, ca.gradient(loss, p)]), start, rate


def _training(ca, call, start, rate, steps):
    state = [ca.DM(start), None]

    def forward():
        for _ in range(steps):
            state[1] = call(state[0])[1]
            state[0] -= rate * state[1]

    return Case(forward, lambda: [float(x) for x in state[1].full().ravel()])
