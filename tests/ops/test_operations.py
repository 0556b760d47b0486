"""Every operation of the table, through the public interface, against mpmath.

Oracles: mpmath in 60 digits on the textbook's formula and its derivative; Python's own floats and
`math` for special values and for what raises. A rule that is off by 0.05 % must fail.
"""

import builtins
import itertools
import math
import operator
from dataclasses import replace

import mpmath
import pytest
from helpers.accuracy import MPMATH, Exact, by_fastgrad, check, expression, sample, ulps
from helpers.tally import tally

from fastgrad import functional, ops
from fastgrad._native.graph.check import second_partials
from fastgrad.engine import Value

EVERY_ROW = pytest.mark.parametrize("row", ops.rows(), ids=ops.names())
POINTS = 1_000
INFINITIES = (math.inf, -math.inf)
SPECIALS = (0.0, -0.0, 5e-324, -5e-324, 1e-310, -1e-310, 0.5, 1.0, -1.0, 2.5, -3.0)

ERRORS = {ops.ZERO_DIVISION: ZeroDivisionError, ops.OVERFLOW: OverflowError, ops.DOMAIN: ValueError}


def rounded(function):
    """Return a function of mpmath as one of floats."""

    def of_floats(*xs):
        with mpmath.workdps(60):
            return float(function(*map(mpmath.mpf, xs)))

    return of_floats


FLOATS = {name: getattr(math, name, None) for name in expression.FUNCTIONS}
FLOATS |= {name: rounded(MPMATH[name]) for name in FLOATS if name not in expression.OF_C}
FLOATS |= {
    "ceil": lambda u: whole(math.ceil, u),
    "floor": lambda u: whole(math.floor, u),
    "floordiv": operator.floordiv,
    "mod": operator.mod,
    "pow": math.pow,
    "power": math.pow,
    "round": lambda u, n: round(u, int(n)),
}


def whole(function, x):
    """Return what a function of math gives as an int, as the float that C99's function gives."""
    return math.copysign(function(x), x) if math.isfinite(x) else x


def power(a, b):
    """Return a**b as floats do, with an error where they turn complex."""
    return a**b if a == 0 else math.pow(a, b)  # only ** knows ZeroDivisionError


# Python's counterpart, where it has one: rows that `math` knows by name, and these.
PYTHON = {row.name: getattr(math, row.name) for row in ops.rows() if hasattr(math, row.name)}
PYTHON |= {
    "add": operator.add,
    "mul": operator.mul,
    "pow": power,
    "pow_number": power,
    "neg": operator.neg,
    "sub": operator.sub,
    "div": lambda a, b: a * b**-1,  # as micrograd divides
    "abs": math.fabs,
    "lt": lambda a, b: float(a < b),
    "le": lambda a, b: float(a <= b),
    "gt": lambda a, b: float(a > b),
    "ge": lambda a, b: float(a >= b),
    "eq": lambda a, b: float(a == b),
    "ne": lambda a, b: float(a != b),
    "keep_if": lambda a, b: b if a else -0.0,
    "keep_unless": lambda a, b: -0.0 if a else b,
    "floor": FLOATS["floor"],
    "ceil": FLOATS["ceil"],
    "mod": operator.mod,
    "floordiv": operator.floordiv,
}
# Rows that decide something: nan decides too, and travels only where it is chosen.
DECISIONS = ("lt", "le", "gt", "ge", "eq", "ne", "keep_if", "keep_unless", "prelu")


# -- what the check is applied to besides fastgrad -------------------------------------------------


def by_text(row, operands):
    """Return what the texts of a row say in Python's floats."""
    a, b = (*operands, 0.0)[:2]
    y = expression.function(row.forward, FLOATS)(a, b, None)
    return y, [expression.function(text, FLOATS)(a, b, y) for text in row.partials]


MOST_UNBOUNDED, MOST_ZERO = 0.05, 0.5  # shares of a domain's points


def faults_of_domain(row, points, evaluate=by_fastgrad):
    """Say why a row's domain tests less than its number of points promises."""
    results = [outcome(evaluate, row, operands) for operands in points]
    returned = [r for r in results if not isinstance(r, type)]
    bounded = [(y, ps) for y, ps in returned if all(map(math.isfinite, [y, *ps]))]
    unbounded = 1.0 - len(bounded) / len(points)
    zero = sum(y == 0 for y, _ in bounded) / len(points)
    faults = []
    if unbounded > MOST_UNBOUNDED:
        faults.append(f"{unbounded:.1%} of the points give inf or nan, or raise: narrow it")
    if zero > MOST_ZERO and not row.flat:
        faults.append(f"{zero:.1%} of the points give 0: narrow it, or say flat=True")
    if zero < MOST_ZERO / 2 and row.flat:
        faults.append(f"only {zero:.1%} of the points give 0: do not say flat=True")
    return faults


def specials(row, values):
    """Return all combinations of special values, of as many as the row takes."""
    points = itertools.product(values, repeat=len(row.domain))
    if ops.TABLE[row.variant_of or row.name] is ops.TABLE["pow"]:
        # With base and exponent both denormal, b * (pow(a, b) / a) overflows on its way to 1.
        return [(a, b) for a, b in points if b == 0 or abs(b) > 1e-16]
    return list(points)


def outcome(function, *arguments):
    """Return a result, or the type of the exception."""
    try:
        return function(*arguments)
    except (ArithmeticError, ValueError) as error:
        return type(error)


def singular(row, operands, y):
    """Tell whether the row says that backward raises."""
    a, b = (*operands, 0.0)[:2]
    return bool(row.singular) and expression.function(row.singular, FLOATS)(a, b, y)


# -- values and partials -------------------------------------------------------------------------


@EVERY_ROW
def test_values_and_partials_at_random_points_equal_mpmath(row):
    check(row, sample(row, POINTS))
    tally("wrong rule: random points against mpmath", POINTS)


@EVERY_ROW
def test_domain_gives_finite_and_nonzero_values(row):
    assert faults_of_domain(row, sample(row, POINTS)) == []


@pytest.mark.parametrize(
    ("row", "fragment"),
    [
        (ops.Op("cube", "a * a * a", ("3 * a * a",), "", domain=(ops.ANY,)), "inf or nan"),
        (ops.Op("cube", "a * a * a", ("3 * a * a",), "", domain=((-1e-120, 1e-120),)), "give 0"),
        (replace(ops.TABLE["exp"], domain=((-700.0, 2000.0),)), "raise"),
        (replace(ops.TABLE["relu"], flat=False, domain=((-1.0, 0.5),)), "give 0"),
        (replace(ops.TABLE["tanh"], flat=True), "only 0.0%"),
    ],
    ids=["overflow", "underflow", "raises", "a flat piece", "not flat"],
)
def test_domain_check_fails_a_domain_that_is_too_wide(row, fragment):
    evaluate = by_text if row.name == "cube" else by_fastgrad
    (fault,) = faults_of_domain(row, sample(row, POINTS), evaluate)
    assert fragment in fault


@EVERY_ROW
def test_partials_at_special_points_equal_mpmath(row):
    function = getattr(functional, row.variant_of or row.name)
    regular = []
    for operands in specials(row, SPECIALS):
        y = outcome(function, *operands)
        if isinstance(y, type):
            continue  # the next test's business
        if singular(row, operands, y):
            with pytest.raises(ZeroDivisionError, match=r"\w"):
                by_fastgrad(row, operands)
        else:
            regular.append(operands)
    if row.name == "atan2":  # the value at signed zeros, which mpmath lacks: see the next test
        regular = [operands for operands in regular if 0 not in operands]
    check(row, regular)


@pytest.mark.parametrize("name", PYTHON)
def test_values_and_errors_equal_python_math(name):
    row = ops.TABLE[name]
    function = getattr(functional, row.variant_of or row.name)
    for operands in specials(row, (*SPECIALS, *INFINITIES, math.nan, 1e308, -1e308, 710.5)):
        expected = outcome(PYTHON[name], *operands)
        got = outcome(function, *operands)
        recorded = outcome(lambda: function(*map(Value, operands)).data)  # noqa: B023
        assert repr(recorded) == repr(got), operands
        if isinstance(expected, type) or isinstance(got, type):
            assert got is expected, operands
        elif math.isfinite(expected) and expected:
            far = 16.0 if name == "lgamma" else row.tolerance + 1.0  # Python errs by 8 units
            assert ulps(got, mpmath.mpf(expected)) <= far, operands
        else:
            assert repr(got) == repr(expected), operands  # signs of zero and infinity count


@EVERY_ROW
def test_operation_raises_only_the_errors_of_its_row(row):
    allowed = {ERRORS[kind] for _, kind, _ in row.raises}
    if row.name == "div":
        allowed = {ZeroDivisionError, OverflowError}  # b**-1's
    function = getattr(functional, row.variant_of or row.name)
    for operands in specials(row, (*SPECIALS, *INFINITIES, math.nan)):
        result = outcome(function, *operands)
        assert not isinstance(result, type) or result in allowed, operands


@EVERY_ROW
def test_nan_operand_gives_nan_and_never_raises(row):
    for place in range(row.arity):
        operands = [0.5] * row.arity + [1.0] * (len(row.domain) - row.arity)
        operands[place] = math.nan
        y, partials = by_fastgrad(row, operands)
        if row.name not in DECISIONS:  # see the comparison with Python
            assert math.isnan(y)
        assert len(partials) == row.arity


def far_and_limit(row, infinity):
    """Return the partial at a large number and at infinity, or None where either raises."""
    parameter = [0.5] if row.parameter else []
    points = [[math.copysign(1e300, infinity), *parameter], [infinity, *parameter]]
    results = [outcome(by_fastgrad, row, operands) for operands in points]
    return None if any(isinstance(r, type) for r in results) else [r[1][0] for r in results]


def test_partials_are_continuous_at_infinity():
    checked = set()
    for row, infinity in itertools.product(ops.rows(), INFINITIES):
        partials = far_and_limit(row, infinity) if row.arity == 1 else None
        if partials:
            far, limit = partials
            if abs(far) > 1e100 or row.name == "lgamma":  # whose derivative grows as log(a) does
                continue
            assert limit == pytest.approx(far, rel=1e-15, abs=1e-100), (row.name, infinity)
            checked.add(row.name)
    assert checked >= {"relu", "atan", "tanh", "sigmoid", "softplus", "erf", "gelu"}


@pytest.mark.parametrize(
    ("name", "operands", "expected"),
    [
        ("relu", [0.0], [0.0]),
        ("relu", [math.nan], [0.0]),
        ("leaky_relu", [0.0, 0.25], [0.25]),
        ("abs", [0.0], [0.0]),
        ("min", [2.0, 2.0], [1.0, 0.0]),
        ("max", [2.0, 2.0], [1.0, 0.0]),
        ("min", [1.0, math.nan], [0.0, 1.0]),
        ("max", [math.nan, 1.0], [1.0, 0.0]),
        ("hypot", [0.0, 0.0], [0.0, 0.0]),
        ("pow", [0.0, 0.0], [0.0, 0.0]),
        ("pow", [0.0, 3.0], [0.0, 0.0]),
        ("pow_number", [0.0, 0.0], [0.0]),
        ("pow_number", [0.0, 1.0], [1.0]),
    ],
)
def test_partials_at_kinks_are_the_documented_ones(name, operands, expected):
    assert by_fastgrad(ops.TABLE[name], operands)[1] == expected


@pytest.mark.parametrize("name", ["min", "max"])
def test_min_and_max_of_equals_give_the_first(name):
    choose = getattr(builtins, name)  # Python's takes the first of equals too
    for a, b in itertools.product([0.0, -0.0, 1.0, -1.0, math.inf], repeat=2):
        assert repr(getattr(functional, name)(a, b)) == repr(choose(a, b))
        assert repr(getattr(functional, name)(Value(a), Value(b)).data) == repr(choose(a, b))


@pytest.mark.parametrize("name", ["sigmoid", "softplus"])
def test_tails_of_sigmoid_and_softplus_are_denormal(name):
    row = ops.TABLE[name]
    check(row, [[x] for x in (-699.9, -700.0, -700.1, -708.5, -710.0, -730.0, -744.0, -800.0)])


def test_relu_keeps_negative_zero_and_nan():
    assert repr(Value(-0.0).relu().data) == "-0.0"
    assert math.isnan(Value(math.nan).relu().data)


# -- a test of the tests -------------------------------------------------------------------------


@EVERY_ROW
def test_check_passes_the_texts_of_the_table(row):
    check(row, sample(row, 100), by_text)


@EVERY_ROW
def test_check_fails_a_rule_that_is_off_by_a_little(row):
    points = sample(row, 100)
    for place, text in enumerate(row.partials):
        partials = list(row.partials)
        partials[place] = f"({text}) * 1.0005" if text != "0" else "0.0005"
        with pytest.raises(AssertionError, match=f"dy/d{'ab'[place]} of {row.name}"):
            check(replace(row, partials=tuple(partials)), points, by_text)
    wrong = replace(row, forward=f"({row.forward}) * 1.0005", formula=row.formula)
    with pytest.raises(AssertionError, match=rf"y of {row.name}"):
        check(wrong, points, by_text)


@EVERY_ROW
def test_derived_second_partials_equal_mpmath(row):
    trees = [expression.parse(text) for text in row.partials]
    parameter = [0.3] if row.parameter else []
    point = [mpmath.mpf(x) for x in ([0.7, 0.4][: row.arity] + parameter + [0.0])[:2]]
    formula = expression.function(row.formula, MPMATH, mpmath.mpf)
    with mpmath.workdps(40):
        y = formula(*point, None)
        for first, second in itertools.product(range(row.arity), repeat=2):
            tree = expression.derivative(trees[first], "ab"[second], trees[second])
            got = expression.function(tree, MPMATH, mpmath.mpf)(*point, y)
            order = [0, 0]
            order[first] += 1
            order[second] += 1
            expected = mpmath.diff(lambda a, b: formula(a, b, None), tuple(point), tuple(order))
            assert got == pytest.approx(expected, rel=1e-14, abs=1e-14)


# -- second partials: what is compiled of the derivatives of the partials' texts -----------------

# Two terms of the second derivative cancel somewhere: the unit is that of dy/da over a.
CANCELLING = ("asin", "acos", "atanh", "hypot", "gelu")
SECOND = ("aa", "ab", "bb")


def second_exact(row):
    """Return the functions that give the second derivatives of the textbook's formula."""
    tree = expression.parse(row.formula)
    names = SECOND if row.arity == 2 else SECOND[:1]
    trees = [expression.derivative(expression.derivative(tree, n[0]), n[1]) for n in names]
    return [expression.function(tree, MPMATH, mpmath.mpf) for tree in trees]


def check_second(row, points, evaluate=second_partials):
    """Raise AssertionError unless the second partials are right to 12 digits."""
    exact = second_exact(row)
    first = Exact(row)
    for operands in points:
        got = evaluate(row.name, *operands)
        with mpmath.workdps(650):  # the formula of sigmoid loses twice the digits of a
            values = [mpmath.mpf(x) for x in (*operands, 0.0)[:2]]
            for name, function, value in zip(SECOND, exact, got, strict=False):
                true = function(*values, None)
                unit = abs(true)
                if row.name in CANCELLING:
                    partial = first(operands)[1 + "ab".index(name[0])]
                    unit += abs(partial / operands["ab".index(name[1])])
                right = value == float(true) or abs(value - true) <= 1e-12 * unit + 1e-300
                assert right, (
                    f"d2y/d{name} of {row.name}{tuple(operands)} is {value!r}, not"
                    f" {mpmath.nstr(true, 20)}"
                )


NATIVE_ROWS = pytest.mark.parametrize("row", ops.native(), ids=[row.name for row in ops.native()])


@NATIVE_ROWS
def test_second_partials_at_random_points_equal_mpmath(row):
    check_second(row, sample(row, 200))


@NATIVE_ROWS
def test_second_check_fails_a_rule_that_is_off_by_a_little(row):
    points = sample(row, 30)
    for place in range(len(second_exact(row))):

        def wrong(name, *operands, place=place):
            found = list(second_partials(name, *operands))
            found[place] = found[place] * 1.0005 or 0.0005
            return found

        with pytest.raises(AssertionError, match=f"d2y/d{SECOND[place]} of {row.name}"):
            check_second(row, points, wrong)


@pytest.mark.parametrize("name", [row.name for row in ops.native() if row.arity == 2])
def test_mixed_partials_agree_in_both_orders(name):
    row = ops.TABLE[name]
    trees = [expression.parse(text) for text in row.partials]
    orders = [expression.derivative(trees[i], "ba"[i], trees[1 - i]) for i in range(2)]
    functions = [expression.function(tree, MPMATH, mpmath.mpf) for tree in orders]
    formula = expression.function(row.formula, MPMATH, mpmath.mpf)
    for operands in sample(row, 100):
        with mpmath.workdps(650):
            a, b = map(mpmath.mpf, operands)
            y = formula(a, b, None)
            first, second = (function(a, b, y) for function in functions)
            assert abs(first - second) <= abs(first) * 1e-15, operands


def test_second_partials_at_kinks_are_the_documented_ones():
    assert second_partials("relu", 0.0) == (0.0, 0.0, 0.0)
    assert second_partials("abs", -2.0) == (0.0, 0.0, 0.0)
    assert second_partials("pow_number", 0.0, 2.0) == (2.0, 0.0, 0.0)
    assert second_partials("pow_number", 3.0, 1.0) == (0.0, 0.0, 0.0)
    assert second_partials("pow", 2.0, 0.0) == (0.0, 0.5, math.log(2.0) ** 2)  # a**b is 1 + b log a
    assert second_partials("pow", 0.0, 2.0) == (2.0, 0.0, 0.0)
    assert second_partials("pow", 0.0, 1.5)[0] == math.inf
    assert second_partials("keep_if", 1.0, 2.0) == (0.0, 0.0, 0.0)
    with pytest.raises(ZeroDivisionError, match="sqrt"):
        second_partials("sqrt", 0.0)
    with pytest.raises(KeyError):
        second_partials("div", 1.0, 2.0)


# -- names ---------------------------------------------------------------------------------------


@EVERY_ROW
def test_methods_functions_and_plain_numbers_agree(row):
    operands = sample(row, 1)[0]
    y = by_fastgrad(row, operands)[0]
    values = [Value(x) for x in operands[: row.arity]]
    rest = [*values[1:], *operands[row.arity :]]
    for name in row.methods:
        assert getattr(values[0], name)(*rest).data == y
        assert getattr(Value, name).__doc__
    for name in row.functions:
        function = getattr(functional, name)
        assert function(*operands) == y
        assert type(function(*operands)) is float
        assert function.__name__ == name
        assert function.__module__ == "fastgrad.functional"
        assert function.__doc__
        assert name in functional.__all__
    if not row.composite and not row.parameter:
        result = getattr(functional, row.name)(*values)
        assert result._op == row.symbol
        assert result._prev == set(values)


def test_parameters_have_defaults_and_are_no_operands():
    x = Value(-2.0)
    assert x.leaky_relu().data == -0.02
    assert x.leaky_relu(slope=0.5)._prev == {x}
    assert functional.leaky_relu(-2.0, slope=0.5) == -1.0


def test_composites_are_recorded_as_in_micrograd():
    a, b = Value(3.0), Value(2.0)
    assert functional.neg(a)._op == "*"
    assert functional.sub(a, b)._op == "+"
    assert {node._op for node in functional.div(a, b)._prev} == {"", "**-1"}
    assert functional.pow(a, 2)._op == "**2"
    assert functional.pow(a, 2)._prev == {a}
    assert functional.pow(a, b)._prev == {a, b}


@pytest.mark.parametrize("wrong", ["1", None, [1.0], 1j])
def test_functions_of_non_numbers_are_refused(wrong):
    with pytest.raises(TypeError):
        functional.tanh(wrong)
    with pytest.raises(TypeError):
        functional.hypot(1.0, wrong)
    with pytest.raises(TypeError):
        functional.leaky_relu(Value(1.0), wrong)


def test_table_queries_agree_with_each_other():
    assert ops.names() == tuple(ops.TABLE) == tuple(row.name for row in ops.rows())
    opcodes = [row.opcode for row in ops.native()]
    assert opcodes[:2] == ["OP_ADD", "OP_MUL"]
    assert None not in opcodes
    assert ops.TABLE["neg"].opcode is None
    assert ops.TABLE["asin"].methods == ("asin", "arcsin")
    assert ops.TABLE["min"].methods == ("minimum",)
    assert ops.TABLE["pow_number"].functions == ()
    with pytest.raises(TypeError):
        ops.TABLE["add"] = None
