"""Ctrl-C interrupts native loops at every poll and leaves the graph usable.

Oracles: a gradient known in closed form, computed again after each interruption; `arena_check`;
and how far a loop goes on, counted in nodes: `benchmarks/interrupts.py` says how long that takes.
"""

import copy
import operator
import signal
from contextlib import contextmanager
from functools import partial

import pytest
from helpers.graphs import all_nodes, chain, live, live_after_gc
from helpers.polls import CTRL_C, POLL_INTERVAL, at_each_poll, stop_at
from helpers.tally import tally

from fastgrad import Value
from fastgrad._native.graph import check
from fastgrad.engine import build_info
from fastgrad.nn import Neuron

pytestmark = [pytest.mark.wide, pytest.mark.usefixtures("no_gc_callbacks")]
FARTHEST = POLL_INTERVAL + build_info()["chunk_nodes"]  # nodes that a loop visits before it polls


@contextmanager
def ctrl_c_raises():
    """Expect KeyboardInterrupt, as Python has it, whatever pytest has made of Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            yield
    finally:
        signal.signal(signal.SIGINT, before)
    assert check.arena_check() == []


def stopped_at_each_poll(action, prepare=lambda: None):
    """Interrupt an action at its first poll, at its second and so on; yield the number."""
    prepare()
    last = at_each_poll(action)[0]
    assert last >= 3
    for number in range(1, last + 1):
        prepare()
        with pytest.raises(KeyboardInterrupt):
            at_each_poll(action, stop_at(number))
        yield number


def test_backward_interrupted_at_each_poll_is_usable_again():
    n = 600_000
    x = Value(1.0)
    root = chain(n, x)
    zero = partial(root.zero_grad, graph=True)
    for number in stopped_at_each_poll(root.backward, zero):
        assert (number - 1) * POLL_INTERVAL <= x.grad <= number * FARTHEST
        zero()
        root.backward()
        assert x.grad == n + 1.0, "no mark is left, nothing is lost"
        tally("Ctrl-C: sweeps interrupted, then run whole")
    del root, zero
    assert check.arena_check() == []


def test_zero_grad_interrupted_at_each_poll_is_usable_again():
    n = 600_000
    x = Value(1.0)
    oldest = x + x
    root = oldest
    for _ in range(n):
        root = root + x
    zero = partial(root.zero_grad, graph=True)
    for _ in stopped_at_each_poll(zero, partial(setattr, oldest, "grad", 5.0)):
        assert oldest.grad == 5.0, "its turn has not come"
        zero()
        assert oldest.grad == 0.0, "no mark is left, nothing is lost"
    root.backward()
    assert x.grad == n + 2.0
    del root, oldest, zero
    assert check.arena_check() == []


def test_interrupted_building_leaves_no_nodes():
    """Operations have no loop: a signal is noticed between two of them, by the interpreter."""
    x = Value(1.0)

    def build(length, last):
        y = x
        for i in range(length):
            y = y * 0.5 + (CTRL_C() or x if i == last else x)
        return y

    before = live()
    for last in range(0, 1000, 50):
        with ctrl_c_raises():
            build(1000, last)
        assert live() == before
    y = chain(10, x)
    y.backward()
    assert x.grad == 11.0


def test_interrupt_in_a_custom_function_is_raised():
    x = Value(1.0)
    y = Value(2.0, (x,))
    entered = []

    def step():
        entered.append("begun")
        CTRL_C()
        for _ in range(1000):
            pass
        entered.append("ended")

    y._backward = step
    z = y * 3
    with ctrl_c_raises():
        z.backward()
    assert entered == ["begun"]
    assert y.grad == 3.0


def test_signal_handler_may_use_the_arena_during_a_sweep():
    """Build, sweep and drop from a signal handler, which a long sweep lets run."""
    n = 1_000_000
    x = Value(1.0)
    graphs = [chain(n, x)] + [chain(3000, Value(2.0)) for _ in range(20)]
    seen = []

    def handler(number):
        if len(graphs) > 1:
            graphs.pop()
        y = chain(500, Value(3.0))
        y.backward()
        graphs[0].backward()  # nested: the sweep of this graph has called it
        seen.append(x.grad)

    last, _ = at_each_poll(graphs[0].backward, handler)
    assert last == len(seen) >= n // FARTHEST
    graphs[0].zero_grad(graph=True)
    graphs[0].backward()
    assert x.grad == n + 1.0
    graphs.clear()
    assert check.arena_check() == []


def test_deepcopy_interrupted_at_each_poll_leaves_no_nodes():
    x = Value(1.0)
    y = chain(200_000, x)
    before = live_after_gc()
    for _ in stopped_at_each_poll(partial(copy.deepcopy, y)):
        assert live_after_gc() == before
        assert check.arena_check() == []
    y.backward()
    assert x.grad == 200_001.0


def test_signal_handler_may_use_a_graph_that_is_being_copied():
    """Build, drop, sweep, look into neurons that have been reached already, or not yet."""
    x = Value(1.0)
    neuron = Neuron(3, nonlin=False)
    parts = [neuron([x, x, 1.0]) for _ in range(12)]
    y = x
    for part in parts:
        y = chain(40_000, y + part)
    left, kept = parts.copy(), []

    def handler(number):
        if left:
            kept.append((left.pop(number % 2 - 1)._prev, chain(6_000, Value(3.0))))  # new chunks
            del kept[:-2]
            y.zero_grad(graph=True)
            y.backward()

    last, z = at_each_poll(partial(copy.deepcopy, y), handler)
    assert last > len(parts)
    assert not left
    assert z.data == y.data
    assert check.arena_check() == []
    before = neuron.b.grad
    z.zero_grad(graph=True)
    z.backward()
    assert neuron.b.grad == before
    assert check.arena_check() == []


# How far does a loop go on? -----------------------------------------------------------------------


def interrupted(action):
    """Press Ctrl-C and do something, which must raise KeyboardInterrupt."""
    finished = []
    with ctrl_c_raises():
        finished.extend(map(operator.call, (CTRL_C, action)))


@pytest.mark.parametrize("above", [0, 1, 4095, 4096, 60_000, 65_535, 65_536, 70_000])
def test_backward_polls_signals_within_65536_nodes(above):
    """The sweep itself comes to the Ctrl-C, some nodes below its root."""
    x = Value(1.0)
    y = chain(200_000, x)
    y.grad = 1.0
    button = Value(y.data, (y,))
    button._backward = CTRL_C
    root = chain(above, button + x)
    with ctrl_c_raises():
        root.backward()
    assert above < x.grad <= above + 1 + FARTHEST


def test_zero_grad_polls_signals_within_65536_nodes():
    x = Value(1.0)
    probes = [chain(1000, x)]
    for _ in range(199):
        probes.append(chain(1000, probes[-1]))
    probes[-1].backward()
    interrupted(partial(probes[-1].zero_grad, graph=True))
    cleared = sum(p.grad == 0.0 for p in probes)
    assert cleared <= FARTHEST // 1000 + 1 + 1  # visited, and an operand of the last one


@pytest.mark.parametrize("seen", [False, True], ids=["dot", "expanded"])
def test_sweep_counts_neuron_operands_between_polls(seen):
    """Wide neurons are few nodes, and as much work as many."""
    neuron = Neuron(512, nonlin=False)
    shared = [Value(1.0) for _ in range(511)]
    own = [Value(1.0) for _ in range(400)]
    for w in neuron.w:
        w.data = 1.0
    outs = [neuron([x, *shared]) for x in own]
    if seen:
        assert all(out._prev for out in outs)
    root = sum(outs)
    interrupted(root.backward)
    assert sum(x.grad != 0.0 for x in own) <= FARTHEST / 512
    root.zero_grad(graph=True)
    root.backward()
    assert neuron.w[0].grad == 400.0
    interrupted(partial(root.zero_grad, graph=True))
    assert sum(x.grad == 0.0 for x in own) <= FARTHEST / 512


def copied_while_looked_into(root, part):
    """Copy a graph; a signal handler looks into a neuron's sum at the first occasion."""
    hidden = []
    before = signal.signal(signal.SIGINT, lambda *_: hidden.extend(part._prev))
    try:
        _, twin = map(operator.call, (CTRL_C, partial(root.__deepcopy__, {})))
    finally:
        signal.signal(signal.SIGINT, before)
    assert len(hidden) == 2
    assert check.arena_check() == []
    return twin


def assert_independent(twin, root, neuron):
    assert twin.data == root.data
    grads = [p.grad for p in neuron.parameters()]
    twin.zero_grad(graph=True)
    twin.backward()
    assert [p.grad for p in neuron.parameters()] == grads


def test_handler_may_expand_a_neuron_that_a_copy_has_reached():
    neuron = Neuron(3, nonlin=False)
    part = neuron([Value(2.0), 3.0, 4.0])
    root = chain(70_000, Value(1.0)) + part  # the neuron is reached first
    root.backward()
    twin = copied_while_looked_into(root, part)
    (inner,) = (v for v in twin._prev if v.data == part.data)
    assert {(v.data, v.grad) for v in inner._prev} == {(v.data, v.grad) for v in part._prev}
    assert not set(all_nodes(inner)) & set(all_nodes(part))
    assert_independent(twin, root, neuron)


def test_handler_may_expand_a_neuron_whose_inputs_are_walked():
    neuron = Neuron(70_000, nonlin=False)
    part = neuron([1.0, *[Value(2.0)] * 69_999])
    assert_independent(copied_while_looked_into(part, part), part, neuron)


def test_handler_may_expand_a_neuron_just_before_it_is_copied():
    """The occasion comes while nodes are copied; the number says whose turn it is then."""
    neuron = Neuron(2, nonlin=False)
    for before in range(25_500, 25_530):
        x = Value(1.0)
        y = chain(before, x)
        parts = [neuron([x, 2.0]) for _ in range(2)]
        root = chain(40_000 - before, y + parts[0] + parts[1])
        assert_independent(copied_while_looked_into(root, parts[1 - before % 2]), root, neuron)


def test_deepcopy_polls_before_it_copies():
    y = chain(100_000, Value(1.0))
    memo = {}
    before = live_after_gc()
    interrupted(partial(y.__deepcopy__, memo))
    assert (memo, live_after_gc()) == ({}, before)
