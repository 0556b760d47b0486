"""Batches whose operations run in another order than as recorded: kinds of a level together.

Oracles: the eager engine and a tape of one sample, sample by sample. Values, and gradients of each
sample, have their bits; sums over samples are close, by the size of their terms.
"""

import math
import random
from functools import reduce

import pytest
from helpers.tally import tally
from helpers.tape_programs import bits, np

import fastgrad as fg
from fastgrad import Value, functional
from fastgrad._native.tape.inspect import plan

pytestmark = pytest.mark.wide


class Positions:
    """A program that does the same at several positions, each written after the other.

    What is done, and what a position reads of those before it, the seed chooses.
    """

    def __init__(self, seed):
        rng = self.rng = random.Random(seed)
        self.n, self.size, self.kinds = rng.randint(1, 5), rng.randint(1, 6), rng.randint(2, 5)
        values = lambda n: [Value(rng.uniform(-1, 1)) for _ in range(n)]  # noqa: E731
        self.table = [values(self.size) for _ in range(self.kinds)]
        self.gain, self.weights = values(self.size), [values(self.size) for _ in range(self.size)]
        self.stages = [rng.choice(self.STAGES) for _ in range(rng.randint(1, 5))]
        self.parameters = [
            *(v for row in self.table for v in row), *self.gain,
            *(v for row in self.weights for v in row),
        ]  # fmt: skip

    def gelu(self, x, past):
        return [0.5 * v * (1 + (0.8 * (v + 0.04 * v**3)).tanh()) for v in x]

    def norm(self, x, past):
        scale = (sum(v * v for v in x) / len(x) + 1e-3) ** -0.5
        return [v * scale for v in x]

    def scaled(self, x, past):
        return [g * v for g, v in zip(self.gain, x, strict=True)]

    def shifted(self, x, past):
        return [a * b for a, b in zip(x, [*x[1:], x[0]], strict=True)]

    def squared(self, x, past):
        return [v * v - v.sin() for v in x]

    def attended(self, x, past):
        keys = [*past[-3:], x]
        scores = [sum(a * b for a, b in zip(x, k, strict=True)) for k in keys]
        biggest = reduce(functional.max, scores)
        exps = [(s - biggest).exp() for s in scores]
        total = sum(exps)
        return [
            sum(e / total * k[j] for e, k in zip(exps, keys, strict=True)) for j in range(len(x))
        ]

    def layer(self, x, past):
        return [
            sum((w * v for w, v in zip(row, x, strict=True)), s).tanh()
            for row, s in zip(self.weights, past[-1] if past else self.gain, strict=True)
        ]

    def chosen(self, x, past):
        return [fg.take(x, self.index), *x[1:]]

    STAGES = (gelu, norm, scaled, shifted, squared, attended, layer, chosen)

    def __call__(self, numbers, indices, index):
        self.index, past = index, []
        for number, i in zip(numbers, indices, strict=True):
            x = [v * number for v in fg.take(self.table, i)]
            for stage in self.stages:
                x = stage(self, x, past)
            past.append(x)
        return sum(sum(x) for x in past)

    def samples(self, n):
        rng = self.rng
        return (
            np.array([[rng.uniform(-1.5, 1.5) for _ in range(self.n)] for _ in range(n)]),
            np.array(
                [[rng.randrange(-self.kinds, self.kinds) for _ in range(self.n)] for _ in range(n)]
            ),
            np.array([rng.randrange(-self.size, self.size) for _ in range(n)]),
        )

    def recorded(self):
        return fg.record(self, *(part[0] for part in self.samples(1)))


def close(got, terms):
    """Tell whether a sum is that of the terms, as far as their order may matter."""
    return got == pytest.approx(math.fsum(terms), rel=1e-9, abs=1e-9 * (1 + sum(map(abs, terms))))


@pytest.mark.parametrize("seed", range(120))
def test_batch_in_another_order_gives_the_values_and_sums_of_its_samples(seed):
    program = Positions(seed)
    tape = program.recorded()
    columns = program.samples([1, 5, 8, 40, 300][seed % 5])
    samples = list(zip(*columns, strict=True))
    alone = [tape.value_and_grad(*sample) for sample in samples]
    for sample, (value, _) in list(zip(samples, alone, strict=True))[:3]:
        assert bits([program(*sample).data]) == bits([value])
    assert bits(tape(*columns)) == bits([value for value, _ in alone])
    _, total = tape.value_and_grad(*columns, reduce="sum")
    assert all(map(close, total, zip(*(grads for _, grads in alone), strict=True)))
    tally("schedules: random positions, batches against their samples")


@pytest.mark.parametrize("seed", range(60))
def test_gradient_of_each_sample_has_the_bits_of_the_sample_alone(seed):
    program = Positions(seed)
    tape = program.recorded()
    columns = program.samples(11)
    each = tape.value_and_grad(*columns, reduce=None)[1]
    numbers = tape.value_and_grad(*columns, reduce=None, wrt="inputs")[1][0]
    for s, sample in enumerate(zip(*columns, strict=True)):
        assert bits(each[s]) == bits(tape.value_and_grad(*sample)[1])
        assert bits(numbers[s]) == bits(tape.value_and_grad(*sample, wrt="inputs")[1][0])


@pytest.mark.parametrize("seed", range(40))
def test_tangents_in_another_order_have_the_bits_of_a_sample(seed):
    program = Positions(seed)
    tape = program.recorded()
    columns = program.samples(9)
    along = (program.samples(9)[0], np.zeros(columns[1].shape), np.zeros(9))
    values, moved = tape.jvp(columns, along)
    of_parameters = [program.rng.choice([0.0, 0.5]) for _ in tape.parameters]
    _, by_parameters = tape.jvp(columns, of_parameters, wrt="parameters")
    for s, sample in enumerate(zip(*columns, strict=True)):
        value, move = tape.jvp(sample, tuple(part[s] for part in along))
        assert bits([values[s], moved[s]]) == bits([value, move])
        move = tape.jvp(sample, of_parameters, wrt="parameters")[1]
        assert bits([by_parameters[s]]) == bits([move])


# -- what is one step ------------------------------------------------------------------------------


def steps(tape, n_inputs):
    return plan(tape, b"" * n_inputs)["steps"]


def test_kinds_of_a_level_are_one_step_each():
    """Written element by element; what the constants are tells two kinds of product apart."""
    tape = fg.record(lambda x: sum((0.5 * v) * (2.0 * v).exp() for v in x), [0.1] * 50)
    assert steps(tape, 50) == 4, "two products, exp, and a dot"


def test_chain_stays_as_recorded():
    def chain(x, y):
        for _ in range(20):
            x = x.sin() * y
        return x

    assert steps(fg.record(chain, 0.5, 0.5), 2) == 40


def test_layer_waits_for_what_each_of_its_neurons_begins_with():
    w = [[Value(0.1 * (i - 2 * j)) for i in range(5)] for j in range(2)]

    def program(x, y):
        total = 0.0
        for v in x:
            starts, inputs = (v, v.sin().cos().exp()), [v, *(u * v for u in y)]
            for row, start in zip(w, starts, strict=True):
                dot = sum((a * b for a, b in zip(row, inputs, strict=True)), start)
                total = total + dot.tanh()
        return total

    tape = fg.record(program, [0.1 * i for i in range(6)], [0.5] * 4)
    assert plan(tape, b"\1" * 10)["layers"] == 6
    X, Y = (np.random.default_rng(n).normal(size=(9, n)) for n in (6, 4))
    alone = [tape.value_and_grad(*sample) for sample in zip(X, Y, strict=True)]
    assert bits(tape(X, Y)) == bits([value for value, _ in alone])
    _, total = tape.value_and_grad(X, Y, reduce="sum")
    assert all(map(close, total, zip(*(grads for _, grads in alone), strict=True)))


def test_rows_that_follow_no_rule_are_one_step():
    order = random.Random(1).sample(range(40), 40)
    tape = fg.record(
        lambda x, y: sum([(x[i] * y[-i]).exp() for i in order]), [0.1] * 40, [0.1] * 40
    )
    assert steps(tape, 80) == 2 + 40, "products, exponentials, and a chain of sums"
    X, Y = np.random.default_rng(1).normal(size=(2, 9, 40))
    assert bits(tape(X, Y)) == bits([tape(x, y) for x, y in zip(X, Y, strict=True)])


def test_row_of_a_table_is_one_step():
    table = [[Value(0.1 * i + j) for j in range(5)] for i in range(4)]
    tape = fg.record(lambda i: sum(fg.take(table, i)), 1)
    assert steps(tape, 1) == 1 + 5
    index = np.array([0, 3, -1, 2, 3, 0, 0, -4, 1])
    values, grads = tape.value_and_grad(index, reduce="sum")
    assert values == pytest.approx(sum(sum(v.data for v in table[i]) for i in index))
    counts = {
        v: n for n, row in zip(np.bincount(index % 4, minlength=4), table, strict=True) for v in row
    }
    assert list(grads) == [counts[p] for p in tape.parameters]


@pytest.mark.parametrize("computed", [False, True])
def test_index_of_one_sample_that_names_no_row_is_told(computed):
    table = [[Value(0.1 * i + j) for j in range(3)] for i in range(2)]

    def chosen(i, x):
        rows = [[v * x for v in row] for row in table] if computed else table
        return sum(fg.take(rows, i)) * x

    tape = fg.record(chosen, 1, 0.5)
    for index in (2, -3, 0.5, math.nan):
        with pytest.raises(IndexError, match="sample 4"):
            tape.value_and_grad([0, 1, -1, -2, index, 0], [0.5] * 6)
    assert tape.value_and_grad([0, 1], [0.5, 0.5])[1] == pytest.approx(
        [0.125] * 6 if computed else [0.25] * 6
    )


@pytest.mark.parametrize("n", [1, 7, 33, 300])
def test_infinity_in_a_dot_that_nothing_depends_on_gives_no_nan(n):
    """The group of samples is run again by the rule that 0 times infinity is 0."""
    p = [Value(0.5), Value(-1.0), Value(2.0)]

    def program(x, keep):
        a = [v * x for v in p]
        b = [v + x for v in p]
        dot = sum((u * v for u, v in zip(a, b, strict=True)), 0.0)
        same = sum((u * u for u in a), 0.0)
        return fg.where(keep, dot + same, 0.0)

    tape = fg.record(program, 0.5, 1.0)
    xs, keep = np.linspace(-1, 1, n), np.ones(n)
    xs[n // 2], keep[n // 2] = math.inf, 0.0
    _, grads = tape.value_and_grad(xs, keep, reduce="sum")
    each = [tape.value_and_grad(x, k)[1] for x, k in zip(xs, keep, strict=True)]
    assert all(map(math.isfinite, grads))
    assert all(map(close, grads, zip(*each, strict=True)))


def test_wide_map_is_cut_between_polls():
    """A step has an end, so that Ctrl-C is heard between steps however wide a level is."""
    n = 10_000
    tape = fg.record(lambda x: sum(v.sin() for v in x), [0.1] * n)
    assert steps(tape, n) == math.ceil(n / 4096) + n
    X = np.linspace(-1, 1, 3 * n).reshape(3, n)
    assert bits(tape(X)) == bits([tape(x) for x in X])


# -- where adjoints are ----------------------------------------------------------------------------


def test_adjoints_of_a_chain_share_rows():
    def chain(x, y):
        for _ in range(50):
            x = x.sin() * y
        return x

    made = plan(fg.record(chain, 0.5, 0.5), b"\1\1")
    assert (made["rows"], made["adjoints"]) == (102, 2 + 2)


def test_adjoints_of_tied_layers_are_kept_for_their_weights():
    w = [[Value(0.1 * (i - j)) for j in range(4)] for i in range(4)]

    def program(x):
        for _ in range(6):
            x = [sum(a * v for a, v in zip(row, x, strict=True)).tanh() for row in w]
        return sum(x)

    tape = fg.record(program, [0.5] * 4)
    made = plan(tape, b"\1" * 4)
    assert 6 * 4 <= made["adjoints"] < made["rows"] - 6 * 4 + 6
