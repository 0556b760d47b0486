"""The functions of the table: accuracy on all floats, ends, exact results, the same bits.

Oracle: mpmath. The bounds are what docs/operations.md promises, in units in the last place.
"""

import math
import random
import sys
from pathlib import Path

import mpmath
import numpy as np
import pytest

from fastgrad import functional, record
from fastgrad.engine import Value

ROOT = Path(__file__).resolve().parents[2]
INF = math.inf


def distance(got, true, least=0.0):
    """Return the error in units in the last place of the true value, but of `least` if larger."""
    unit = math.ulp(max(abs(float(true)), least))
    return float(abs(mpmath.mpf(got) - true) / unit)


def lgamma(x):
    return mpmath.re(mpmath.loggamma(x))


NEGATIVE = {
    "lgamma": (lgamma, functional.lgamma),
    "digamma": (mpmath.digamma, functional.digamma),
    "trigamma": (lambda x: mpmath.polygamma(1, x), functional.trigamma),
    "derivative of trigamma": (lambda x: mpmath.polygamma(2, x), None),
}


@pytest.mark.parametrize("name", NEGATIVE)
def test_gamma_functions_of_negative_numbers_are_within_units_of_their_terms(name):
    exact, function = NEGATIVE[name]
    rng = random.Random(name)
    between = [-rng.uniform(0, 20) for _ in range(400)]
    beside = [-n + s * 10.0 ** -rng.uniform(1, 10) for n in range(15) for s in (1, -1)]
    tiny = [-(10.0 ** -rng.uniform(0, 70)) for _ in range(100)]
    with mpmath.workdps(60):
        for x in (*between, *beside, *tiny):
            if x >= 0 or x == math.floor(x):
                continue
            if function:
                got = function(x)
            else:
                v = Value(x)
                v.trigamma().backward()
                got = v.grad
            assert distance(got, exact(mpmath.mpf(x)), 1.0) <= 2.2, x  # their terms are about 1


def test_logaddexp_and_its_derivatives_are_within_their_bounds():
    rng = random.Random(7)
    with mpmath.workdps(350):
        for _ in range(1500):
            a = rng.choice(
                [rng.uniform(-700, 700), 10.0 ** rng.uniform(-300, 2), rng.uniform(-1, 1)]
            )
            b = a + rng.choice([rng.uniform(-60, 60), rng.uniform(-700, 700), 1e-9])
            x, y = Value(a), Value(b)
            z = x.logaddexp(y)
            z.backward()
            d = mpmath.mpf(b) - mpmath.mpf(a)
            true = max(mpmath.mpf(a), mpmath.mpf(b)) + mpmath.log1p(mpmath.exp(-abs(d)))
            assert distance(z.data, true, 1e-3 * max(abs(a), abs(b))) <= 1.0, (a, b)
            for got, u in ((x.grad, d), (y.grad, -d)):
                share = 1 / (1 + mpmath.exp(u))
                assert distance(got, share) <= 0.6, (a, b)


def test_logarithms_and_roots_of_what_has_exact_ones_are_exact():
    for k in range(-1074, 1024):
        assert functional.log2(2.0**k) == k
        assert functional.exp2(float(k)) == 2.0**k
    for k in range(23):
        assert functional.log10(10.0**k) == k
    for n in range(1, 2000):
        assert functional.cbrt(float(-(n**3))) == -n
        assert functional.cbrt(n**3 * 2.0**-300) == n * 2.0**-100
    for n in range(1, 18):
        assert functional.lgamma(n) == pytest.approx(math.log(math.factorial(n - 1)), rel=1e-15)
    assert functional.lgamma(1) == functional.lgamma(2) == 0.0


ENDS = {
    "exp": {INF: INF, -INF: 0.0, -0.0: 1.0, -745.2: 0.0, -745.1: 5e-324, -1e300: 0.0},
    "expm1": {INF: INF, -INF: -1.0, -0.0: -0.0, 5e-324: 5e-324, -40.5: -1.0, -1e300: -1.0},
    "log": {INF: INF, 1.0: 0.0, 5e-324: -744.4400719213812},
    "log1p": {INF: INF, -0.0: -0.0, -5e-324: -5e-324, 1.7e308: 709.7268368932282},
    "sinh": {INF: INF, -INF: -INF, -0.0: -0.0, 5e-324: 5e-324, -710.4: -1.6663642832806496e308},
    "cosh": {INF: INF, -INF: INF, -0.0: 1.0, 5e-324: 1.0, -710.4: 1.6663642832806496e308},
    "tanh": {INF: 1.0, -INF: -1.0, -0.0: -0.0, 5e-324: 5e-324, 1e300: 1.0, -20.0: -1.0},
    "sigmoid": {INF: 1.0, -INF: 0.0, -0.0: 0.5, 1e300: 1.0, -745.2: 0.0, -745.1: 5e-324},
    "softplus": {INF: INF, -INF: 0.0, 1e300: 1e300, -745.2: 0.0, -745.1: 5e-324},
    "erf": {INF: 1.0, -INF: -1.0, -0.0: -0.0, 6.5: 1.0, -1e300: -1.0},
    "gelu": {INF: INF, -0.0: -0.0, 1e300: 1e300, -1e300: -0.0, 5e-324: 0.0},
    "log2": {INF: INF},
    "log10": {INF: INF},
    "exp2": {INF: INF, -INF: 0.0, -1075.0: 0.0, -1074.0: 5e-324, -2000.0: 0.0},
    "cbrt": {INF: INF, -INF: -INF, 0.0: 0.0, 5e-324: 1.7031839360032603e-108},
    "asinh": {INF: INF, -INF: -INF, 0.0: 0.0, 5e-324: 5e-324},
    "acosh": {INF: INF, 1.0: 0.0},
    "atanh": {0.0: 0.0, -5e-324: -5e-324},
    "erfc": {INF: 0.0, -INF: 2.0, 0.0: 1.0, 27.0: 5.237048923789256e-319, 28.0: 0.0, -28.0: 2.0},
    "lgamma": {INF: INF, -INF: INF, 5e-324: 744.4400719213812},
    "digamma": {INF: INF},
    "trigamma": {INF: 0.0, 1e308: 1e-308},
}
RAISES = {
    "exp": {709.8: OverflowError, 1e300: OverflowError},
    "expm1": {709.8: OverflowError},
    "log": {0.0: ValueError, -INF: ValueError},
    "log1p": {-1.0: ValueError, -INF: ValueError},
    "sinh": {-711.0: OverflowError, 710.5: OverflowError, 1e300: OverflowError},
    "cosh": {711.0: OverflowError, -1e300: OverflowError},
    "log2": {-0.0: ValueError, -1.0: ValueError, -INF: ValueError},
    "log10": {0.0: ValueError, -5e-324: ValueError},
    "exp2": {1024.0: OverflowError, 1e300: OverflowError},
    "acosh": {1.0 - 2.0**-53: ValueError, -INF: ValueError, 0.0: ValueError},
    "atanh": {1.0: ValueError, -1.0: ValueError, INF: ValueError},
    "lgamma": {0.0: ValueError, -1.0: ValueError, -1e300: ValueError, 1e306: OverflowError},
    "digamma": {-0.0: ValueError, -2.0: ValueError, 5e-324: OverflowError},
    "trigamma": {0.0: ValueError, -3.0: ValueError, 1e-200: OverflowError},
}


@pytest.mark.parametrize("name", ENDS)
def test_function_at_its_ends_gives_the_limit_or_raises(name):
    function = getattr(functional, name)
    tape = record(lambda x: getattr(x, name)(), 1.5 if name != "atanh" else 0.5)
    for x, expected in ENDS[name].items():
        assert repr(function(x)) == repr(expected), x
        assert repr(tape(x)) == repr(expected), x
    for x, error in RAISES.get(name, {}).items():
        with pytest.raises(error, match=name):
            function(x)
        assert not math.isfinite(tape(x))  # a replay is IEEE arithmetic
        assert repr(tape([x, 1.5])[0]) == repr(tape(x))
    assert math.isnan(function(math.nan))
    assert math.isnan(tape(math.nan))


INFINITE_SUMS = [
    (-INF, -INF, -INF, 0.5, 0.5),
    (INF, INF, INF, 0.5, 0.5),
    (INF, -INF, INF, 1.0, 0.0),
    (-INF, 3.0, 3.0, 0.0, 1.0),
    (3.0, -INF, 3.0, 1.0, 0.0),
    (INF, 3.0, INF, 1.0, 0.0),
    (0.0, 0.0, math.log(2.0), 0.5, 0.5),
    (1000.0, -1000.0, 1000.0, 1.0, 0.0),
]


@pytest.mark.parametrize(("a", "b", "y", "da", "db"), INFINITE_SUMS)
def test_logaddexp_of_infinities_has_its_limit_and_derivatives(a, b, y, da, db):
    for first, second, *slopes in ((a, b, da, db), (b, a, db, da)):
        u, v = Value(first), Value(second)
        out = u.logaddexp(v)
        out.backward()
        assert [out.data, u.grad, v.grad] == [y, *slopes]
        assert functional.logaddexp(first, second) == y
    assert math.isnan(functional.logaddexp(a, math.nan))
    assert math.isnan(functional.logaddexp(math.nan, b))


# -- logsumexp -----------------------------------------------------------------------------------

LISTS = [
    [0.5],
    [1.0, 2.0],
    [3.0, 3.0, 3.0],
    [1000.0, 1000.0, -1000.0, 999.0, 0.0],
    [-1000.0, -1001.0],
    [-INF, 1.0, -INF, 2.0, 2.0],
    [-INF, -INF, 5.0],
    [float(i % 7) for i in range(33)],
]


def softmax(z):
    largest = max(z)
    terms = [math.exp(x - largest) for x in z]
    return largest + math.log(sum(terms)), [t / sum(terms) for t in terms]


@pytest.mark.parametrize("z", LISTS)
def test_logsumexp_has_the_softmax_for_gradient_eagerly_and_on_tapes(z):
    expected, shares = softmax(z)
    values = [Value(x) for x in z]
    y = functional.logsumexp(values)
    y.backward()
    assert y.data == pytest.approx(expected, rel=1e-15)
    assert [v.grad for v in values] == pytest.approx(shares, rel=1e-14)
    assert functional.logsumexp(z) == y.data
    tape = record(lambda z: functional.logsumexp(z), [0.0] * len(z))  # another largest
    value, (gradient,) = tape.value_and_grad(z, wrt="inputs")
    assert (value, list(gradient)) == (y.data, [v.grad for v in values])
    assert tape(np.array([z] * 9)).tolist() == [y.data] * 9
    tangent = [1.0 if i == 0 else 0.0 for i in range(len(z))]
    assert tape.jvp((z,), (tangent,))[1] == pytest.approx(shares[0], rel=1e-14)


def test_logsumexp_takes_several_operands_or_one_iterable():
    a = Value(1.0)
    assert functional.logsumexp([a]) is a
    assert functional.logsumexp(a, 2.0, -INF).data == functional.logsumexp([1.0, 2.0])
    assert functional.logsumexp(x for x in (1, 2)) == functional.logsumexp(1.0, 2.0)
    assert functional.logsumexp([-INF, -INF, -INF]) == -INF
    assert functional.logsumexp([-INF, INF, 0.0]) == INF
    assert math.isnan(functional.logsumexp([math.nan, INF]))
    for empty in ([], ()):
        with pytest.raises(ValueError, match=r"an operand at least, got none \(logsumexp"):
            functional.logsumexp(empty)
    with pytest.raises(TypeError, match="two operands or more"):
        functional.logsumexp(3.0)
    with pytest.raises(TypeError, match="logsumexp"):
        functional.logsumexp([1.0, "a"])


@pytest.mark.slow
def test_constants_of_the_functions_are_up_to_date():
    if not (ROOT / "tools" / "ops" / "constants.py").exists():
        pytest.skip("no source tree")
    sys.path.insert(0, str(ROOT / "tools" / "ops"))
    import constants

    assert constants.main(["--check"]) == 0
