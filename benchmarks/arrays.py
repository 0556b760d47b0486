"""W3 to W5 as arrays, for libraries that differentiate those: data, weights, and one GPT for all.

Weights are the ones that the scalar programs draw; `flat` puts gradients into the order of their
parameters().
"""

import numpy as np

from benchmarks.workloads import cases, gpt, moons, plain, workloads

LEARNING_RATE, LECTURE_RATE = workloads.LEARNING_RATE, workloads.LECTURE_RATE
NAMES, HEADS, SHAPES = gpt.NAMES, gpt.HEADS, gpt.SHAPES


def _weights(net):
    """Return a list of (w, b), shapes (nout, nin) and (nout,)."""
    return [
        (
            np.array([[w.data for w in ws] for ws, _ in layer]),
            np.array([b.data for _, b in layer]),
        )
        for layer in net.layers
    ]


def network(workload):
    """Return ((points, targets, weights), loss, learning rate) of W3 or W4."""
    if workload == "lecture":
        return lecture_arrays(), lecture_loss, LECTURE_RATE
    points = cases.BATCH if workload == "moons-batch" else 100
    return moons_arrays(points), moons_loss, LEARNING_RATE


def batch_arrays(workload):
    """Return the points of a batch of points, a row for each argument of its function."""
    return np.array(cases.POINTS[workload][1]()).T.copy()


def moons_arrays(points=100):
    """Return points (n, 2), labels (n,), weights."""
    X, y = moons(points)  # leaves `random` as the notebook has it
    return X, y.astype(np.float64), _weights(plain.MLP(2, [16, 16, 1]))


def lecture_arrays():
    """Return points (4, 3), targets (4,), weights."""
    net = plain.MLP(3, [4, 4, 1])
    for p, data in zip(net.parameters(), workloads.lecture_start(), strict=True):
        p.data = data
    return np.array(workloads.LECTURE_XS), np.array(workloads.LECTURE_YS), _weights(net)


def flat(weights):
    """Flatten (w, b) pairs neuron by neuron."""
    rows = [np.column_stack([np.asarray(w), np.asarray(b)]).ravel() for w, b in weights]
    return np.concatenate(rows).tolist()


def gpt_weights():
    """Return the GPT's matrices by name."""
    return {name: np.array(rows) for name, rows in gpt.start().items()}


def gpt_tokens(name):
    """Return inputs and targets of a name, shapes (T,)."""
    line = np.array(gpt.tokens(name))
    return line[:-1], line[1:]


def flat_matrices(matrices):
    """Flatten the GPT's matrices in the order of parameters()."""
    return np.concatenate([np.asarray(matrices[name]).ravel() for name in SHAPES]).tolist()


def moons_loss(xp, weights, X, y):
    """The demo's loss on arrays; `xp` has maximum."""
    h = X
    for i, (w, b) in enumerate(weights):
        h = h @ w.T + b
        if i < len(weights) - 1:
            h = xp.maximum(h, 0 * h)
    losses = 1 - y * h[:, 0]
    losses = xp.maximum(losses, 0 * losses)
    return losses.mean() + 1e-4 * sum((w * w).sum() + (b * b).sum() for w, b in weights)


def lecture_loss(xp, weights, X, y):
    """The lecture's loss on arrays."""
    h = X
    for w, b in weights:
        h = xp.tanh(h @ w.T + b)
    return ((h[:, 0] - y) ** 2).sum()


def gpt_loss(xp, w, tokens, targets, mask):
    """The GPT's loss on arrays, all positions at once.

    `mask`, shape (T, T), is 0 where a position may look and -inf elsewhere.
    """
    T = len(tokens)

    def rmsnorm(x):
        return x * ((x * x).mean(-1) + 1e-5)[:, None] ** -0.5

    def heads(x):  # (T, 16) -> (heads, T, 4)
        return xp.swapaxes(x.reshape(T, HEADS, -1), 0, 1)

    x = rmsnorm(w["token"][tokens] + w["position"][:T])
    z = rmsnorm(x)
    q, k, v = (heads(z @ w[name].T) for name in ("query", "key", "value"))
    scores = q @ xp.swapaxes(k, 1, 2) / q.shape[-1] ** 0.5 + mask
    weights = xp.exp(scores - scores.max())
    weights = weights / weights.sum(-1)[..., None]
    x = xp.swapaxes(weights @ v, 0, 1).reshape(T, -1) @ w["out"].T + x
    up = rmsnorm(x) @ w["up"].T
    x = xp.maximum(up, 0 * up) @ w["down"].T + x
    logits = x @ w["head"].T
    logits = logits - logits.max()
    normal = xp.log(xp.exp(logits).sum(-1))
    return (normal - logits[xp.arange(T), targets]).mean()


def causal_mask(T):
    """Return 0 on and below the diagonal, -inf above."""
    return np.triu(np.full((T, T), -np.inf), 1)


def rosenbrock(x):
    """Rosenbrock's function of an array."""
    a, b = x[:-1], x[1:]
    return (100.0 * (b - a * a) ** 2 + (a - 1.0) ** 2).sum()
