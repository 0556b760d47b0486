"""Tapes give the same bits on any thread count and SIMD level; samples are independent.

Oracles: one sha256 over 100,000 results and gradients, equal for all and stored; the gradients of
single samples.
"""

import math
import os

import pytest
from helpers.processes import python

import fastgrad as fg
from fastgrad import Value, nn
from fastgrad.tape import SIMD

np = pytest.importorskip("numpy")

pytestmark = pytest.mark.wide
# Of the order in which sums are made, too: another block or another kernel gives another.
STORED = 109_474, "9cf414d54c8df79a78a1be2f88db4e7d1d295cd8c7a3adb59b73d5fccb1660c1"
LEVELS = ("baseline", "avx2", "avx512")
THREADS = (1, 2, 3, 4, 7)

PROGRAM = """
import hashlib, random, struct, sys
import numpy as np
import fastgrad as fg
from fastgrad import Value, functional as F, nn
from fastgrad.tape import SIMD

random.seed(8)
digest, count = hashlib.sha256(), 0

def sample(size):  # NumPy promises no streams
    return np.array([random.uniform(-2, 2) for _ in range(np.prod(size))]).reshape(size)

def feed(numbers):
    global count
    numbers = np.ravel(numbers)
    assert np.isfinite(numbers).all(), "the sign of a nan is nobody's promise"
    count += numbers.size
    digest.update(np.ascontiguousarray(numbers, dtype="<f8").tobytes())

def feed_tape(tape, *arguments):
    for threads in THREADS:
        feed(tape(*arguments, threads=threads))
        value, grads = tape.value_and_grad(*arguments, threads=threads)
        feed(value), feed(grads)
        for reduce in ("sum", "mean"):
            _, parts = tape.value_and_grad(*arguments, wrt="inputs", threads=threads, reduce=reduce)
            for part in parts:
                feed(part)

def network(n_in, sizes, n, squash):
    model = nn.MLP(n_in, sizes)
    def loss(x, y):
        outs = model(x)
        outs = outs if isinstance(outs, list) else [outs]
        decay = 1e-4 * sum(p * p for p in model.parameters())
        return sum((squash(o) - y) ** 2 for o in outs) + decay
    feed_tape(fg.record(loss, [0.0] * n_in, 1.0), sample((n, n_in)), sample(n))

network(2, [16, 16, 1], 100, lambda v: v.relu())
network(3, [5, 4, 3], 1000, lambda v: v)
network(7, [9, 1], 259, lambda v: v * v)
network(4, [1], 13, lambda v: v)
network(40, [70, 30, 2], 300, lambda v: v)  # blocks of few samples

class Lecture:  # micrograd's lecture: a neuron is a sum of products in Python, tanh made of exp
    def __init__(self, n_in, sizes):
        def neuron(n):
            return [Value(random.uniform(-1, 1)) for _ in range(n)], Value(0.1)
        self.layers = [[neuron(a) for _ in range(b)] for a, b in zip([n_in, *sizes], sizes)]
    def __call__(self, x):
        for layer in self.layers:
            acts = [sum((wi * xi for wi, xi in zip(w, x)), b) for w, b in layer]
            x = [SQUASH(a) for a in acts]
        return x[0]

lecture = Lecture(3, [4, 4, 1])
for SQUASH in (lambda a: a.relu() + 0.1 * a, lambda a: a.tanh()):
    tape = fg.record(lambda x, y: (lecture(x) - y) ** 2, [1.0, 2.0, 3.0], 1.0)
    feed_tape(tape, sample((515, 3)), sample(515))

def recurrence(size, hidden, steps, n):  # the same weights at each step, from a learned state
    w = [[Value(random.uniform(-1, 1)) for _ in range(size + hidden)] for _ in range(hidden)]
    start = [Value(random.uniform(-1, 1)) for _ in range(hidden)]
    def last(x):
        h = start
        for t in range(steps):
            v = [*x[t * size : t * size + size], *h]
            h = [sum((a * b for a, b in zip(row, v)), h[i]).relu() for i, row in enumerate(w)]
        return sum(h)
    feed_tape(fg.record(last, [0.5] * (size * steps)), sample((n, size * steps)))

recurrence(3, 5, 4, 333)
recurrence(5, 23, 7, 61)

weights = [Value(random.uniform(-2, 2)) for _ in range(30)]
tape = fg.record(lambda x: sum(w * v for w, v in zip(weights, x)), [0.0] * 30)
feed_tape(tape, sample((77, 30)))
tape = fg.record(lambda x, y: sum(v * u for u, v in zip(x, y)) + x[0] * x[0], [0.0] * 9, [0.0] * 9)
feed_tape(tape, sample((77, 9)), sample((77, 9)))
feed_tape(tape, sample((600, 9)), sample(9))

def elementwise(x):
    ys = [(v * weights[i] - weights[i + 9]).relu() for i, v in enumerate(x)]
    zs = [abs(y) + F.max(y, x[0]) * F.min(y, 0.5) for y in ys]
    return sum(fg.where(x[1] < x[2], z * z, z / 4) for z in zs)
feed_tape(fg.record(elementwise, [0.1] * 9), sample((1030, 9)))

table = [[Value(random.uniform(-2, 2)) for _ in range(6)] for _ in range(11)]
def products(i, j, x):
    return sum(a * b * x for a, b in zip(fg.take(table, i), fg.take(table, j)))
tape = fg.record(products, 0, 1, 1.0)
first, second = (np.array([random.randrange(11) for _ in range(333)]) for _ in "ij")
feed_tape(tape, first, second, sample(333))
feed_tape(tape, first, 4, 0.5)
assert count >= 10_000
print(SIMD, count, digest.hexdigest())
"""
HASHES = {}


def digest(path, monkeypatch, level, threads):
    """Run the program in a process of its own, where kernels are chosen."""
    key = level, threads
    if key not in HASHES:
        monkeypatch.setenv("FASTGRAD_SIMD", level)
        source = f"THREADS = ({threads},)\n{PROGRAM}"
        process = python("-c", source, cwd=path)
        if process.returncode and "as this processor has" in process.stderr:
            pytest.skip(f"no {level} here")
        assert process.stderr == ""
        used, count, hashed = process.stdout.split()
        assert used == level
        HASHES[key] = int(count), hashed
    return HASHES[key]


@pytest.mark.parametrize("level", LEVELS[1:])
def test_every_simd_level_gives_the_same_bits(level, tmp_path, monkeypatch):
    expected = digest(tmp_path, monkeypatch, "baseline", 1)
    assert expected[0] >= 10_000
    assert digest(tmp_path, monkeypatch, level, 1) == expected


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("threads", THREADS[1:])
def test_every_thread_count_gives_the_same_bits(threads, level, tmp_path, monkeypatch):
    expected = digest(tmp_path, monkeypatch, "baseline", 1)
    assert digest(tmp_path, monkeypatch, level, threads) == expected


def test_gradients_have_the_stored_bits(tmp_path, monkeypatch):
    assert digest(tmp_path, monkeypatch, "baseline", 2) == STORED


def test_unknown_simd_level_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("FASTGRAD_SIMD", "avx1024")
    process = python("-c", "import fastgrad.tape", cwd=tmp_path)
    assert "expected baseline, avx2 or avx512, as this processor has" in process.stderr
    assert "(FASTGRAD_SIMD)" in process.stderr
    assert "got 'avx1024'" in process.stderr
    assert python("-c", "import fastgrad", cwd=tmp_path).stderr == "", "a tape is what needs it"


def test_simd_level_is_the_requested_one():
    assert os.environ.get("FASTGRAD_SIMD", SIMD) == SIMD


# -- the last lanes --------------------------------------------------------------------------------


def tapes():
    """Tapes of one number x for every kind of step: maps, layers, products, takes, shared parts."""
    model, w = nn.MLP(2, [5, 3, 1]), [Value(0.5), Value(-0.25), Value(2.0)]
    return {
        "map": fg.record(lambda x: (x * w[0] + w[1]).tanh() - x / w[2], 1.0),
        "parameter first": fg.record(lambda x: w[0] * x.exp(), 1.0),
        "maps in a range": fg.record(lambda x: sum((x * v).sin().exp() for v in w), 1.0),
        "layers": fg.record(lambda x: model([x, 1 - x]), 1.0),
        "products": fg.record(lambda x: w[0] + x * x + w[1] * x + x * w[2] * x, 1.0),
        "take": fg.record(lambda x: fg.take(w, x < 0) * fg.take([x, w[0]], x > 1), 1.0),
        "log and division": fg.record(lambda x: (x * x).log() / x + x**-2 * w[0], 1.0),
    }


ODD = (math.inf, -math.inf, math.nan, 0.0, 1e308, 5e-324)


@pytest.mark.parametrize("name", list(tapes()))  # the names alone: tapes hold nodes
@pytest.mark.parametrize("n", [1, 2, 7, 8, 9, 15, 63, 64, 65, 257, 515])
def test_odd_sample_does_not_change_other_samples(n, name):
    """Whatever one sample is, the others keep their bits, and sums are those of all samples."""
    tape = tapes()[name]
    plain = [0.25 + 0.5 * math.sin(i) for i in range(n)]
    values, (gradient,) = tape(plain), tape.value_and_grad(plain, wrt="inputs", reduce="sum")[1]
    for place in {n - 1, n // 2}:
        for odd in ODD:
            xs = [*plain[:place], odd, *plain[place + 1 :]]
            got = tape(xs)
            _, (got_gradient,) = tape.value_and_grad(xs, wrt="inputs", reduce="sum")
            single, (single_gradient,) = tape.value_and_grad(odd, wrt="inputs")
            assert repr(got) == repr([*values[:place], single, *values[place + 1 :]])
            others = [g for i, g in enumerate(got_gradient) if i != place]
            assert others == [g for i, g in enumerate(gradient) if i != place]
            assert got_gradient[place] == pytest.approx(single_gradient, rel=1e-13, nan_ok=True)
            total, grads = tape.value_and_grad(xs, reduce="sum")
            each_value, each = tape.value_and_grad(xs, reduce=None)
            assert total == pytest.approx(sum(each_value), rel=1e-12, abs=1e-12, nan_ok=True)
            sums = [sum(column) for column in zip(*each, strict=True)]
            assert grads == pytest.approx(sums, rel=1e-11, abs=1e-11, nan_ok=True)


def test_workspace_of_earlier_calls_does_not_change_results():
    """Plans and sizes take turns in one workspace: what one leaves there never shows."""
    model = nn.MLP(3, [6, 4, 1])
    tape = fg.record(lambda x, y: (model(x) * y).tanh(), [1.0] * 3, 1.0)
    fresh = fg.record(lambda x, y: (model(x) * y).tanh(), [1.0] * 3, 1.0)
    rng = np.random.default_rng(3)
    for n in (300, 5, 17, 1, 64, 1000, 3, 256, 8, 9):
        X, y = rng.normal(size=(n, 3)), rng.normal(size=n)
        for arguments in ((X, y), (X[0], y), (X, y[0])):
            dirty = rng.choice([math.nan, math.inf], size=(2 * n, 3))
            tape.value_and_grad(dirty, math.nan)
            one, two = tape.value_and_grad(*arguments), fresh.value_and_grad(*arguments)
            assert (one[0], one[1].tolist()) == (two[0], two[1].tolist())
            assert tape(*arguments).tolist() == fresh(*arguments).tolist()
            fresh = fg.record(lambda x, y: (model(x) * y).tanh(), [1.0] * 3, 1.0)


@pytest.mark.parametrize("threads", [1, 2])
def test_blocks_that_share_a_partial_sum_add_up(threads):
    """Then blocks share one: what each adds to it, for layers and for single steps, must stay."""
    model, w = nn.MLP(2, [5, 1]), Value(0.75)
    tape = fg.record(lambda x: model(x) * w + (x[0] * w).sin(), [0.5, -0.5])
    n = 4200 * tape.stats()["block"] + 5  # of 4,096 groups at most
    X = np.random.default_rng(4).normal(size=(n, 2))
    value, gradient = tape.value_and_grad(X, reduce="sum", threads=threads)
    values, rows = tape.value_and_grad(X, reduce=None)
    assert value == pytest.approx(math.fsum(values), rel=1e-11)
    assert gradient.tolist() == pytest.approx(rows.sum(axis=0).tolist(), rel=1e-9, abs=1e-9)
