"""Deep and wide graphs: no recursion, so no stack overflow, in any order of release.

Oracle: closed forms; the arena's own count of what is alive.
"""

import threading

import pytest
from helpers.graphs import chain, live_after_gc, node_count

from fastgrad import Value

pytestmark = pytest.mark.wide
SMALL_STACK = 64 * 1024


def in_a_thread(function):
    """Run a function in a thread with a stack of 64 KiB; pass on what it raises."""
    errors = []

    def run():
        try:
            function()
        except BaseException as error:
            errors.append(error)

    before = threading.stack_size(SMALL_STACK)
    try:
        thread = threading.Thread(target=run)
        thread.start()
    finally:
        threading.stack_size(before)
    thread.join()
    if errors:
        raise errors[0]


def here(function):
    function()


PLACES = pytest.mark.parametrize("place", [here, in_a_thread], ids=["here", "64 KiB of stack"])


@pytest.mark.parametrize("first", ["root", "leaf"])
def test_chain_of_ten_million_nodes_is_swept_and_freed(first):
    before, length = live_after_gc(), node_count(10_000_000)
    x = Value(1.0)
    y = chain(length, x)
    assert live_after_gc() == before + length + 1
    y.backward()
    assert (y.data, x.grad) == (length + 1.0, length + 1.0)
    if first == "root":
        del y
        assert live_after_gc() == before + 1
        del x
    else:
        del x
        assert live_after_gc() == before + length + 1
        del y
    assert live_after_gc() == before


@pytest.mark.parametrize("oldest_first", [True, False])
def test_million_held_nodes_are_freed_in_either_order(oldest_first):
    before, length = live_after_gc(), node_count(1_000_000)
    nodes = [Value(1.0)]
    for _ in range(length):
        nodes.append(nodes[-1] + 1)
    nodes[-1].backward()
    assert (nodes[0].grad, nodes[-1].data) == (1.0, length + 1.0)
    assert live_after_gc() == before + 2 * length + 1
    if oldest_first:
        nodes.reverse()
    while nodes:
        nodes.pop()
    assert live_after_gc() == before


@PLACES
def test_deep_chain_is_swept_cleared_and_freed(place):
    before, length = live_after_gc(), node_count(1_000_000)

    def work():
        x = Value(0.5)
        y = chain(length, x).relu()
        y.backward()
        assert x.grad == length + 1
        y.zero_grad(graph=True)
        assert (x.grad, y.grad) == (0.0, 0.0)
        y.backward()
        y.backward()
        assert y.grad == 1.0

    place(work)
    assert live_after_gc() == before


@PLACES
def test_wide_fan_in_reaches_all_operands(place):
    before, width = live_after_gc(), node_count(1_000_000)

    def work():
        xs = [Value(1.0) for _ in range(width)]
        y = sum(xs)
        y.backward()
        assert y.data == width
        assert {x.grad for x in xs} == {1.0}
        wide = Value(1.0, xs, "wide")
        assert len(wide._prev) == width
        (wide * 2).backward()
        assert wide.grad == 2.0

    place(work)
    assert live_after_gc() == before


@PLACES
def test_wide_fan_out_adds_all_gradients(place):
    before, width = live_after_gc(), node_count(1_000_000)

    def work():
        x = Value(0.25)
        ys = [x * 2 for _ in range(width)]
        total = ys[0]
        for y in ys[1:]:
            total = total + y
        total.backward()
        assert (total.data, x.grad) == (width / 2, 2.0 * width)

    place(work)
    assert live_after_gc() == before


@PLACES
def test_ladder_of_shared_operands_is_swept_once_per_node(place):
    """Each rung is used twice: a sweep that followed paths would take 2**1000 steps."""

    def work():
        x = y = Value(1.0)
        for _ in range(1_000):
            y = y + y
        y.backward()
        assert y.data == x.grad == 2.0**1000

    place(work)


@PLACES
def test_deep_chain_of_nodes_with_attributes_is_freed(place):
    before, length = live_after_gc(), 100_000

    def work():
        y = Value(1.0)
        for i in range(length):
            y = y + 1
            y.label = i
        y.backward()
        assert y.label == length - 1

    place(work)
    assert live_after_gc() == before


@PLACES
def test_deep_chain_of_custom_nodes_is_freed(place):
    before, length = live_after_gc(), 20_000

    def increment(x):
        out = Value(x.data + 1, (x,), "increment")

        def _backward():
            x.grad += out.grad

        out._backward = _backward
        return out

    def work():
        x = y = Value(1.0)
        for _ in range(length):
            y = increment(y)
        y.backward()
        assert (y.data, x.grad) == (length + 1.0, 1.0)

    place(work)
    assert live_after_gc() == before


@PLACES
def test_deep_and_wide_networks_are_swept_and_freed(place):
    before = live_after_gc()

    def work():
        from fastgrad.nn import Layer, Neuron

        neuron, x = Neuron(1, nonlin=False), Value(1.0)
        neuron.w, y = [Value(1.0)], x
        for _ in range(100_000):
            y = neuron([y])
        y.backward()
        assert x.grad == 1.0
        layer = Layer(100_000, 2)
        first, second = layer([x] * 100_000)
        (first + second).backward()
        assert len(first._prev) == 1

    place(work)
    assert live_after_gc() == before
