"""Tape.jvp: forward mode, derivatives in a direction.

Oracles: reverse mode, one input at a time, within the rounding of as many products as there are
steps; closed forms; single samples for batches, bit for bit.
"""

import math
import warnings
from functools import partial

import pytest
from helpers.polls import at_each_poll, stop_at
from helpers.processes import python
from helpers.tally import tally
from helpers.tape_programs import EPSILON, Program, bits, ieee, ieee_steps, np
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import fastgrad as fg
from fastgrad import Value, nn
from fastgrad.errors import FastgradIndexError, ShapeError

pytestmark = [pytest.mark.usefixtures("sound_arena"), pytest.mark.wide]


def sizes_along(program, partials, i):
    """Return the sums of the absolute terms of each tangent; an infinite one times 0 is nan."""
    sizes = [float(place == i) for place in range(program.n_inputs + len(program.parameters))]
    for (_, _, places), slopes in zip(program.steps, partials, strict=True):
        sizes.append(sum(abs(d) * sizes[place] for d, place in zip(slopes, places, strict=True)))
    return sizes


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 2**32), st.integers(1, 40))
@example(81, 26)
def test_forward_and_reverse_mode_agree(seed, length):
    program = Program(seed, length)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tape = fg.record(program.first, *program.example, strict=True)
    for sample in (program.example, program.sample(), program.sample()):
        _, sizes = ieee(program, sample)
        _, partials = ieee_steps(program, sample)
        finite = all(slopes and all(map(math.isfinite, slopes)) for slopes in partials)
        value, gradient = tape.value_and_grad(*sample, wrt="inputs")
        for i in range(program.n_inputs):
            direction = tuple(float(j == i) for j in range(program.n_inputs))
            again, slope = tape.jvp(tuple(sample), direction)
            assert bits([again]) == bits([value])
            tame = finite and sizes[i] < 1e290
            if tame and all(size < 1e290 for size in sizes_along(program, partials, i)):
                # An error made among the denormals is multiplied from there on.
                bound = (length + 8) * EPSILON * (sizes[i] + 1e-290)
                assert abs(slope - gradient[i]) <= bound
                tally("forward mode: partials against reverse mode")


def test_jvp_weighs_all_inputs_by_their_tangents():
    tape = fg.record(lambda x, y: (x[0] * x[1] + y.tanh()) * 2, [0.0, 0.0], 0.0)
    value, slope = tape.jvp(([3.0, 5.0], 0.5), ([0.25, -2.0], 4.0))
    assert value == tape([3.0, 5.0], 0.5)
    assert slope == pytest.approx(2 * (0.25 * 5 - 2.0 * 3 + 4 / math.cosh(0.5) ** 2), rel=1e-14)


def test_jvp_keeps_the_structure_of_outputs():
    w = Value(2.0)
    table = [w, Value(7.0)]

    def function(x, i):
        return {"a": [x * w, x + w], "b": (fg.take([x, x * x], i), fg.take(table, i), w)}

    tape = fg.record(function, 3.0, 0)
    result, slopes = tape.jvp((3.0, 1), (10.0, 1.0))
    assert result == {"a": [6.0, 5.0], "b": (9.0, 7.0, 2.0)}
    assert slopes == {"a": [20.0, 10.0], "b": (60.0, 0.0, 0.0)}, "parameters and indices are fixed"


def test_jvp_of_a_network_equals_the_gradient():
    model = nn.MLP(3, [5, 1], activation="tanh")
    tape = fg.record(lambda x: model(x), [0.1, 0.2, 0.3])
    assert tape.stats()["dots"] == 6
    at, along = [0.5, -1.0, 0.25], [1.0, 2.0, -3.0]
    _, (gradient,) = tape.value_and_grad(at, wrt="inputs")
    _, slope = tape.jvp((at,), (along,))
    assert slope == pytest.approx(math.fsum(map(float.__mul__, gradient, along)), rel=1e-13)


def test_tangents_by_wrt_of_another_structure_are_refused():
    w, v = Value(2.0), Value(3.0)
    tape = fg.record(lambda x, y: x[0] * w + x[1] * y * v, [1.0, 2.0], 3.0)
    args = [1.0, 2.0], 3.0
    for wrt, tangents, message in (
        ("x", [1.0], "1 where 2 belong"), ([w, "y"], (1.0,), "expected a tuple of 2, got 1"),
        ([w], 1.0, "expected a tuple of 1, got float"), ("parameters", [1.0], "1 where 2 belong"),
        (w, Value(1.0), "expected numbers, got Value"), (["x", v], ([1.0, 2.0], v), "got Value"),
        ("z", 1.0, "an argument"), ([w], ([1.0, 2.0, 3.0],), None),
    ):  # fmt: skip
        if message is None:
            assert tape.jvp(args, tangents, wrt=wrt)[1] == [1.0, 2.0, 3.0]
            continue
        with pytest.raises((ShapeError, TypeError, ValueError), match=message):
            tape.jvp(args, tangents, wrt=wrt)
    with pytest.raises(ShapeError, match="expected 2 samples, as in the arguments, got 3"):
        tape.jvp(([[1.0, 2.0]] * 2, 3.0), [1.0, 2.0, 3.0], wrt=w)
    with pytest.raises(ValueError, match="threads"):
        tape.jvp(args, ([0.0, 0.0], 1.0), threads=0)


@pytest.mark.parametrize("which", ["both", "arguments", "tangents"])
def test_jvp_of_a_batch_equals_its_samples(which):
    tape = fg.record(lambda x, y: [x[0].sin() * x[1], x[1] / y], [1.0, 2.0], 3.0)
    xs = np.random.default_rng(1).uniform(0.5, 2, (20, 2))
    ds = np.random.default_rng(2).uniform(-1, 1, (20, 2))
    at = xs if which != "tangents" else xs[0]
    along = ds if which != "arguments" else ds[0]
    values, slopes = tape.jvp((at, 4.0), (along, 0.5))
    assert isinstance(values, np.ndarray)
    assert values.shape == slopes.shape == (20, 2)
    for s in range(20):
        x, d = (at[s] if at is xs else at), (along[s] if along is ds else along)
        one, slope = tape.jvp((x.tolist(), 4.0), (d.tolist(), 0.5))
        assert bits(values[s]) == bits(one)
        assert bits(slopes[s]) == bits(slope)


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 2**32), st.integers(1, 40), st.integers(1, 20))
def test_jvp_of_a_batch_of_random_programs_has_the_bits_of_its_samples(seed, length, n):
    program = Program(seed, length)
    tape = fg.record(program.some, *program.example)
    samples = [program.sample() for _ in range(n)]
    directions = [
        [program.rng.choice([0.0, -0.0, 1.0, x]) for x in program.sample()] for _ in samples
    ]
    for which in ("both", "arguments", "tangents", "some"):
        at = [list(column) for column in zip(*samples, strict=True)]
        along = [list(column) for column in zip(*directions, strict=True)]
        if which == "arguments":
            along = [column[0] for column in along]
        elif which == "tangents":
            at = [column[0] for column in at]
        elif which == "some":
            at, along = [at[0], *(c[0] for c in at[1:])], [*(c[0] for c in along[:-1]), along[-1]]
        pick = lambda columns, s: tuple(c[s] if isinstance(c, list) else c for c in columns)  # noqa: E731
        for threads in (1, 2):
            values, slopes = tape.jvp(tuple(at), tuple(along), threads=threads)
            for s in range(n):
                one, slope = tape.jvp(pick(at, s), pick(along, s))
                assert bits(values[s]) == bits(one)
                assert bits(slopes[s]) == bits(slope)
    tally("forward mode: random programs, batches against samples")


FORMS = {
    "parameters": lambda w, x, y: x[0] * w[0] + w[1].tanh() * y,
    "layers": lambda w, x, y: sum(
        (x[0] * w[i] + x[1] * w[i + 1] + w[i + 2]).relu() for i in range(4)
    ) * y,
    "powers": lambda w, x, y: y + sum(
        (w[i] * x[0]) ** k for i, k in enumerate((2, 3, -1, 4, 0.5, -2))
    ),
    "both sides": lambda w, x, y: y - x[0] / (y + w[0]) + (3 - w[1]) * (w[2] - 5) * x[1] + 2 * w[3],
    "only shared": lambda w, x, y: w[0] * w[1] + w[2].exp(),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("n", [1, 9, 300])
def test_jvp_by_wrt_moves_what_is_named_alone(name, n):
    ws = [Value(0.1 * i + 0.3) for i in range(6)]
    tape = fg.record(lambda x, y: FORMS[name](ws, x, y), [0.2, 0.3], 1.0)
    rng = np.random.default_rng(n)
    X, y, dX, dw = (rng.uniform(0.1, 2, size) for size in ((n, 2), n, (n, 2), len(tape.parameters)))
    known = tape.parameters
    for args in ((X, y), (X, 0.5), (X[0], 0.5)):
        batch = args[0] is X
        _, zero = tape.jvp(args, tuple(0 * np.asarray(a) for a in args))
        assert not np.any(zero)
        cases = [
            ("parameters", dw, ["parameters"], [dw]), ([], (), [], []),
            (known[0], 2.0, [known[0]], [2.0]), (1, 0.25, ["y"], [0.25]),
            (["x", known[1]], (dX[0], 3.0), ["x", known[1]], [dX[0], 3.0]),
            ("x", dX if batch else dX[0], ["x"], [dX if batch else dX[0]]),
        ]  # fmt: skip
        if batch:
            cases.append((known[0], y, [known[0]], [y]))  # a direction for each sample
        for wrt, tangents, parts, moved in cases:
            value, slope = tape.jvp(args, tangents, wrt=wrt, threads=2)
            again, gradients = tape.value_and_grad(*args, wrt=parts, reduce=None)
            assert np.array_equal(value, again)
            expected = 0.0
            for gradient, by in zip(gradients, moved, strict=True):
                terms = np.asarray(gradient) * np.asarray(by)
                expected = expected + terms.reshape(n if batch else 1, -1).sum(1)
            assert np.allclose(
                slope, expected if batch else np.ravel(expected)[:1].sum(), rtol=1e-9
            )
            for s in (0, n - 1) if batch else ():
                at = args[0][s], (args[1][s] if np.ndim(args[1]) else args[1])
                along = tangents[s] if tangents is dX or tangents is y else tangents
                assert bits([value[s], slope[s]]) == bits(tape.jvp(at, along, wrt=wrt))


@pytest.mark.parametrize("odd", [math.inf, math.nan, -0.0, 0.0])
def test_layers_with_odd_weights_and_tangents_have_the_bits_of_samples(odd):
    weights = [[Value(0.5), Value(odd)], [Value(-1.0), Value(2.0)]]
    tape = fg.record(lambda x, b: [b + w[0] * x[0] + w[1] * x[1] for w in weights], [1.0, 2.0], 0.0)
    X = np.array([[1.0, 2.0], [0.0, -1.0], [3.0, 0.0]])
    for b, db in ((0.0, -0.0), (1.0, 2.0)):
        for dX in (X, X * [1.0, 0.0], -X * 0.0):
            value, slope = tape.jvp((X, b), (dX, db))
            for s in range(3):
                one, by = tape.jvp((X[s], b), (dX[s], db))
                assert bits(value[s]) == bits(one)
                assert bits(slope[s]) == bits(by)


def test_signs_of_zero_tangents_are_those_of_samples():
    tape = fg.record(lambda x, y: [x + y, x * y, -x, x * 2, x.relu() + y, x / y], 1.0, 2.0)
    signs = [0.0, -0.0, 1.0, -1.0]
    pairs = np.array([(a, b, c, d) for a in signs for b in signs for c in signs for d in signs])
    values, slopes = tape.jvp((pairs[:, 0], pairs[:, 1]), (pairs[:, 2], pairs[:, 3]))
    for (a, b, c, d), value, slope in zip(pairs.tolist(), values, slopes, strict=True):
        one, by = tape.jvp((a, b), (c, d))
        assert (bits(value), bits(slope)) == (bits(one), bits(by))


def test_jvp_on_threads_and_simd_levels_has_one_digest(tmp_path, monkeypatch):
    source = """
import hashlib, random, numpy as np, fastgrad as fg
from fastgrad import nn
random.seed(3)
model = nn.MLP(3, [7, 5, 2], activation="tanh")
def function(x, y):
    a, b = model(x)
    return [a * y + b ** 3, (a * a + 1.5) ** -1 + abs(b), x[0].exp() * y]
tape = fg.record(function, [0.1, 0.2, 0.3], 0.5)
X = np.array([[random.uniform(-2, 2) for _ in range(3)] for _ in range(1500)])
Y = np.array([random.uniform(-2, 2) for _ in range(1500)])
digest = set()
for threads in (1, 2, 3):
    v, t = tape.jvp((X, Y), (X[::-1], Y), threads=threads)
    _, p = tape.jvp((X, Y), Y, wrt=model.parameters()[3], threads=threads)
    digest.add(hashlib.sha256(v.tobytes() + t.tobytes() + p.tobytes()).hexdigest())
print(*digest)
"""
    found = set()
    for level in ("baseline", "avx2", "avx512"):
        monkeypatch.setenv("FASTGRAD_SIMD", level)
        process = python("-c", source, cwd=tmp_path)
        if process.returncode and "as this processor has" in process.stderr:
            continue
        assert process.returncode == 0, process.stderr
        found.add(process.stdout)
    assert len(found) == 1
    assert len(found.pop().split()) == 1


def test_signal_in_a_batch_of_tangents_changes_nothing():
    w = Value(0.5)
    tape = fg.record(lambda x: (x * w).tanh(), 1.0)
    X = np.linspace(-1, 1, 100_000)
    action = partial(tape.jvp, (X,), (X,))
    polls, before = at_each_poll(action)
    assert polls >= 2
    for last in range(1, polls + 1):
        with pytest.raises(KeyboardInterrupt):
            at_each_poll(action, stop_at(last))
    assert [a.tobytes() for a in action()] == [a.tobytes() for a in before]
    assert (w.data, w.grad) == (0.5, 0.0)


def test_zero_tangent_contributes_nothing_even_at_infinity():
    tape = fg.record(lambda x, y: x * 0.0 + y, 1.0, 1.0)
    value, slope = tape.jvp((math.inf, 1.0), (1.0, 1.0))
    assert math.isnan(value)
    assert slope == 1.0
    tape = fg.record(lambda x, y: x**0.5 + y, 1.0, 1.0)
    assert tape.jvp((0.0, 2.0), (0.0, 3.0)) == (2.0, 3.0)
    assert tape.jvp((0.0, 2.0), (1.0, 3.0)) == (2.0, math.inf)


def test_jvp_changes_no_grad_and_no_later_call():
    w = Value(2.0)
    tape = fg.record(lambda x: x * w, 3.0)
    w.grad = 5.0
    before = tape.value_and_grad(1.5)
    assert tape.jvp((1.5,), (1.0,)) == (3.0, 2.0)
    assert (w.data, w.grad, tape.value_and_grad(1.5)) == (2.0, 5.0, before)


def test_jvp_in_a_reused_frame_gives_the_same():
    w = Value(2.0)
    tape = fg.record(lambda x: x * w, 3.0)

    class Nested:
        def __float__(self):
            tape.value_and_grad(5.0)
            return 1.5

    assert tape.jvp((1.5,), (1.0,)) == (3.0, 2.0)
    tape.value_and_grad(Nested())  # two calls at once, in the memory that jvp takes next
    assert tape.jvp((1.5,), (1.0,)) == (3.0, 2.0)


@pytest.mark.parametrize(
    ("args", "tangents", "error", "message"),
    [
        (([1.0, 2.0], 1.0), ([1.0], 1.0), ShapeError, r"expected shape \(2,\).* \(tangent of x\)"),
        (([1.0, 2.0], 1.0), ([1.0, 2.0],), TypeError, "argument"),
        (([[1.0, 2.0]] * 3, 1.0), ([1.0, 2.0], [1.0, 1.0]), ShapeError,
         r"expected 3 samples, as in the arguments, got 2 \(tangents\)"),
        (([1.0, 2.0], 9.0), ([1.0, 2.0], 1.0), FastgradIndexError, "expected an index of -2 to 1"),
        (([1.0, 2.0], [0, 9]), ([1.0, 2.0], 1.0), FastgradIndexError,
         "index of take, 2 entries, sample 1"),
        (([1.0, 2.0], 1.0), [[1.0, 2.0], 1.0], TypeError, "a tuple, got list .*tangents of jvp"),
        (([1.0, 2.0], 1.0), ([1.0, 2.0], Value(1.0)), TypeError, "expected numbers, got Value"),
    ],
)  # fmt: skip
def test_jvp_with_wrong_arguments_names_what_is_wrong(args, tangents, error, message):
    tape = fg.record(lambda x, i: fg.take(x, i), [1.0, 2.0], 0)
    with pytest.raises(error, match=message):
        tape.jvp(args, tangents)
    assert tape.jvp(([1.0, 2.0], 1), ([3.0, 4.0], 0.0)) == (2.0, 4.0)
