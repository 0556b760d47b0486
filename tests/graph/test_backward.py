"""backward(): accumulation, steps called by hand, custom functions, garbage collection.

Oracle: derivatives written out by hand; micrograd's own behaviour is in test_micrograd_contract.py.
"""

import functools
import gc
import math
import weakref

import pytest
from helpers.graphs import live_after_gc, square

from fastgrad import Value
from fastgrad.engine import arena_stats, build_info

pytestmark = pytest.mark.usefixtures("sound_arena")


# -- accumulation --------------------------------------------------------------------------------


def test_second_backward_adds_through_inner_gradients():
    x = Value(3.0)
    y = x * x * x
    y.backward()
    assert x.grad == 27.0
    y.backward()
    assert x.grad == 72.0
    y.zero_grad(graph=True)
    y.backward()
    assert x.grad == 27.0


def test_root_grad_is_overwritten_and_other_grads_accumulate():
    x = Value(2.0)
    y = x * 3
    y.grad, x.grad = 100.0, 0.5
    y.backward()
    assert (y.grad, x.grad) == (1.0, 3.5)
    x.backward()
    assert x.grad == 1.0


def test_backward_from_an_inner_node_leaves_its_users_alone():
    x = Value(2.0)
    inner = x * x
    y = inner * 5
    inner.backward()
    assert (x.grad, inner.grad, y.grad) == (4.0, 1.0, 0.0)
    y.backward()
    assert (x.grad, inner.grad, y.grad) == (4.0 + 4.0 * 6.0, 6.0, 1.0)


def test_branches_that_do_not_lead_to_the_root_get_no_gradient():
    x = Value(2.0)
    dead = x * 7
    other = Value(4.0) * x
    y = x + 1
    y.backward()
    assert (x.grad, dead.grad, other.grad) == (1.0, 0.0, 0.0)


def test_operands_are_read_when_backward_runs():
    w, x = Value(2.0), Value(3.0)
    y = w * x
    z = (y - x) ** 3
    w.data = 10.0
    y.backward()
    assert (x.grad, w.grad, y.data) == (10.0, 3.0, 6.0)
    x.grad = w.grad = 0
    (difference,) = z._prev
    difference.data = -1.0
    z.backward()
    assert difference.grad == 3.0


@pytest.mark.parametrize("name", ["relu", "exp", "sqrt"])
def test_functions_use_their_stored_result_in_backward(name):
    x = Value(0.5)
    y = getattr(x, name)()
    x.data = 1e9
    y.data = 0.25
    y.backward()
    assert x.grad == pytest.approx({"relu": 1.0, "exp": 0.25, "sqrt": 2.0}[name])
    z = Value(0.5).relu()
    z.data = -1.0
    z.backward()
    assert next(iter(z._prev)).grad == 0.0


@pytest.mark.parametrize("name", ["tanh", "sigmoid"])
def test_functions_whose_result_loses_digits_use_their_operand_in_backward(name):
    x = Value(0.5)
    y = getattr(x, name)()
    x.data, y.data = 0.0, 0.25
    y.backward()
    assert x.grad == {"tanh": 1.0, "sigmoid": 0.25}[name]


@pytest.mark.wide
def test_sweep_over_scattered_operands_adds_all_terms():
    """Squares and doublings of the node right before, operands chunks away in between.

    A sweep of such chunks has a loop of its own. All partials along the way multiply to 1.
    """
    n = min(3 * build_info()["chunk_nodes"], 20_000)
    half = Value(0.5)
    far = [half * 1.0 for _ in range(n)]
    x = Value(1.0)
    y = x * 1.0
    for v in far:
        y = y * y  # partial 2
        y = y * half  # makes up for it
        y = y + v
        y = y + y
        y = y * half
    y.backward()
    assert (y.data, x.grad) == (1.0, 1.0)
    assert {v.grad for v in far} == {1.0}


def test_zero_grad_of_a_graph_clears_every_node():
    x = Value(2.0)
    inner = x * x
    y = inner.relu() + x**2 - square(x)
    y.backward()
    y.zero_grad()
    assert (y.grad, inner.grad, x.grad) == (0.0, 1.0, 4.0)
    y.zero_grad(graph=True)
    seen, stack = {y}, [y]
    while stack:
        new = stack.pop()._prev - seen
        seen |= new
        stack.extend(new)
    assert {v.grad for v in seen} == {0.0}
    x.grad = 3.0
    x.zero_grad(graph=True)
    assert x.grad == 0.0


def test_detach_gives_an_independent_leaf():
    x = Value(2.0, label="x")
    y = x * x
    y.label = "y"
    z = y.detach()
    assert (z.data, z.grad, z._prev, z._op, z.label) == (4.0, 0.0, set(), "", "")
    (z * x).backward()
    assert (x.grad, z.grad, y.grad) == (4.0, 2.0, 0.0)
    assert type(z) is Value
    ref = weakref.ref(y)
    del y
    assert ref() is None


# -- steps by hand ---------------------------------------------------------------------------------


def test_backward_step_called_by_hand_adds_local_gradients():
    a, b = Value(2.0), Value(-3.0)
    operations = {
        "+": (a + b, [1.0, 1.0]),
        "*": (a * b, [-3.0, 2.0]),
        "** number": (a**3, [12.0, 0.0]),
        "** Value": (a**b, [-3 * 2.0**-4, 0.125 * math.log(2.0)]),
        "relu": (a.relu(), [1.0, 0.0]),
        "relu of a negative": (b.relu(), [0.0, 0.0]),
        "exp": (a.exp(), [math.exp(2.0), 0.0]),
        "log": (a.log(), [0.5, 0.0]),
        "leaky_relu": (b.leaky_relu(0.25), [0.0, 0.25]),
        "maximum": (a.maximum(b), [1.0, 0.0]),
        "hypot": (a.hypot(b), [2 / 13**0.5, -3 / 13**0.5]),
        "abs": (abs(b), [0.0, -1.0]),
    }
    for name, (y, expected) in operations.items():
        a.grad = b.grad = 0.0
        y.grad = 1.0
        assert y._backward() is None
        assert [a.grad, b.grad] == pytest.approx(expected), name
        y.grad = 10.0
        y._backward()
        assert [a.grad, b.grad] == pytest.approx([11 * d for d in expected]), name


def test_backward_step_called_by_hand_reaches_operands_only():
    x = Value(2.0)
    inner = x * 3
    y = inner * inner
    y.grad = 1.0
    y._backward()
    assert (inner.grad, x.grad) == (12.0, 0.0)
    inner._backward()
    assert x.grad == 36.0
    x._backward()
    assert (x.grad, y.grad) == (36.0, 1.0)


def test_backward_step_works_after_its_value_is_gone():
    x = Value(2.0)
    step = (x * 3)._backward
    step()
    assert x.grad == 0.0
    y = x * 3
    y.grad, step = 2.0, y._backward
    del y
    step()
    assert x.grad == 6.0


def test_backward_steps_can_be_wrapped_repeatedly():
    x, seen = Value(3.0), []
    y = x * x
    inner = y._backward
    for i in range(3):

        def wrapped(i=i, inner=inner):
            seen.append((i, y.grad))
            inner()

        y._backward = inner = wrapped
    (y + 1).backward()
    assert (x.grad, seen) == (6.0, [(2, 1.0), (1, 1.0), (0, 1.0)])
    y._backward = lambda: None


def test_replaced_backward_step_can_be_restored():
    x = Value(3.0)
    y = x**2
    step = y._backward
    y._backward = lambda: None
    y.backward()
    assert x.grad == 0.0
    assert (y._op, y._prev) == ("**2", {x})
    y._backward = step
    (y * 1).backward()
    assert x.grad == 12.0  # y.grad is 1 from the first time
    y._backward = lambda: None


# -- custom nodes ----------------------------------------------------------------------------------


def test_custom_node_passes_gradients_on():
    x = Value(3.0)
    y = square(x * 2) + x
    y.backward()
    assert (y.data, x.grad) == (39.0, 25.0)


@pytest.mark.parametrize("n", [0, 1, 2, 3, 80])
def test_custom_node_of_n_operands_reaches_all_of_them(n):
    xs = [Value(float(i)) for i in range(n)]
    out = Value(sum(x.data for x in xs), tuple(xs), "total")

    def _backward():
        for i, x in enumerate(xs):
            x.grad += (i + 1) * out.grad

    out._backward = _backward
    (out * 2).backward()
    assert [x.grad for x in xs] == [2.0 * (i + 1) for i in range(n)]
    assert (out._prev, out._op, out.data) == (set(xs), "total", n * (n - 1) / 2)
    out._backward = lambda: None


def test_custom_node_without_a_backward_function_stops_gradients():
    x = Value(3.0)
    inner = x * 2
    out = Value(5.0, (inner,), "mystery")
    (out * 3).backward()
    assert (out.grad, inner.grad, x.grad) == (3.0, 0.0, 0.0)
    out._backward()


def test_custom_functions_run_in_reverse_creation_order():
    order = []

    def node(name, *operands):
        out = Value(1.0, operands, name)
        out._backward = functools.partial(order.append, name)
        return out

    x = Value(1.0)
    a = node("a", x)
    b = node("b", a, x)
    c = node("c", a)
    d = node("d", b, c)
    node("unused", d)
    (d + a).backward()
    assert order == ["d", "c", "b", "a"]


def test_function_on_a_leaf_runs_once_after_all_its_users():
    x, seen = Value(3.0), []
    x._backward = lambda: seen.append(x.grad)
    y = x * x + x
    y.backward()
    assert seen == [7.0]
    x.backward()
    assert seen == [7.0, 1.0]
    (Value(1.0) * 2).backward()
    assert len(seen) == 2
    x._backward()
    assert len(seen) == 3
    x._backward = lambda: None
    y.backward()
    assert len(seen) == 3


def test_backward_step_that_is_not_callable_is_refused():
    x = Value(3.0)
    for wrong in (None, 5, "a"):
        inner, custom, leaf = x * 2, Value(1.0, (x,), "c"), Value(1.0)
        for v in (inner, custom, leaf):
            with pytest.raises(TypeError, match="expected a function of no arguments"):
                v._backward = wrong
            (v + 1).backward()
    assert x.grad == 6.0


def test_exception_in_backward_leaves_the_graph_usable():
    x = Value(3.0)
    inner = x * 2

    def fail():
        raise LookupError("mine")

    step = inner._backward
    inner._backward = fail
    y = (inner * 5 + x) ** 2
    with pytest.raises(LookupError, match="mine"):
        y.backward()
    inner._backward = step
    y.zero_grad(graph=True)
    y.backward()
    assert x.grad == 2 * 33.0 * 11.0


def test_singular_derivative_leaves_the_graph_usable():
    x = Value(0.0)
    y = (x**0.5 + 1) * 3
    with pytest.raises(ZeroDivisionError, match=r"\w"):
        y.backward()
    x.data = 4.0
    y.zero_grad(graph=True)
    y.backward()
    assert x.grad == 0.75


def test_custom_function_may_build_and_sweep_a_graph():
    x = Value(3.0)

    def helper():
        z = x.detach()
        w = square(z) * z
        w.backward()
        return z.grad

    out = Value(x.data**3, (x,), "cube")

    def _backward():
        x.grad += helper() * out.grad

    out._backward = _backward
    (out * 2 + x).backward()
    assert x.grad == 55.0
    out._backward = lambda: None


def test_nested_sweeps_beyond_the_limit_raise():
    def node(depth):
        x = Value(2.0)
        out = Value(2.0, (x,), "nested")
        out._backward = (lambda: node(depth - 1).backward()) if depth else (lambda: None)
        return out

    node(3).backward()
    with pytest.raises(RecursionError, match=r"expected at most \d+ calls of backward\(\)"):
        node(10).backward()
    x = Value(2.0)
    (x * x).backward()
    assert x.grad == 4.0


def test_custom_function_may_drop_and_edit_the_graph():
    x = Value(3.0)
    holder = [square(x)]

    def _backward():
        holder.clear()
        gc.collect()
        x.data = 5.0

    mid = Value(1.0, (holder[0],), "dropper")
    mid._backward = _backward
    y = mid * 2 + x * x
    y.backward()
    assert x.grad == 6.0 or x.grad == 10.0  # which of the two ran first is nobody's promise
    mid._backward = lambda: None


# -- collection ------------------------------------------------------------------------------------


def test_operations_leave_no_garbage_to_the_collector():
    while gc.collect():
        pass
    gc.disable()
    try:
        tracked = len(gc.get_objects())
        for i in range(50):
            x = Value(i / 50 + 0.5)
            y = ((x * 2 + x**2 - 1 / x).relu() + sum([x, x * 3])).exp().log()
            y.backward()
            y._prev  # noqa: B018
            assert not gc.is_tracked(y)
        kept = [x * i for i in range(20)]
        assert len(gc.get_objects()) - tracked < 10
        del x, y, kept
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_nodes_are_freed_as_soon_as_unused():
    before = arena_stats()["live_nodes"]
    x = Value(1.0)
    y = x
    for _ in range(20):
        y = y * 2 + x
    assert arena_stats()["live_nodes"] == before + 61
    del y
    assert arena_stats()["live_nodes"] == before + 1
    del x
    assert arena_stats()["live_nodes"] == before


def test_closures_are_collected_only_when_unreachable():
    before = live_after_gc()
    x = Value(3.0)
    out = square(x)
    ref = weakref.ref(out)
    y = out + 1
    del out
    gc.collect()
    y.backward()
    assert x.grad == 6.0
    assert ref() is not None
    del y
    gc.collect()
    assert ref() is None
    del x
    assert arena_stats()["live_nodes"] == before


def test_backward_function_held_elsewhere_stays_on_its_node():
    x = Value(3.0)
    out = square(x)
    step = out._backward
    y = out + 1
    del out, y
    (out,) = [c.cell_contents for c in step.__closure__ if c.cell_contents is not x]
    (out * 2).backward()
    assert x.grad == 12.0


def test_node_reachable_from_a_closure_keeps_its_function():
    x = Value(3.0)

    def functions():
        out = Value(9.0, (x,), "square")

        def step():
            x.grad += 6.0 * out.grad

        out._backward = step
        return out + 1, lambda: out

    y, reach = functions()
    del y
    (reach() * 2).backward()
    assert x.grad == 12.0


def test_chains_of_closures_are_collected():
    before = live_after_gc()
    x = Value(1.0)
    y = x
    for _ in range(10):
        y = square(y) * 0.5
    y.backward()
    assert x.grad != 0.0
    del x, y
    for _ in range(25):  # each collection frees the last of the chain, which uncovers the next
        gc.collect()
    assert arena_stats()["live_nodes"] == before


def test_closures_without_a_cycle_are_freed_immediately():
    x = Value(3.0)

    class Function:
        def __call__(self):
            x.grad += 1.0

    function = Function()
    ref = weakref.ref(function)
    out = Value(9.0, (x,), "f")
    out._backward = function
    y = out + 1
    del function, out
    y.backward()
    assert x.grad == 1.0
    del y
    assert ref() is None


def test_garbage_collection_inside_a_sweep_changes_nothing():
    x = Value(3.0)
    y = x
    for _ in range(5):
        out = square(y)
        inner = out._backward
        out._backward = lambda inner=inner: (gc.collect(), inner())
        y = out * 0.25
    del out, inner
    y.backward()
    expected, slope = 3.0, 1.0
    for _ in range(5):
        slope *= 0.5 * expected
        expected = expected**2 * 0.25
    assert x.grad == pytest.approx(slope)


# -- functions that are missing, held by others, or drop each other ------------------------------


def test_node_whose_function_was_never_set_ends_the_sweep():
    a = Value(2.0)
    y = Value(3.0, (a,)) * 4  # nobody holds the node between
    y.backward()
    assert (y.grad, a.grad) == (1.0, 0.0)


def test_function_in_a_held_attribute_dict_is_kept():
    a = Value(2.0)
    v = square(a)
    attributes = v.__dict__
    y = v * 1
    watched = weakref.ref(v)
    del v
    y.backward()
    assert a.grad == 4.0
    del y
    assert "_backward" in attributes
    del attributes
    gc.collect()
    assert watched() is None


def test_leaf_function_may_drop_other_leaf_functions():
    ran = []
    others = [Value(0.0), Value(0.0)]
    for v in others:
        v._backward = lambda: ran.append("other")
    del v
    a = Value(1.0)
    a._backward = lambda: (ran.append("a"), others.clear())
    (a * 2).backward()
    assert (ran, others, a.grad) == (["a"], [], 2.0)
    (a * 2).backward()
    assert ran == ["a", "a"]
