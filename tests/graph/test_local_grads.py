"""`Value(data, operands, local_grads)`: nodes whose derivatives are numbers given with them.

Oracle: `Node`, the class of that dialect in plain Python; small integers, so that sums are exact.
"""

import copy
import gc
import math
import pickle
import random
import warnings
import weakref

import numpy as np
import pytest
from helpers.graphs import live_after_gc
from helpers.tally import tally

from fastgrad import Value, functional, no_grad, record
from fastgrad.errors import FastgradError, FastgradWarning, TapeError

pytestmark = pytest.mark.usefixtures("sound_arena")


class Node:
    """A node of given partials, and the walk over them, as the dialect has it."""

    def __init__(self, data, operands=(), local_grads=()):
        self.data, self.grad = data, 0.0
        self.operands, self.local_grads = operands, local_grads

    def backward(self):
        order, seen, stack = [], set(), [(self, False)]
        while stack:
            node, done = stack.pop()
            if done:
                order.append(node)
            elif id(node) not in seen:
                seen.add(id(node))
                stack.append((node, True))
                stack += [(operand, False) for operand in node.operands]
        self.grad = 1.0
        for node in reversed(order):
            for operand, partial in zip(node.operands, node.local_grads, strict=True):
                operand.grad += partial * node.grad


def logarithm(v, V=Value):
    return V(math.log(v.data), (v,), (1 / v.data,))


FORMS = {
    "positional": lambda v, w: Value(5.0, (v, w), (2.0, 3.0)),
    "lists": lambda v, w: Value(5.0, [v, w], [2, 3]),
    "children and local_grads": lambda v, w: Value(5.0, children=(v, w), local_grads=(2.0, 3.0)),
    "_children and _local_grads": lambda v, w: Value(
        5.0, _children=[v, w], _local_grads=[2.0, 3.0]
    ),
    "operands": lambda v, w: Value(5.0, operands=(v, w), local_grads=(2.0, 3.0)),
    "generators": lambda v, w: Value(5.0, (x for x in (v, w)), (x for x in (2.0, 3.0))),
    "an array": lambda v, w: Value(5.0, (v, w), np.array([2.0, 3.0])),
    "with a name and a label": lambda v, w: Value(
        5.0, (v, w), local_grads=(2.0, True + 2), _op="own", label="y"
    ),
    "keywords alone": lambda v, w: Value(data=5.0, children=(v, w), local_grads=(2.0, 3.0)),
}


@pytest.mark.parametrize("form", FORMS)
def test_partials_in_each_form_of_the_constructor_reach_the_operands(form):
    v, w = Value(1.0), Value(2.0)
    y = FORMS[form](v, w)
    (y * 10).backward()
    assert (y.data, y.grad, v.grad, w.grad) == (5.0, 10.0, 20.0, 30.0)
    assert (y.operands, y._local_grads, y._prev) == ((v, w), (2.0, 3.0), {v, w})


def test_name_and_label_beside_partials_are_kept():
    y = FORMS["with a name and a label"](Value(1.0), Value(2.0))
    assert (y._op, y.label) == ("own", "y")
    assert Value(1.0, (y,), (1.0,))._op == ""


@pytest.mark.parametrize(
    "make",
    [
        lambda: Value(3.0, (), ()),
        lambda: Value(3.0, None, None),
        lambda: Value(3.0, children=[], local_grads=[]),
        lambda: Value(3.0, _op=None),
    ],
)
def test_value_without_operands_in_any_form_is_a_leaf(make):
    v = make()
    assert (v.data, v._prev, v.operands, v._local_grads, v._op) == (3.0, set(), (), (), "")
    pickle.dumps(v)  # as only leaves do


def test_grad_given_to_the_constructor_is_where_it_begins():
    v = Value(2.0, grad=5)
    (v * 3).backward()
    assert v.grad == 8.0


def test_name_as_third_argument_still_waits_for_a_backward_function():
    v = Value(2.0)
    y = Value(4.0, (v,), "square")
    y.backward()
    assert (v.grad, y._op) == (0.0, "square")


WRONG = {
    "too many": (lambda v: Value(1.0, (v,), (1.0, 2.0)), ValueError, "each of 1 operands, got 2"),
    "too few": (lambda v: Value(1.0, (v,), ()), ValueError, "each of 1 operands, got 0"),
    "no operands": (lambda v: Value(1.0, (), (1.0,)), ValueError, "each of 0 operands, got 1"),
    "a text": (lambda v: Value(1.0, (v,), ("x",)), TypeError, "a number, got str 'x'"),
    "None": (lambda v: Value(1.0, (v,), (None,)), TypeError, "a number, got NoneType"),
    "a Value": (lambda v: Value(1.0, (v,), (v,)), TypeError, "plain number.*write v.data"),
    "a number": (lambda v: Value(1.0, (v,), 3.0), TypeError, "a tuple of derivatives, got float"),
    "bytes": (lambda v: Value(1.0, (v,), b"+"), TypeError, "a tuple of derivatives, got bytes"),
    "a number as operand": (lambda v: Value(1.0, (2.0,), (1.0,)), TypeError, "Values as opera"),
    "a bare operand": (lambda v: Value(1.0, v, (1.0,)), TypeError, "a tuple of operands, got V"),
    "a set": (lambda v: Value(1.0, {v}, (1.0,)), TypeError, "a tuple of operands, got set"),
    "another name": (lambda v: Value(1.0, slope=2.0), TypeError, "local_grads, grad, got 'slope'"),
    "no name": (lambda v: Value(1.0, (v,), op=5), TypeError, "a str, got int 5"),
    "a grad": (lambda v: Value(1.0, grad=v.__class__), TypeError, "a number, got type"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_wrong_partials_and_operands_are_refused_by_name(case):
    make, error, text = WRONG[case]
    v = Value(2.0)
    before = live_after_gc()
    with pytest.raises(error, match=text) as raised:
        make(v)
    assert isinstance(raised.value, FastgradError)
    del raised
    assert live_after_gc() == before


@pytest.mark.parametrize("partials", [(), (3.0,)])
def test_node_is_no_operand_of_itself(partials):
    v = Value(1.0)
    with pytest.raises(TypeError, match="other Values as operands"):
        v.__init__(2.0, (v,), (1.0,))
    assert (v.data, v._prev) == (1.0, set())


def test_node_with_a_user_is_not_made_another():
    v = Value(1.0)
    y = v * 2
    with pytest.raises(TypeError, match="a new Value"):
        v.__init__(2.0, (y,), (1.0,))
    assert v.data == 1.0


def random_graph(V, seed):
    """Return the leaves and the nodes of a random graph; operands repeat, partials are small."""
    rng = random.Random(seed)
    leaves = [V(float(rng.randrange(-3, 4))) for _ in range(3)]
    nodes = list(leaves)
    for _ in range(rng.randrange(1, 30)):
        operands = tuple(rng.choice(nodes[-6:]) for _ in range(rng.randrange(1, 5)))
        partials = tuple(float(rng.randrange(-1, 3)) for _ in operands)
        nodes.append(V(float(rng.randrange(9)), operands, partials))
    return leaves, nodes


@pytest.mark.parametrize("seed", range(300))
@pytest.mark.wide
def test_random_graphs_of_given_partials_have_the_gradients_of_plain_python(seed):
    mine, theirs = random_graph(Value, seed)[1], random_graph(Node, seed)[1]
    for nodes in (mine, theirs):
        nodes[-1].backward()
    assert [v.grad for v in mine] == [v.grad for v in theirs]
    for nodes in (mine, theirs):  # and once more, from another root
        nodes[len(nodes) // 2].backward()
    if len(mine) > 3:
        tally("dialects: graphs of given partials")


def test_operand_that_occurs_several_times_gets_each_share():
    v, w = Value(1.0), Value(2.0)
    y = Value(3.0, (v, w, v, v), (1.0, 2.0, 4.0, 8.0))
    y.backward()
    assert (v.grad, w.grad) == (13.0, 2.0)
    assert y.operands == y._children == (v, w, v, v)
    assert y._local_grads == (1.0, 2.0, 4.0, 8.0)


def test_partial_or_adjoint_of_zero_contributes_nothing_though_the_other_is_infinite():
    v, w = Value(1.0), Value(2.0)
    y = Value(3.0, (v, w), (math.inf, 0.0))
    (y * 0.0).backward()
    assert (v.grad, w.grad) == (0.0, 0.0)
    (y * math.inf).backward()
    assert (v.grad, w.grad) == (math.inf, 0.0)


def test_copies_of_nodes_of_given_partials_have_the_partials():
    v, w = Value(1.0), Value(2.0)
    y = Value(3.0, (v, w, v), (1.0, 2.0, 4.0), label="y")
    shallow = copy.copy(y)
    shallow.backward()
    assert (shallow.operands, v.grad, w.grad, shallow.label) == ((v, w, v), 5.0, 2.0, "y")
    deep = copy.deepcopy(y * 1.0).operands[0]
    assert deep.operands[0] is deep.operands[2]
    assert not {*deep.operands} & {v, w}
    deep.backward()
    assert [x.grad for x in deep.operands] == [10.0, 4.0, 10.0]  # copies begin with v's 5 and w's 2
    assert (deep._local_grads, v.grad) == ((1.0, 2.0, 4.0), 5.0)


def test_leaf_alone_is_pickled_and_the_node_refused():
    with pytest.raises(TypeError, match="a leaf to pickle"):
        pickle.dumps(Value(1.0, (Value(2.0),), (3.0,)))


@pytest.mark.wide
def test_deep_chain_of_given_partials_is_swept_and_released():
    before = live_after_gc()
    x = y = Value(1.0)
    for _ in range(20_000):
        y = Value(1.0, (y,), (1.0,))
    y.backward()
    assert x.grad == 1.0
    del x, y
    assert live_after_gc() == before


def test_node_of_many_operands_is_swept_and_released():
    before = live_after_gc()
    leaves = [Value(1.0) for _ in range(30)]
    y = Value(1.0, leaves, range(30))
    y.backward()
    y.zero_grad(graph=True)
    y.backward()
    assert [v.grad for v in leaves] == list(map(float, range(30)))
    del leaves, y
    assert live_after_gc() == before


def test_node_of_given_partials_keeps_handles_with_attributes():
    y = Value(2.0, (Value(1.0, label="kept"),), (3.0,))
    gc.collect()
    (v,) = y._prev
    assert v.label == "kept"
    assert y.operands[0] is v
    gone = weakref.ref(v)
    del v, y
    gc.collect()
    assert gone() is None


def test_backward_function_set_on_a_node_of_given_partials_takes_their_place():
    v = Value(1.0)
    y = Value(2.0, (v,), (3.0,))
    own = y._backward
    y._backward = lambda: setattr(v, "grad", v.grad + 100 * y.grad)
    y.backward()
    assert (v.grad, y.operands, y._op) == (100.0, (v,), "")
    own()  # its own rule stays on record
    assert v.grad == 103.0
    with pytest.raises(AttributeError, match="Python function"):
        y._local_grads  # noqa: B018


def test_sweep_inside_a_sweep_passes_nodes_of_given_partials():
    v = Value(1.0)
    y = Value(2.0, (v,), (3.0,))
    z = Value(5.0, (y,), "outer")

    def step():
        (y * 2).backward()
        y.grad += 7 * z.grad

    z._backward = step
    z.backward()
    assert (v.grad, y.grad) == (6.0 + 27.0, 9.0)  # y.grad was 2 after the inner sweep


def test_subclass_passes_partials_on_and_may_set_what_it_has():
    class Own(Value):
        def __init__(self, data, children=(), local_grads=()):
            super().__init__(data, children, local_grads)
            self._children = children
            self._prev = set(children)
            self._local_grads = local_grads

    v = Own(2.0)
    y = Own(4.0, (v,), (4.0,))
    y.backward()
    assert (v.grad, type(y.operands[0])) == (4.0, Own)


@pytest.mark.parametrize("given", [(), [], {1.0}, (5.0,), 3, None])
def test_operands_and_partials_cannot_be_set_to_others(given):
    v = Value(2.0)
    y = Value(4.0, (v,), (4.0,))
    for name in ("_children", "_prev", "_local_grads"):
        with pytest.raises(AttributeError, match="given when a Value is made"):
            setattr(y, name, given)
    y.backward()
    assert v.grad == 4.0


def test_node_of_given_partials_under_no_grad_is_a_leaf():
    v = Value(2.0)
    with no_grad():
        y = Value(4.0, (v,), (4.0,))
    assert (y._children, y._local_grads) == ((), ())


# -- recorded: what the numbers say is frozen, and reported ----------------------------------------


def frozen(function, *example):
    with pytest.warns(FastgradWarning):
        return record(function, *example)


def test_given_partials_are_reported_and_refused_by_strict():
    def function(x):
        return Value(3.0, (x,), (2.0,))

    frozen(function, 1.0)
    with pytest.raises(TapeError, match="local_grads"):
        record(function, 1.0, strict=True)


def test_given_partials_of_constants_are_no_decision():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tape = record(lambda x: x * Value(3.0, (Value(1.0),), (2.0,)), 1.0, strict=True)
    assert tape(5.0) == 15.0


def test_given_partials_under_no_grad_are_reported_as_such():
    def function(x):
        with no_grad():
            return x * 0 + Value(3.0, (x,), (2.0,))

    with pytest.raises(TapeError, match="no_grad"):
        record(lambda x: x + function(x), 1.0, strict=True)


def test_sum_by_given_partials_is_the_sum_on_a_tape():
    tape = frozen(lambda x, y: Value(x.data + y.data, (x, y), (1, 1)) * x, 2.0, 3.0)
    assert tape(5.0, 6.0) == 55.0
    assert tape.value_and_grad(5.0, 6.0, wrt="inputs") == (55.0, (16.0, 5.0))


def test_tape_of_given_partials_is_the_tangent_at_its_example():
    tape = frozen(lambda x: logarithm(x) * 2, 2.0)
    assert tape(2.0) == 2 * math.log(2.0)
    assert tape(3.0) == 2 * math.log(2.0) + 2 * 0.5
    value, slope = tape.jvp((3.0,), (1.0,))
    assert (value, slope) == (tape(3.0), 1.0)
    assert tape.value_and_grad(3.0, wrt="inputs") == (tape(3.0), (1.0,))


def test_batch_of_a_tape_of_given_partials_equals_its_samples():
    w = Value(4.0)

    def function(x):
        y = Value(1.0, (x, w, x), (2.0, 3.0, -5.0))
        return functional.exp(y * 0.1) + Value(7.0, (w,), (0.0,))

    tape = frozen(function, 0.5)
    points = np.linspace(-2.0, 2.0, 37)
    assert list(tape(points)) == [tape(x) for x in points]
    total = tape.backward(points, reduce="sum")
    batch = w.grad
    w.grad = 0.0
    singles = sum(tape.backward(x) for x in points)
    assert (total, batch) == pytest.approx((singles, w.grad), rel=1e-12)
    x = Value(0.5)
    w.grad = 0.0
    y = function(x)
    y.backward()
    value, (slope,) = tape.value_and_grad(0.5, wrt="inputs")
    assert (value, slope) == (y.data, x.grad)


@pytest.mark.parametrize("partial", [math.inf, math.nan])
def test_partials_that_are_not_finite_are_refused_by_record(partial):
    with pytest.raises(TapeError, match="finite") as caught:
        record(lambda x: Value(3.0, (x,), (partial,)), 1.0)
    assert "local_grads" in caught.value.__notes__[0]


def test_tape_of_given_partials_can_be_saved(tmp_path):
    from fastgrad import load_tape

    tape = frozen(lambda x: logarithm(x) * 2, 2.0)
    tape.save(tmp_path / "t")
    assert load_tape(tmp_path / "t")(3.0) == tape(3.0)
