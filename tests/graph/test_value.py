"""Value as a number: accepted and refused operands, NumPy, comparison, formatting.

Oracle: Python's own floats, and NumPy on plain floats.
"""

import contextlib
import decimal
import fractions
import gc
import math
import operator
import re

import pytest
from helpers.graphs import live

from fastgrad import Value, functional, no_grad
from fastgrad.engine import arena_stats, build_info

np = pytest.importorskip("numpy")
pytestmark = pytest.mark.usefixtures("sound_arena")

OPERATORS = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "**": operator.pow,
}
EVERY_OPERATOR = pytest.mark.parametrize("apply", OPERATORS.values(), ids=OPERATORS.keys())


def by_type(x):
    return type(x).__name__


class Float:
    """What converts by __float__."""

    def __float__(self):
        return 2.5


class Index:
    """What converts by __index__."""

    def __index__(self):
        return 3


class FloatSubclass(float):
    def __repr__(self):
        return "never shown"


class Raising:
    def __float__(self):
        raise LookupError("no number here")


NUMBERS = [
    3, True, 2.5, -0.0, 10**20, FloatSubclass(1.5), Float(), Index(), fractions.Fraction(3, 8),
    decimal.Decimal("0.1"), np.float64(2.5), np.float32(0.1), np.float16(0.1), np.longdouble(0.5),
    np.int64(-3), np.int8(7), np.uint64(2**63), np.bool_(True), np.array(4.5), Value(2.5),
]  # fmt: skip
NO_NUMBERS = [
    "a", b"1", None, [1], (1.0,), {1: 2}, {1}, 1j, np.complex128(1j), np.complex64(2),
    object(), float, print, np.array([1.0]), np.array([1.0, 2.0]), np.array([]),
]  # fmt: skip


# -- numbers in --------------------------------------------------------------------------------


@pytest.mark.parametrize("number", NUMBERS, ids=by_type)
def test_data_and_grad_accept_anything_convertible_to_float(number):
    v = Value(number)
    assert (type(v.data), v.data) == (float, float(number))
    v = Value(1.0)
    v.data = v.grad = number
    assert (v.data, v.grad) == (float(number), float(number))
    assert type(v.data) is type(v.grad) is float


@EVERY_OPERATOR
@pytest.mark.parametrize("number", NUMBERS, ids=by_type)
def test_operators_accept_convertible_right_operands(apply, number):
    v = Value(1.5)
    try:
        k = float(number)
        expected = 1.5 * k**-1 if apply is operator.truediv else apply(1.5, k)
    except ArithmeticError as error:
        with pytest.raises(type(error)):
            apply(v, number)
        return
    y = apply(v, number)
    y.backward()
    assert type(y) is Value
    assert y.data == expected
    name = next(name for name, f in OPERATORS.items() if f is apply)
    slopes = {"*": lambda: k, "/": lambda: 1 / k, "**": lambda: k * 1.5 ** (k - 1)}
    assert v.grad == pytest.approx(slopes.get(name, lambda: 1.0)(), rel=1e-15)


@pytest.mark.parametrize("number", [n for n in NUMBERS if float(n) != 0], ids=by_type)
@pytest.mark.parametrize("name", ["+", "-", "*", "/"])
def test_operators_accept_convertible_left_operands(name, number):
    v = Value(1.5)
    y = OPERATORS[name](number, v)
    y.backward()
    expected = {"+": 1.0, "-": -1.0, "*": float(number), "/": -float(number) / 1.5**2}
    assert type(y) is Value
    assert y.data == pytest.approx(OPERATORS[name](float(number), 1.5), rel=1e-15)
    assert v.grad == pytest.approx(expected[name], rel=1e-15)


def test_value_of_a_value_is_a_new_leaf():
    a = Value(2.0)
    b = Value(a)
    (b * 3).backward()
    assert (a.grad, b.grad, b._prev) == (0.0, 3.0, set())


def test_new_value_has_default_attributes():
    v = Value(2.0)
    assert (v.data, v.grad, v._prev, v._op, v.label) == (2.0, 0.0, set(), "", "")
    assert vars(v) == {}


def test_constructor_accepts_keywords_of_micrograd_variants():
    a, b = Value(1.0), Value(2.0)
    for keyword in ("_children", "children", "_prev"):
        assert Value(3.0, **{keyword: (a, b)})._prev == {a, b}
    assert Value(3.0, (a,), "name", "text").label == "text"
    assert Value(3.0, label="text").label == "text"
    assert Value(3.0, op="name")._op == Value(3.0, _op="name")._op == "name"
    assert Value(data=3.0).data == 3.0


def test_constructor_accepts_any_iterable_of_operands():
    a, b = Value(1.0), Value(2.0)
    for operands in ((a, b, a), [a, b], {a, b}, {a: 1, b: 2}, iter([a, b]), (v for v in (a, b))):
        assert Value(3.0, operands)._prev == {a, b}


# -- bad input ----------------------------------------------------------------------------------


@contextlib.contextmanager
def refused(match, *values):
    """Expect a TypeError in these words, and that nothing has changed."""
    before = [(v.data, v.grad, v._prev, v._op, dict(vars(v))) for v in values]
    gc.disable()  # or older garbage could go meanwhile
    try:
        nodes = live()
        with pytest.raises(TypeError, match=match) as caught:
            yield
        del caught
        assert live() == nodes
    finally:
        gc.enable()
    assert [(v.data, v.grad, v._prev, v._op, dict(vars(v))) for v in values] == before


@pytest.mark.parametrize("wrong", NO_NUMBERS, ids=by_type)
def test_data_that_is_no_number_is_refused(wrong):
    got = rf"expected a number, got {type(wrong).__name__} "
    with refused(got + r".*\(data of Value\); pass an int, a float or"):
        Value(wrong)
    v = Value(1.0) * 2
    v.grad = 5.0
    with refused(got + r".*\(data of Value\)", v):
        v.data = wrong
    with refused(got + r".*\(grad of Value\)", v):
        v.grad = wrong


@EVERY_OPERATOR
@pytest.mark.parametrize("wrong", ["a", b"1", None, [1], (1.0,), {1: 2}, {1}, 1j], ids=by_type)
def test_operand_that_is_no_number_is_refused(apply, wrong):
    v = Value(2.0)
    symbol = re.escape(next(name for name, f in OPERATORS.items() if f is apply))
    words = (
        rf"expected a Value or a number, got {type(wrong).__name__} .*"
        rf"\(operand of {symbol}\); convert it with float\(\)"
    )
    with refused(words, v):
        apply(v, wrong)
    with refused(words, v):
        apply(wrong, v)


@EVERY_OPERATOR
@pytest.mark.parametrize("wrong", [object(), float, print], ids=by_type)
def test_unknown_operand_raises_the_message_of_python(apply, wrong):
    v = Value(2.0)
    with refused(f"unsupported operand.*'Value' and '{type(wrong).__name__}'", v):
        apply(v, wrong)
    with refused(f"unsupported operand.*'{type(wrong).__name__}' and 'Value'", v):
        apply(wrong, v)


def test_operand_with_reflected_methods_is_asked():
    class Dual:
        def __radd__(self, other):
            return "mine"

        __rsub__ = __rmul__ = __rtruediv__ = __rpow__ = __radd__

    for apply in OPERATORS.values():
        assert apply(Value(1.0), Dual()) == "mine"


BAD_CALLS = {
    "no data": (lambda v: Value(), "argument"),
    "operands not iterable": (lambda v: Value(1.0, 3), "Values as operands, got int 3 .second"),
    "a bare operand": (lambda v: Value(1.0, v), "Values as operands, got Value"),
    "a number as operand": (
        lambda v: Value(1.0, (v, 2.0)),
        r"expected Values as operands, got float 2\.0 .*wrap numbers: Value\(2\.0\)",
    ),
    "None as operand": (lambda v: Value(1.0, (None,)), "expected Values as operands, got NoneType"),
    "letters as operands": (
        lambda v: Value(1.0, "+"),
        r"expected Values as operands, got str '\+'",
    ),
    "unknown keyword": (
        lambda v: Value(1.0, foo=2),
        "expected data, _children, _op, label, local_grads, grad, got 'foo' \\(keyword of Value\\)",
    ),
    "too many": (lambda v: Value(1.0, (), "", "", 5), "argument"),
    "modulus": (lambda v: pow(v, 2, 3), "modulus"),
    "arguments of a method": (lambda v: v.exp(3), "argument"),
    "parameter of a method": (lambda v: v.leaky_relu("x"), "expected a number, got str 'x'"),
    "operand of a method": (lambda v: v.hypot("x"), "expected a Value or a number, got str 'x'"),
    "object to a method": (lambda v: v.hypot(object()), "expected a Value or a number, got object"),
    "arguments of backward": (lambda v: v.backward(1.0, 2.0), "argument"),
    "@": (lambda v: v @ v, "unsupported operand"),
    "//": (lambda v: v // "a", r"expected a Value or a number, got str 'a' \(operand of //"),
    "%": (lambda v: v % None, r"expected a Value or a number, got NoneType None \(operand of %"),
    "<": (lambda v: v < "a", "not supported between instances of 'Value' and 'str'"),
    ">=": (lambda v: v >= None, "not supported between instances of 'Value' and 'NoneType'"),
    "len": (len, "has no len"),
    "iter": (iter, "not iterable"),
    "a call": (lambda v: v(), "not callable"),
}


@pytest.mark.parametrize(("call", "match"), BAD_CALLS.values(), ids=BAD_CALLS.keys())
def test_wrong_calls_are_refused(call, match):
    v = Value(2.0)
    with refused(match, v):
        call(v)


def test_value_in_use_cannot_be_reinitialised_with_operands():
    v = Value(2.0)
    v.__init__(3.0)
    assert v.data == 3.0
    y = v * 2
    with refused("expected a new Value, got one that .*make another", y, v):
        v.__init__(5.0, (Value(1.0),))
    with pytest.raises(TypeError):
        v.__init__("a")
    assert v.data == 3.0


@pytest.mark.parametrize("name", ["data", "grad"])
def test_data_and_grad_cannot_be_deleted(name):
    v = Value(2.0)
    with pytest.raises((AttributeError, TypeError)):
        delattr(v, name)
    assert (v.data, v.grad) == (2.0, 0.0)


@EVERY_OPERATOR
def test_exception_of_a_conversion_is_passed_on(apply):
    v = Value(2.0)
    for operands in ((v, Raising()), (Raising(), v)):
        with pytest.raises(LookupError, match="no number here"):
            apply(*operands)
    with pytest.raises(LookupError):
        Value(Raising())
    with pytest.raises(LookupError):
        v.data = Raising()
    assert v.data == 2.0
    with pytest.raises(OverflowError):
        apply(v, 10**400)


# -- NumPy's scalars and arrays --------------------------------------------------------------------

SCALARS = [
    np.float64(1.5),
    np.float32(1.5),
    np.float16(1.5),
    np.int64(2),
    np.uint8(2),
    np.longdouble(2),
]


@EVERY_OPERATOR
@pytest.mark.parametrize("k", SCALARS, ids=by_type)
def test_numpy_scalar_operand_gives_one_value(apply, k):
    for y, expected in (
        (apply(Value(0.75), k), apply(Value(0.75), float(k))),
        (apply(k, Value(0.75)), apply(float(k), Value(0.75))),
    ):
        assert type(y) is Value
        assert (y.data, y._op.rstrip(".0")) == (expected.data, expected._op.rstrip(".0"))


def numbers_of(values):
    """Read an array of Values, which under no_grad loses no gradient."""
    with no_grad():
        return np.asarray(values, float)


@EVERY_OPERATOR
def test_array_operands_are_applied_element_by_element(apply):
    numbers, others = np.array([0.5, 1.5, 2.5]), np.array([2.0, 3.0, 0.25])
    xs = np.array([Value(x) for x in numbers])
    v = Value(1.25)
    for got, expected in (
        (apply(xs, others), apply(numbers, others)),
        (apply(others, xs), apply(others, numbers)),
        (apply(xs, xs), apply(numbers, numbers)),
        (apply(xs, v), apply(numbers, 1.25)),
        (apply(v, xs), apply(1.25, numbers)),
        (apply(v, others), apply(1.25, others)),
        (apply(others, v), apply(others, 1.25)),
        (apply(xs, 2), apply(numbers, 2)),
        (apply(xs.reshape(3, 1), others), apply(numbers.reshape(3, 1), others)),
    ):
        assert (got.dtype, got.shape) == (object, expected.shape)
        assert all(type(y) is Value for y in got.flat)
        assert numbers_of(got) == pytest.approx(expected, rel=1e-15)


def test_arrays_of_values_support_in_place_operators():
    xs = np.array([Value(1.0), Value(2.0)])
    xs *= Value(3.0)
    xs += 1
    xs -= np.array([0.5, 1.5])
    assert [x.data for x in xs] == [3.5, 5.5]


def test_products_and_sums_of_arrays_equal_numpy():
    a, b = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([0.5, -1.0])
    A, B = (np.vectorize(Value, otypes=[object])(m) for m in (a, b))
    for got, expected in (
        (A @ B, a @ b),
        (A @ b, a @ b),
        (a @ B, a @ b),
        (np.dot(A, B), a @ b),
        (B @ B, b @ b),
        (A.T @ A, a.T @ a),
        (np.sum(A), np.sum(a)),
        (A.sum(axis=0), a.sum(axis=0)),
        (np.mean(A), np.mean(a)),
        (np.prod(B), np.prod(b)),
        (np.cumsum(B), np.cumsum(b)),
        (np.outer(B, b), np.outer(b, b)),
        (np.trace(A), np.trace(a)),
        (np.max(A), np.max(a)),
        (np.sort(B), np.sort(b)),
    ):
        assert numbers_of(got) == pytest.approx(expected)
    loss = ((A @ B - 1.0) ** 2).sum()
    loss.backward()
    gradient = 2 * np.outer(a @ b - 1.0, b)
    assert np.array([v.grad for v in A.flat]).reshape(2, 2) == pytest.approx(gradient)


UNARY = [
    np.exp, np.expm1, np.log, np.log1p, np.sqrt, np.sin, np.cos, np.tan, np.arcsin, np.arccos,
    np.arctan, np.sinh, np.cosh, np.tanh, np.abs, np.negative, np.square,
]  # fmt: skip


@pytest.mark.parametrize("ufunc", UNARY, ids=lambda f: f.__name__)
def test_ufuncs_of_arrays_have_values_and_gradients(ufunc):
    numbers = np.array([0.25, 0.5, 0.875])
    xs = np.array([Value(x) for x in numbers])
    got = ufunc(xs)
    assert numbers_of(got) == pytest.approx(ufunc(numbers), rel=1e-15)
    got.sum().backward()
    h = 1e-6
    slopes = (ufunc(numbers + h) - ufunc(numbers - h)) / (2 * h)
    assert [x.grad for x in xs] == pytest.approx(slopes, rel=1e-8)


@pytest.mark.parametrize("ufunc", [np.power, np.arctan2, np.hypot, np.maximum, np.minimum])
def test_binary_ufuncs_of_arrays_equal_numpy(ufunc):
    a, b = np.array([0.25, 2.0]), np.array([1.5, 0.75])
    A, B = (np.array([Value(x) for x in m]) for m in (a, b))
    assert numbers_of(ufunc(A, B)) == pytest.approx(ufunc(a, b))


def test_arrays_of_values_convert_to_floats():
    assert np.asarray([Value(1.5), Value(2.5)], dtype=float).tolist() == [1.5, 2.5]
    assert np.array([Value(1.5), 2.0]).dtype == object


# -- comparison, conversion, text ------------------------------------------------------------------


def test_comparison_is_by_data():
    a, b, c = Value(1.0), Value(2.0), Value(2.0)
    assert a < b
    assert b > a
    assert a <= b <= c
    assert b >= c >= a
    assert not b < c
    assert a < 1.5 < b
    assert a <= 1
    assert a >= np.float64(1)
    assert np.float64(1.5) > a
    assert not a < math.nan
    assert not Value(math.nan) <= Value(math.nan)
    assert sorted([b, a]) == [a, b]
    assert max(a, b) is b
    assert max(b, c) is b
    assert min([b, a, 3.0]) is a
    assert max([a, b], key=float) is b


def test_equality_is_by_identity():
    a, b = Value(1.0), Value(1.0)
    assert a == a
    assert a != b
    assert not a == b  # noqa: SIM201
    assert a != 1.0
    assert a != "a"
    assert a != None  # noqa: E711
    assert np.float64(1) != a
    assert a.__eq__(1.0) is NotImplemented
    assert [a].index(a) == 0
    assert a not in [b, 1.0]
    assert len({a, b, a}) == 2
    assert len({hash(a), hash(b)}) == 2
    assert {a: 1}.get(b) is None


def test_value_converts_to_float_complex_and_bool():
    v = Value(-2.5)
    assert float(v) == -2.5
    assert type(float(v)) is float
    assert complex(v) == -2.5
    assert math.exp(v) == math.exp(-2.5)
    assert math.fsum([v, v]) == -5.0
    assert bool(Value(0.0)) is True
    assert bool(Value(math.nan)) is True
    assert abs(v).data == 2.5


@pytest.mark.parametrize("x", [3, 0.1, -0.0, 1e-300, 1e300, math.inf, -math.inf, math.nan])
def test_repr_str_and_format_show_data(x):
    v = Value(x)
    text = f"Value(data={float(x)!r}, grad=0.0)"
    assert (repr(v), str(v), f"{v}", f"{v!r}", format(v, "")) == (text,) * 5
    assert f"{v:.3f}|{v:>12.2e}|{v:+g}" == f"{x:.3f}|{x:>12.2e}|{x:+g}"
    assert "%.4f" % v == "%.4f" % x  # noqa: UP031
    with pytest.raises(ValueError, match="format"):
        format(v, "d")


def test_arena_stats_count_live_nodes():
    before = arena_stats()
    a = Value(1.0)
    y = a * a + 2
    after = arena_stats()
    assert after["live_nodes"] - before["live_nodes"] == 4
    assert after["live_leaves"] - before["live_leaves"] == 2
    del y, a
    assert arena_stats()["live_nodes"] == before["live_nodes"]
    assert set(after) == {"live_nodes", "live_leaves", "chunks", "free_chunks", "blocks", "bytes"}
    assert all(type(count) is int and count >= 0 for count in after.values())
    info = build_info()
    assert info["chunk_nodes"] & (info["chunk_nodes"] - 1) == 0
    assert info["node_bytes"] <= 40
    assert info["handle_bytes"] <= 56


NAMED = {  # what the program wrote, and what a message must say
    "a function": (lambda v: functional.greater(1, None), TypeError, "operand of greater"),
    "a function of Values": (
        lambda v: functional.greater(v, None),
        TypeError,
        "operand of greater",
    ),
    "an alias": (lambda v: functional.arctan2(v, None), TypeError, "operand of arctan2"),
    "a function made of others": (lambda v: functional.sub(v, "a"), TypeError, "operand of sub"),
    "a parameter": (lambda v: functional.pow(v, "x"), TypeError, "of pow"),
    "a method": (lambda v: v.hypot(None), TypeError, "operand of hypot"),
    "v / Value(0)": (lambda v: v / Value(0), ZeroDivisionError, "0.0 (division by zero)"),
    "1 / Value(0)": (lambda v: 1 / Value(0), ZeroDivisionError, "0.0 (division by zero)"),
    "v / 0": (lambda v: v / 0, ZeroDivisionError, "0 (division by zero)"),
    "Value(0) ** -1": (lambda v: Value(0) ** -1, ZeroDivisionError, "0.0 and -1.0 (pow)"),
    "backward": (lambda v: (v - 2.0).sqrt().backward(), ZeroDivisionError, "derivative of sqrt"),
}


@pytest.mark.parametrize(("call", "error", "words"), NAMED.values(), ids=NAMED)
def test_errors_name_what_was_written(call, error, words):
    with pytest.raises(error, match=re.escape(words)):
        call(Value(2.0))
