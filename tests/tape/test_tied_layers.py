"""Layers that share weights, their shared inputs and varying initial values: random recurrences.

Oracles: the eager engine and a tape of one sample, sample by sample; how large the terms of a sum
are says how far two orders of it may differ.
"""

import math
import random

import pytest
from helpers.tally import tally
from helpers.tape_programs import bits, np

import fastgrad as fg
from fastgrad import Value
from fastgrad._native.tape.inspect import plan

pytestmark = pytest.mark.wide


class Recurrence:
    """A program that uses the same weights at several places, in ways that the seed chooses."""

    def __init__(self, seed):
        rng = self.rng = random.Random(seed)
        self.n_inputs, self.steps = rng.randint(1, 4), rng.randint(1, 4)
        self.m, self.k = rng.randint(1, 7), rng.randint(1, 6)
        values = lambda n: [Value(rng.uniform(-1, 1)) for _ in range(n)]  # noqa: E731
        self.weights = values(self.m * self.k)
        self.constants = [rng.uniform(-1, 1) for _ in self.weights]
        self.start, self.bias, self.shared = values(self.k), values(self.m), values(2)
        self.layers = [self.choices() for _ in range(rng.randint(1, 4))]
        self.ends = [rng.randrange(3) for _ in range(self.steps)]

    def choices(self):
        rng = self.rng
        return {
            "weights": rng.choice(["same", "same", "same", "transposed", "constant", "mixed"]),
            "first": rng.random() < 0.5,  # the weight, in products
            "initial": rng.choice(["bias", "zero", "input", "state", "above"]),
            "shared": rng.random() < 0.3,  # one of its inputs does not vary, or none at first
            "twice": rng.random() < 0.1,
        }

    def rows(self, how):
        weights = self.constants if how == "constant" else self.weights
        if how == "mixed":
            weights = [
                c if i % 3 else w
                for i, (c, w) in enumerate(zip(self.constants, weights, strict=True))
            ]
        m, k = (self.k, self.m) if how == "transposed" else (self.m, self.k)
        return [weights[r * k : r * k + k] for r in range(m)]

    def layer(self, how, x, inputs):
        rows, outs = self.rows(how["weights"]), []
        x = [x[i % len(x)] for i in range(len(rows[0]))]
        if how["shared"]:
            x[-1] = self.shared[0]
        if how["twice"]:
            x[-1] = x[0]
        for r, row in enumerate(rows):
            initial = {
                "bias": self.bias[r % self.m],
                "zero": 0.0,
                "input": inputs[r % self.n_inputs],
                "state": x[r % len(x)] * 0.5,
                "above": outs[-1] if outs else inputs[0],
            }[how["initial"]]
            pairs = zip(row, x, strict=True)
            outs.append(sum((w * v if how["first"] else v * w for w, v in pairs), initial))
        return outs

    def __call__(self, *inputs):
        x, total = self.start, 0.0
        for step in range(self.steps):
            x = [*inputs, *x[: self.k]]
            for how in self.layers:
                x = [
                    v.tanh() if r % 2 else v * self.shared[1]
                    for r, v in enumerate(self.layer(how, x, inputs))
                ]
            total = total + (x[0] if self.ends[step] == 0 else sum(v * v for v in x))
        return total.tanh() if self.ends[0] else total

    def sample(self):
        return [self.rng.uniform(-1.5, 1.5) for _ in range(self.n_inputs)]


def close(got, terms):
    """Tell whether a sum is that of the terms, as far as their order may matter."""
    return got == pytest.approx(math.fsum(terms), rel=1e-11, abs=1e-11 * (1 + sum(map(abs, terms))))


def eager(program, tape, sample):
    leaves = [*map(Value, sample)]
    for p in tape.parameters:
        p.grad = 0.0
    made = program(*leaves)
    made.backward()
    return made.data, [v.grad for v in (*leaves, *tape.parameters)]


@pytest.mark.parametrize("seed", range(150))
def test_batch_of_a_program_with_tied_weights_gives_sums_over_its_samples(seed):
    program = Recurrence(seed)
    tape = fg.record(program, *[0.5] * program.n_inputs)
    n = random.Random(seed).choice([1, 3, 8, 21, 300])
    samples = [program.sample() for _ in range(n)]
    known = []
    for sample in samples[:: 1 + n // 25]:
        value, grads = tape.value_and_grad(*sample)
        _, inputs = tape.value_and_grad(*sample, wrt="inputs")
        expected, gradient = eager(program, tape, sample)
        assert bits([value]) == bits([expected])
        assert [*inputs, *grads] == pytest.approx(gradient, rel=1e-11, abs=1e-11)
    for sample in samples:
        value, grads = tape.value_and_grad(*sample)
        known.append((value, tape.value_and_grad(*sample, wrt="inputs")[1], grads))
    columns = [list(c) for c in zip(*samples, strict=True)]
    assert bits(tape(*columns)) == bits([value for value, _, _ in known])
    total, grads = tape.value_and_grad(*columns, reduce="sum")
    _, inputs = tape.value_and_grad(*columns, reduce="sum", wrt="inputs")
    assert close(total, [value for value, _, _ in known])
    for i, gradient in enumerate(grads):
        assert close(gradient, [g[i] for _, _, g in known]), f"parameter {i}"
    for i, gradient in enumerate(inputs):
        assert gradient == pytest.approx([g[i] for _, g, _ in known], rel=1e-11, abs=1e-11)
    tally("tied layers: random recurrences, batches against their samples")


@pytest.mark.parametrize("seed", range(60))
def test_gradient_of_each_sample_has_the_bits_of_the_sample_alone(seed):
    program = Recurrence(seed)
    tape = fg.record(program, *[0.5] * program.n_inputs)
    samples = [program.sample() for _ in range(11)]
    columns = [list(c) for c in zip(*samples, strict=True)]
    for wrt in ("parameters", "inputs"):
        each = tape.value_and_grad(*columns, reduce=None, wrt=wrt)[1]
        for s, sample in enumerate(samples):
            row = [column[s] for column in each] if wrt == "inputs" else each[s]
            assert bits(row) == bits(tape.value_and_grad(*sample, wrt=wrt)[1])


@pytest.mark.parametrize("seed", range(60))
@pytest.mark.parametrize("odd", [math.inf, math.nan, 0.0])
def test_tangents_of_tied_layers_have_the_bits_of_a_sample(seed, odd):
    program = Recurrence(seed)
    tape = fg.record(program, *[0.5] * program.n_inputs)
    samples = [program.sample() for _ in range(9)]
    samples[4][0] = odd
    moves = [program.sample() for _ in samples]
    moves[7] = [0.0] * program.n_inputs
    columns, along = ([list(c) for c in zip(*s, strict=True)] for s in (samples, moves))
    of_parameters = [random.Random(seed).choice([0.0, 0.5]) for _ in tape.parameters]
    for wrt in (None, "parameters"):
        tangents = tuple(along) if wrt is None else of_parameters
        more = {} if wrt is None else {"wrt": wrt}
        values, moved = tape.jvp(tuple(columns), tangents, **more)
        for s, sample in enumerate(samples):
            one = tuple(moves[s]) if wrt is None else of_parameters
            value, move = tape.jvp(tuple(sample), one, **more)
            assert bits([values[s], moved[s]]) == bits([value, move])


@pytest.mark.parametrize("n", [1, 7, 33, 300])
def test_infinite_input_of_a_tied_layer_that_nothing_depends_on_gives_no_nan(n):
    """The group of samples is run again by the rule that 0 times infinity is 0."""
    w, b = [[Value(0.5), Value(-1.0)], [Value(2.0), Value(0.25)]], [Value(0.5), Value(-0.5)]

    def program(x, keep):
        def layer(x):
            rows = zip(w, b, strict=True)
            return [sum((a * v for a, v in zip(r, x, strict=True)), c) for r, c in rows]

        out = layer([fg.where(keep, v, 0.0 * keep) for v in layer([x, 1 - x])])
        return sum(out) + sum(layer(out))

    tape = fg.record(program, 0.5, 1.0)
    xs = [0.1 * i - 1.5 for i in range(n)]
    keep = [1.0] * n
    xs[n // 2], keep[n // 2] = math.inf, 0.0
    _, grads = tape.value_and_grad(xs, keep, reduce="sum")
    each = [tape.value_and_grad(x, k)[1] for x, k in zip(xs, keep, strict=True)]
    assert all(math.isfinite(g) for g in grads)
    assert all(close(g, column) for g, column in zip(grads, zip(*each, strict=True), strict=True))


def recurrent(T, swap=False, m=6, k=4):
    """Return a recurrence of T steps from a learned state, and its weights."""
    w = [[Value(0.1 * (i - j)) for j in range(m + k)] for i in range(m)]
    b, h0 = [Value(0.1) for _ in range(m)], [Value(0.2 * i) for i in range(m)]

    def program(x):
        h = h0
        for t in range(T):
            seen = [v * (t + 1) for v in x]
            pairs = [[(a, v) for a, v in zip(r, [*seen, *h], strict=True)] for r in w]
            h = [
                sum((v * a if swap else a * v for a, v in p), c).tanh()
                for p, c in zip(pairs, b, strict=True)
            ]
        return sum(h)

    return fg.record(program, [0.5] * k), m * (m + k) + 2 * m


@pytest.mark.parametrize("swap", [False, True])
def test_recurrence_from_a_learned_state_is_tied_at_every_step(swap):
    """Its weights are there once, and nothing but layers reads them."""
    tape, n_parameters = recurrent(5, swap)
    made = plan(tape, b"\1" * 4)
    assert (made["layers"], made["broadcasts"]) == (5, n_parameters + 5)  # and constants


def test_vectors_that_all_samples_share_are_one_map_whatever_their_order():
    p = [Value(0.1 * i) for i in range(6)]
    order = [3, 1, 1, 5, 0, 3]
    tape = fg.record(lambda x: sum([v + p[i] for v, i in zip(x, order, strict=True)]), [0.1] * 6)
    made = plan(tape, b"\1" * 6)
    assert made["steps"] == 7, "a map and six sums"
    X = np.random.default_rng(1).normal(size=(20, 6))
    _, gradient = tape.value_and_grad(X, reduce="sum")
    each = [tape.value_and_grad(x)[1] for x in X]
    assert all(map(close, gradient, zip(*each, strict=True)))


def test_block_of_a_plan_follows_from_the_program():
    """Few rows: as many samples as there may be; many: fewer, so that a cache holds them."""
    small, large = fg.record(lambda x: x * x, 1.0), recurrent(20, m=16)[0]
    assert (small.stats()["block"], large.stats()["block"]) == (256, 64)


def test_initial_value_that_others_read_between_neurons_keeps_the_order_of_its_adjoints():
    w = [[Value(0.7), Value(-0.3)], [Value(0.2), Value(1.1)]]

    def program(x, y, s):
        one = s + w[0][0] * x + w[0][1] * y
        between = s.tanh() * 1.7, s.sin() * 0.9
        two = s + w[1][0] * x + w[1][1] * y
        return one.tanh() * 0.3 + two.exp() * between[0] * between[1]

    tape = fg.record(program, 0.1, 0.2, 0.3)
    columns = np.random.default_rng(2).uniform(-1, 1, (3, 200))
    each = tape.value_and_grad(*columns, wrt="inputs", reduce=None)[1]
    for s, sample in enumerate(columns.T):
        assert bits(g[s] for g in each) == bits(tape.value_and_grad(*sample, wrt="inputs")[1])
