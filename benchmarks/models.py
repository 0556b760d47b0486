"""Networks on tapes, loss and gradient of a batch: `python -m benchmarks.models [--base REVISION]`.

The models are plain code on lists of Values, as a reader of makemore would write them: a bigram, an
MLP, a bag of words, a WaveNet, an RNN, a GRU, an LSTM, GPTs (M1 to M10; M11 only where `--models`
names it). With a base, two builds take turns, with the Python of `--peers` the same networks in
PyTorch and JAX (`models_in_arrays.py`), all on one processor; gradients are compared before any
time counts. The time is the processor's.
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


def wavenet(fg, make, size=16, hidden=32):
    table = make.matrix(CHARACTERS, size)
    pairs = [(make.matrix(hidden, 2 * n), make.vector(hidden)) for n in (size, hidden, hidden)]
    v, c = make.matrix(CHARACTERS, hidden), make.vector(CHARACTERS)

    def loss(xs, ys):
        rows = [fg.take(table, i) for i in xs]
        for w, b in pairs:
            rows = [
                [a.tanh() for a in linear(w, [*one, *two], b)]
                for one, two in zip(rows[::2], rows[1::2], strict=True)
            ]
        return cross_entropy(fg, linear(v, rows[0], c), ys[0])

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
    "WaveNet 16-32": wavenet,
    "RNN 16-32": rnn,
    "GRU 16-32": gru,
    "LSTM 16-32": lstm,
    "GPT 16": gpt,
    "GPT 32x2": lambda fg, make: gpt(fg, make, size=32, layers=2, window=16),
    "GPT 64x4": lambda fg, make: gpt(fg, make, size=64, layers=4, window=16),
}


# -- timing: a process for each build or library, which times what it is told to -------------------


def window_of(name):
    return 16 if name in ("GPT 32x2", "GPT 64x4") else WINDOW


def drawn(samples, window, seed=3):
    """Return characters and the next ones, each as a flat list."""
    rng = random.Random(seed)
    return [[rng.randrange(CHARACTERS) for _ in range(samples * window)] for _ in "xy"]


def recorded(name):
    """Return the tape of a model, and where each of its parameters is among those made."""
    import fastgrad as fg

    maker = Maker(fg.Value)
    tape = fg.record(MODELS[name](fg, maker), *drawn(1, window_of(name), seed=2))
    places = {p: i for i, p in enumerate(maker.parameters)}
    return tape, [places[p] for p in tape.parameters]


def serve():
    """Answer lines of JSON, [model, samples, calls]: microseconds of a call, and the gradient."""
    import numpy as np

    tapes = {}
    for line in sys.stdin:
        name, samples, calls = json.loads(line)
        tape, places = tapes[name] = tapes.get(name) or recorded(name)
        size = (samples, -1) if samples > 1 else -1
        xs, ys = (np.array(part).reshape(size) for part in drawn(samples, window_of(name)))
        value, gradient = tape.value_and_grad(xs, ys)
        times = [math.inf]
        for _ in range(calls):
            start = process_time()
            tape.value_and_grad(xs, ys)
            times.append(process_time() - start)
        stats = tape.stats() if calls else {}
        facts = {key: stats.get(key) for key in ("block", "steps", "layers")}
        ordered = np.zeros(len(places))
        ordered[places] = gradient
        print(
            json.dumps([min(times) * 1e6, [float(value), *map(float, ordered)], facts]),
            flush=True,
        )


class Server:
    """A process that serves: the fastgrad of a tree, or a library in a Python that has it."""

    def __init__(self, python, tree, call):
        source = (
            "import os, sys\n"
            "if hasattr(os, 'sched_setaffinity'):\n"
            "    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})\n"
            f"sys.path.insert(0, {str(ROOT)!r})\n"
            f"import benchmarks.{call.split('.')[0]} as {call.split('.')[0]}\n"
            f"sys.path.insert(0, {str(tree)!r})\n"
            f"{call}\n"
        )
        self.process = subprocess.Popen(
            [python, "-c", source],
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


def measured(servers, name, samples, rounds):
    """Return each server's microseconds, in rounds that take turns, and the facts of the first."""
    first = [server.ask(name, samples, 1) for server in servers]
    for other in first[1:]:
        compare_gradients(first[0][1], other[1])
    calls = [max(1, int(1e5 / answer[0])) for answer in first]
    times = [
        [server.ask(name, samples, n)[0] for server, n in zip(servers, calls, strict=True)]
        for _ in range(rounds)
    ]
    return list(zip(*times, strict=True)), first[0][2]


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.models", description=__doc__)
    parser.add_argument("--base", help="git revision, or a built tree, to compare with")
    parser.add_argument("--peers", metavar="PYTHON", help="a Python that has the libraries")
    parser.add_argument(
        "--libraries", nargs="+", default=["jax", "torch"],
        choices=["jax", "torch", "torch_compiled"],
    )  # fmt: skip
    rows = list(MODELS)[:10]
    parser.add_argument("--models", nargs="+", default=rows, choices=list(MODELS))
    parser.add_argument("--samples", nargs="+", type=int, default=[1, 32, 256])
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    servers = {"ours": Server(sys.executable, ROOT, "models.serve()")}
    if options.base:
        is_tree = os.path.isdir(options.base)
        tree = os.path.abspath(options.base) if is_tree else build(options.base)[0]
        servers["base"] = Server(sys.executable, tree, "models.serve()")
    if options.peers:
        for library in options.libraries:
            call = f"models_in_arrays.serve({library!r})"
            servers[library] = Server(options.peers, ROOT, call)
    ratios = "".join(f"{'/' + label:>10}" for label in list(servers)[1:])
    print(f"{'':18}{'samples':>8}" + "".join(f"{s:>15}" for s in servers) + ratios)
    for name in options.models:
        for samples in options.samples:
            times, facts = measured(list(servers.values()), name, samples, options.rounds)
            best = "".join(f"{min(each):12.1f} us" for each in times)
            ratios = "".join(
                f"{median(a / b for a, b in zip(times[0], each, strict=True)):10.3f}"
                for each in times[1:]
            )
            label = f"M{list(MODELS).index(name) + 1:<3}{name:14}"
            print(f"{label}{samples:8}{best}{ratios}", facts, flush=True)


if __name__ == "__main__":
    main()
