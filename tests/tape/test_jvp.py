"""Tape.jvp: forward mode, derivatives in a direction.

Oracles: reverse mode, one input at a time, within the rounding of as many products as there are
steps; closed forms; single samples for batches, bit for bit.
"""

import math
import warnings

import pytest
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
        (([1.0, 2.0], 1.0), ([1.0], 1.0), ShapeError, r"expected shape \(2,\).* \(x\)"),
        (([1.0, 2.0], 1.0), ([1.0, 2.0],), TypeError, "argument"),
        (([[1.0, 2.0]] * 3, 1.0), ([1.0, 2.0], [1.0, 1.0]), ShapeError,
         r"expected 3 samples, as in the arguments, got 2 \(tangents\)"),
        (([1.0, 2.0], 9.0), ([1.0, 2.0], 1.0), FastgradIndexError, "expected an index of 0 to 1"),
    ],
)  # fmt: skip
def test_jvp_with_wrong_arguments_names_what_is_wrong(args, tangents, error, message):
    tape = fg.record(lambda x, i: fg.take(x, i), [1.0, 2.0], 0)
    with pytest.raises(error, match=message):
        tape.jvp(args, tangents)
    assert tape.jvp(([1.0, 2.0], 1), ([3.0, 4.0], 0.0)) == (2.0, 4.0)
