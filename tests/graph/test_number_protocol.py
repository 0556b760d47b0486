"""Values where Python, NumPy and the standard library expect numbers.

Oracle: the same expression of floats; the textbook's derivatives.
"""

import itertools
import math
import statistics
import warnings

import numpy as np
import pytest

from fastgrad import functional, record
from fastgrad.engine import Value, no_grad
from fastgrad.errors import GradientLostWarning, TapeError

NUMBERS = (0.0, -0.0, 1.0, -1.0, 2.5, -2.5, 7.3, -7.3, 0.1, 1e300, -1e-300, 5e-324, 2.0**53)
ODD = (math.inf, -math.inf, math.nan)


def outcome(function, *arguments):
    """Return what a call gives, or the type of what it raises."""
    try:
        return function(*arguments)
    except (ArithmeticError, ValueError) as error:
        return type(error)


def shown(result):
    """Return a text that tells 0.0 from -0.0, with numbers in place of Values."""
    if isinstance(result, tuple):
        return [shown(part) for part in result]
    return repr(result.data if isinstance(result, Value) else result)


OPERATORS = {
    "%": lambda a, b: a % b,
    "//": lambda a, b: a // b,
    "divmod": divmod,
}


@pytest.mark.parametrize("operator", OPERATORS.values(), ids=OPERATORS.keys())
def test_division_into_whole_numbers_has_the_bits_and_errors_of_floats(operator):
    for a, b in itertools.product(NUMBERS + ODD, repeat=2):
        expected = shown(outcome(operator, a, b))
        assert shown(outcome(operator, Value(a), Value(b))) == expected, (a, b)
        assert shown(outcome(operator, Value(a), b)) == expected, (a, b)
        assert shown(outcome(operator, a, Value(b))) == expected, (a, b)


def test_division_by_zero_is_called_what_the_program_wrote():
    for operator, name in (("%", "modulo"), ("//", "floor division"), ("divmod", "floor division")):
        for b in (0, Value(0.0), -0.0):
            with pytest.raises(ZeroDivisionError, match=rf"got 2.5 and -?0.0 \({name}\)$"):
                OPERATORS[operator](Value(2.5), b)


def test_remainder_has_the_derivatives_of_its_definition():
    v, w = Value(7.5), Value(-2.0)
    (v % w).backward()
    assert (v.grad, w.grad) == (1.0, 4.0)  # -floor(7.5 / -2)
    v, w = Value(7.5), Value(2.0)
    ((v // w) * 3.0 + v % 2).backward()
    assert (v.grad, w.grad) == (1.0, 0.0)
    quotient, rest = divmod(v, w)
    assert (quotient._op, rest._op) == ("//", "%")
    v %= 2
    assert v._op == "%"


@pytest.mark.parametrize("wrong", ["a", None, [1.0], 1j, object()])
@pytest.mark.parametrize("operator", OPERATORS.values(), ids=OPERATORS.keys())
def test_division_by_what_is_no_number_is_a_type_error(operator, wrong):
    with pytest.raises(TypeError):
        operator(Value(1.0), wrong)
    with pytest.raises(TypeError):
        operator(wrong, Value(1.0))


@pytest.mark.parametrize("digits", [-3, -1, 0, 1, 2, 5, 16, 22])
def test_round_with_digits_has_the_bits_of_floats(digits):
    ties = [n / 2 for n in range(-9, 10)] + [2.675, 1.005, 0.125, 1e15 + 0.5, 25.0, 35.0, 150.0]
    for x in (*NUMBERS, *ODD, *ties, 0.15, 0.25, 0.35, 1e22, 123456.789, 4503599627370497.5):
        assert shown(round(Value(x), digits)) == shown(round(x, digits)), x
        assert shown(functional.round(x, digits)) == shown(round(x, digits)), x


def test_round_with_digits_has_no_slope_and_takes_22_at_most():
    v = Value(2.5)
    (round(v, 0) * v).backward()
    assert v.grad == 2.0
    assert round(v, 1)._op == "round"
    for digits in (23, -23, 0.5, math.inf, math.nan):
        with pytest.raises(ValueError, match="whole digits from -22 to 22"):
            round(v, digits)
    with pytest.raises(TypeError, match="expected a number"):
        round(v, "1")


WHOLE = {
    "int": int,
    "round": round,
    "floor": math.floor,
    "ceil": math.ceil,
    "trunc": math.trunc,
    "ratio": lambda v: v.as_integer_ratio(),
    "%d": lambda v: "%d" % v,  # noqa: UP031 - what programs have
}


@pytest.mark.parametrize("convert", WHOLE.values(), ids=WHOLE.keys())
def test_conversions_to_int_are_those_of_floats(convert):
    for x in (*NUMBERS, *ODD, 0.5, 1.5, -0.5):
        got, expected = outcome(convert, Value(x)), outcome(convert, x)
        assert (type(got), got) == (type(expected), expected), x


@pytest.mark.parametrize("convert", WHOLE.values(), ids=WHOLE.keys())
def test_conversions_to_int_while_recording_are_frozen_decisions(convert):
    with pytest.warns(Warning, match="keeps what came out for the example"):
        record(lambda x: x * len(str(convert(x))), 3.0)
    with pytest.raises(TapeError):
        record(lambda x: x * len(str(convert(x))), 3.0, strict=True)


@pytest.mark.parametrize("name", WHOLE)
def test_conversions_of_a_computed_value_to_int_warn_of_the_lost_gradient(name):
    v = Value(2.5) * 1
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        WHOLE[name](v)
        round(v, 1), v % 1, v // 1, divmod(v, 2), +v  # Values
    assert [w.category for w in found] == [GradientLostWarning] * (name != "%d")


def test_plus_conjugate_and_item_give_what_is_there():
    v = Value(2.0)
    assert +v is v
    assert v.conjugate() is v
    assert v.item() == 2.0
    assert type(v.item()) is float
    with no_grad():
        assert (v % 2)._prev == set()


def test_variance_of_an_object_array_has_its_gradient():
    values = [Value(x) for x in (1.0, 2.0, 4.0)]
    array = np.array(values, dtype=object)
    np.var(array).backward()
    mean = 7 / 3
    assert [v.grad for v in values] == pytest.approx([2 / 3 * (v.data - mean) for v in values])
    assert np.std(array).data == pytest.approx(np.std([1.0, 2.0, 4.0]))


def test_rounding_of_an_object_array_has_the_numbers_of_floats():
    numbers = [2.675, -1.5, 2.5]
    array = np.array([Value(x) for x in numbers], dtype=object)
    assert [v.data for v in np.rint(array)] == np.rint(numbers).tolist()
    assert [v.data for v in np.round(array, 1)] == np.round(numbers, 1).tolist()
    assert [v.data for v in array % 2] == np.remainder(numbers, 2).tolist()
    assert [v.data for v in array // 2] == np.floor_divide(numbers, 2).tolist()


def test_statistics_take_values_for_numbers():
    values = [Value(x) for x in (1.0, 2.0, 4.0)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert float(statistics.mean(values)) == statistics.mean([1.0, 2.0, 4.0])
        assert float(statistics.stdev(values)) == statistics.stdev([1.0, 2.0, 4.0])
        assert float(statistics.median(values)) == 2.0


# -- functions of any number of operands ---------------------------------------------------------


@pytest.mark.parametrize("name", ["max", "min"])
def test_largest_of_several_is_the_first_of_equals_and_gets_the_gradient(name):
    function = getattr(functional, name)
    far = {"max": -5.0, "min": 5.0}[name]
    for form in (lambda vs: function(*vs), function, lambda vs: function(v for v in vs)):
        values = [Value(x) for x in (far, 2.0, far, 2.0, 2.0)]
        y = form(values)
        y.backward()
        assert (y.data, [v.grad for v in values]) == (2.0, [0.0, 1.0, 0.0, 0.0, 0.0])
    assert function(1.0, 1, True) == 1.0
    assert type(function([3])) is float
    v = Value(1.0)
    assert function([v]) is v
    assert math.isnan(function([1.0, math.nan, far]))


@pytest.mark.parametrize("zeros", [0, 1, 2, 3])
def test_product_has_its_gradient_where_operands_are_zero(zeros):
    numbers = [0.0] * zeros + [2.0, -3.0, 0.5, 7.0]
    values = [Value(x) for x in numbers]
    y = functional.prod(values)
    y.backward()
    assert y.data == math.prod(numbers)
    others = [math.prod(numbers[:i] + numbers[i + 1 :]) for i in range(len(numbers))]
    assert [v.grad for v in values] == others


def test_product_of_few_is_what_is_there():
    v = Value(3.0)
    assert functional.prod([]) == functional.prod() == 1.0
    assert functional.prod([v]) is v
    assert functional.prod(2, 3.5) == 7.0


@pytest.mark.parametrize("name", ["max", "min", "prod"])
def test_functions_of_several_refuse_what_is_no_operand(name):
    function = getattr(functional, name)
    for only in (1.0, Value(1.0), None):
        with pytest.raises(TypeError, match=rf"two operands or more.*\({name}"):
            function(only)
    for operands in (["a"], [1.0, None], [Value(1.0), [1.0]])[: 2 if name == "prod" else 3]:
        with pytest.raises(TypeError, match=name):
            function(operands)
    if name != "prod":
        with pytest.raises(ValueError, match=rf"an operand at least, got none \({name}"):
            function([])
        with pytest.raises(ValueError, match="an operand at least"):
            function()


# -- on tapes ------------------------------------------------------------------------------------

STEPS = {
    "%": (lambda x, w: x % w, [1.0, -2.0]),
    "//": (lambda x, w: x // w * x, [2.0, 0.0]),
    "round": (lambda x, w: round(x, 1) * w, [0.0, -7.3]),
    "floor": (lambda x, w: x.floor() * w + w.ceil() * x, [-2.0, -8.0]),
    "sign": (lambda x, w: x.sign() * w, [0.0, -1.0]),
    "leaky_relu": (lambda x, w: x.leaky_relu(w), [-2.5, -7.3]),
    "prelu": (lambda x, w: functional.leaky_relu(x, slope=w), [-2.5, -7.3]),
    "max": (lambda x, w: functional.max(x, w, x * w, 1.0), [-2.5, -7.3]),
    "min": (lambda x, w: functional.min([x, w, 0.0]), [1.0, 0.0]),
    "prod": (lambda x, w: functional.prod([x, w, x, 2.0]), [-2.5 * -7.3 * 4, 2 * 7.3**2]),
}


@pytest.mark.parametrize(("f", "gradients"), STEPS.values(), ids=STEPS.keys())
def test_functions_on_tapes_have_the_bits_of_eager(f, gradients):
    at = -7.3, -2.5
    x, w = Value(at[0]), Value(at[1])
    y = f(x, w)
    y.backward()
    assert [x.grad, w.grad] == pytest.approx(gradients)
    tape = record(f, 3.0, 2.0)  # recorded where other branches are taken
    assert tape(*at) == y.data
    assert tape.value_and_grad(*at, wrt="inputs") == (y.data, (x.grad, w.grad))
    xs, ws = np.full(9, at[0]), np.full(9, at[1])
    assert tape(xs, ws).tolist() == [y.data] * 9
    for tangents, expected in zip([(1.0, 0.0), (0.0, 1.0)], gradients, strict=True):
        assert tape.jvp(at, tangents)[1] == pytest.approx(expected)
