"""How far the values and partials of the table's rows are from the exact ones.

Two oracles for one number of units in the last place. mpmath judges: in 60 digits, on the row's
formula and its derivative. The C library's functions of long doubles, of 64 bits, look through very
many points where mpmath would take hours, and say which are the worst: mpmath judges those.
"""

import ast
import functools
import math
import random
import sys
from pathlib import Path

import mpmath
import pytest

from fastgrad import functional, record
from fastgrad.engine import Value

TOOLS = Path(__file__).resolve().parents[2] / "tools" / "ops"
if not (TOOLS / "expression.py").exists():
    pytest.skip("no source tree", allow_module_level=True)
sys.path.insert(0, str(TOOLS))

import expression  # noqa: E402

np = pytest.importorskip("numpy")

SUBNORMAL = 0.8  # units: such a result is rounded twice
SMALLEST_NORMAL = 2.0**-1022

# What fastgrad calls so, defined by what every library has.
DEFINED = {
    "acosh_slope": ("u", "1 / sqrt((u - 1) * (u + 1))"),
    "asin_slope": ("u", "1 / sqrt((1 - u) * (1 + u))"),
    "asinh_slope": ("u", "1 / sqrt(1 + u * u)"),
    "atan_slope": ("u", "1 / (1 + u * u)"),
    "atanh_slope": ("u", "1 / ((1 - u) * (1 + u))"),
    "cbrt_slope": ("u", "1 / (3 * cbrt(u) * cbrt(u))"),
    "hypot_slope": ("uv", "u / hypot(u, v)"),
    "over_square": ("uv", "u / (u * u + v * v)"),
    "sigmoid": ("u", "1 / (1 + exp(-u))"),
    "sigmoid_slope": ("u", "1 / ((1 + exp(-u)) * (1 + exp(u)))"),
    "tan_slope": ("u", "1 / (cos(u) * cos(u))"),
    "tanh_slope": ("u", "1 / (cosh(u) * cosh(u))"),
}


def defined(library, number):
    """Return these functions, made of a library's."""
    known = {name: names for name, names in DEFINED.items() if name in expression.FUNCTIONS}
    return {
        name: expression.function(text, library, number, names)
        for name, (names, text) in known.items()
    }


MPMATH = {name: getattr(mpmath.mp, name, None) for name in expression.FUNCTIONS}
MPMATH |= {
    "cbrt": lambda u: mpmath.sign(u) * mpmath.cbrt(abs(u)),  # the real root
    "exp2": lambda u: mpmath.mpf(2) ** u,
    "density": mpmath.npdf,
    "fabs": abs,
    "floordiv": lambda u, v: mpmath.floor(u / v),
    "fma": lambda u, v, w: u * v + w,
    "gauss": lambda u: 2 / mpmath.sqrt(mpmath.pi) * mpmath.exp(-u * u),
    "gelu": lambda u: u * mpmath.ncdf(u),
    "gelu_slope": lambda u: mpmath.ncdf(u) + u * mpmath.npdf(u),
    "lgamma": lambda u: mpmath.re(mpmath.loggamma(u)),
    "log2": lambda u: mpmath.log(u, 2),
    "logaddexp": lambda u, v: max(u, v) + mpmath.log1p(mpmath.exp(-abs(u - v))),
    "mod": lambda u, v: u - v * mpmath.floor(u / v),
    "pentagamma": lambda u: mpmath.polygamma(3, u),
    "pow": mpmath.mp.power,
    "power": mpmath.mp.power,
    "rint": mpmath.nint,
    "round": lambda u, n: mpmath.nint(u * mpmath.mpf(10) ** n) / mpmath.mpf(10) ** n,
    "share": lambda u, v: 1 / (1 + mpmath.exp(v - u)),
    "softplus": lambda u: mpmath.log1p(mpmath.exp(u)),
    "tetragamma": lambda u: mpmath.polygamma(2, u),
    "trigamma": lambda u: mpmath.polygamma(1, u),
}
MPMATH |= defined(MPMATH, mpmath.mpf)


class Exact:
    """The textbook's formula and its derivatives, in 60 digits; more where it has floor(a / b)."""

    def __init__(self, row):
        self.digits = 700 if row.name in ("mod", "floordiv") else 60
        tree = expression.parse(row.formula)
        trees = [tree, *(expression.derivative(tree, name) for name in "ab"[: row.arity])]
        self.functions = [expression.function(tree, MPMATH, mpmath.mpf) for tree in trees]

    def __call__(self, operands):
        """Return value and partials; None where the formula has none."""
        a, b = (mpmath.mpf(x) for x in (*operands, 0.0)[:2])
        with mpmath.workdps(self.digits):
            return [self.attempt(function, a, b) for function in self.functions]

    @staticmethod
    def attempt(function, a, b):
        try:
            return function(a, b, None)
        except (ValueError, ZeroDivisionError):
            return None


def ulps(got, exact, unit=None):
    """Return the distance in units in the last place, of the exact value or of `unit`."""
    if isinstance(exact, mpmath.mpc):  # the derivative of (-3)**b in b
        return 0.0 if math.isnan(got) else math.inf
    rounded = float(exact)
    if math.isinf(rounded) or not math.isfinite(got):
        return 0.0 if got == rounded else math.inf
    with mpmath.workdps(60):
        return float(abs(mpmath.mpf(got) - exact) / math.ulp(rounded if unit is None else unit))


def unit_of_partials(row, operands):
    """Return the size of the terms where the terms of a partial cancel."""
    low, high, size = row.cancels or (0.0, -1.0, 0.0)
    return size if low <= operands[0] <= high else None


def bound(row, place, exact):
    """Return what a row promises of its value (place 0) or of a partial, in units."""
    promised = row.slopes if place else row.tolerance
    return max(promised, SUBNORMAL) if abs(exact) < SMALLEST_NORMAL else promised


def by_fastgrad(row, operands):
    """Return the value and the partials that fastgrad computes."""
    values = [Value(x) for x in operands[: row.arity]]
    result = getattr(functional, row.variant_of or row.name)(*values, *operands[row.arity :])
    result.backward()
    return result.data, [value.grad for value in values]


def check(row, points, evaluate=by_fastgrad):
    """Raise AssertionError unless value and partials are within what the row promises."""
    exact = Exact(row)
    for operands in points:
        y, partials = evaluate(row, operands)
        judge(row, operands, [y, *partials], exact(operands))


def judge(row, operands, got, exact):
    """Raise AssertionError unless these values are within what the row promises; return errors."""
    errors = []
    for place, (value, true) in enumerate(zip(got, exact, strict=False)):
        if true is None:
            continue
        error = ulps(value, true, unit_of_partials(row, operands) if place else None)
        name = ("y", "dy/da", "dy/db")[place]
        most = math.inf if isinstance(true, mpmath.mpc) else bound(row, place, true)
        assert error <= most, (
            f"{name} of {row.name}{tuple(operands)} is {value!r}, {error:.4g} ulp from"
            f" {mpmath.nstr(true, 20)}: more than {most}"
        )
        errors.append(error)
    return errors


def sample(row, count):
    """Return random points of a row's domain: uniform, or so in the exponent, all of it or near 1.

    Where a formula changes into another is near 1, mostly: a wide domain alone would hardly see it.
    """
    rng = random.Random(row.name)

    def one(low, high):
        if type(low) is int:
            return float(rng.randint(low, high))
        while (kind := rng.random()) < 0.7:
            largest = math.log10(max(-low, high))
            x = 10.0 ** (rng.uniform(-300, largest) if kind < 0.35 else rng.uniform(-2, 2))
            x = math.copysign(x, rng.random() - 0.5)
            if low <= x <= high:
                return x
        return rng.uniform(low, high)

    return [[one(*interval) for interval in row.domain] for _ in range(count)]


# -- very many points ------------------------------------------------------------------------------

LONG = np.longdouble
LONG_IS_LONGER = np.finfo(LONG).nmant >= 63
TRUST = 0.05  # units that an answer in long doubles may err by
JUDGED = 24  # points that mpmath judges of those looked through: half the worst, half any

NAMES = {"acos": "arccos", "asin": "arcsin", "atan": "arctan", "atan2": "arctan2", "fabs": "abs"}
NAMES |= {"acosh": "arccosh", "asinh": "arcsinh", "atanh": "arctanh", "pow": "power"}
LONGS = {name: getattr(np, NAMES.get(name, name), None) for name in expression.FUNCTIONS}
LONGS |= {
    "where": np.where,
    "logical_and": np.logical_and,
    "logical_or": np.logical_or,
    "logical_not": np.logical_not,
    "gauss": lambda u: 2 / np.sqrt(LONG("3.14159265358979323846264338327950288")) * np.exp(-u * u),
}
LONGS |= defined(LONGS, LONG)


class Elementwise(ast.NodeTransformer):
    """Make a text's choices those of NumPy, which chooses for each element."""

    def visit_IfExp(self, node):
        self.generic_visit(node)
        return ast.Call(ast.Name("where", ast.Load()), [node.test, node.body, node.orelse], [])

    def visit_BoolOp(self, node):
        self.generic_visit(node)
        name = "logical_and" if isinstance(node.op, ast.And) else "logical_or"
        return functools.reduce(
            lambda left, right: ast.Call(ast.Name(name, ast.Load()), [left, right], []), node.values
        )

    def visit_UnaryOp(self, node):
        self.generic_visit(node)
        if isinstance(node.op, ast.Not):
            return ast.Call(ast.Name("logical_not", ast.Load()), [node.operand], [])
        return node


def long_functions(row):
    """Return functions of arrays: the row's formula and its derivatives in long doubles."""
    tree = expression.parse(row.formula)
    trees = [tree, *(expression.derivative(tree, name) for name in "ab"[: row.arity])]
    return [expression.function(Elementwise().visit(t), LONGS, LONG) for t in trees]


def by_tape(row, columns):
    """Return the values and partials of many samples, from a batch."""
    function = getattr(functional, row.name)
    tape = record(lambda *xs: function(*xs), *(float(column[0]) for column in columns))
    value, partials = tape.value_and_grad(*columns, wrt="inputs", reduce=None)
    return [np.asarray(value), *map(np.asarray, partials)]


def look_through(row, columns):
    """Hold a row to its promise at all points; return the largest errors of value and partials."""
    got, operands = by_tape(row, columns), [column.astype(LONG) for column in columns]
    exact, worst = Exact(row), [0.0] * (1 + row.arity)
    suspects = set(random.Random(row.name).sample(range(len(columns[0])), JUDGED // 2))
    looked = []
    with np.errstate(all="ignore"):
        for values, function in zip(got, long_functions(row), strict=True):
            true = np.broadcast_to(function(*operands, *[None] * (3 - len(operands))), values.shape)
            unit = np.spacing(np.abs(true.astype(float)))
            errors = (np.abs(values - true) / unit).astype(float)
            rounded = true.astype(float)
            agree = (values == rounded) & np.isinf(rounded) | np.isnan(values) & np.isnan(rounded)
            errors[agree] = 0.0
            errors = np.where(np.isfinite(errors), errors, np.inf)
            suspects |= set(np.argsort(errors)[-(JUDGED // 2) :].tolist())
            looked.append(errors)
    for i in sorted(suspects):
        point = [float(column[i]) for column in columns]
        true = exact(point)
        judge(row, point, [float(values[i]) for values in got], true)
        for place, errors in enumerate(looked):
            if true[place] is None or isinstance(true[place], mpmath.mpc):
                continue
            error = ulps(float(got[place][i]), true[place])
            away = abs(error - errors[i])
            assert away <= TRUST or errors[i] == error, (row.name, place, point, error, errors[i])
            worst[place] = max(worst[place], error)
    return worst
