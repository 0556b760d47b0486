"""Every native loop polls signals, by the work that it does, and stops where a handler raises.

Oracles: the steps that each loop is to count; what was there before; `arena_check`.
"""

import copy
import itertools
import operator
import signal
from functools import partial

import pytest
from helpers.graphs import chain, live_after_gc
from helpers.polls import CTRL_C, POLL_INTERVAL, at_each_poll, stop_at
from helpers.tally import tally

import fastgrad as fg
from fastgrad import Value, optim
from fastgrad._native.base import poll
from fastgrad._native.graph import check
from fastgrad._native.tape.program import export
from fastgrad._native.train.fit import Loop

pytestmark = [pytest.mark.wide, pytest.mark.usefixtures("no_collector")]
N = 300_000


def long_tape():
    return fg.record(lambda x: chain(N, x), 1.0)


def layers_tape(w):
    """Record what has 3,000 operations for each sample of a batch."""
    return fg.record(lambda x: sum((x * w + i).tanh() for i in range(1_000)), 1.0)


def sweep():
    root = chain(N, Value(1.0))
    return root.backward, N


def clearing():
    root = chain(N, Value(1.0))
    root.backward()
    return partial(root.zero_grad, graph=True), N


def copying():
    return partial(copy.deepcopy, chain(N, Value(1.0))), 2 * N  # reached, and copied


def recording():
    x = Value(1.0)
    return partial(fg.record, lambda x: chain(N, x), x), 10 * N


def one_sample():
    return partial(long_tape(), 1.0), N


def one_gradient():
    return partial(long_tape().value_and_grad, 1.0, wrt="inputs"), 2 * N


def tangent():
    return partial(long_tape().jvp, (1.0,), (1.0,)), 2 * N


def planning():
    tape = long_tape()
    return partial(tape.value_and_grad, [1.0] * 2), 3 * N


def batch(n=1000, **how):
    tape = layers_tape(Value(0.1))
    return partial(tape.value_and_grad, [1.0] * n, **how), n * 3_000


def each_sample():
    return batch(200, reduce=None)


def searching():
    tape = layers_tape(Value(0.1))
    return partial(tape.check, [1.0] * 200), 200 * 3_000


def fitting():
    w = Value(0.1)
    tape = fg.record(lambda x: (x * w - 1.0) ** 2, 1.0)
    data = [0.1 * i for i in range(100)]
    sgd = optim.SGD([w], lr=1e-9)
    return partial(fg.fit, tape, data, optimizer=sgd, steps=1000), 1000 * 100 * 3


def nested_lists():
    return partial(fg.record(lambda x: x[0] + x[1], [1.0, 2.0]), [[1.0, 2.0]] * N), 2 * N


def exporting():
    return partial(export, long_tape()), 2 * N


LOOPS = {
    "backward": sweep,
    "zero_grad": clearing,
    "deepcopy": copying,
    "record": recording,
    "call": one_sample,
    "value_and_grad": one_gradient,
    "jvp": tangent,
    "a plan": planning,
    "a batch": batch,
    "a batch on threads": partial(batch, threads=2),
    "each sample": each_sample,
    "check": searching,
    "fit": fitting,
    "nested lists": nested_lists,
    "a program as arrays": exporting,
}


@pytest.mark.parametrize("name", LOOPS)
def test_every_loop_polls_in_proportion_to_its_work(name):
    action, steps = LOOPS[name]()
    for _ in range(2):  # plans are kept: make them, also those of a second call
        action()
    last, _ = at_each_poll(action)
    if "threads" in name:  # the others help a caller that has to wait: its share is any
        assert last >= 1
        numbers = {1}
    else:
        assert last >= steps // POLL_INTERVAL - 1
        numbers = {1, (last + 1) // 2, last}
    before = live_after_gc()
    for number in numbers:
        with pytest.raises(KeyboardInterrupt):
            at_each_poll(action, stop_at(number))
        assert live_after_gc() == before
    at_each_poll(action)
    assert check.arena_check() == []
    tally("Ctrl-C: loops stopped at a poll", len(numbers))


def test_ctrl_c_at_a_poll_is_raised_by_it():
    action, _ = sweep()
    pressed = []

    def press(number):
        pressed.append(number)
        CTRL_C()

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs
    try:  # ignore it
        with pytest.raises(KeyboardInterrupt):
            at_each_poll(action, press)
    finally:
        signal.signal(signal.SIGINT, before)
    assert pressed == [1]


def test_a_loop_without_the_gil_hears_ctrl_c_by_the_clock():
    """Without an observer; ten thousand million tanh are not computed within 20 ms anywhere."""
    steps = 10_000_000
    w = Value(0.1)
    tape = layers_tape(w)
    updaters = optim.SGD([w], lr=0.0).updaters()
    loop = Loop((tape,), (1.0,), itertools.repeat(updaters).__next__, steps, None, 0, True, 1)
    loop.advance(2)  # which plans
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            list(map(operator.call, (CTRL_C, partial(loop.advance, steps - 2))))
    finally:
        signal.signal(signal.SIGINT, before)
        loop.close()
    assert 2 < loop.done < steps
    assert w.data == 0.1


def test_poll_without_an_observer_calls_nothing():
    action, _ = sweep()
    counted, _ = at_each_poll(action)
    seen = []
    poll.observe(seen.append)
    poll.observe(None)
    action()
    assert counted > 0
    assert seen == []
