"""Custom operations: `fastgrad.custom`, and functions assigned to `_backward`.

Oracle: the built-in operations, and derivatives written out by hand.
"""

import copy
import gc
import math

import pytest
from helpers.custom_operations import swish

from fastgrad import Value, custom, no_grad
from fastgrad.engine import arena_stats
from fastgrad.errors import FastgradTypeError, FastgradValueError

pytestmark = pytest.mark.usefixtures("sound_arena")


@custom("dot")
def dot(*operands):
    n = len(operands) // 2
    return sum(a * b for a, b in zip(operands[:n], operands[n:], strict=True))


@dot.partials
def dot(*operands_and_result):
    operands = operands_and_result[:-1]
    n = len(operands) // 2
    return operands[n:] + operands[:n]


@custom("recorded")
def recorded(x, k):
    seen.append(("forward", x, k))
    return x * k


@recorded.partials
def recorded(x, k, y):
    seen.append(("partials", x, k, y))
    return [k, x]


seen = []


def results(values):
    return [v.grad for v in values]


def test_custom_operation_of_one_operand_has_its_gradient():
    x, twin = Value(0.7), Value(0.7)
    y = swish(x * 2) * 3
    y.backward()
    z = (twin * 2) * (twin * 2).sigmoid() * 3
    z.backward()
    assert y.data == pytest.approx(z.data, rel=1e-15)
    assert x.grad == pytest.approx(twin.grad, rel=1e-14)
    (inner,) = [v for v in y._prev if v._op]
    assert (inner._op, type(inner), {v._op for v in inner._prev}) == ("swish", Value, {"*"})


@pytest.mark.parametrize("n", [1, 2, 40])
def test_custom_operation_of_many_operands_has_their_gradients(n):
    xs = [Value(float(i)) for i in range(n)]
    ws = [Value(0.5 + i) for i in range(n)]
    y = dot(*xs, *ws)
    y.backward()
    assert y.data == sum(x.data * w.data for x, w in zip(xs, ws, strict=True))
    assert (results(xs), results(ws)) == ([w.data for w in ws], [x.data for x in xs])
    assert y._prev == {*xs, *ws}


def test_operand_used_twice_adds_both_partials():
    x = Value(3.0)
    y = dot(x, x)
    y.backward()
    assert (y.data, x.grad, y._prev) == (9.0, 6.0, {x})
    z = dot(x, x, x, x) * x
    x.grad = 0
    z.backward()
    assert (z.data, x.grad) == (54.0, 54.0)


def test_plain_numbers_as_operands_are_accepted():
    assert swish(0.0) == 0.0
    assert type(dot(2, 3)) is float
    x = Value(2.0)
    y = dot(x, 3)
    y.backward()
    (number,) = y._prev - {x}
    assert (y.data, x.grad, number.data, number.grad) == (6.0, 3.0, 3.0, 2.0)


def test_partials_see_current_operands_and_the_stored_result():
    seen.clear()
    x, k = Value(2.0), Value(5.0)
    y = recorded(x, k)
    x.data, y.data = 3.0, -1.0
    y.backward()
    assert seen == [("forward", 2.0, 5.0), ("partials", 3.0, 5.0, -1.0)]
    assert (x.grad, k.grad) == (5.0, 3.0)
    y.backward()
    assert (len(seen), x.grad) == (3, 10.0)


def test_backward_step_called_by_hand_adds_partials():
    x = Value(2.0)
    y = dot(x, 4.0)
    y.grad = 10.0
    y._backward()
    assert x.grad == 40.0


def test_backward_step_can_be_replaced_and_wrapped():
    x, called = Value(2.0), []
    y = dot(x, 4.0)
    step = y._backward
    y._backward = lambda: (called.append(1), step())
    (y * 2).backward()
    assert (called, x.grad) == ([1], 8.0)
    y._backward = lambda: None


def test_shared_and_nested_operations_have_correct_gradients():
    x = Value(0.3)
    a = swish(x)
    y = dot(a, x, swish(a), a)
    y.backward()
    h = 1e-6

    def f(x):
        return dot(swish(x), x, swish(swish(x)), swish(x))

    assert y.data == pytest.approx(f(0.3), rel=1e-15)
    assert x.grad == pytest.approx((f(0.3 + h) - f(0.3 - h)) / (2 * h), rel=1e-8)


def test_deepcopy_keeps_the_custom_operation():
    x = Value(2.0)
    y = dot(x, 3.0) + 1
    z = copy.deepcopy(y)
    z.backward()
    (inner,) = [v for v in z._prev if v._op]
    assert (inner._op, inner.grad, x.grad) == ("dot", 1.0, 0.0)
    assert {v.grad for v in inner._prev} == {2.0, 3.0}


def test_custom_operation_under_no_grad_gives_a_leaf():
    x = Value(2.0)
    with no_grad():
        y = dot(x, 3.0)
    assert (y.data, y._prev, type(y)) == (6.0, set(), Value)


def test_custom_operations_leave_no_garbage_to_the_collector():
    x = Value(2.0)
    dot(x, x)
    while gc.collect():
        pass
    gc.disable()
    try:
        before = arena_stats()["live_nodes"]
        for _ in range(20):
            dot(x, swish(x)).backward()
        assert arena_stats()["live_nodes"] == before
        assert gc.collect() == 0
    finally:
        gc.enable()


# -- mistakes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [None, 5, abs, b"a"])
def test_operation_name_that_is_no_string_is_refused(name):
    with pytest.raises(
        FastgradTypeError, match=rf"expected a name, got {type(name).__name__} .*write"
    ):
        custom(name)


def test_functions_that_are_not_callable_are_refused():
    with pytest.raises(FastgradTypeError, match="expected a function, got int 5"):
        custom("x")(5)
    with pytest.raises(FastgradTypeError, match="expected a function, got NoneType None"):
        custom("x")(abs).partials(None)


def test_missing_partials_raise_for_values_but_not_for_floats():
    cube = custom("cube")(lambda x: 8.0)
    assert cube(2.0) == 8.0
    with pytest.raises(FastgradTypeError, match=r"expected partials, got none.*cube\.partials"):
        cube(Value(2.0))
    with pytest.raises(FastgradTypeError, match=r"expected partials, got none.*cube\.partials"):
        cube.partials_at([2.0], 8.0)


BAD_PARTIALS = {
    "too few": (lambda a, b, y: [1.0], FastgradValueError, "expected 2 numbers, .*got 1"),
    "too many": (lambda a, b, y: [1.0] * 3, FastgradValueError, "expected 2 numbers, .*got 3"),
    "a text": (lambda a, b, y: ["a", 1.0], FastgradTypeError, "expected numbers, got list"),
    "none": (lambda a, b, y: [1.0, None], FastgradTypeError, "expected numbers, got list"),
    "one number": (lambda a, b, y: 1.0, FastgradTypeError, "expected numbers, got float"),
    "nothing": (lambda a, b, y: None, FastgradTypeError, "expected numbers, got NoneType"),
    "raising": (lambda a, b, y: {}[a], KeyError, "2.0"),
}


@pytest.mark.parametrize(("partials", "error", "match"), BAD_PARTIALS.values(), ids=BAD_PARTIALS)
def test_wrong_partials_raise_and_leave_the_graph_usable(partials, error, match):
    operation = custom("bad")(lambda a, b: a + b).partials(partials)
    x = Value(2.0)
    y = operation(x, 3.0) * 2 + x
    with pytest.raises(error, match=match):
        y.backward()
    y.zero_grad(graph=True)
    operation.partials(lambda a, b, y: (1.0, 1.0))
    y.backward()
    assert x.grad == 3.0


def test_wrong_results_and_operands_are_refused():
    before = arena_stats()["live_nodes"]
    for wrong in ("a", None, [1.0]):
        operation = custom("bad")(lambda a: wrong).partials(lambda a, y: 1.0)  # noqa: B023
        with pytest.raises(TypeError, match="expected a number, got"):
            operation(Value(1.0))
    for operand in ("a", None, [1.0], 1j):
        with pytest.raises((TypeError, ValueError)):
            dot(Value(1.0), operand)
    with pytest.raises(TypeError):
        swish()
    with pytest.raises(TypeError):
        swish(Value(1.0), Value(2.0))
    assert arena_stats()["live_nodes"] == before


def test_custom_operation_shows_its_name_and_docstring():
    assert repr(swish) == "<custom operation 'swish'>"
    assert swish.__doc__ == "Return x times the logistic function of x."
    assert swish.name == "swish"


# -- functions assigned to _backward, as in micrograd ----------------------------------------------


def by_closure(*operands):
    """Compute a product of many, in micrograd's way."""
    y = math.prod(v.data for v in operands)
    out = Value(y, operands, "product")

    def _backward():
        for v in operands:
            v.grad += y / v.data * out.grad

    out._backward = _backward
    return out


@pytest.mark.parametrize("n", [1, 2, 3, 80])
def test_custom_and_closure_operations_give_equal_gradients(n):
    @custom("product")
    def product(*operands):
        return math.prod(operands)

    @product.partials
    def product(*operands):
        *operands, y = operands
        return [y / x for x in operands]

    grads = []
    for operation in (product, by_closure):
        xs = [Value(1.0 + i / 16) for i in range(n)]
        y = operation(*xs) * 2 + operation(xs[0] * 2, xs[-1])
        y.backward()
        grads.append((y.data, results(xs)))
    assert grads[0] == grads[1]


def test_string_operand_is_refused():
    pair = custom("pair")(lambda a, b: a + b).partials(lambda a, b, y: (1.0, 1.0))
    with pytest.raises(TypeError, match="expected a Value or a number, got str '2'"):
        pair(Value(1.0), "2")  # which float() would take
