"""What programs of other dialects read and call on a Value: operands, partials, gradient, no_grad.

Oracle: for partials, a sweep with adjoint 1 of the node alone; for the rest, what the dialect's own
class gives.
"""

import inspect
import math
import random

import numpy as np
import pytest

from fastgrad import Value, custom, functional, nn, no_grad, ops, record, take
from fastgrad.errors import TapeError

pytestmark = pytest.mark.usefixtures("sound_arena")


@custom("scaled")
def scaled(x, y):
    return 3 * x * y


@scaled.partials
def scaled(x, y, out):
    return [3 * y, 3 * x]


def applied(row):
    """Apply a row of the table to Values in its domain."""
    rng = random.Random(row.name)
    intervals = [(max(low, -2.0), min(high, 2.0)) for low, high in row.domain]
    whole = [isinstance(low, int) for low, _ in row.domain]
    numbers = [
        rng.randint(int(low), int(high)) if is_whole else rng.uniform(low, high)
        for (low, high), is_whole in zip(intervals, whole, strict=True)
    ]
    if row.parameter:
        *operands, parameter = numbers
        return getattr(functional, row.variant_of or row.name)(*map(Value, operands), parameter)
    return getattr(functional, row.name)(*map(Value, numbers))


NODES = {
    **{row.name: lambda row=row: applied(row) for row in ops.rows() if not row.composite},
    "take": lambda: take([Value(1.0), Value(2.0), Value(3.0)], Value(1)),
    "custom": lambda: scaled(Value(2.0), Value(5.0)),
    "given": lambda: Value(5.0, (Value(1.0), Value(2.0)), (7.0, -8.0)),
    "neuron": lambda: nn.Neuron(3, nonlin=False)([1.0, 2.0, 3.0]),
    "product in a neuron": lambda: nn.Neuron(3, nonlin=False)([1.0, 2.0, 3.0]).operands[1],
    "sum in a neuron": lambda: nn.Neuron(3, nonlin=False)([1.0, 2.0, 3.0]).operands[0],
    "difference": lambda: Value(3.0) - Value(2.0),
    "quotient": lambda: Value(3.0) / Value(2.0),
    "number": lambda: Value(3.0) * 2,
}


@pytest.mark.parametrize("name", NODES)
def test_partials_of_each_operation_are_what_its_backward_step_adds(name):
    y = NODES[name]()
    partials = y._local_grads
    assert isinstance(partials, tuple)
    assert all(type(partial) is float for partial in partials)
    y.grad = 1.0
    for v in y.operands:
        v.grad = 0.0
    y._backward()
    assert partials == tuple(v.grad for v in y.operands)


@pytest.mark.parametrize("name", NODES)
def test_operands_are_those_of_prev_in_order(name):
    y = NODES[name]()
    assert isinstance(y.operands, tuple)
    assert set(y.operands) == y._prev
    assert y._children == y.operands
    assert all(a is b for a, b in zip(y.operands, y.operands, strict=True))


def test_operands_are_in_the_order_written_with_repeats():
    a, b = Value(2.0), Value(3.0)
    assert ((a - a).operands[0], (b * a).operands, (a * a).operands) == (a, (b, a), (a, a))
    assert (a * a)._local_grads == (2.0, 2.0)
    assert (b**2).operands == (b,)
    assert take([a, b, a], i := Value(2)).operands == (i, a, b, a)


def test_leaf_has_neither_operands_nor_partials():
    assert (Value(1.0).operands, Value(1.0)._children, Value(1.0)._local_grads) == ((), (), ())


def test_partials_follow_the_data_of_the_operands():
    v = Value(2.0)
    y = v**3
    v.data = 1.0
    assert y._local_grads == (3.0,)


def test_walk_over_children_and_partials_outside_the_class_gives_backward():
    random.seed(3)
    model = nn.MLP(3, [4, 1])
    loss = (model([1.0, -2.0, 0.5]) - 1) ** 2 / 3 + sum(p * p for p in model.parameters())

    def walk(root):
        order, seen = [], set()

        def build(node):
            if node not in seen:
                seen.add(node)
                for child in node._children:
                    build(child)
                order.append(node)

        build(root)
        grads = dict.fromkeys(order, 0.0)
        grads[root] = 1.0
        for node in reversed(order):
            for child, partial in zip(node._children, node._local_grads, strict=True):
                grads[child] += partial * grads[node]
        return [grads[p] for p in model.parameters()]

    expected = walk(loss)
    loss.backward()
    assert [p.grad for p in model.parameters()] == pytest.approx(expected, rel=1e-12)


def test_infinite_partial_raises_as_backward_does():
    with pytest.raises(ZeroDivisionError, match="infinite"):
        functional.sqrt(Value(0.0))._local_grads  # noqa: B018


@pytest.mark.parametrize(
    "make", [lambda v: Value(1.0, (v,), "own"), lambda v: v * 2, lambda v: nn.Neuron(1)([v])]
)
def test_partials_of_a_backward_function_are_refused(make):
    y = make(Value(2.0))
    y._backward = lambda: None
    with pytest.raises(AttributeError, match="Python function"):
        y._local_grads  # noqa: B018
    assert len(y.operands) >= 1


def test_partials_read_while_recording_are_reported():
    with pytest.raises(TapeError, match="derivatives given as numbers"):
        record(lambda x: x * (x**2)._local_grads[0], 2.0, strict=True)


def test_operands_can_be_an_attribute_of_the_program():
    v = Value(1.0) * 2
    v.operands = ["mine"]
    assert (v.operands, len(v._children)) == (["mine"], 2)


# -- backward(gradient) ----------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [2.0, -3, True, np.float32(0.5), 0.0, math.inf])
def test_gradient_given_to_backward_multiplies_all_others(seed):
    v, w = Value(2.0), Value(5.0)
    y = (v * w).exp().log() + v
    y.backward(seed)
    assert (y.grad, v.grad, w.grad) == (seed, pytest.approx(6.0 * seed), pytest.approx(2.0 * seed))


def test_gradient_of_a_leaf_and_by_keyword_is_its_grad():
    v = Value(2.0)
    v.backward(gradient=3.0)
    assert v.grad == 3.0
    v.backward(grad=4.0)
    assert v.grad == 4.0
    v.backward(None)
    assert v.grad == 1.0


@pytest.mark.parametrize("wrong", [Value(1.0), "1", [1.0], 1j])
def test_gradient_that_is_no_plain_number_is_refused(wrong):
    v = Value(2.0)
    y = v * 3
    with pytest.raises(TypeError, match="gradient of backward"):
        y.backward(wrong)
    assert (y.grad, v.grad) == (0.0, 0.0)


# -- Value.no_grad, clip, max, min -----------------------------------------------------------------


def test_no_grad_of_the_class_is_no_grad():
    v = Value(2.0)
    with Value.no_grad():
        y = v * v
    assert (y._children, y._local_grads) == ((), ())

    @Value.no_grad()
    def function():
        return (v * v)._prev

    assert Value.no_grad is no_grad
    assert function() == set()
    assert (v * v).operands == (v, v)


@pytest.mark.parametrize(
    ("x", "low", "high", "expected", "slope"),
    [
        (0.5, 0, 1, 0.5, 1.0),
        (-2.0, 0, 1, 0.0, 0.0),
        (3.0, 0, 1, 1.0, 0.0),
        (0.0, 0, 1, 0.0, 1.0),
        (1.0, 0, 1, 1.0, 1.0),
        (3.0, None, 1, 1.0, 0.0),
        (3.0, 4, None, 4.0, 0.0),
        (3.0, None, None, 3.0, 1.0),
        (0.5, 2, 1, 1.0, 0.0),
    ],
)
def test_clip_keeps_a_value_between_bounds(x, low, high, expected, slope):
    for clipped in (
        lambda v: v.clip(low, high),
        lambda v: v.clip(min=low, max=high),
        lambda v: v.clip(low, high, out=None),
    ):
        v = Value(x)
        y = clipped(v)
        y.backward()
        assert (y.data, v.grad) == (expected, slope)
    if low is not None and high is not None:
        assert x == expected or expected == np.clip(x, low, high)
        assert record(lambda v: v.clip(low, high), 0.25, strict=True)(x) == expected


def test_bounds_of_clip_may_be_values():
    v, low = Value(-2.0), Value(0.5)
    v.clip(low).backward()
    assert (v.grad, low.grad) == (0.0, 1.0)


def test_max_and_min_of_several_pass_the_gradient_to_the_first_that_is_it():
    methods = {Value.max: 1, Value.max_with: 1, Value.min: 0, Value.min_with: 0}
    for method, chosen in methods.items():
        values = [Value(1.0), Value(3.0), Value(3.0)]
        y = method(*values, 2)
        y.backward()
        assert y.data == values[chosen].data
        assert [v.grad for v in values] == [float(i == chosen) for i in range(3)]
    v = Value(1.0)
    assert v.max() is v.min() is v


def test_numpy_functions_of_one_value_find_its_methods():
    v = Value(3.0)
    assert np.max(v) is np.min(v) is v
    y = np.clip(v, 0, 1)
    assert (y.data, y._prev != set()) == (1.0, True)


@pytest.mark.parametrize("name", ["max", "min", "clip"])
def test_methods_of_bounds_refuse_what_is_no_number_by_their_name(name):
    with pytest.raises(TypeError, match=f"operand of {name}"):
        getattr(Value(1.0), name)("1")


def test_signature_of_the_constructor_is_shown():
    assert list(inspect.signature(Value).parameters)[:4] == ["data", "_children", "_op", "label"]
