"""The networks of `models` in PyTorch and JAX, batched: what a user of arrays would write.

They take the numbers that ours begin with, in the same order, and give the mean of the samples'
losses with its gradient. Run by `python -m benchmarks.models --peers PYTHON`, in that Python.
"""

import json
import math
import os
import sys
from time import process_time
from types import SimpleNamespace

os.environ |= {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}

import numpy as np

from benchmarks.models import CHARACTERS, Maker, drawn, window_of


class Arrays:
    """Draws the weights that Maker draws, as arrays; a model names one by its number."""

    def __init__(self):
        self.maker, self.made = Maker(float), []

    def add(self, numbers):
        self.made.append(np.array(numbers))
        return len(self.made) - 1

    def vector(self, n):
        return self.add(self.maker.vector(n))

    def matrix(self, n_out, n_in):
        return self.add(self.maker.matrix(n_out, n_in))


# -- models: each makes a function of the weights, of characters and the next ones, (n, window) ----


def linear(w, x, b=0.0):
    return x @ w.T + b


def losses(xp, logits, targets):
    """Return each prediction's loss; logits (..., characters)."""
    return xp.logsumexp(logits) - xp.pick(logits, targets)


def bigram(xp, make):
    w = make.matrix(CHARACTERS, CHARACTERS)
    return lambda p, xs, ys: losses(xp, p[w][xs[:, 0]], ys[:, 0]).mean()


def mlp(xp, make, context=3, size=10, hidden=64):
    table = make.matrix(CHARACTERS, size)
    w, b = make.matrix(hidden, context * size), make.vector(hidden)
    v, c = make.matrix(CHARACTERS, hidden), make.vector(CHARACTERS)

    def loss(p, xs, ys):
        x = p[table][xs[:, :context]].reshape(len(xs), -1)
        return losses(xp, linear(p[v], xp.tanh(linear(p[w], x, p[b])), p[c]), ys[:, 0]).mean()

    return loss


def bag_of_words(xp, make, size=16, hidden=32, window=8):
    table, places = make.matrix(CHARACTERS, size), make.matrix(window, size)
    w, b = make.matrix(hidden, size), make.vector(hidden)
    u, d = make.matrix(size, hidden), make.vector(size)
    v = make.matrix(CHARACTERS, size)
    counts = xp.array(np.arange(1.0, window + 1)[:, None])

    def loss(p, xs, ys):
        x = p[table][xs] + p[places]
        h = xp.tanh(linear(p[w], xp.cumsum(x) / counts, p[b]))
        return losses(xp, linear(p[v], x + linear(p[u], h, p[d])), ys).mean()

    return loss


def wavenet(xp, make, size=16, hidden=32):
    table = make.matrix(CHARACTERS, size)
    pairs = [(make.matrix(hidden, 2 * n), make.vector(hidden)) for n in (size, hidden, hidden)]
    v, c = make.matrix(CHARACTERS, hidden), make.vector(CHARACTERS)

    def loss(p, xs, ys):
        x = p[table][xs]
        for w, b in pairs:
            x = xp.tanh(linear(p[w], x.reshape(len(xs), x.shape[1] // 2, -1), p[b]))
        return losses(xp, linear(p[v], x[:, 0], p[c]), ys[:, 0]).mean()

    return loss


def recurrent(cell):
    """Make a model of a recurrent cell of a size, whose state at first is learned."""

    def model(xp, make, size=16, hidden=32, window=8):
        table, start = make.matrix(CHARACTERS, size), make.vector(hidden)
        step = cell(xp, make, size, hidden)
        v, c = make.matrix(CHARACTERS, hidden), make.vector(CHARACTERS)

        def loss(p, xs, ys):
            rows, seen = p[table][xs], []
            state = xp.repeated(p[start], len(xs)), 0.0
            for t in range(window):
                state = step(p, rows[:, t], *state)
                seen.append(state[0])
            return losses(xp, linear(p[v], xp.stack(seen), p[c]), ys).mean()

        return loss

    return model


@recurrent
def rnn(xp, make, size, hidden):
    w, b = make.matrix(hidden, size + hidden), make.vector(hidden)
    return lambda p, x, h, c: (xp.tanh(linear(p[w], xp.cat([x, h]), p[b])), c)


@recurrent
def gru(xp, make, size, hidden):
    z, r, n = ((make.matrix(hidden, size + hidden), make.vector(hidden)) for _ in "zrn")

    def step(p, x, h, c):
        keep, reset = (xp.sigmoid(linear(p[w], xp.cat([x, h]), p[b])) for w, b in (z, r))
        new = xp.tanh(linear(p[n[0]], xp.cat([x, reset * h]), p[n[1]]))
        return (1 - keep) * h + keep * new, c

    return step


@recurrent
def lstm(xp, make, size, hidden):
    gates = [(make.matrix(hidden, size + hidden), make.vector(hidden)) for _ in "ifog"]

    def step(p, x, h, c):
        x = xp.cat([x, h])
        i, f, o, g = (linear(p[w], x, p[b]) for w, b in gates)
        c = xp.sigmoid(f) * c + xp.sigmoid(i) * xp.tanh(g)
        return xp.sigmoid(o) * xp.tanh(c), c

    return step


def gpt(xp, make, size=16, layers=1, heads=4, window=8):
    """Return a Transformer: norms, attention, an MLP with the GELU of tanh."""
    table, places = make.matrix(CHARACTERS, size), make.matrix(window, size)
    blocks = [
        [make.matrix(size, size) for _ in "qkvo"]
        + [make.matrix(4 * size, size), make.vector(4 * size), make.matrix(size, 4 * size)]
        for _ in range(layers)
    ]
    head, width = make.matrix(CHARACTERS, size), size // heads
    later = xp.array(np.triu(np.full((window, window), -np.inf), 1))

    def norm(x):
        return x * ((x * x).sum(-1, keepdims=True) / size + 1e-5) ** -0.5

    def parted(x):
        return x.reshape(len(x), window, heads, width).swapaxes(1, 2)

    def loss(p, xs, ys):
        x = p[table][xs] + p[places]
        for q, k, v, o, w, b, u in blocks:
            n = norm(x)
            queries, keys, values = (parted(linear(p[m], n)) for m in (q, k, v))
            weights = xp.softmax(queries @ keys.swapaxes(2, 3) * width**-0.5 + later)
            x = x + linear(p[o], (weights @ values).swapaxes(1, 2).reshape(x.shape))
            x = x + linear(p[u], xp.gelu(linear(p[w], norm(x), p[b])))
        return losses(xp, linear(p[head], norm(x)), ys).mean()

    return loss


MODELS = {
    "bigram": bigram,
    "MLP 3x10-64": mlp,
    "MLP 3x10-200": lambda xp, make: mlp(xp, make, hidden=200),
    "BoW 16-32": bag_of_words,
    "WaveNet 16-32": wavenet,
    "RNN 16-32": rnn,
    "GRU 16-32": gru,
    "LSTM 16-32": lstm,
    "GPT 16": gpt,
    "GPT 32x2": lambda xp, make: gpt(xp, make, size=32, layers=2, window=16),
    "GPT 64x4": lambda xp, make: gpt(xp, make, size=64, layers=4, window=16),
}


# -- libraries: each gives a function of a model, of integers (n, window), to loss and gradients ---


class Torch:
    def __init__(self):
        import torch
        from torch.nn import functional as F

        torch.set_num_threads(1)
        torch.set_default_dtype(torch.float64)
        self.torch = torch
        self.names = SimpleNamespace(
            array=torch.tensor, tanh=torch.tanh, sigmoid=torch.sigmoid,
            softmax=lambda x: torch.softmax(x, -1), logsumexp=lambda x: torch.logsumexp(x, -1),
            pick=lambda x, i: x.gather(-1, i[..., None])[..., 0],
            gelu=lambda x: F.gelu(x, approximate="tanh"), cumsum=lambda x: x.cumsum(1),
            cat=lambda parts: torch.cat(parts, -1), stack=lambda parts: torch.stack(parts, 1),
            repeated=lambda x, n: x.expand(n, -1),
        )  # fmt: skip

    def function(self, loss, weights):
        p = [self.torch.tensor(w, requires_grad=True) for w in weights]
        loss = self.prepared(loss)

        def call(xs, ys):
            for w in p:
                w.grad = None
            value = loss(p, self.torch.from_numpy(xs), self.torch.from_numpy(ys))
            value.backward()
            return value, [w.grad for w in p]

        return call

    def prepared(self, loss):
        return loss


class TorchCompiled(Torch):
    def prepared(self, loss):
        return self.torch.compile(loss)


class Jax:
    def __init__(self):
        import jax
        from jax import numpy as jnp

        jax.config.update("jax_enable_x64", True)
        self.jax = jax
        self.names = SimpleNamespace(
            array=jnp.array, tanh=jnp.tanh, sigmoid=jax.nn.sigmoid, softmax=jax.nn.softmax,
            logsumexp=lambda x: jax.nn.logsumexp(x, -1),
            pick=lambda x, i: jnp.take_along_axis(x, i[..., None], -1)[..., 0],
            gelu=jax.nn.gelu, cumsum=lambda x: jnp.cumsum(x, 1),
            cat=lambda parts: jnp.concatenate(parts, -1),
            stack=lambda parts: jnp.stack(parts, 1),
            repeated=lambda x, n: jnp.broadcast_to(x, (n, len(x))),
        )  # fmt: skip

    def function(self, loss, weights):
        p = [self.jax.numpy.array(w) for w in weights]
        both = self.jax.jit(self.jax.value_and_grad(loss))
        return lambda xs, ys: self.jax.block_until_ready(both(p, xs, ys))


LIBRARIES = {"torch": Torch, "torch_compiled": TorchCompiled, "jax": Jax}


def serve(library):
    """Answer lines of JSON, as `models.serve` does."""
    xp, functions = LIBRARIES[library](), {}
    for line in sys.stdin:
        name, samples, calls = json.loads(line)
        if name not in functions:
            make = Arrays()
            loss = MODELS[name](xp.names, make)
            functions[name] = xp.function(loss, make.made)
        call = functions[name]
        xs, ys = (np.array(part).reshape(samples, -1) for part in drawn(samples, window_of(name)))
        value, gradient = call(xs, ys)
        times = [math.inf]
        for _ in range(calls):
            start = process_time()
            call(xs, ys)
            times.append(process_time() - start)
        numbers = [value.item(), *(float(d) for part in gradient for d in np.ravel(part))]
        print(json.dumps([min(times) * 1e6, numbers, {}]), flush=True)
