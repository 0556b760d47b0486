"""Layers of single samples: rows of weights times one row of inputs, in vectors.

Oracles: the eager engine, for values; the interpreter, `use_groups("never")`, for gradients too.
"""

import os
import random
from pathlib import Path

import pytest
from helpers.groups import LEVELS, ODD, assert_same, bits, in_both
from helpers.processes import python
from helpers.tally import tally

import fastgrad as fg
from fastgrad import Value, functional, nn
from fastgrad._native.tape.inspect import layers_of_one
from fastgrad._native.tape.replay import use_groups

pytestmark = pytest.mark.wide
ROWS = (4, 5, 7, 8, 9, 12, 15, 16, 17, 24, 33)
INPUTS = (8, 9, 11, 15, 16, 17, 24, 31, 40, 129)
SUMS = {  # a row of weights, inputs, a bias, something of the row's own
    "plain": lambda w, x, b, own: sum(a * c for a, c in zip(w, x, strict=True)),
    "inputs first": lambda w, x, b, own: sum(c * a for a, c in zip(w, x, strict=True)),
    "from a bias": lambda w, x, b, own: sum((a * c for a, c in zip(w, x, strict=True)), b),
    "bias last": lambda w, x, b, own: sum(a * c for a, c in zip(w, x, strict=True)) + b,
    "and a product": lambda w, x, b, own: (
        sum(a * c for a, c in zip(w, x, strict=True)) + own * b + own * own
    ),
    "dot": lambda w, x, b, own: functional.dot(w, x) + b,
}
MIXED = {  # what a layer's inputs are: side by side, or anywhere
    "arguments": lambda x, hidden: x,
    "computed": lambda x, hidden: hidden,
    "reversed": lambda x, hidden: hidden[::-1],
    "every second": lambda x, hidden: [*hidden[::2], *hidden[1::2]],
    "one": lambda x, hidden: [hidden[0]] * len(hidden),
    "both": lambda x, hidden: [
        a if i % 2 else h for i, (a, h) in enumerate(zip(x, hidden, strict=True))
    ],
}


class Network:
    """A layer of any size and kind behind another, and what each row has for itself."""

    def __init__(self, seed):
        rng = random.Random(seed)
        self.rows, self.inputs = rng.choice(ROWS), rng.choice(INPUTS)
        self.sum, self.inner = rng.choice(list(SUMS)), rng.choice(list(MIXED))
        self.repeats, self.transposed = rng.choice((1, 1, 3)), rng.random() < 0.2
        size = (self.inputs, self.rows) if self.transposed else (self.rows, self.inputs)
        self.w = [[Value(rng.uniform(-1, 1)) for _ in range(size[1])] for _ in range(size[0])]
        self.b = [Value(rng.uniform(-1, 1)) for _ in range(self.rows)]
        self.x = [rng.uniform(-1, 1) for _ in range(self.inputs)]

    def parameters(self):
        return [*self.b, *(v for row in self.w for v in row)]

    def __call__(self, x):
        rows = list(zip(*self.w, strict=True)) if self.transposed else self.w
        total = 0.0
        for i in range(self.repeats):
            hidden = [(a * (0.5 + i)).tanh() for a in x]
            inputs = MIXED[self.inner](x, hidden)
            made = [
                SUMS[self.sum](w, inputs, b, x[r % len(x)]).tanh()
                for r, (w, b) in enumerate(zip(rows, self.b, strict=True))
            ]
            total = sum((y * (r + 1) for r, y in enumerate(made)), total)
        return total


def check_network(seed):
    """Compare a network as it is, and with odd numbers; tell whether it has a layer."""
    network, rng = Network(seed), random.Random(seed)
    tape = fg.record(network, network.x)
    grouped, plain = in_both(tape, network.x)
    assert_same(grouped, plain)
    assert bits([grouped[0]]) == bits([network([Value(a) for a in network.x]).data])
    odd = [rng.choice(ODD) if rng.random() < 0.1 else a for a in network.x]
    for p in network.parameters():
        p.data = rng.choice(ODD) if rng.random() < 0.05 else p.data
    assert_same(*in_both(tape, odd))
    return bool(layers_of_one(tape))


def check_networks(count, begin=0):
    return sum(check_network(seed) for seed in range(begin, begin + count))


def test_layers_of_any_size_have_eager_bits():
    found = check_networks(120, 500)
    tally("wrong replay: layers of single samples", 120)
    assert found > 60, "most of them run as layers"


@pytest.mark.parametrize("level", LEVELS)
def test_layers_have_eager_bits_at_every_simd_level(level, tmp_path, monkeypatch):
    monkeypatch.setenv("FASTGRAD_SIMD", level)
    folders = [Path(__file__).parent, Path(__file__).parents[1]]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, folders)))
    process = python(
        "-c", "import test_single_layers as t\nprint(t.check_networks(60))", cwd=tmp_path
    )
    if process.returncode and "as this processor has" in process.stderr:
        pytest.skip(f"no {level} here")
    assert process.stderr == ""
    assert int(process.stdout) > 30


@pytest.fixture
def always():
    before = use_groups("always")
    yield
    use_groups(before)


def planned(function, *example):
    tape = fg.record(function, *example)
    for _ in range(3):
        tape(*example)
    return layers_of_one(tape)


@pytest.mark.usefixtures("always")
def test_sums_over_one_row_of_inputs_are_a_layer():
    """At least four of them, of eight products; the inputs may lie anywhere, up to 128."""

    def layer(rows, k, inputs=lambda x: x):
        w = [[Value(0.1 * i + j) for j in range(k)] for i in range(rows)]
        return planned(
            lambda x: sum(
                sum(a * b for a, b in zip(row, inputs(x), strict=True)).tanh() for row in w
            ),
            [1.0] * k,
        )

    assert layer(4, 8) == [4]
    assert layer(3, 8) == []
    assert layer(4, 7) == []
    assert layer(9, 128, lambda x: x[::-1]) == [9]
    assert layer(9, 129, lambda x: x[::-1]) == []
    assert layer(9, 129) == [9]


@pytest.mark.usefixtures("always")
def test_rows_of_a_level_with_other_inputs_are_layers_of_their_own():
    w = [[Value(0.1 * i + j) for j in range(8)] for i in range(5)]

    def steps(xs):
        return sum(sum(a * b for a, b in zip(row, x, strict=True)).tanh() for x in xs for row in w)

    assert planned(steps, [[1.0] * 8, [2.0] * 8, [3.0] * 8]) == [5, 5, 5]


@pytest.mark.usefixtures("always")
def test_network_and_attention_run_in_layers_and_train_as_the_interpreter_does():
    fg.manual_seed(3)
    block = nn.TransformerBlock(16, 2)
    head = nn.Linear(16, 5)

    def loss(xs, target):
        return functional.cross_entropy(head(block(xs)[-1]), target)

    rng = random.Random(4)
    xs = [[rng.gauss(0, 1) for _ in range(16)] for _ in range(3)]
    tape = fg.record(loss, xs, 2, parameters=[*block.parameters(), *head.parameters()])
    grouped = [tape.value_and_grad(xs, 2) for _ in range(3)][-1]
    assert len(layers_of_one(tape)) > 5
    use_groups("never")
    assert tape.value_and_grad(xs, 2) == grouped


def test_rows_of_weights_that_are_scattered_are_no_layer():
    """Beside rows that are: the same weights once more, each row's backwards but for its first."""
    rng = random.Random(8)
    w = [[Value(rng.uniform(-1, 1)) for _ in range(9)] for _ in range(5)]

    def f(x):
        rows = [*w, *([row[0], *row[:0:-1]] for row in w)]
        made = [sum(a * b for a, b in zip(row, x, strict=True)).tanh() for row in rows]
        return sum((y * (r + 1) for r, y in enumerate(made)), 0.0)

    tape = fg.record(f, [1.0] * 9)
    x = [rng.uniform(-1, 1) for _ in range(9)]
    assert_same(*in_both(tape, x))
    assert layers_of_one(tape) == [5]
