"""Powers of plain exponents: exact where they are said to be, within their bound, the same bits.

Oracles: IEEE arithmetic for x, x * x, 1 / x and the root, mpmath for the others; single samples,
batches and eager code for each other.
"""

import math
import os
import sys
from pathlib import Path

import mpmath
import pytest
from helpers.processes import python

import fastgrad as fg
from fastgrad.tape import SIMD

np = pytest.importorskip("numpy")

LEVELS = ("baseline", "avx2", "avx512")
EXACT = {1: lambda x: x, 2: lambda x: x * x, -1: lambda x: 1.0 / x, 0.5: lambda x: np.sqrt(x) + 0.0}
TEXTS = (3, 4, -2, -3, -0.5)  # those that have texts of their own, too
OTHERS = (0, 5, -5, 1.5, -1.5, 2.5, 100)
POWERS = (*EXACT, *TEXTS, *OTHERS)


def random_points(rng, n):
    """Return numbers of either sign and all sizes, most of them near 1."""
    size = 2.0 ** np.where(
        rng.random(n) < 0.5, rng.integers(-40, 40, n), rng.integers(-1074, 1023, n)
    )
    return rng.choice((-1.0, 1.0), n) * rng.uniform(1.0, 2.0, n) * size


def odd():
    """Return numbers for which a power leaves the range, or never was in it."""
    tiny = [m * 2.0**e for e in range(-1074, 1023, 5) for m in (1.0, 1.5, 1.999)]
    some = [0.0, math.inf, math.nan, 5e-324, 1e-310, sys.float_info.min, sys.float_info.max]
    return np.array([s * x for x in some + tiny for s in (1.0, -1.0)])


def points(k):
    x = np.concatenate([odd(), random_points(np.random.default_rng(7), 5_000)])
    return x if k == int(k) else x[(x >= 0.0) | np.isnan(x)]


def recorded(k):
    return fg.record(lambda x: x**k, 1.5)


def assert_same(k, x, got, expected):
    """Compare bits, but those of a nan, whose sign nobody promises."""
    expected = np.array(expected, dtype=float)
    same = (got.view(np.int64) == expected.view(np.int64)) | (np.isnan(got) & np.isnan(expected))
    wrong = np.flatnonzero(~same)
    assert not wrong.size, [(k, float(x[i]).hex(), got[i], expected[i]) for i in wrong[:5]]


def check_level(level):
    """Compare batches with single samples in this process; return how many numbers."""
    assert level == SIMD
    count = 0
    for k in POWERS:
        tape, x = recorded(k), points(k)
        single = [tape.value_and_grad(a, wrt="inputs") for a in x.tolist()]
        assert_same(k, x, tape(x), [value for value, _ in single])
        _, (gradients,) = tape.value_and_grad(x, wrt="inputs", reduce="sum")
        assert_same(k, x, gradients, [0.0 + gradient for _, (gradient,) in single])
        tangents = tape.jvp((x,), (np.ones(x.size),))[1]
        assert_same(k, x, 0.0 + tangents, [0.0 + gradient for _, (gradient,) in single])
        count += 3 * x.size
    return count


@pytest.mark.parametrize("level", LEVELS)
def test_powers_in_batches_have_the_bits_of_single_samples(level, tmp_path, monkeypatch):
    monkeypatch.setenv("FASTGRAD_SIMD", level)
    source = f"import test_powers as t\nprint(t.check_level({level!r}))"
    folders = [Path(__file__).parent, Path(__file__).parents[1]]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, folders)))
    process = python("-c", source, cwd=tmp_path)
    if process.returncode and "as this processor has" in process.stderr:
        pytest.skip(f"no {level} here")
    assert process.stderr == ""
    assert int(process.stdout) >= 200_000


@pytest.mark.parametrize("k", EXACT)
def test_powers_that_are_one_operation_have_its_bits(k):
    x = points(k)
    x = x[x >= 0.0] if k == 0.5 else x
    with np.errstate(all="ignore"):
        assert_same(k, x, recorded(k)(x), EXACT[k](x))


@pytest.mark.parametrize("k", TEXTS + OTHERS)
def test_powers_are_within_their_bound(k):
    x = points(k)[::3]
    x = x[np.isfinite(x) & (x != 0.0)]
    with mpmath.workdps(50):
        for a, y in zip(x.tolist(), recorded(k)(x).tolist(), strict=True):
            true = mpmath.mpf(a) ** mpmath.mpf(k)
            if math.isinf(float(true)) or math.isinf(y):
                assert y == float(true), (k, a)
                continue
            bound = 0.55 if abs(true) >= sys.float_info.min else 0.8  # rounded twice
            assert abs(mpmath.mpf(y) - true) <= bound * math.ulp(float(true)), (k, a)


@pytest.mark.parametrize("k", POWERS)
def test_powers_in_eager_code_have_the_bits_of_tapes(k):
    tape, x = recorded(k), points(k)
    for a in x[np.isfinite(x) & (x > 0.0)].tolist()[::4]:
        value, (gradient,) = tape.value_and_grad(a, wrt="inputs")
        if math.isfinite(value):
            v = fg.Value(a)
            out = v**k
            out.backward()
            assert (out.data, v.grad) == (value, gradient), (k, a)
            assert fg.functional.pow(a, k) == value


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
