"""ddx-ad: expressions built once and compiled by LLVM.  Neither is timed."""

import importlib.metadata

from benchmarks.workloads import (
    WORKLOADS,
    Case,
    Unsupported,
    black_scholes,
    cases,
    chain,
    expression,
    rosenbrock,
    rosenbrock_point,
)  # fmt: skip

label = "ddx-ad, LLVM"
LONGEST = 10_000  # operations: beyond, LLVM takes minutes


def version():
    return importlib.metadata.version("ddx-ad")


def build(workload):
    import ddx
    import numpy as np

    kind, _, size = workload.partition("-")
    functions = {
        "expression": lambda *xs: expression(*xs, lambda x: ddx.max(x, 0.0)),
        "black": lambda *xs: black_scholes(*xs, ddx.exp, ddx.log, ddx.erf),
        "rosenbrock": lambda *xs: rosenbrock(xs),
        "chain": lambda *xs: chain(*xs, WORKLOADS[workload].size),
    }
    if kind not in functions or WORKLOADS[workload].size > LONGEST:
        raise Unsupported("it compiles for minutes, or it is not written for it")
    times = 1
    if workload in cases.POINTS:
        points = np.array(cases.POINTS[workload][1]()).T.copy()
    elif kind == "expression":
        points, times = np.array([-4.0, 2.0]), WORKLOADS[workload].per
    elif kind == "rosenbrock":
        points = np.array(rosenbrock_point(int(size)))
    else:
        points = np.array([1.0, 0.999999, 1e-6])
    return _gradient(ddx, functions[kind], points, times)


def _gradient(ddx, function, x, times):
    """Return value and gradient at x: a point, or a column for each point."""

    @ddx.equation
    def model():
        return function(*(ddx.var(f"x{i}") for i in range(len(x))))

    model.compile(points=1 if x.ndim == 1 else x.shape[1])
    found = []

    def forward():
        for _ in range(times):
            found[:] = model.jacobian(x)

    return Case(forward, lambda: found[1].ravel().tolist())
