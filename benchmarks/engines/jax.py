"""JAX, float64 on one CPU core, compiled: one call for each step.  Compiling is not timed.
Parameters travel as one vector, which makes the calls several times cheaper than a tree does.
"""

import importlib.metadata
import os

from benchmarks.workloads import (
    WORKLOADS,
    Case,
    Unsupported,
    black_scholes,
    cases,
    expression,
    kalman_step,
    observations,
    rosenbrock_point,
)  # fmt: skip

label = "JAX, jit"


def version():
    return importlib.metadata.version("jax")


def configure():
    """Import jax for one core and float64."""
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    os.environ["JAX_PLATFORMS"] = "cpu"
    import jax

    jax.config.update("jax_enable_x64", True)
    return jax


def build(workload):
    jax = configure()
    if workload == "expression":
        return _expression(jax)
    if workload in cases.POINTS:
        return _points(jax, workload)
    if workload.startswith("rosenbrock"):
        return _rosenbrock(jax, int(workload.partition("-")[2]))
    if workload == "kalman":
        return _kalman(jax)
    if workload in {"moons", "moons-batch"}:
        return _moons(jax, workload)
    if workload.startswith("lecture"):
        return _lecture(jax)
    if workload == "gpt":
        return _gpt(jax)
    if workload.startswith("chain"):
        return _chain(jax, WORKLOADS[workload].size)
    raise Unsupported("it compiles for minutes")


def _expression(jax):
    import jax.numpy as jnp

    call = jax.jit(
        jax.value_and_grad(lambda a, b: expression(a, b, lambda x: jnp.maximum(x, 0.0)), (0, 1))
    )
    found = []

    def forward():
        for _ in range(WORKLOADS["expression"].per):
            found[:] = jax.block_until_ready(call(-4.0, 2.0))

    return Case(forward, lambda: [float(x) for x in found[1]])


def _points(jax, workload):
    import jax.numpy as jnp

    from benchmarks import arrays

    def total(points):
        if workload == "black-scholes":
            return black_scholes(*points, jnp.exp, jnp.log, jax.scipy.special.erf).sum()
        return expression(*points, lambda x: jnp.maximum(x, 0.0)).sum()

    call = jax.jit(jax.value_and_grad(total))
    points, found = jnp.asarray(arrays.batch_arrays(workload)), []

    def forward():
        found[:] = jax.block_until_ready(call(points))

    return Case(forward, lambda: found[1].ravel().tolist())


def _rosenbrock(jax, n):
    import numpy as np

    from benchmarks import arrays

    call = jax.jit(jax.value_and_grad(arrays.rosenbrock))
    x, found = np.array(rosenbrock_point(n)), []

    def forward():
        found[:] = jax.block_until_ready(call(x))

    return Case(forward, lambda: list(map(float, found[1])))


def _kalman(jax):
    import jax.numpy as jnp

    zs = jnp.asarray(observations(cases.STEPS))

    def loss(p):
        def step(state, z):
            return kalman_step(state, z, *p, log=jnp.log), None

        return jax.lax.scan(step, (0.0, 1.0, 0.0), zs)[0][2]

    call, start, found = jax.jit(jax.value_and_grad(loss)), jnp.asarray(cases.KALMAN), []

    def forward():
        found[:] = jax.block_until_ready(call(start))

    return Case(forward, lambda: list(map(float, found[1])))


def _chain(jax, operations):
    def loop(x, a, b):
        return jax.lax.scan(lambda x, _: (x * a + b, None), x, None, length=operations // 2)[0]

    call = jax.jit(jax.value_and_grad(loop, (0, 1, 2)))
    found = []

    def forward():
        found[:] = jax.block_until_ready(call(1.0, 0.999999, 1e-6))

    return Case(forward, lambda: [float(x) for x in found[1]])


def _moons(jax, workload):
    import jax.numpy as jnp
    from jax.flatten_util import ravel_pytree

    from benchmarks import arrays

    (X, y, weights), _, _ = arrays.network(workload)
    start, tree = ravel_pytree(weights)
    gradient = jax.value_and_grad(lambda w: arrays.moons_loss(jnp, tree(w), X, y))

    @jax.jit
    def step(w):
        loss, g = gradient(w)
        return w - arrays.LEARNING_RATE * g, g, loss

    state = [start, None]

    def forward():
        state[:] = jax.block_until_ready(step(state[0]))[:2]

    return Case(forward, lambda: arrays.flat(tree(state[1])))


def _lecture(jax):
    import jax.numpy as jnp
    from jax.flatten_util import ravel_pytree

    from benchmarks import arrays

    X, y, weights = arrays.lecture_arrays()
    start, tree = ravel_pytree(weights)
    gradient = jax.grad(lambda w: arrays.lecture_loss(jnp, tree(w), X, y))

    def step(w, _):
        g = gradient(w)
        return w - arrays.LECTURE_RATE * g, g

    twenty = jax.jit(lambda w: jax.lax.scan(step, w, None, length=20))
    state = [start, None]

    def forward():
        state[:] = jax.block_until_ready(twenty(state[0]))

    return Case(forward, lambda: arrays.flat(tree(state[1][-1])))


def _gpt(jax):
    import jax.numpy as jnp
    from jax.flatten_util import ravel_pytree

    from benchmarks import arrays

    start, tree = ravel_pytree(arrays.gpt_weights())
    gradient = jax.value_and_grad(lambda w, *data: arrays.gpt_loss(jnp, tree(w), *data))
    beta1, beta2 = 0.9, 0.99

    @jax.jit
    def step(w, m, v, k, tokens, targets, mask):
        loss, g = gradient(w, tokens, targets, mask)
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g * g
        scale = 0.01 / (1 - beta1**k)
        w -= scale * m / (jnp.sqrt(v / (1 - beta2**k)) + 1e-8)
        return w, m, v, k + 1, loss

    zeros = jnp.zeros_like(start)
    state = [start, zeros, zeros, jnp.asarray(1.0)]
    data = [
        tuple(map(jnp.asarray, (*arrays.gpt_tokens(name), arrays.causal_mask(len(name) + 1))))
        for name in arrays.NAMES
    ]

    def forward():
        for item in data:
            state[:] = jax.block_until_ready(step(*state, *item))[:4]

    return Case(forward, lambda: arrays.flat_matrices(tree(state[1])))
