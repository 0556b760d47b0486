"""Ctrl-C stops native loops at any moment and leaves everything usable.

Layer: tests.  May import: fastgrad, pytest, the standard library.

Oracles: a gradient known in closed form, computed again after each interruption; `arena_check`.
"""

import functools
import gc
import signal
import time

import pytest

from fastgrad import Value, _check, arena_stats

pytestmark = [
    pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs interval timers"),
    pytest.mark.wide,
]
OFFSETS = 20
HANG = 60.0  # seconds after which a test would rather fail than wait


@pytest.fixture
def interrupt():
    """Return a function that sends one KeyboardInterrupt after some seconds."""
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    yield lambda seconds: signal.setitimer(signal.ITIMER_REAL, seconds)
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def chain(x, n):
    y = x
    for _ in range(n):
        y = y + x
    return y


def repeat(action):
    """Do something again and again until an exception ends it; give the number of times."""
    times = 0
    deadline = time.monotonic() + HANG
    try:
        while time.monotonic() < deadline:
            action()
            times += 1
    except KeyboardInterrupt:
        return times
    pytest.fail("never interrupted")


def test_backward_stops_half_way(interrupt):
    n = 1_500_000
    x = Value(1.0)
    root = chain(x, n)
    started = time.perf_counter()
    root.backward()
    whole = time.perf_counter() - started
    assert x.grad == n + 1.0
    stopped = []
    for i in range(OFFSETS):
        root.zero_grad(graph=True)
        interrupt(whole * (i + 0.5) / OFFSETS + 1e-4)
        if repeat(root.backward) == 0:
            stopped.append(x.grad)
        root.zero_grad(graph=True)
        root.backward()
        assert x.grad == n + 1.0, "no mark is left, nothing is lost"
    assert any(0 < grad < n for grad in stopped), "at least one came in the middle of a sweep"
    del root
    assert _check.arena_check() == []


def test_zero_grad_stops_half_way(interrupt):
    n = 1_500_000
    x = Value(1.0)
    oldest = x + x
    root = oldest
    for _ in range(n):
        root = root + x
    zero = functools.partial(root.zero_grad, graph=True)
    started = time.perf_counter()
    zero()
    whole = time.perf_counter() - started
    stopped = []
    for i in range(OFFSETS):
        oldest.grad = 5.0
        interrupt(whole * (i + 0.5) / OFFSETS + 1e-4)
        if repeat(zero) == 0:
            stopped.append(oldest.grad)
        zero()
        assert oldest.grad == 0.0, "no mark is left, nothing is lost"
    assert 5.0 in stopped, "at least one came before the oldest node's turn"
    root.backward()
    assert x.grad == n + 2.0
    del root, oldest, zero
    assert _check.arena_check() == []


def test_building_stops_anywhere(interrupt):
    gc.collect()
    x = Value(1.0)
    before = arena_stats()["live_nodes"]
    for i in range(OFFSETS):
        interrupt(1e-4 + 2e-4 * i)
        repeat(lambda: chain(x, 1000))
        assert arena_stats()["live_nodes"] == before
        assert _check.arena_check() == []
    y = chain(x, 10)
    y.backward()
    assert x.grad == 11.0


def test_custom_functions_are_interrupted(interrupt):
    x = Value(1.0)
    y = Value(2.0, (x,))
    entered = []

    def step():
        entered.append(True)
        deadline = time.monotonic() + HANG
        while time.monotonic() < deadline:
            pass

    y._backward = step
    z = y * 3
    interrupt(0.01)
    with pytest.raises(KeyboardInterrupt):
        z.backward()
    assert entered == [True]
    assert y.grad == 3.0
    assert _check.arena_check() == []


def test_a_handler_may_use_the_arena_in_the_middle_of_a_sweep(interrupt):
    """Build, sweep and drop from a signal handler, which a long sweep lets run."""
    n = 1_000_000
    x = Value(1.0)
    graphs = [chain(x, n)] + [chain(Value(2.0), 3000) for _ in range(OFFSETS)]
    seen = []

    def handler(number, frame):
        graphs.pop()
        y = chain(Value(3.0), 500)
        y.backward()
        graphs[0].backward()  # nested, if a sweep of the same graph has called this
        seen.append(x.grad)

    signal.signal(signal.SIGALRM, handler)
    deadline = time.monotonic() + HANG
    while len(seen) < OFFSETS and time.monotonic() < deadline:
        interrupt(2e-4 + 2e-4 * len(seen))
        calls = len(seen)
        while len(seen) == calls and time.monotonic() < deadline:
            graphs[0].zero_grad(graph=True)
            graphs[0].backward()
    assert len(seen) == OFFSETS
    graphs[0].zero_grad(graph=True)
    graphs[0].backward()
    assert x.grad == n + 1.0
    graphs.clear()
    assert _check.arena_check() == []
