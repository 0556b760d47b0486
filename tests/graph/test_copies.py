"""Copies of Values and of whole graphs, and pickles of leaves.

Oracle: what copy and pickle do with an ordinary Python class.
"""

import copy
import gc
import io
import pickle

import pytest
from helpers.graphs import all_nodes, chain, live_after_gc

from fastgrad import Value
from fastgrad.engine import build_info
from fastgrad.nn import Neuron

pytestmark = pytest.mark.usefixtures("sound_arena")


class Parameter(Value):
    def __init__(self, data, name="p"):
        super().__init__(data)
        self.name = name


# -- copies --------------------------------------------------------------------------------------


def test_copy_of_a_leaf_is_independent():
    a = Value(3.0, label="a")
    a.grad, a.m = 2.0, [1]
    b, c = copy.copy(a), copy.deepcopy(a)
    for other in (b, c):
        assert (other.data, other.grad, other.label, other.m) == (3.0, 2.0, "a", [1])
        other.data, other.grad, other.label = 1.0, 0.0, "other"
    assert b.m is a.m
    assert c.m is not a.m
    assert (a.data, a.grad, a.label) == (3.0, 2.0, "a")


def test_copy_of_a_node_shares_its_operands():
    a = Value(3.0)
    y = a * a
    z = copy.copy(y)
    assert (z.data, z._op, z._prev) == (9.0, "*", {a})
    z.backward()
    assert (a.grad, y.grad, z.grad) == (6.0, 0.0, 1.0)


def test_deepcopy_of_a_graph_is_independent():
    a, b = Value(2.0, label="a"), Value(3.0, label="b")
    hidden = a * b
    hidden.label = "hidden"
    y = (hidden + a) ** 2 - 1 / b
    y.backward()
    z = copy.deepcopy(y)
    nodes = {v.label: v for v in all_nodes(z) if v.label}
    assert set(nodes) == {"a", "b", "hidden"}
    assert not all_nodes(z) & all_nodes(y)
    assert len(all_nodes(z)) == len(all_nodes(y))
    assert (z.data, z.grad, nodes["a"].grad) == (y.data, y.grad, a.grad)
    z.zero_grad(graph=True)
    nodes["a"].data = 5.0
    z.backward()
    grads = a.grad, b.grad
    assert nodes["b"].grad != 0.0
    y.backward()
    assert (a.data, a.grad != grads[0], b.grad != grads[1]) == (2.0, True, True)


@pytest.mark.parametrize("expand", [False, True])
def test_deepcopy_of_a_fused_neuron_has_equal_gradients(expand):
    neuron = Neuron(3, nonlin=False)
    x = [Value(2.0), Value(-1.0) * 1.0, Value(0.5)]
    y = neuron(x)
    if expand:
        assert len(all_nodes(y)) == 15
    twin = copy.deepcopy(y)
    twin.backward()
    assert {v.grad for v in all_nodes(y)} == {0.0}
    y.backward()
    show = sorted((v._op, v.data, v.grad) for v in all_nodes(y))
    assert sorted((v._op, v.data, v.grad) for v in all_nodes(twin)) == show


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
@pytest.mark.parametrize("k", [2, 2.0, True, False, -1, 0.5])
def test_copy_keeps_the_type_of_an_exponent(copied, k):
    y = Value(3.0) ** k
    assert copied(y)._op == y._op == f"**{k}"


@pytest.mark.wide
def test_deepcopy_of_a_graph_in_reused_chunks_is_correct():
    """Its younger nodes have lower ids than its older ones."""
    n = build_info()["chunk_nodes"]
    x = Value(1.0)
    before = [x * x for _ in range(4 * n)]
    del before[: 3 * n]
    y = x
    for _ in range(2 * n):
        y = y + x
    twin = copy.deepcopy(y)
    twin.backward()
    assert (x.grad, y.grad, twin.data) == (0.0, 0.0, y.data)


def test_deepcopy_keeps_shared_nodes_shared():
    a = Value(2.0)
    b = a * 3
    copies = copy.deepcopy({"a": a, "list": [b, b, a], "c": b + a})
    assert copies["list"][0] is copies["list"][1]
    assert copies["list"][2] is copies["a"]
    assert copies["c"]._prev == {copies["a"], copies["list"][0]}
    assert copies["list"][0]._prev > {copies["a"]}
    copies["c"].backward()
    assert (copies["a"].grad, a.grad) == (4.0, 0.0)


def test_deepcopy_maps_subclasses_and_attributes_into_the_copy():
    p = Parameter(2.0, name=["w"])
    y = p * 3
    y.origin = p
    z = copy.deepcopy(y)
    assert type(z.origin) is Parameter
    assert z.origin in z._prev
    assert z.origin.name == ["w"]
    assert z.origin.name is not p.name
    assert type(copy.copy(p)) is Parameter
    assert copy.copy(p).name is p.name


def test_deepcopy_of_custom_nodes_keeps_their_functions():
    a = Value(2.0)
    out = Value(4.0, (a,), "square")
    called = []
    out._backward = lambda: called.append(1)
    z = copy.deepcopy(out * 2)
    (inner,) = [v for v in z._prev if v._prev]
    assert (inner._op, inner.data) == ("square", 4.0)
    z.backward()
    assert called == [1]


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
@pytest.mark.parametrize("kind", ["dot", "hidden", "operation", "leaf"])
def test_copy_of_any_node_keeps_its_backward_function(copied, kind):
    dot = Neuron(2, nonlin=False)([Value(1.0), 2.0])
    product = next(p for p in dot._prev if p._op == "*")
    v = {"dot": dot, "hidden": product, "operation": dot * 2, "leaf": Value(1.0)}[kind]
    called = []
    v._backward = lambda: called.append(1)
    (copied(v) + 1).backward()
    assert called == [1]


def test_copied_backward_step_acts_on_the_copied_value():
    """A step belongs to its Value: to the copy, where that is copied too."""
    a = Value(3.0)
    y = a * a
    y.grad = 1.0
    z, step = copy.deepcopy((y, y._backward))
    step()
    (b,) = z._prev
    assert (a.grad, b.grad) == (0.0, 6.0)
    copy.copy(y._backward)()
    assert (a.grad, b.grad) == (6.0, 6.0)


@pytest.mark.wide
def test_deepcopy_of_a_deep_graph_is_independent():
    x = Value(1.0)
    y = chain(100_000, x)
    z = copy.deepcopy(y)
    z.backward()
    assert (z.data, x.grad) == (100_001.0, 0.0)
    y.backward()
    assert x.grad == 100_001.0


def test_failed_deepcopy_changes_nothing():
    class Uncopyable:
        def __deepcopy__(self, memo):
            raise LookupError("not this one")

    a = Value(2.0)
    y = a * 3
    a.thing = Uncopyable()
    before = live_after_gc()
    with pytest.raises(LookupError) as caught:
        copy.deepcopy(y)
    del caught
    gc.collect()
    assert live_after_gc() == before
    y.backward()
    assert a.grad == 3.0


# -- pickles -------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickled_leaf_keeps_data_grad_and_attributes(protocol):
    a = Value(3.5, label="a")
    a.grad, a.m = -1.0, [1, 2]
    p = Parameter(0.1, name="w")
    copies = pickle.loads(pickle.dumps([a, a, p], protocol))
    assert copies[0] is copies[1]
    b = copies[0]
    assert (b.data, b.grad, b.label, b.m) == (3.5, -1.0, "a", [1, 2])
    assert (type(copies[2]), copies[2].data, copies[2].name) == (Parameter, 0.1, "w")
    (b * 2).backward()
    assert (b.grad, a.grad) == (1.0, -1.0)


def test_pickle_of_an_operation_result_is_refused():
    y = Value(1.0) * 2
    for v in (y, Value(2.0, (y,), "custom")):
        with pytest.raises(TypeError, match=r"expected a leaf to pickle.*v\.detach\(\)"):
            pickle.dumps(v)
    assert pickle.loads(pickle.dumps(y.detach())).data == 2.0


def test_damaged_pickles_are_refused():
    v = Value(1.0)
    for state in ((1.0,), ("a", 0.0, {}), (1.0, None, {}), (1.0, 0.0, 5), None):
        with pytest.raises((TypeError, ValueError)):
            v.__setstate__(state)
    good = pickle.dumps(v)
    for cut in range(len(good)):
        with pytest.raises(Exception):  # noqa: B017
            pickle.load(io.BytesIO(good[:cut]))


def test_deepcopy_memo_entry_is_used_as_the_copy():
    a = Value(2.0)
    y = a * 3
    twin = Value(5.0)
    z = copy.deepcopy(y, {id(a): twin})
    assert z._prev > {twin}
    memo = {id(y): 3.0}
    with pytest.raises(TypeError, match="as the memo's copy of a Value, got float"):
        y.__deepcopy__(memo)
    assert y.__deepcopy__({id(y): twin}) is twin
    assert a.__deepcopy__({id(a): twin}) is twin
