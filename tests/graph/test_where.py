"""Comparisons that give Values, and where: exact choice, and gradients.

Oracle: Python's own comparisons and conditional expression, bit by bit.
"""

import itertools
import math
import operator

import pytest

import fastgrad
from fastgrad import functional
from fastgrad.engine import Value, no_grad

NUMBERS = (0.0, -0.0, 1.0, -1.5, 5e-324, 1e308, math.inf, -math.inf, math.nan)
COMPARISONS = {
    "lt": operator.lt, "le": operator.le, "gt": operator.gt, "ge": operator.ge,
    "less": operator.lt, "less_equal": operator.le,
    "greater": operator.gt, "greater_equal": operator.ge,
}  # fmt: skip


@pytest.mark.parametrize("name", COMPARISONS)
def test_comparisons_are_recorded_as_0_or_1(name):
    function = getattr(functional, name)
    for a, b in itertools.product(NUMBERS, repeat=2):
        expected = repr(float(COMPARISONS[name](a, b)))
        for operands in ((Value(a), Value(b)), (Value(a), b), (a, Value(b))):
            y = function(*operands)
            assert repr(y.data) == expected, (a, b)
            assert y._op in ("<", "<=")
        assert repr(function(a, b)) == expected, (a, b)


def test_comparison_passes_no_gradient():
    a, b = Value(1.0), Value(2.0)
    y = functional.lt(a, b) * 3 + functional.ge(b, a) * a
    y.backward()
    assert (y.data, a.grad, b.grad) == (4.0, 1.0, 0.0)


def test_comparison_operators_outside_a_recording_give_bools():
    a, b = Value(1.0), Value(2.0)
    assert [a < b, a <= 1, a < 2, b >= a, a > b] == [True, True, True, True, False]
    assert type(a < b) is bool


def test_where_gives_the_exact_chosen_value():
    for c, x, y in itertools.product(NUMBERS, repeat=3):
        expected = repr(x if c else y)
        assert repr(fastgrad.where(Value(c), Value(x), Value(y)).data) == expected, (c, x, y)
        assert repr(fastgrad.where(Value(c), x, y).data) == expected, (c, x, y)
        assert repr(fastgrad.where(c, x, y)) == expected, (c, x, y)


def test_where_passes_the_gradient_to_the_chosen_operand():
    c, x, y = Value(1.0), Value(3.0), Value(5.0)
    (fastgrad.where(c, x * x, y * y) * 2).backward()
    assert (c.grad, x.grad, y.grad) == (0.0, 12.0, 0.0)
    for v in (c, x, y):
        v.grad = 0.0
    c.data = 0.0
    (fastgrad.where(c, x * x, y * y) * 2).backward()
    assert (c.grad, x.grad, y.grad) == (0.0, 0.0, 20.0)


def test_where_reads_its_condition_when_backward_runs():
    c, x, y = Value(1.0), Value(3.0), Value(5.0)
    z = fastgrad.where(c, x, y)
    c.data = 0.0
    z.backward()
    assert (x.grad, y.grad) == (0.0, 1.0)


def test_where_with_a_plain_condition_gives_the_chosen_object():
    x, y = Value(1.0), Value(2.0)
    assert fastgrad.where(True, x, y) is x
    assert fastgrad.where(x > y, x, y) is y
    assert fastgrad.where(0, x, 7) == 7
    numpy = pytest.importorskip("numpy")
    assert fastgrad.where(numpy.False_, x, y) is y
    assert fastgrad.where(numpy.float64(0.5), x, y) is x


def test_where_of_one_value_in_all_places_adds_once():
    x = Value(3.0)
    z = fastgrad.where(x, x, x)
    z.backward()
    assert (z.data, x.grad) == (3.0, 1.0)


def test_where_under_no_grad_gives_a_leaf():
    with no_grad():
        z = fastgrad.where(functional.lt(Value(1.0), 2), Value(3.0), 4)
    assert (z.data, z._prev) == (3.0, set())


@pytest.mark.parametrize("wrong", ["1", None, [1.0], 1j])
def test_where_with_a_non_number_is_refused(wrong):
    with pytest.raises(TypeError, match="expected a number"):
        fastgrad.where(wrong, 1, 2)
    with pytest.raises(TypeError, match="expected a"):
        fastgrad.where(Value(1.0), wrong, 2)
    with pytest.raises(TypeError, match="expected a"):
        fastgrad.where(Value(1.0), 1, wrong)
