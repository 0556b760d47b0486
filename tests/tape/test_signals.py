"""Ctrl-C interrupts recording, export and restoring of tapes at every poll.

Oracles: how often native loops let signal handlers run, against the operations, operands and leaves
that they have come by; `arena_check`; the recorded graph's own data.
"""

from functools import partial
from pathlib import Path

import pytest
from helpers.graphs import chain, live, live_after_gc, node_count
from helpers.polls import POLL_INTERVAL, at_each_poll, stop_at
from helpers.processes import python
from helpers.tally import tally

import fastgrad as fg
from fastgrad import Value
from fastgrad._native.graph import check
from fastgrad._native.tape.bind import Shape
from fastgrad._native.tape.program import export, restore
from fastgrad._native.tape.tape import TapeCore
from fastgrad.errors import TapeError
from fastgrad.nn import Layer

pytestmark = [pytest.mark.wide, pytest.mark.usefixtures("no_gc_callbacks", "no_collector")]
NUMBER = Shape((), 0, "x")


def taped(x, y):
    """Return what makes a tape of a graph, without a byte of Python."""
    return partial(TapeCore, [x], [y], [NUMBER], NUMBER)


def table(operations, leaves):
    """Give the size of the table by which duplicates are found."""
    return 1 << (leaves + 2 * operations).bit_length()


def test_recording_polls_signals_by_operations():
    n = node_count(1 << 20)
    x = Value(1.0)
    polls, _ = at_each_poll(taped(x, chain(n, x)))
    walks = 2 * n  # back and forth
    build = table(n, 1) + 8 * n  # folded, used, chains (2), measured, moved, numbered (2)
    assert polls >= (walks + build) // POLL_INTERVAL - 2


def test_recording_polls_signals_by_leaves():
    n = node_count(1 << 20)
    x = y = Value(0.0)
    kept = [Value(i) for i in range(n)]
    for leaf in kept:
        y = y + leaf
    polls, _ = at_each_poll(taped(x, y))
    walks = 3 * n  # back, forth, and the leaves
    build = table(n, n) + 10 * n  # twice more: the leaves are copied, and looked at for constants
    lists = n  # of parameters
    assert polls >= (walks + build + lists) // POLL_INTERVAL - 3


def test_recording_polls_signals_by_operands():
    """Wide neurons are few nodes, and as much work as many."""
    layer = Layer(1024, 256, nonlin=False)
    x = Value(1.0)
    y = sum(layer([x] * 1024))
    n = 2 * 1024 * 256
    polls, _ = at_each_poll(taped(x, y))
    walks = 2 * n + n // 2  # and the weights
    build = table(0, n // 2) + 5 * n + n  # folded, used, moved, leaves, slots; the weights twice
    assert polls >= (walks + build + n // 2) // POLL_INTERVAL - 1


def test_export_and_restore_poll_signals_by_entries():
    n = node_count(1 << 20)
    x = Value(1.0)
    core = taped(x, chain(n, x))()
    polls, (arrays, codes) = at_each_poll(partial(export, core))
    assert polls >= 2 * n // POLL_INTERVAL - 1  # operations, and which inputs they read
    empty = TapeCore.__new__(TapeCore)
    polls, fault = at_each_poll(partial(restore, empty, arrays, codes, n, 0))
    assert fault == ("one of 0 places, or 0", "1", "sources[0]") or fault is None
    assert polls >= 3 * n // POLL_INTERVAL - 2  # copied and checked besides


@pytest.mark.parametrize("held", [False, True], ids=["numbers", "parameters"])
def test_recording_interrupted_at_any_poll_leaves_no_nodes(held):
    n = 60_000
    x = y = Value(0.5)
    leaves = [Value(1.0) if held else 1.0 for _ in range(n // 2)]
    for leaf in leaves:
        y = y * 0.5 + leaf
    make = taped(x, y)
    before = live()
    last, core = at_each_poll(make)
    assert core(0.5) == y.data
    del core
    assert last > 6
    for number in range(1, last + 1):
        with pytest.raises(KeyboardInterrupt):
            at_each_poll(make, stop_at(number))
        assert live() == before
        assert check.arena_check() == []
    assert make()(0.5) == y.data
    tally("Ctrl-C: recordings stopped, each at another poll", last)


# What signal handlers do there may move the arena's tables and make other nodes of those that the
# walk has counted. A process of its own starts with small tables; its allocator looks for writes
# beyond what was asked for, and fills in what lies there.
DISTURBED = """
import sys
sys.path.insert(0, sys.argv[2])
from functools import partial
from helpers.graphs import chain
from helpers.polls import at_each_poll
import fastgrad as fg
from fastgrad import Value
from fastgrad._native.graph import check
from fastgrad._native.tape.bind import Shape
from fastgrad._native.tape.tape import TapeCore
from fastgrad.nn import Neuron
x = Value(0.5)
y = chain(300_000, x)
big, other = Neuron(4096, nonlin=False), Neuron(8, nonlin=False)
dot, owner = big([y] * 4096), [other([y] * 8)]
hidden = max(owner[0]._prev, key=lambda v: len(v._prev))
root = dot * 1e-3 + hidden
kept, graphs = [], [chain(2000, Value(1.0)) for _ in range(50)]
actions = {
    "builds": lambda: kept.__init__([chain(300_000, x)]),
    "drops": graphs.pop,
    "sweeps": root.backward,
    "records": lambda: kept.append(fg.record(lambda v: v * x, 1.0)),
    "looks into a neuron": lambda: dot._prev,
    "drops the neuron of a hidden node": owner.clear,
}
number, numbers = Shape((), 0, "x"), Shape((70_000,), 0, "result")
for first in 1, 7:  # while it begins, and on its way forth
    action = actions[sys.argv[1]]
    polls, core = at_each_poll(
        partial(TapeCore, [x], [root] * 70_000, [number], numbers),
        lambda number: action() if first <= number < 10 else None,
    )
    assert polls > 10
    assert core(0.5)[0] == root.data != core(0.25)[0]
assert check.arena_check() == []
"""


@pytest.mark.parametrize(
    "action",
    ["builds", "drops", "sweeps", "records", "looks into a neuron",
     "drops the neuron of a hidden node"],
)  # fmt: skip
def test_signal_handler_may_use_the_arena_during_extraction(action, tmp_path):
    tests = Path(__file__).parents[1]
    process = python("-c", DISTURBED, action, tests, cwd=tmp_path, flags=["-X", "dev"])
    assert (process.returncode, process.stderr) == (0, "")


def test_handler_that_writes_a_backward_step_is_refused():
    x = Value(1.0)
    middle = chain(300_000, x)
    y = chain(300_000, middle)

    def write(number):
        if number == 3:
            middle._backward = lambda: None

    with pytest.raises(TapeError, match="backward step in Python"):
        at_each_poll(taped(x, y), write)


def test_handler_that_changes_the_lists_changes_no_tape():
    x = Value(1.0)
    y = chain(300_000, x)
    inputs, outputs = [x], [y]

    def change(number):
        inputs.clear()
        outputs.extend([y] * 1000)

    _, core = at_each_poll(partial(TapeCore, inputs, outputs, [NUMBER], NUMBER), change)
    assert core(1.0) == y.data


@pytest.mark.slow
def test_recording_of_ten_million_operations_is_interrupted():
    """The whole of it, as users meet it."""
    n = 10_000_000
    w = Value(1.0)
    make = partial(fg.record, lambda x: chain(n, x) * w, 1.0)
    last, tape = at_each_poll(make)
    assert tape(1.0) == n + 1.0
    del tape
    before = live_after_gc()
    for number in range(1, last + 1, last // 5):
        with pytest.raises(KeyboardInterrupt):
            at_each_poll(make, stop_at(number))
        assert live_after_gc() == before
        assert check.arena_check() == []
        assert fg.record(lambda x: x * w, 1.0)(3.0) == 3.0
        tally("Ctrl-C: recordings of 10^7 operations stopped")
