"""Functions of the table on all floats: accuracy, monotony, exact results, ends.

Oracles: mpmath and long doubles (`helpers.accuracy`); NumPy for what IEEE 754 has at the ends.
"""

import itertools
import math

import pytest
from helpers.accuracy import (
    LONG_IS_LONGER,
    by_fastgrad,
    check,
    look_through,
)
from helpers.tally import tally

from fastgrad import functional, ops, record

np = pytest.importorskip("numpy")

INF = math.inf
LARGEST = 1.7e308
MANY = 100_000
MOST = 10_000_000
BATCH = 250_000

# Where a row is right beyond the domain that its other tests sample, and where a text changes into
# another, or a value is near 0: those are looked at closely.
EVERYWHERE = (-LARGEST, LARGEST)
PI_2 = math.pi / 2
QUARTERS = tuple(k * PI_2 for k in (1, 2, 3, 11, 355, 41_721, 83_443, 1_000_003))
REACH = {
    "sin": (EVERYWHERE, (*QUARTERS, 2.0**17, 2.0**-27)),
    "cos": (EVERYWHERE, (*QUARTERS, 2.0**17)),
    "tan": (EVERYWHERE, (*QUARTERS, PI_2 / 2, 2.0**17, 2.0**-27)),
    "asin": ((-1.0, 1.0), (0.5, 1.0, -1.0)),
    "acos": ((-1.0, 1.0), (0.5, -0.5, 1.0, -1.0)),
    "atan": (EVERYWHERE, (0.41421356237309503, 1.0, 2.414213562373095, 2.0**30, 2.0**60)),
    "cbrt": (EVERYWHERE, (1.0, 2.0, 4.0, 8.0, 2.0**-1022, 2.0**900)),
    "asinh": (EVERYWHERE, (2.0**-9, 2.0**30)),
    "acosh": ((1.0, LARGEST), (1.0, 2.0**30)),
    "atanh": ((-1.0 + 2.0**-53, 1.0 - 2.0**-53), (1.0, 2.0**-9)),
    "exp": ((-745.0, 709.7), (0.0, -708.4)),
    "expm1": ((-LARGEST, 709.7), (0.0, -0.35, -37.0)),
    "exp2": ((-1074.0, 1023.9), (0.0, -1022.0)),
    "log": ((5e-324, LARGEST), (1.0, 0.70710678, 2.0**-1022)),
    "log1p": ((-1.0 + 2.0**-53, LARGEST), (0.0, -0.5, 0.41421356)),
    "log2": ((5e-324, LARGEST), (1.0, 2.0, 0.70710678)),
    "log10": ((5e-324, LARGEST), (1.0, 10.0, 0.70710678)),
    "sinh": ((-710.4, 710.4), (0.0, 0.35, 22.0)),
    "cosh": ((-710.4, 710.4), (0.0, 0.35, 22.0)),
    "tanh": (EVERYWHERE, (0.0, 0.55, 18.7, 2.0**-28)),
    "sigmoid": ((-745.0, LARGEST), (0.0, 37.0, -37.0, -708.4)),
    "softplus": ((-745.0, 1e4), (0.0, 37.0, -19.0, -708.4)),
    "erf": (EVERYWHERE, (0.75, 1.3, 5.9)),
    "erfc": ((-30.0, 27.2), (0.0, 0.5, 26.5)),
    "gelu": ((-38.4, 1e300), (0.0, -0.7517915247, -37.0, 9.0)),
    "sqrt": ((5e-324, LARGEST), (1.0,)),
}
# Rows whose formula cancels in long doubles, or which those have no function for.
BY_MPMATH = ("gelu", "erf", "erfc", "logaddexp", "lgamma", "digamma", "trigamma")
BY_MPMATH += ("mod", "floordiv")
SLOW = ("digamma", "trigamma")  # in mpmath


def column(rng, low, high, near, count):
    """Draw from an interval: uniform in all of it and near 0, by exponents, close to points."""
    parts = []
    for share in np.array_split(np.empty(count), 4):
        n, kind = len(share), len(parts)
        signs = rng.choice([-1.0, 1.0], n)
        if kind == 0:
            part = rng.uniform(max(low, -1e150), min(high, 1e150), n)
        elif kind == 1:
            part = rng.uniform(max(low, -8.0), min(high, 8.0), n)
        elif kind == 2 and near:
            away = np.ldexp(rng.uniform(1, 2, n), rng.integers(-56, -2, n))
            part = rng.choice(np.array(near), n) * (1.0 + signs * away) + signs * away * (
                away < 1e-9
            )
        else:
            part = signs * np.ldexp(rng.uniform(1, 2, n), rng.integers(-1074, 1024, n))
        outside = ~((part >= low) & (part <= high))
        part[outside] = rng.uniform(max(low, -8.0), min(high, 8.0), outside.sum())
        parts.append(part)
    return np.concatenate(parts)


def pairs(name, rng, count):
    """Draw operands of a row of two."""
    (low, high), (least, most) = ops.TABLE[name].domain
    a = column(rng, low, high, (1.0,), count)
    b = column(rng, least, most, (1.0,), count)
    rng.shuffle(b)
    if name in ("atan2", "hypot", "logaddexp"):  # where both count
        close = rng.random(count) < 0.5
        scaled = a * np.ldexp(rng.uniform(1, 2, count), rng.integers(-8, 8, count))
        b = np.where(close, np.clip(scaled, least, most), b)
    return [a, b]


def columns(row, rng, count):
    """Draw the operands of a row."""
    if row.arity == 2:
        return pairs(row.name, rng, count)
    (low, high), near = REACH.get(row.name, (row.domain[0], (1.0,)))
    return [column(rng, low, high, near, count)]


LOOKED_THROUGH = [
    row
    for row in ops.rows()
    if not row.parameter and row.name not in BY_MPMATH and isinstance(row.domain[0][0], float)
]


def look(row, count, seed=0):
    if not LONG_IS_LONGER:
        pytest.skip("long doubles are doubles here")
    rng = np.random.default_rng([seed, *row.name.encode()])
    with np.errstate(all="ignore"):
        found = look_through(row, columns(row, rng, count))
    tally("wrong rule: points looked through", count)
    return found


@pytest.mark.parametrize("row", LOOKED_THROUGH, ids=[row.name for row in LOOKED_THROUGH])
def test_row_is_as_accurate_as_promised_at_many_points(row):
    look(row, MANY)


@pytest.mark.nightly
@pytest.mark.parametrize("row", LOOKED_THROUGH, ids=[row.name for row in LOOKED_THROUGH])
def test_row_is_as_accurate_as_promised_at_ten_million_points(row):
    found = np.zeros(1 + row.arity)
    for seed in range(MOST // BATCH):
        found = np.maximum(found, look(row, BATCH, 1 + seed))
    print(row.name, *np.round(found, 4))  # what docs and comments quote


@pytest.mark.parametrize("name", BY_MPMATH)
def test_row_that_long_doubles_cannot_judge_is_as_accurate_as_promised(name):
    row, rng = ops.TABLE[name], np.random.default_rng([7, *name.encode()])
    points = np.array(columns(row, rng, 300 if name in SLOW else 1_500)).T.tolist()
    check(row, points)
    tally("wrong rule: random points against mpmath", len(points))


# -- monotony ------------------------------------------------------------------------------------

UPWARDS = "exp expm1 exp2 log log1p log2 log10 sqrt cbrt asin atan asinh acosh atanh sinh tanh"
UPWARDS += " sigmoid softplus erf"
RISING = {
    name: [REACH[name][0] if name in REACH else ops.TABLE[name].domain[0]]
    for name in UPWARDS.split()
}
RISING |= {"sin": [(-PI_2, PI_2)], "tan": [(-1.5707, 1.5707)], "cosh": [(0.0, 710.4)]}
RISING |= {"lgamma": [(1.4616322, 1e300)], "digamma": [(1e-300, 1e300)], "gelu": [(-0.7517, 1e3)]}
FALLING = {"acos": [(-1.0, 1.0)], "cos": [(0.0, math.pi)], "erfc": [(-30.0, 27.2)]}
FALLING |= {"cosh": [(-710.4, 0.0)], "trigamma": [(1e-150, 1e300)]}
MONOTONE = [(name, 1.0, *piece) for name, pieces in RISING.items() for piece in pieces]
MONOTONE += [(name, -1.0, *piece) for name, pieces in FALLING.items() for piece in pieces]


def dense(name, rng, low, high):
    """Draw sorted numbers, and runs of neighbours, at every change of a text and elsewhere."""
    near = REACH.get(name, (None, (1.0,)))[1]
    starts = [*near, *(-x for x in near), *column(rng, low, high, near, 40)]
    runs = [np.arange(-400, 400) * max(math.ulp(x), 5e-324) + x for x in starts]
    points = np.concatenate([*runs, column(rng, low, high, near, 40_000)])
    return np.unique(points[(points >= low) & (points <= high)])


@pytest.mark.parametrize(("name", "sign", "low", "high"), MONOTONE)
def test_function_is_monotone_on_dense_grids(name, sign, low, high):
    function = getattr(functional, name)
    tape = record(lambda x: function(x), 0.5 if name != "acosh" else 1.5)
    points = dense(name, np.random.default_rng([3, *name.encode()]), low, high)
    steps = np.diff(sign * np.asarray(tape(points)))
    assert np.all(steps >= 0), points[:-1][steps < 0][:5].tolist()
    tally("wrong rule: neighbours compared", len(points))


# -- exact results, and ends -----------------------------------------------------------------------

EXACT = {
    "exp": {0.0: 1.0},
    "exp2": {float(k): 2.0**k for k in range(-1074, 1024)},
    "expm1": {0.0: 0.0},
    "log": {1.0: 0.0},
    "log1p": {0.0: 0.0},
    "log2": {2.0**k: float(k) for k in range(-1074, 1024)},
    "log10": {10.0**k: float(k) for k in range(23)},
    "cbrt": {float(s * n**3): float(s * n) for n in range(1, 2_000) for s in (1, -1)},
    "sqrt": {float(n * n): float(n) for n in range(2_000)},
    "sin": {0.0: 0.0},
    "cos": {0.0: 1.0},
    "acos": {1.0: 0.0, -1.0: math.pi, 0.0: PI_2},
    "asin": {1.0: PI_2, -1.0: -PI_2},
    "atan": {1.0: math.pi / 4, -1.0: -math.pi / 4},
    "acosh": {1.0: 0.0},
    "cosh": {0.0: 1.0},
    "tanh": {x: math.copysign(1.0, x) for x in (20.0, -20.0, 1e300)},
    "sigmoid": {0.0: 0.5, 40.0: 1.0},
    "erf": {7.0: 1.0, -7.0: -1.0},
    "erfc": {0.0: 1.0, -7.0: 2.0},
    "gelu": {0.0: 0.0, 50.0: 50.0},
    "lgamma": {1.0: 0.0, 2.0: 0.0},
}


@pytest.mark.parametrize("name", EXACT)
def test_function_of_what_has_an_exact_result_is_exact(name):
    function = getattr(functional, name)
    tape = record(lambda x: function(x), 1.5 if name == "acosh" else 0.5)
    found = np.asarray(tape(np.array(list(EXACT[name]))))
    assert dict(zip(EXACT[name], found.tolist(), strict=True)) == EXACT[name]


def test_hypot_and_powers_of_whole_numbers_are_exact():
    for k in range(-300, 300):
        assert functional.hypot(3.0 * 2.0**k, 4.0 * 2.0**k) == 5.0 * 2.0**k
        assert functional.pow(2.0, k) == 2.0**k
    for n, k in itertools.product(range(2, 100), range(1, 20)):
        if n**k < 2**53:
            assert functional.pow(float(n), float(k)) == n**k
            assert functional.pow(float(n), k) == n**k


SPECIAL = (0.0, -0.0, INF, -INF, math.nan, 5e-324, -5e-324, 1e-310, -1e-310, 1.0, -1.0, 0.5, -0.5)
SPECIAL += (2.0, -2.0, 2.0**-1022, 710.5, -745.2, 1e22, -1e22, LARGEST, -LARGEST)
SAME = "sin cos tan exp expm1 exp2 log log1p log2 log10 sqrt cbrt sinh cosh tanh hypot"
OF_NUMPY = {name: name for name in SAME.split()} | {"atan2": "arctan2", "pow": "power"}
OF_NUMPY |= {name: f"arc{name[1:]}" for name in ("acos", "asin", "atan", "acosh", "asinh", "atanh")}


@pytest.mark.parametrize("name", OF_NUMPY)
def test_function_at_its_ends_is_what_ieee_754_says_on_tapes(name):
    row = ops.TABLE[name]
    points = np.array(list(itertools.product(SPECIAL, repeat=row.arity))).T
    function = getattr(functional, name)
    tape = record(lambda *xs: function(*xs), *[1.5 if name == "acosh" else 0.5] * row.arity)
    got = np.asarray(tape(*points))
    single = np.array([tape(*map(float, point)) for point in points.T])
    with np.errstate(all="ignore"):
        expected = getattr(np, OF_NUMPY[name])(*points)
    ends = ~np.isfinite(expected) | (expected == 0.0)
    for values in (got, single):
        assert np.array_equal(values[ends], expected[ends], equal_nan=True)
        signs = np.signbit(values[ends]) == np.signbit(expected[ends])
        assert np.all(signs | np.isnan(expected[ends])), points.T[ends][~signs]
        near = np.abs(values[~ends] - expected[~ends]) <= 4 * np.spacing(np.abs(expected[~ends]))
        assert np.all(near), points.T[~ends][~near]


# -- arguments beyond every period -----------------------------------------------------------------

CLOSE = (  # to multiples of pi/2, closer than nearly all others; the first is the closest of all
    (6381956970095103.0, 797),
    (5.1 * 2.0**49, 900),
    (8506068.0, 300),
)


@pytest.mark.parametrize("name", ["sin", "cos", "tan"])
def test_circular_functions_of_huge_numbers_are_exact(name):
    points = [math.ldexp(m, e) for m, e in CLOSE]
    points += [k * PI_2 for k in range(1, 2_000)] + [k * PI_2 for k in range(83_000, 83_900)]
    points += [s * 2.0**k * 1.37 for k in range(10, 1023) for s in (1, -1)]
    points += [math.nextafter(2.0**17, 0.0), 2.0**17, -(2.0**17), LARGEST]
    check(ops.TABLE[name], [[x] for x in points])


@pytest.mark.parametrize("name", ["sin", "cos", "tan"])
def test_batch_with_some_huge_numbers_has_the_bits_of_single_ones(name):
    function = getattr(functional, name)
    tape = record(lambda x: function(x), 0.5)
    rng = np.random.default_rng(5)
    points = np.where(rng.random(999) < 0.1, rng.uniform(-1e20, 1e20, 999), rng.uniform(-9, 9, 999))
    values, (slopes,) = tape.value_and_grad(points, wrt="inputs", reduce=None)
    _, tangents = tape.jvp((points,), (np.ones(999),))
    for i, x in enumerate(points.tolist()):
        y, (slope,) = by_fastgrad(ops.TABLE[name], [x])
        assert (values[i], slopes[i], tangents[i]) == (y, slope, slope)
        assert tape.value_and_grad(x, wrt="inputs") == (y, (slope,))


@pytest.mark.parametrize("name", ["log", "tanh", "sin"])
def test_rows_of_a_function_in_blocks_that_are_not_full_equal_one_row(name):
    function = getattr(functional, name)
    points = np.random.default_rng(6).uniform(0.1, 3.0, (6, 10_000))
    rows = record(lambda *xs: [function(x) for x in xs], *[0.5] * 6)
    total = record(lambda *xs: sum(function(x) for x in xs), *[0.5] * 6)
    one = record(lambda x: function(x), 0.5)
    values, tangents = rows.jvp(tuple(points), (np.ones(10_000),) * 6)
    _, slopes = total.value_and_grad(*points, wrt="inputs", reduce=None)
    for i, x in enumerate(points):
        value, (slope,) = one.value_and_grad(x, wrt="inputs", reduce=None)
        for got, expected in ((values.T, value), (tangents.T, slope), (slopes, slope)):
            assert np.array_equal(got[i], expected)
