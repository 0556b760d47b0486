"""Random programs, recorded and replayed, against the eager engine, sample by sample.

Oracles: the eager engine, for the bits of values, and of gradients where no work was merged; the
sweep over absolute values, for how far sums of the same terms in another order may differ.
"""

import functools
import itertools
import math
import os
import random
import warnings

import pytest
from helpers.tally import tally
from helpers.tape_programs import (
    EPSILON,
    IEEE,
    ODD,
    POWERS,
    ROWS,
    Program,
    bits,
    close,
    eager,
    ieee,
    np,
)
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import fastgrad as fg
from fastgrad import Value, functional, nn

pytestmark = [pytest.mark.usefixtures("sound_arena"), pytest.mark.wide]
PROGRAMS = {"nightly": 5_000, "few": 5}.get(os.environ.get("HYPOTHESIS_PROFILE", ""), 200)
SIZES = (*range(1, 41), 100, 255, 256, 257, 258, 1000)


def untouched(tape):
    """Tell whether each recorded operation is still one: then sums have eager's order."""
    stats = tape.stats()
    return stats["recorded"] == stats["operations"]


def replayed(tape, sample):
    """Return the value of one sample, its gradient in inputs and parameters."""
    value, grads = tape.value_and_grad(*sample)
    again, gradient = tape.value_and_grad(*sample, wrt="inputs")
    assert bits([value]) == bits([again])
    return value, [*gradient, *grads]


def places_of(program, tape):
    """Return where each of a program's leaves stands in (inputs, parameters of the tape)."""
    order = {p: program.n_inputs + i for i, p in enumerate(tape.parameters)}
    return [*range(program.n_inputs), *(order.get(p) for p in program.parameters)]


def compare_samples(program, tape, all_of, samples):
    """Compare replays of single samples; return what is known of each: outputs, gradient, sizes."""
    known = []
    exact, places = untouched(tape), places_of(program, tape)
    for sample in samples:
        outputs, sizes = ieee(program, sample)
        eagerly, expected = eager(program, sample)
        if eagerly is not None:
            assert bits(eagerly) == bits(outputs), "the oracles disagree"
        assert bits(all_of(*sample)) == bits(outputs)
        value, got = replayed(tape, sample)
        assert bits([value]) == bits(outputs[:1])
        gradient = [0.0 if place is None else got[place] for place in places]
        if expected is not None and exact:
            assert bits(gradient) == bits(expected)
        elif expected is not None:
            assert all(map(close, gradient, expected, sizes))
        known.append((outputs, gradient, sizes))
    return known


def compare_batch(program, tape, all_of, samples, known, mask=None, threads=1):
    """Compare a batch, in which an argument whose bit is missing is shared, with its samples."""
    n = len(samples)
    columns = [list(column) for column in zip(*samples, strict=True)]
    if mask is not None:
        columns = [c if mask >> i & 1 else c[0] for i, c in enumerate(columns)]
    values = all_of(*columns, threads=threads)
    assert [bits(row) for row in values] == [bits(outputs) for outputs, _, _ in known]
    places = places_of(program, tape)
    total, grads = tape.value_and_grad(*columns, reduce="sum", threads=threads)
    again, gradient = tape.value_and_grad(*columns, reduce="sum", wrt="inputs", threads=threads)
    assert bits([total]) == bits([again])
    firsts = [outputs[0] for outputs, _, _ in known]
    if sum(map(abs, firsts)) < 1e290:
        assert close(total, math.fsum(firsts), sum(map(abs, firsts)))
    got = [*gradient, *grads]
    for leaf, place in enumerate(places):
        terms, sizes = [g[leaf] for _, g, _ in known], [s[leaf] for _, _, s in known]
        if place is not None and isinstance(got[place], list):
            assert all(map(close, got[place], terms, sizes)), f"leaf {leaf}"
        elif place is not None and sum(sizes) < 1e290:
            assert close(got[place], math.fsum(terms), sum(sizes)), f"leaf {leaf}"
    each_value, each = tape.value_and_grad(*columns, reduce=None)
    assert bits(each_value) == bits(firsts)
    for s in range(n):
        assert bits(each[s]) == bits(
            known[s][1][places.index(program.n_inputs + i)] for i in range(len(each[s]))
        )


def recorded(program):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tape = fg.record(program.first, *program.example, strict=True)
        return tape, fg.record(program.some, *program.example, strict=True)


@settings(max_examples=PROGRAMS, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 2**32), st.integers(1, 60))
@example(0, 60)
def test_random_programs_replay_as_eager(seed, length):
    program = Program(seed, length)
    tape, all_of = recorded(program)
    rng = program.rng
    samples = [program.example, *(program.sample() for _ in range(rng.choice([3, 7, 9, 12])))]
    known = compare_samples(program, tape, all_of, samples)
    compare_batch(program, tape, all_of, samples, known, threads=rng.choice([1, 1, 2]))
    tally("wrong replay: random programs, eager against tape")
    tally("wrong replay: and of them with eager's bits in all gradients", untouched(tape))


@settings(max_examples=max(PROGRAMS // 10, 5), suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 2**32), st.integers(1, 40))
def test_every_subset_of_batched_arguments_replays_as_eager(seed, length):
    program = Program(seed, length)
    tape, all_of = recorded(program)
    samples = [program.sample() for _ in range(9)]
    for mask in range(1, 2**program.n_inputs):
        places = range(program.n_inputs)
        mixed = [[s[i] if mask >> i & 1 else samples[0][i] for i in places] for s in samples]
        known = compare_samples(program, tape, all_of, mixed)
        compare_batch(program, tape, all_of, mixed, known, mask)
        tally("wrong replay: subsets of batched arguments", len(samples))


@pytest.mark.parametrize("seed", range(3))
def test_batches_of_any_size_replay_as_eager(seed):
    program = Program(seed, 30)
    tape, all_of = recorded(program)
    samples = [program.sample() for _ in range(max(SIZES))]
    known = compare_samples(program, tape, all_of, samples)
    for n in SIZES:
        compare_batch(program, tape, all_of, samples[:n], known[:n], threads=1 + n % 3)


NUMBERS = (*ODD, 4.0, -3.0, 1e-200, 1e200, -1e308)


def raises(function, sample):
    try:
        function(*map(Value, sample))
    except (ArithmeticError, ValueError):
        return True
    return False


def compare_alone(function, samples, fallback):
    """Compare a function of one operation, in which every sum of terms has eager's order."""
    examples = [[x] * len(samples[0]) for x in (1.0, 0.5)]
    tape = fg.record(function, *next(x for x in examples if not raises(function, x)))
    expected = []
    for sample in samples:
        operands = [Value(x) for x in sample]
        try:
            y = function(*operands)
        except (ArithmeticError, ValueError):
            with np.errstate(all="ignore"):
                expected.append(float(fallback(*map(np.float64, sample))))
            assert not math.isfinite(expected[-1])
            continue
        expected.append(y.data)
        try:
            y.backward()
        except ArithmeticError:
            continue
        value, gradient = tape.value_and_grad(*sample, wrt="inputs")
        assert bits([value, *gradient]) == bits([y.data, *(v.grad for v in operands)]), sample
    assert bits(tape(*sample) for sample in samples) == bits(expected)
    assert bits(tape(*map(list, zip(*samples, strict=True)))) == bits(expected)
    tally("wrong replay: rows of the table on odd numbers", len(samples))


@pytest.mark.parametrize("name", ROWS)
def test_every_operation_replays_as_eager_on_odd_numbers(name):
    """Replay each operation on odd numbers: two operands, one twice, one beside a constant."""
    row, function, fallback = ROWS[name], getattr(functional, name), IEEE.get(name)
    parameter = [1.0 if name == "round" else 0.25] if row.parameter else []
    numbers = [*NUMBERS, *(float(end) for interval in row.domain for end in interval)]
    pairs = list(itertools.product(numbers, repeat=row.arity))
    compare_alone(lambda *x: function(*x, *parameter), pairs, fallback)
    if row.arity == 2:
        single = [(x,) for x in numbers]
        compare_alone(lambda x: function(x, x), single, lambda x: fallback(x, x))
        compare_alone(lambda x: function(x, 0.5), single, lambda x: fallback(x, 0.5))
        compare_alone(lambda x: function(-0.5, x), single, lambda x: fallback(-0.5, x))


@pytest.mark.parametrize("k", [*POWERS, math.inf, -math.inf, math.nan])
def test_powers_replay_as_eager_on_odd_numbers(k):
    singles, power = [(x,) for x in NUMBERS], float(k)
    compare_alone(lambda x: x**k, singles, lambda x: np.power(x, power))
    compare_alone(lambda x, y: x**y, [(x, power) for x in NUMBERS], np.power)


# -- what a plan must not join ---------------------------------------------------------------------


def repeated(f):
    return lambda x, a, b: functools.reduce(lambda y, _: f(y), range(5), a)


def from_left(f):
    return lambda x, a, b: functools.reduce(f, x, a)


def from_right(f):
    return lambda x, a, b: functools.reduce(lambda y, v: f(v, y), x, b)


def side_by_side(f):
    return lambda x, a, b: sum(f(v, u) * (i + 1) for i, (v, u) in enumerate(itertools.pairwise(x)))


NEURON, SUM = nn.Neuron(4, nonlin=False), [Value(w) for w in (0.5, -0.25, 2.0, 0.75)]
TRAPS = {
    **{f"{f.__name__} of itself": repeated(f) for f in (functional.sin, functional.sigmoid)},
    **{
        f"{f.__name__} {form.__name__}": form(f)
        for f in (functional.hypot, functional.mul, functional.atan2, functional.max)
        for form in (from_left, from_right, side_by_side)
    },
    "one input twice in a neuron": lambda x, a, b: NEURON([a, b, a, a]) * x[0],
    "one input twice in a sum": lambda x, a, b: sum(
        (w * v for w, v in zip(SUM, [a, x[0], a, x[0]], strict=True)), x[1]
    ),
    "a constant beside": lambda x, a, b: sum(functional.hypot(v, 0.5) for v in x) * a,
}


@pytest.mark.parametrize("name", TRAPS)
def test_neighbouring_dependent_operations_replay_in_order(name):
    """Neighbouring rows are worked on together only where none needs the other's result."""
    rng, n = random.Random(1), 19
    X = [[rng.uniform(0.1, 0.9) for _ in range(5)] for _ in range(n)]
    a, b = ([rng.uniform(0.1, 0.9) for _ in range(n)] for _ in "ab")
    tape = fg.record(TRAPS[name], X[0], a[0], b[0])
    assert bits(tape(X, a, b)) == bits(map(tape, X, a, b))
    _, gradient = tape.value_and_grad(X, a, b, reduce="sum", wrt="inputs")
    _, each = tape.value_and_grad(X, a, b, reduce=None, wrt="inputs")
    for got, expected in zip(gradient, each, strict=True):
        assert np.array(got) == pytest.approx(np.array(expected), rel=1e-12, abs=1e-15)
    _, total = tape.value_and_grad(X, a, b, reduce="sum")
    _, each = tape.value_and_grad(X, a, b, reduce=None)
    assert total == pytest.approx([sum(column) for column in zip(*each, strict=True)], rel=1e-12)


@pytest.mark.parametrize("n", [1, 3, 8, 9, 14])
@pytest.mark.parametrize("neurons", [1, 4, 6])
def test_infinite_slope_after_a_layer_leaves_unused_lanes_out(n, neurons):
    """What stands in the lanes after the last sample adds nothing, though 0 * inf be nan."""
    layer = [nn.Neuron(2, nonlin=False) for _ in range(neurons)]
    for neuron in layer:
        for p, data in zip(neuron.parameters(), (1.0, 1.0, 0.0), strict=True):
            p.data = data
    tape = fg.record(lambda x: sum(neuron(x).sqrt() for neuron in layer), [2.0, 2.0])
    X = [[2.0, 2.0]] * (n - 1) + [[1.0, -1.0]]
    _, gradient = tape.value_and_grad(X, reduce="sum")
    assert gradient == [math.inf, -math.inf, math.inf] * neurons


# -- a test of the tests ---------------------------------------------------------------------------


class Wrong(Program):
    """Replays something else than it computes: the result is off in its last bits."""

    def __call__(self, *inputs):
        made = super().__call__(*inputs)
        if self.recording:
            made[self.outputs[0]] = made[self.outputs[0]] * (1 + 4 * EPSILON)
        return made


def test_comparison_of_a_wrong_program_fails():
    failed = 0
    for seed in range(20):
        program = Wrong(seed, 20)
        samples = [program.sample() for _ in range(8)]
        program.recording = True
        tape, all_of = recorded(program)
        program.recording = False
        try:
            compare_samples(program, tape, all_of, samples)
        except AssertionError:
            failed += 1
    assert failed > 10  # some give nan for all samples
