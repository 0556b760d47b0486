"""JAX with the training loop compiled too: 1,000 steps for each call.  Compiling is not timed.

W4's 20 steps are such a loop in the engine jax already.
"""

from benchmarks.engines import jax as per_call
from benchmarks.workloads import Case, Unsupported

label = "JAX, scan"
version = per_call.version
STEPS = 1_000


def build(workload):
    jax = per_call.configure()
    if workload != "moons":
        raise Unsupported("no long loop over one batch")
    import jax.numpy as jnp
    from jax.flatten_util import ravel_pytree

    from benchmarks import arrays

    X, y, weights = arrays.moons_arrays()
    start, tree = ravel_pytree(weights)
    gradient = jax.value_and_grad(lambda w: arrays.moons_loss(jnp, tree(w), X, y))

    def step(w, rate):
        loss, g = gradient(w)
        return w - rate * g, loss

    run = jax.jit(lambda w, rates: jax.lax.scan(step, w, rates))
    # The first step's gradient, from the very program that is timed: the other steps go nowhere.
    rate = arrays.LEARNING_RATE
    moved, _ = run(start, jnp.zeros(STEPS).at[0].set(rate))
    rates, state = jnp.full(STEPS, rate), [start]

    def forward():
        state[0] = jax.block_until_ready(run(state[0], rates))[0]

    return Case(forward, lambda: arrays.flat(tree((start - moved) / rate)), times=STEPS)
