"""Depth, fan-in and fan-out: nothing recurs, so no stack overflows, whichever end goes first.

Oracle: closed forms; the arena's own count of what is alive.
"""

import threading

import pytest
from helpers.graphs import chain, many, settled

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
def test_ten_million_nodes(first):
    before, length = settled(), many(10_000_000)
    x = Value(1.0)
    y = chain(length, x)
    assert settled() == before + length + 1
    y.backward()
    assert (y.data, x.grad) == (length + 1.0, length + 1.0)
    if first == "root":
        del y
        assert settled() == before + 1
        del x
    else:
        del x
        assert settled() == before + length + 1
        del y
    assert settled() == before


@pytest.mark.parametrize("oldest_first", [True, False])
def test_a_million_held_nodes(oldest_first):
    before, length = settled(), many(1_000_000)
    nodes = [Value(1.0)]
    for _ in range(length):
        nodes.append(nodes[-1] + 1)
    nodes[-1].backward()
    assert (nodes[0].grad, nodes[-1].data) == (1.0, length + 1.0)
    assert settled() == before + 2 * length + 1
    if oldest_first:
        nodes.reverse()
    while nodes:
        nodes.pop()
    assert settled() == before


@PLACES
def test_a_chain(place):
    before, length = settled(), many(1_000_000)

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
    assert settled() == before


@PLACES
def test_fan_in(place):
    before, width = settled(), many(1_000_000)

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
    assert settled() == before


@PLACES
def test_fan_out(place):
    before, width = settled(), many(1_000_000)

    def work():
        x = Value(0.25)
        ys = [x * 2 for _ in range(width)]
        total = ys[0]
        for y in ys[1:]:
            total = total + y
        total.backward()
        assert (total.data, x.grad) == (width / 2, 2.0 * width)

    place(work)
    assert settled() == before


@PLACES
def test_a_ladder_of_shared_operands(place):
    """Each rung is used twice: a sweep that followed paths would take 2**1000 steps."""

    def work():
        x = y = Value(1.0)
        for _ in range(1_000):
            y = y + y
        y.backward()
        assert y.data == x.grad == 2.0**1000

    place(work)


@PLACES
def test_deep_chains_with_attributes(place):
    before, length = settled(), 100_000

    def work():
        y = Value(1.0)
        for i in range(length):
            y = y + 1
            y.label = i
        y.backward()
        assert y.label == length - 1

    place(work)
    assert settled() == before


@PLACES
def test_deep_chains_of_custom_nodes(place):
    before, length = settled(), 20_000

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
    assert settled() == before


@PLACES
def test_deep_networks(place):
    before = settled()

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
    assert settled() == before
