"""NumPy's ufuncs and functions of single Values, eagerly: Values with gradients, or NumPy's bools.

Oracle: NumPy on the same floats. What they do while a function is recorded: tests/tape.
"""

import operator
import sys

import numpy as np
import pytest
from helpers.processes import python

from fastgrad import Value, functional, no_grad, record
from fastgrad.errors import FastgradTypeError, GradientLostWarning


def number(y):
    return y.data if isinstance(y, Value) else y


UNARY = [
    np.exp, np.log, np.sqrt, np.tanh, np.arcsin, np.absolute, np.fabs, np.negative, np.square,
    np.reciprocal, np.sign, np.floor, np.ceil, np.rint, np.trunc, np.deg2rad, np.radians,
    np.rad2deg, np.degrees, np.conjugate, np.positive, np.mean, np.sum, np.prod, np.max, np.min,
    np.amax, np.amin, np.round, np.around, np.ravel, np.median, np.sort, np.cumsum, np.ptp, np.copy,
    np.atleast_1d, np.linalg.norm, np.trace, np.diff, np.real, np.abs, np.modf, np.sinc,
    np.isneginf, np.isposinf,
]  # fmt: skip


@pytest.mark.parametrize("function", UNARY, ids=lambda f: f.__name__)
@pytest.mark.parametrize("x", [0.75, -1.5, 0.0])
def test_function_of_one_value_equals_numpy(function, x):
    def outcome(argument):
        with np.errstate(all="ignore"):
            try:
                return function(argument)
            except (ValueError, ZeroDivisionError, np.exceptions.AxisError) as error:
                return type(error)

    expected, got = outcome(x), outcome(Value(x))
    if isinstance(expected, type) or isinstance(got, type):
        assert expected is got or not np.all(np.isfinite(expected))
    else:
        got = [number(v) for v in np.asarray(got, dtype=object).flat]
        assert got == pytest.approx(np.ravel(expected))


BINARY = [
    np.add, np.subtract, np.multiply, np.true_divide, np.power, np.maximum, np.minimum, np.fmax,
    np.fmin, np.arctan2, np.hypot, np.remainder, np.floor_divide, np.fmod, np.copysign,
    np.float_power, np.logaddexp2,
]  # fmt: skip


@pytest.mark.parametrize("ufunc", BINARY, ids=lambda f: f.__name__)
def test_ufunc_of_two_has_value_and_gradients(ufunc):
    h = 1e-6
    for a, b in ((0.75, 1.5), (2.25, 0.5)):
        slopes = [
            (ufunc(a + h, b) - ufunc(a - h, b)) / (2 * h),
            (ufunc(a, b + h) - ufunc(a, b - h)) / (2 * h),
        ]
        for other in (float, np.float64, np.float32, np.array):
            v, w = Value(a), Value(b)
            for got in (ufunc(v, other(b)), ufunc(other(a), w), ufunc(v, w)):
                assert type(got) is Value
                assert got.data == pytest.approx(ufunc(a, b))
                got.backward()
            assert (v.grad / 2, w.grad / 2) == pytest.approx(slopes)


@pytest.mark.parametrize("ufunc", BINARY, ids=lambda f: f.__name__)
def test_ufunc_of_one_value_and_an_array_is_elementwise(ufunc):
    a, v = np.array([[0.5, 2.5], [1.0, 3.0]]), Value(1.5)
    values = np.vectorize(Value, otypes=[object])(a)
    for array in (a, values):
        for got, expected in ((ufunc(array, v), ufunc(a, 1.5)), (ufunc(v, array), ufunc(1.5, a))):
            assert type(got) is np.ndarray
            assert [number(y) for y in got.flat] == pytest.approx(expected.ravel())


def test_comparisons_of_one_value_with_an_array_are_bools():
    a, v = np.array([0.5, 1.5, 2.5]), Value(1.5)
    for compare in (operator.lt, operator.le, operator.gt, operator.ge):
        for got, expected in ((compare(a, v), compare(a, 1.5)), (compare(v, a), compare(1.5, a))):
            assert got.dtype == bool
            assert got.tolist() == expected.tolist()
    assert np.float64(1.0) < v
    assert not np.float64(2.0) < v
    assert v > np.float64(1.0)


@pytest.mark.parametrize("x", [0.0, -2.5, np.inf, -np.inf, np.nan])
def test_predicates_of_one_value_are_bools(x):
    for ufunc in (np.isnan, np.isfinite, np.isinf, np.signbit):
        assert bool(ufunc(Value(x))) is bool(ufunc(x))
        assert isinstance(ufunc(Value(x)), np.bool)


def test_where_and_clip_of_one_value_give_values_with_gradients():
    v = Value(2.5)
    y = np.where(v > 2, v * 3, 0) + np.clip(v, 0, 10) + np.clip(v, None, 1) + np.clip(v, min=9)
    assert (type(y), y.data) == (Value, 20.0)
    y.backward()
    assert v.grad == 4.0
    assert [number(y) for y in np.where([True, False], v, 7)] == [2.5, 7]
    assert [number(y) for y in np.where(functional.gt(v, 3), [v, v], [1.0, 2.0])] == [1.0, 2.0]
    assert [number(y) for y in np.clip([v, v * 2], v, 4)] == [2.5, 4.0]
    assert [number(y) for y in np.select([[True, False]], [v], [3.0, 4.0])] == [2.5, 4.0]


def test_methods_of_ufuncs_take_one_value():
    v, a = Value(3.0), np.zeros(2, dtype=object)
    np.add.at(a, [0, 0], v)
    assert [number(x) for x in a] == [6.0, 0]
    assert [y.data for y in np.multiply.outer(v, [1.0, 2.0])] == [3.0, 6.0]
    out = np.empty((), dtype=object)
    assert np.add(v, 1, out=out) is out
    assert out[()].data == 4.0
    a *= v
    assert [number(x) for x in a] == [18.0, 0.0]


def test_quantiles_of_values_need_no_dtype():
    values = np.array([Value(3.0), Value(1.0), Value(2.0)])
    assert [q.data for q in np.quantile(values, [0.25, 0.5])] == [1.5, 2.0]
    assert np.quantile(Value(3.0), 0.5).data == 3.0
    assert np.percentile(Value(3.0), [50]).tolist()[0].data == 3.0


def test_subclasses_with_operators_of_their_own_are_asked():
    class Own(Value):
        def __rmul__(self, other):
            return "own", other

    assert np.float64(2.0) * Own(3.0) == ("own", 2.0)


@pytest.mark.parametrize(
    "wrong", [np.complex64(1j), np.str_("a"), np.datetime64(1, "s"), "a", None]
)
def test_operands_that_are_no_numbers_are_refused(wrong):
    with pytest.raises(TypeError):
        np.maximum(Value(1.0), wrong)
    with pytest.raises(TypeError):
        np.multiply(wrong, Value(1.0))


def test_functions_that_compute_with_floats_lose_the_gradient():
    v = Value(0.25) * 2
    with pytest.warns(GradientLostWarning):
        assert np.interp(v, [0, 1], [0, 1]) == 0.5
    with pytest.warns(GradientLostWarning):
        counts, _ = np.histogram([v, v + 1, v + 2], 3)
    assert counts.tolist() == [1, 1, 1]


def test_ufunc_of_two_results_gives_both_with_gradients():
    v = Value(7.5)
    assert [number(np.heaviside(x, 0.5)) for x in (Value(-1.0), Value(0.0), v)] == [0.0, 0.5, 1.0]
    quotient, rest = np.divmod(v, 2)
    whole = np.modf(v)[1]
    assert (quotient.data, rest.data, whole.data) == (3.0, 1.5, 7.0)
    rest.backward()
    assert v.grad == 1.0


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("np.frexp", np.frexp),
        ("np.nextafter", lambda v: np.nextafter(v, 1)),
        ("np.add into an array of float64", lambda v: np.add(v, 1, out=np.zeros(()))),
        ("dtype=float32 of np.add", lambda v: np.add(v, 1, dtype=np.float32)),
        ("np.unpackbits", np.unpackbits),
    ],
)
def test_function_that_values_have_not_is_refused_by_name(name, call):
    with pytest.raises(FastgradTypeError, match=f"expected a function that .*{name}.*; "):
        call(Value(2.0))
    assert np.add(Value(2.0), 1, dtype=float).data == 3.0


@pytest.mark.parametrize("sign", ["&", "|", "^"])
def test_comparisons_are_combined_and_other_values_are_not(sign):
    combine = {"&": operator.and_, "|": operator.or_, "^": operator.xor}[sign]
    v = Value(2.0)
    for x in (True, False):
        for y in (True, False):
            one, two = functional.gt(v, 1.0 if x else 3.0), functional.lt(v, 3.0 if y else 1.0)
            assert combine(one, two).data == combine(x, y)
            assert combine(one, y).data == combine(x, two).data == combine(x, y)
            assert bool(combine(one, two)) is combine(x, y)
            assert (~one).data == (not x)
    for wrong in (v, 1, 1.0):
        for pair in ((v > 1, wrong), (wrong, functional.gt(v, 1))):
            if any(isinstance(part, Value) for part in pair):
                with pytest.raises(
                    FastgradTypeError, match=rf"comparisons, .*\{sign}.*parentheses"
                ):
                    combine(*pair)
    with pytest.raises(TypeError, match="unsupported operand"):
        combine(functional.gt(v, 1), "a")
    with pytest.raises(FastgradTypeError, match=r"~\(x > 1\)"):
        operator.invert(v)


def test_value_and_an_array_without_axes_keep_the_gradient():
    v, a = Value(3.0), np.array(Value(2.0), dtype=object)
    for y in (v * a, a * v, v + a, v / a, v**a):
        assert type(y) is Value
    (v * a).backward()
    assert (v.grad, a[()].grad) == (2.0, 3.0)


def test_under_no_grad_results_are_leaves():
    with no_grad():
        y = np.maximum(Value(1.0), 2)
    assert (type(y), y.data, y._prev) == (Value, 2.0, set())


def test_numpy_is_loaded_by_nobody_else(tmp_path):
    text = "import sys, fastgrad; fastgrad.record(lambda x: x * 2, 1.0)(2.0)"
    process = python("-c", f"{text}; print('numpy' in sys.modules)", cwd=tmp_path)
    assert process.stdout == "False\n"
    assert "fastgrad._arrays" in sys.modules


def test_a_recorded_value_and_an_array_of_numbers_decide_at_replay():
    tape = record(lambda x: np.minimum(np.array([1.0, 4.0]), x).sum(), 2.0, strict=True)
    assert [tape(x) for x in (0.0, 2.0, 9.0)] == [0.0, 3.0, 5.0]
