"""Powers in batches have the bits of libm's pow, at every SIMD level and for every x.

Oracles: Python's `x ** k`, which is libm's pow; replays of single samples, which call it, too. The
points hold many for which a rounding of the exact power is not what libm gives: counted here.
"""

import math
import os
import sys
from pathlib import Path

import pytest
from helpers.processes import python

import fastgrad as fg
from fastgrad.tape import SIMD

np = pytest.importorskip("numpy")

LEVELS = ("baseline", "avx2", "avx512")
POWERS = (-2, -1, 2, 3, 4)  # those that have code of their own
OTHERS = (0, 1, 5, -3, 0.5)
POINTS = 200_000  # random ones for each power


def random_points(rng, n):
    """Return numbers of either sign, of sizes that need pow and of sizes that do not."""
    size = 2.0 ** rng.integers(-40, 40, n)
    return rng.choice((-1.0, 1.0), n) * rng.uniform(1.0, 2.0, n) * size


def halfway(k, n):
    """Return numbers whose k-th power has 54 bits, the last one set: libm goes either way."""
    least, most = math.ceil(2 ** (53 / k)), math.floor(2 ** (54 / k))
    step = max(2, (most - least) // n // 2 * 2)
    return np.arange(least | 1, most, step) * 2.0 ** -np.arange(0, 40, 13)[:, None]


def near(x, ulps=40):
    """Return each number and its neighbours."""
    bits = np.ravel(x).view(np.int64)[:, None] + np.arange(-ulps, ulps + 1)
    return np.ravel(bits).view(np.float64)


def edges(k):
    """Return what lies next to a power of two, or has one as its power, or ends a range."""
    roots = 2.0 ** (np.arange(-40 * abs(k), 40 * abs(k)) / abs(k))
    return np.concatenate([near(roots), -near(roots)])


def odd():
    """Return numbers for which a power leaves the range, or never was in it."""
    tiny = [m * 2.0**e for e in range(-1074, 1023, 5) for m in (1.0, 1.5, 1.999)]
    some = [0.0, math.inf, math.nan, 5e-324, 1e-310, sys.float_info.min, sys.float_info.max]
    return np.array([s * x for x in some + tiny for s in (1.0, -1.0)])


def recorded(k):
    return fg.record(lambda x: x**k, 1.5)


def both(tape, x):
    """Return values and derivatives of a batch."""
    return tape(x), tape.value_and_grad(x, wrt="inputs", reduce="sum")[1][0]


def assert_same(k, x, got, expected):
    """Compare bits, but those of a nan, whose sign nobody promises."""
    expected = np.array(expected, dtype=float)
    same = (got.view(np.int64) == expected.view(np.int64)) | (np.isnan(got) & np.isnan(expected))
    wrong = np.flatnonzero(~same)
    assert not wrong.size, [(k, float(x[i]).hex(), got[i], expected[i]) for i in wrong[:5]]


def check_level(level):
    """Compare all of it in this process; return how many numbers, and how many libm misrounds."""
    assert level == SIMD
    rng, count, rounded_otherwise = np.random.default_rng(7), 0, 0
    for k in POWERS:
        x = [random_points(rng, POINTS), edges(k)]
        x = np.concatenate([*x, *([near(halfway(k, 3000), 1)] if k > 1 else [])])
        plain = x.tolist()
        values, gradients = both(recorded(k), x)
        assert_same(k, x, values, [a**k for a in plain])
        assert_same(k, x, gradients, [0.0 + (2 * a if k == 2 else k * a ** (k - 1)) for a in plain])
        count += 2 * x.size
        if k in (-1, 2):  # the processor rounds these correctly
            rounded_otherwise += np.count_nonzero((x * x if k == 2 else 1.0 / x) != values)
    for k in POWERS + OTHERS:
        tape, x = recorded(k), np.concatenate([odd(), random_points(rng, 13)])
        values, gradients = both(tape, x)
        single = [tape.value_and_grad(a, wrt="inputs") for a in x.tolist()]
        assert_same(k, x, values, [value for value, _ in single])
        assert_same(k, x, gradients, [0.0 + gradient for _, (gradient,) in single])
        count += 2 * x.size
    return count, rounded_otherwise


@pytest.mark.parametrize("level", LEVELS)
def test_powers_have_the_bits_of_libm(level, tmp_path, monkeypatch):
    monkeypatch.setenv("FASTGRAD_SIMD", level)
    source = f"import test_powers as t\nprint(*t.check_level({level!r}))"
    folders = [Path(__file__).parent, Path(__file__).parents[1]]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, folders)))
    process = python("-c", source, cwd=tmp_path)
    if process.returncode and "as this processor has" in process.stderr:
        pytest.skip(f"no {level} here")
    assert process.stderr == ""
    count, rounded_otherwise = map(int, process.stdout.split())
    assert count >= 2_000_000
    if not rounded_otherwise:
        pytest.skip("this libm rounds correctly: what decides who computes a power cannot be seen")


def test_powers_in_rows_of_any_length_equal_single_samples():
    """Rows end within a block of lanes; powers that follow one another become one step."""
    w = fg.Value(3.0)

    def function(x, y):
        return x**2 + y**2 + (x * w) ** 3 * (y**-1) + (x**4 + y**4) ** -2

    tape = fg.record(function, 1.0, 1.0)
    rng = np.random.default_rng(5)
    for n in (1, 7, 8, 63, 64, 65, 255, 256, 257, 1000):
        x, y = rng.uniform(0.5, 2.0, n), rng.uniform(0.5, 2.0, n)
        got = tape(x, y)
        single = [tape.value_and_grad(a, b, wrt="inputs") for a, b in zip(x, y, strict=True)]
        assert got.tolist() == [value for value, _ in single]
        _, gradients = tape.value_and_grad(x, y, wrt="inputs", reduce="sum")
        for mine, theirs in zip(gradients, zip(*(g for _, g in single), strict=True), strict=True):
            assert mine.tolist() == pytest.approx(theirs, rel=1e-13)
        _, (slope,) = tape.value_and_grad(x, y, reduce="sum")
        assert slope == pytest.approx(float(np.sum(3 * (x * 3.0) ** 2 * x / y)), rel=1e-12)


def libm(x, k):
    """Return libm's pow(x, k), or None where Python refuses it."""
    try:
        return math.pow(x, k)
    except (ValueError, OverflowError):  # ZeroDivisionError is no error of math.pow
        return None


@pytest.mark.parametrize("k", [2, 3, 4, -1, -2, 0.5, -0.5, 1, 0, 5, -3, 1.5, -1.5, 2.5])
def test_power_of_one_sample_has_the_bits_of_libm(k):
    wide = 500
    tape = fg.record(lambda x: [v**k for v in x], [1.5] * wide)
    rng = np.random.default_rng(11)
    x = [random_points(rng, 40_000), np.abs(random_points(rng, 40_000)), odd()]
    if k == int(k) and k:
        x.append(edges(int(k))[::7])
    if k in (2, 3, 4):
        x.append(near(halfway(k, 300), 1))
    if k in (0.5, -0.5):  # squares of numbers of few bits, and their neighbours
        x.append(near(rng.integers(1, 2**27, 2000).astype(float) ** 2 * 2.0**-40, 3))
    x = [a for a in np.concatenate(x).tolist() if libm(a, k) is not None]
    expected = np.array([libm(a, k) for a in x])
    x += [1.0] * (-len(x) % wide)
    got = np.concatenate([tape(np.array(x[at : at + wide])) for at in range(0, len(x), wide)])
    assert_same(k, np.array(x), got[: len(expected)], expected)
    for a, y in zip(x[:2000], expected.tolist(), strict=False):  # eagerly, with the derivative
        v = fg.Value(a)
        if a > 0.0:
            out = v**k
            out.backward()
            assert out.data == y
            if abs(k * libm(a, k - 1)) < math.inf:
                by = 2 * a if k == 2 else k * libm(a, k - 1) if k else 0.0
                assert v.grad == by
