"""Programs in which each allocation fails once, and which of them cannot be run so."""

import sys

import pytest

FAILING = """
import copy, gc, sys
sys.settrace(None)  # a tracer, such as that of coverage, crashes where it gets no memory
from itertools import repeat  # counts without making integers
import _testcapi
from fastgrad import Value, arena_stats, no_grad
from fastgrad._native.graph.check import arena_check
from fastgrad.nn import MLP, Layer, Neuron

def live():
    return arena_stats()["live_nodes"]

class Special(Value):
    pass

class Forked(Value):
    def __init__(self, data):
        super().__init__(data)
        self.extra = data

a, b, c = Value(2.0), Value(3.0), Special(4.0)
neuron = Neuron(3)
for v, data in zip(neuron.parameters(), (1.0, 2.0, 3.0, 0.5)):
    v.data = data

def usable():
    for v in (a, b, c, *neuron.parameters()):
        v.grad = 0.0
    x = Value(3.0)
    y = x * x + 1
    y.backward()
    assert (y.data, x.grad, len(y._prev)) == (10.0, 6.0, 2)
    y = neuron([x, 1.0, 2])
    y.backward()
    assert (y.data, neuron.w[0].grad) == (11.5, 3.0), (y, neuron.w)
    for v in neuron.parameters():
        v.grad = 0.0

disguises = MemoryError  # what a MemoryError may have become on its way

def attempt(k, prepare, act):
    state = prepare()
    failed = False
    out = None
    _testcapi.set_nomemory(k, k + 1)
    try:
        out = act(state)
    except disguises:
        failed = True
    finally:
        _testcapi.remove_mem_hooks()
    wrong = arena_check()
    assert wrong == [], (k, wrong)
    if failed:
        verify = globals().get("after_failure")
        if verify:
            verify(state)
    elif out is not None:
        out = None
    return failed

def each_failure(prepare, act, quiet=40):
    usable()
    gc.collect()
    gc.disable()
    before = live()
    failures = successes = k = 0
    while successes < quiet:  # some failures are swallowed, so one success proves nothing
        failed = attempt(k, prepare, act)
        failures += failed
        successes = 0 if failed else successes + 1
        gc.collect()
        assert live() == before, (k, live(), before)
        usable()
        k += 1
    print(failures)
"""


def skip_what_crashes_python(makes_functions):
    """Skip what runs Python that makes functions, generators or signatures, its own or ours."""
    if makes_functions and sys.version_info >= (3, 12):
        pytest.skip("CPython 3.12 and 3.13 themselves crash where a function gets no memory")
