"""Networks on tapes, loss and gradient of a batch: `python -m benchmarks.models [--base REVISION]`.

The models are plain code on lists of Values, as a reader of makemore would write them: a bigram, an
MLP, a bag of words, an RNN, a GRU, an LSTM, a GPT. With a base, two builds take turns; their
gradients are compared before any time counts.
"""

import argparse
import json
import math
import os
import random
import subprocess
import sys
from functools import reduce
from statistics import median
from time import process_time

from benchmarks.compare import build
from benchmarks.workloads import ROOT

CHARACTERS, WINDOW = 27, 8


# -- layers ----------------------------------------------------------------------------------------


class Maker:
    """Draws weights; `parameters` has them all."""

    def __init__(self, Value, seed=1):
        self.Value, self.rng, self.parameters = Value, random.Random(seed), []

    def vector(self, n, size=0.1):
        made = [self.Value(self.rng.gauss(0, size)) for _ in range(n)]
        self.parameters += made
        return made

    def matrix(self, n_out, n_in):
        return [self.vector(n_in, n_in**-0.5) for _ in range(n_out)]


def linear(w, x, b=None):
    """Return w x, and b added first where there is one."""
    starts = b or [0.0] * len(w)
    return [
        sum((wi * xi for wi, xi in zip(row, x, strict=True)), s)
        for row, s in zip(w, starts, strict=True)
    ]


def softmax(fg, x):
    biggest = reduce(fg.functional.max, x)
    exps = [(v - biggest).exp() for v in x]
    total = sum(exps)
    return [e / total for e in exps]


def cross_entropy(fg, logits, target):
    """Return the loss of one prediction, as log of a sum of exps."""
    return sum(v.exp() for v in logits).log() - fg.take(logits, target)


# -- models: each returns a function of WINDOW characters and the next ones ------------------------


def bigram(fg, make):
    w = make.matrix(CHARACTERS, CHARACTERS)
    return lambda xs, ys: cross_entropy(fg, fg.take(w, xs[0]), ys[0])


def mlp(fg, make, context=3, size=10, hidden=64):
    table = make.matrix(CHARACTERS, size)
    w, b = make.matrix(hidden, context * size), make.vector(hidden)
    v, c = make.matrix(CHARACTERS, hidden), make.vector(CHARACTERS)

    def loss(xs, ys):
        x = [e for i in xs[:context] for e in fg.take(table, i)]
        return cross_entropy(fg, linear(v, [h.tanh() for h in linear(w, x, b)], c), ys[0])

    return loss


def bag_of_words(fg, make, size=16, hidden=32):
    table, places = make.matrix(CHARACTERS, size), make.matrix(WINDOW, size)
    w, b = make.matrix(hidden, size), make.vector(hidden)
    u, d = make.matrix(size, hidden), make.vector(size)
    v = make.matrix(CHARACTERS, size)

    def loss(xs, ys):
        total, losses = [0.0] * size, []
        for t in range(WINDOW):
            x = [a + p for a, p in zip(fg.take(table, xs[t]), places[t], strict=True)]
            total = [a + b for a, b in zip(total, x, strict=True)]
            mean = [a / (t + 1) for a in total]
            h = linear(u, [h.tanh() for h in linear(w, mean, b)], d)
            x = [a + b for a, b in zip(x, h, strict=True)]
            losses.append(cross_entropy(fg, linear(v, x), ys[t]))
        return sum(losses) / WINDOW

    return loss


def recurrent(cell):
    """Make a model of a recurrent cell of a size, whose state at first is learned."""

    def model(fg, make, size=16, hidden=32):
        table, start = make.matrix(CHARACTERS, size), make.vector(hidden)
        step = cell(make, size, hidden)
        v, c = make.matrix(CHARACTERS, hidden), make.vector(CHARACTERS)

        def loss(xs, ys):
            state, losses = (start, [0.0] * hidden), []
            for t in range(WINDOW):
                state = step(fg.take(table, xs[t]), *state)
                losses.append(cross_entropy(fg, linear(v, state[0], c), ys[t]))
            return sum(losses) / WINDOW

        return loss

    return model


@recurrent
def rnn(make, size, hidden):
    w, b = make.matrix(hidden, size + hidden), make.vector(hidden)
    return lambda x, h, c: ([a.tanh() for a in linear(w, [*x, *h], b)], c)


@recurrent
def gru(make, size, hidden):
    z, r, n = ((make.matrix(hidden, size + hidden), make.vector(hidden)) for _ in "zrn")

    def step(x, h, c):
        keep = [a.sigmoid() for a in linear(z[0], [*x, *h], z[1])]
        reset = [a.sigmoid() for a in linear(r[0], [*x, *h], r[1])]
        inside = [a * b for a, b in zip(reset, h, strict=True)]
        new = [a.tanh() for a in linear(n[0], [*x, *inside], n[1])]
        return [(1 - k) * a + k * b for k, a, b in zip(keep, h, new, strict=True)], c

    return step


@recurrent
def lstm(make, size, hidden):
    gates = [(make.matrix(hidden, size + hidden), make.vector(hidden)) for _ in "ifog"]

    def step(x, h, c):
        i, f, o, g = (linear(w, [*x, *h], b) for w, b in gates)
        c = [
            b.sigmoid() * old + a.sigmoid() * d.tanh()
            for a, b, d, old in zip(i, f, g, c, strict=True)
        ]
        return [a.sigmoid() * b.tanh() for a, b in zip(o, c, strict=True)], c

    return step


def gpt(fg, make, size=16, layers=1, heads=4, window=WINDOW):
    """Return a Transformer: norms, attention, an MLP with the GELU of tanh."""
    table, places = make.matrix(CHARACTERS, size), make.matrix(window, size)
    blocks = [
        [make.matrix(size, size) for _ in "qkvo"]
        + [make.matrix(4 * size, size), make.vector(4 * size), make.matrix(size, 4 * size)]
        for _ in range(layers)
    ]
    head, width = make.matrix(CHARACTERS, size), size // heads

    def norm(x):
        scale = (sum(v * v for v in x) / size + 1e-5) ** -0.5
        return [v * scale for v in x]

    def attend(q, keys, values):
        out = []
        for h in range(0, size, width):
            scores = [sum(q[j] * k[j] for j in range(h, h + width)) * width**-0.5 for k in keys]
            weights = softmax(fg, scores)
            out += [
                sum(a * v[j] for a, v in zip(weights, values, strict=True))
                for j in range(h, h + width)
            ]
        return out

    def gelu(x):
        return 0.5 * x * (1 + (math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)).tanh())

    def loss(xs, ys):
        past, losses = [([], []) for _ in blocks], []
        for t in range(window):
            x = [a + b for a, b in zip(fg.take(table, xs[t]), places[t], strict=True)]
            for (q, k, v, o, w, b, u), (keys, values) in zip(blocks, past, strict=True):
                n = norm(x)
                keys.append(linear(k, n))
                values.append(linear(v, n))
                mixed = linear(o, attend(linear(q, n), keys, values))
                x = [a + b for a, b in zip(x, mixed, strict=True)]
                n = linear(u, [gelu(a) for a in linear(w, norm(x), b)])
                x = [a + b for a, b in zip(x, n, strict=True)]
            losses.append(cross_entropy(fg, linear(head, norm(x)), ys[t]))
        return sum(losses) / window

    return loss


MODELS = {
    "bigram": bigram,
    "MLP 3x10-64": mlp,
    "MLP 3x10-200": lambda fg, make: mlp(fg, make, hidden=200),
    "BoW 16-32": bag_of_words,
    "RNN 16-32": rnn,
    "GRU 16-32": gru,
    "LSTM 16-32": lstm,
    "GPT 16": gpt,
    "GPT 32x2": lambda fg, make: gpt(fg, make, size=32, layers=2, window=16),
}


# -- timing: a process for each build, which times what it is told to ------------------------------


def recorded(name):
    """Return the tape of a model, and its window."""
    import fastgrad as fg

    window = 16 if name == "GPT 32x2" else WINDOW
    rng = random.Random(2)
    example = [[rng.randrange(CHARACTERS) for _ in range(window)] for _ in "xy"]
    return fg.record(MODELS[name](fg, Maker(fg.Value)), *example), window


def serve():
    """Answer lines of JSON, [model, samples, calls]: microseconds of a call, and the gradient."""
    import numpy as np

    tapes = {}
    for line in sys.stdin:
        name, samples, calls = json.loads(line)
        tape, window = tapes[name] = tapes.get(name) or recorded(name)
        rng = random.Random(3)
        size = (samples, window) if samples > 1 else window
        xs, ys = (
            np.array([rng.randrange(CHARACTERS) for _ in range(samples * window)]).reshape(size)
            for _ in "xy"
        )
        value, gradient = tape.value_and_grad(xs, ys)
        times = []
        for _ in range(calls):
            start = process_time()
            tape.value_and_grad(xs, ys)
            times.append(process_time() - start)
        stats = tape.stats() if calls else {}
        facts = {key: stats.get(key) for key in ("plan", "block", "steps", "layers", "rows")}
        print(
            json.dumps([min(times) * 1e6, [float(value), *map(float, gradient)], facts]),
            flush=True,
        )


class Build:
    """A process with the fastgrad of a tree."""

    def __init__(self, tree):
        source = (
            f"import sys; sys.path.insert(0, {str(ROOT)!r}); import benchmarks.models as m; "
            f"sys.path.insert(0, {str(tree)!r}); m.serve()"
        )
        self.process = subprocess.Popen(
            [sys.executable, "-c", source],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=tree,
        )  # fmt: skip

    def ask(self, *question):
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


def compare_gradients(one, two):
    for a, b in zip(one, two, strict=True):
        if abs(a - b) > 1e-9 * max(1.0, abs(a)):
            sys.exit(f"gradients differ: {a} and {b}")


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.models", description=__doc__)
    parser.add_argument("--base", help="git revision, or a built tree, to compare with")
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--samples", nargs="+", type=int, default=[1, 32, 256])
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    trees = [ROOT]
    if options.base:
        is_tree = os.path.isdir(options.base)
        trees.insert(0, os.path.abspath(options.base) if is_tree else build(options.base)[0])
    builds = [Build(tree) for tree in trees]
    for name in options.models:
        for samples in options.samples:
            first = [b.ask(name, samples, 1) for b in builds]
            compare_gradients(first[0][1], first[-1][1])
            calls = max(1, int(1e5 / first[0][0]))
            rounds = [
                [b.ask(name, samples, calls)[0] for b in builds] for _ in range(options.rounds)
            ]
            best = "".join(f"{min(times):12.1f} us" for times in zip(*rounds, strict=True))
            ratio = median(times[-1] / times[0] for times in rounds)
            print(f"{name:14}{samples:5}{best}{ratio:8.3f}", first[-1][2], flush=True)


if __name__ == "__main__":
    main()
