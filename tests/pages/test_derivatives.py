"""Derivatives as pages show them are those of the table.

Oracle: the partials that the table computes, at random points of each row's domain.
"""

import math
import random

import pytest

from fastgrad import functional, ops
from fastgrad.engine import Value
from fastgrad.pages.derivatives import formula_of, partials_of

mpmath = pytest.importorskip("mpmath")

NAMES = {
    **{name: getattr(math, name) for name in (
        "exp", "log", "log1p", "expm1", "sin", "cos", "tan", "asin", "acos", "atan", "atan2",
        "sqrt", "sinh", "cosh", "tanh", "erf", "erfc", "hypot", "fabs", "floor", "ceil", "lgamma",
        "asinh", "acosh", "atanh", "log2", "log10", "exp2", "cbrt", "pow", "pi", "inf")},
    "rint": round,
    "floordiv": lambda a, b: a // b,
    "digamma": lambda a: float(mpmath.digamma(a)),
    "trigamma": lambda a: float(mpmath.psi(1, a)),
    "polygamma": lambda n, a: float(mpmath.psi(n, a)),
    "sigmoid": lambda a: 1 / (1 + math.exp(-a)),
}  # fmt: skip


@pytest.mark.parametrize("row", ops.native(), ids=[row.name for row in ops.native()])
def test_formulas_give_what_the_table_computes(row):
    rng = random.Random(5)
    function = getattr(functional, row.variant_of or row.name)
    for _ in range(40):
        numbers = [rng.uniform(max(low, -4), min(high, 4)) for low, high in row.domain]
        if row.name in ("pow_number", "round"):
            numbers[1] = float(rng.randint(2, 4))
        operands = [Value(x) for x in numbers[: row.arity]]
        rest = [int(x) if row.name == "round" else x for x in numbers[row.arity :]]
        out = function(*operands, *rest)
        out.backward()
        known = dict(zip("ab", numbers, strict=False)) | {"y": out.data}
        value = lambda text, known=known: eval(text, NAMES | known)  # noqa: E731
        assert value(formula_of(row.name)) == pytest.approx(out.data, rel=1e-9, abs=1e-12)
        for text, operand in zip(partials_of(row.name), operands, strict=True):
            assert value(text) == pytest.approx(operand.grad, rel=1e-9, abs=1e-12), text
