"""Errors and special values beside micrograd's, and the deliberate differences.

Oracle: PyPI's micrograd 0.1.0; each deliberate difference is a row with its reason.
"""

import copy
import itertools
import math
import operator
import pickle
import sys

import pytest
from helpers.reference import CLASSES, OURS, THEIRS, gradient, outcome, rows

np = pytest.importorskip("numpy")

# -- what raises, and what does not ---------------------------------------------------------------

RAISES = {
    "0**-1": (ZeroDivisionError, lambda V: V(0.0) ** -1),
    "v/0": (ZeroDivisionError, lambda V: V(1.0) / 0),
    "v/0.0": (ZeroDivisionError, lambda V: V(1.0) / 0.0),
    "v/Value(0)": (ZeroDivisionError, lambda V: V(1.0) / V(0.0)),
    "1/Value(0)": (ZeroDivisionError, lambda V: 1 / V(0.0)),
    "backward of 0**0.5": (ZeroDivisionError, lambda V: (V(0.0) ** 0.5).backward()),
    "2.**2000": (OverflowError, lambda V: V(2.0) ** 2000),
    "v/5e-324": (OverflowError, lambda V: V(1.0) / 5e-324),
    "1/Value(5e-324)": (OverflowError, lambda V: 1 / V(5e-324)),
    "an int too large": (OverflowError, lambda V: V(1.0) * 10**400),
    "v+'a'": (TypeError, lambda V: V(1.0) + "a"),
    "'a'+v": (TypeError, lambda V: "a" + V(1.0)),
    "v*'a'": (TypeError, lambda V: V(1.0) * "a"),
    "v+None": (TypeError, lambda V: V(1.0) + None),
    "None-v": (TypeError, lambda V: None - V(1.0)),
    "v+[1]": (TypeError, lambda V: V(1.0) + [1]),  # noqa: RUF005
    "v/'a'": (TypeError, lambda V: V(1.0) / "a"),
    "v/None": (TypeError, lambda V: V(1.0) / None),
    "v+object()": (TypeError, lambda V: V(1.0) + object()),
    "Value()": (TypeError, lambda V: V()),
    "pow of three": (TypeError, lambda V: pow(V(2.0), 2, 3)),
    "iter": (TypeError, lambda V: iter(V(1.0))),
    "len": (TypeError, lambda V: len(V(1.0))),
    "v[0]": (TypeError, lambda V: V(1.0)[0]),
    "v()": (TypeError, lambda V: V(1.0)()),
}


@CLASSES
@pytest.mark.parametrize(("error", "program"), RAISES.values(), ids=RAISES.keys())
def test_wrong_use_raises_in_both_libraries(Value, error, program):
    with pytest.raises(error):
        program(Value)


SILENT = {
    "1e308*10": lambda V: (V(1e308) * 10).data,
    "inf-inf": lambda V: repr((V(math.inf) - V(math.inf)).data),
    "nan*0": lambda V: repr((V(math.nan) * 0).data),
    "1e-320/2": lambda V: (V(1e-320) / 2).data,
    "denormal**2": lambda V: (V(1e-200) ** 2).data,
    "relu(-0.0)": lambda V: repr(V(-0.0).relu().data),
    "relu(nan)": lambda V: repr(V(math.nan).relu().data),
    "relu(inf)": lambda V: repr(V(math.inf).relu().data),
    "relu'(0)": gradient(lambda v: v.relu(), 0.0),
    "relu'(-0.0)": gradient(lambda v: v.relu(), -0.0),
    "relu'(nan)": gradient(lambda v: v.relu(), math.nan),
    "(x**1)' at 0": gradient(lambda v: v**1, 0.0),
    "(x**2)' at 0": gradient(lambda v: v**2, 0.0),
    "(x**0)' at 3": gradient(lambda v: v**0, 3.0),
    "inf**-1": lambda V: (V(math.inf) ** -1).data,
    "(-2)**3": lambda V: (V(-2.0) ** 3).data,
    "(-2)**-3.0": lambda V: (V(-2.0) ** -3.0).data,
    "0**0": lambda V: (V(0.0) ** 0).data,
    "-0.0+0": lambda V: repr((V(-0.0) + 0).data),
    "-0.0-0": lambda V: repr((V(-0.0) - 0).data),
    "-0.0 in sum": lambda V: repr(sum([V(-0.0)]).data),
    "-(0.0)": lambda V: repr((-V(0.0)).data),
    "0.0-0.0": lambda V: repr((V(0.0) - 0.0).data),
    "0-(0.0)": lambda V: repr((0 - V(0.0)).data),
}


@rows(SILENT)
def test_valid_use_raises_in_neither_library(program):
    assert program(OURS) == program(THEIRS)


SPECIALS = (0.0, -0.0, 1.0, -1.0, 0.5, 5e-324, 1e308, -1e308, math.inf, -math.inf, math.nan)
OPERATORS = {"+": operator.add, "*": operator.mul, "-": operator.sub, "/": operator.truediv}
SIDES = {  # which operands are Values
    "Value Value": (1, 1),
    "Value number": (1, 0),
    "number Value": (0, 1),
}


@pytest.mark.parametrize("sides", SIDES.values(), ids=SIDES.keys())
@pytest.mark.parametrize("apply", OPERATORS.values(), ids=OPERATORS.keys())
def test_operators_on_special_values_equal_micrograd(apply, sides):
    def program(V, x, y):
        return repr(apply(V(x) if sides[0] else x, V(y) if sides[1] else y).data)

    for x, y in itertools.product(SPECIALS, repeat=2):
        assert outcome(program, OURS, x, y) == outcome(program, THEIRS, x, y), (x, y)


@pytest.mark.parametrize("k", [0.5, -1.5, 1 / 3, -1.7, 1e-3, 2.5, 1e-300, 100, -7])
def test_derivatives_of_powers_are_close_to_micrograd(k):
    # Not the same bits: where k - 1 is rounded, fastgrad computes k * (x**k / x).
    for x in (0.3, 1.0, 2.7, 123.4):
        got, expected = (gradient(lambda v: v**k, x)(V) for V in (OURS, THEIRS))
        assert got == pytest.approx(expected, rel=8 * sys.float_info.epsilon, abs=0)


# -- deliberate differences -----------------------------------------------------------------------


def cutting_the_set(V):
    y = V(3.0) * 2
    y._prev.clear()
    return len(y._prev)


def seed(V):
    v = V(5.0)
    v.backward()
    return repr(v.grad)


def deepcopied_graph(V):
    y = copy.deepcopy(V(2.0) ** 3)
    y.backward()
    return [operand.grad for operand in y._prev]


def deep(V):
    x = y = V(1.0)
    for _ in range(2 * sys.getrecursionlimit()):
        y = y + 1
    y.backward()
    return x.grad


# name: program, what fastgrad gives, what micrograd gives, reason
DIFFERENCES = {
    "repr": (lambda V: repr(V(3)), "Value(data=3.0, grad=0.0)", "Value(data=3, grad=0)",
             "data and grad are always float"),
    "type of data": (lambda V: type((V(3) * 2).data), float, int,
                     "data and grad are always float"),
    "type of NumPy's data": (lambda V: type(V(np.float32(3)).data), float, np.float32,
                             "data and grad are always float"),
    "seed": (seed, "1.0", "1",
             "data and grad are always float"),
    "sign of zero": (lambda V: repr((V(0) * -1).data), "-0.0", "0",
                     "data are floats, whose zero has a sign"),
    "large ints": (lambda V: (V(2**53) + 1).data - 2**53, 0.0, 1,
                   "float64 inside, not Python's unbounded ints"),
    "set of operands": (cutting_the_set, 2, 0, "_prev is a picture of the graph, not its memory"),
    "copy of a graph": (deepcopied_graph, [12.0], [0],
                        "micrograd's copied closures still point at the originals"),
    "pickle": (lambda V: pickle.loads(pickle.dumps(V(3.5))).data, 3.5, AttributeError,
               "superset; micrograd holds a lambda"),
    "negative base": (lambda V: V(-8.0) ** 0.5, ValueError, None,
                      "micrograd goes complex, where no gradient follows"),
    "(x**0)' at 0": (gradient(lambda v: v**0, 0.0), 0.0, ZeroDivisionError,
                     "the derivative of a constant is 0"),
    "Value**Value": (lambda V: (V(2.0) ** V(3.0)).data, 8.0, AssertionError, "superset"),
    "2**Value": (lambda V: (2 ** V(3.0)).data, 8.0, TypeError, "superset"),
    "np.float64**Value": (lambda V: (np.float64(2) ** V(3.0)).data, 8.0, TypeError, "superset"),
    "Value**np.int64": (lambda V: (V(2.0) ** np.int64(3)).data, 8.0, AssertionError, "superset"),
    "v**'a'": (lambda V: V(2.0) ** "a", TypeError, AssertionError,
               "an error says what was expected; assert may be switched off"),
    "v**None": (lambda V: V(2.0) ** None, TypeError, AssertionError,
                "an error says what was expected; assert may be switched off"),
    "ordering": (lambda V: V(1.0) < V(2.0), True, TypeError, "superset: by data"),
    "float": (lambda V: float(V(1.5)), 1.5, TypeError, "superset"),
    "format": (lambda V: f"{V(1.5):.2f}", "1.50", TypeError, "superset"),
    "abs": (lambda V: abs(V(-1.5)).data, 1.5, TypeError, "superset"),
    "exp": (lambda V: V(0.0).exp().data, 1.0, AttributeError, "superset"),
    "str": (lambda V: V("a"), TypeError, None, "refused at once, not at the first operation"),
    "None": (lambda V: V(None), TypeError, None, "refused at once, not at the first operation"),
    "list": (lambda V: V([1]), TypeError, None, "refused at once, not at the first operation"),
    "complex": (lambda V: V(1j), TypeError, None, "float64 inside"),
    "set data to str": (lambda V: setattr(V(1.0), "data", "a"), TypeError, None, "float64 inside"),
    "set grad to None": (lambda V: setattr(V(1.0), "grad", None), TypeError, None,
                         "float64 inside; zero_grad() sets 0"),
    "operands that are numbers": (lambda V: V(1.0, (2.0,)), TypeError, None,
                                  "refused at once, not when backward meets them"),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(
    ("program", "ours", "theirs", "reason"), DIFFERENCES.values(), ids=DIFFERENCES.keys()
)
def test_deliberate_differences_from_micrograd_hold(program, ours, theirs, reason):
    assert reason
    assert outcome(program, OURS) == ours
    if theirs is not None:  # None: it succeeds, with something that is not worth comparing
        assert outcome(program, THEIRS) == theirs
    else:
        assert not isinstance(outcome(program, THEIRS), type)


@pytest.mark.wide
def test_deep_graph_raises_in_micrograd_only():
    assert outcome(deep, OURS) == 1.0  # any depth
    assert outcome(deep, THEIRS) is RecursionError


@pytest.mark.parametrize("zero", [np.float64(0), np.float32(0), np.int64(0)], ids=type)
def test_division_by_numpy_zero_raises(zero):
    # micrograd: NumPy's scalar warns and gives inf, or refuses integers to negative powers.
    with pytest.raises(ZeroDivisionError):
        OURS(1.0) / zero
