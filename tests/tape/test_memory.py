"""Tapes and memory: failing allocations, leaks, lifetimes.

Oracles: `arena_check`, the number of live nodes and the tape's own next answer after each failure;
the operating system's count of resident pages; weak references.
"""

import gc
import sys
import weakref

import pytest
from helpers.failing_allocations import FAILING, skip_what_crashes_python
from helpers.graphs import live_after_gc
from helpers.memory_programs import PRELUDE
from helpers.processes import python

import fastgrad as fg
from fastgrad import Value, nn
from fastgrad.engine import build_info

np = pytest.importorskip("numpy")

INFO = build_info()
pytestmark = pytest.mark.wide

TAPES = """
import array
import os
import fastgrad as fg
from fastgrad import functional as F
from fastgrad.tape import record

table = [Value(1.5), Value(-0.5), Value(0.25)]
parameters = [a, b, *neuron.parameters(), *table]

def cell(x, state):  # the same weights at each step, the first state shared by all samples
    rows = table, table[::-1]
    return [sum((w * v for w, v in zip(row, [x, *state])), a).relu() for row in rows]

def cost(x, i):
    h = [neuron([x[0], x[1], 1.0]).relu(), sum((w * v for w, v in zip(neuron.w, x)), a) * b]
    last = (x[1] * a).tanh() + sum(cell(x[1], cell(x[0], [a, b])))
    return fg.where(x[0] < x[1], h[0] * h[1], h[0] - h[1]) * fg.take(table, i) + last

def shapes(x, i):
    return {"a": [x[0], x[1] * a], "b": (cost(x, i), b)}

def cleared():
    for p in parameters:
        p.grad = 0.0

cleared()
X = array.array("d", [0.5, -1.0, 1.25, 0.75, -0.25, 2.0] * 5)
batch = memoryview(X).cast("B").cast("d", (15, 2))
rows = [[0.5, -1.0], [1.25, 0.75], [-0.25, 2.0]] * 5
index = [0, 1, 2] * 5
tape = record(cost, [1.0, 2.0], 0)
other = record(shapes, [1.0, 2.0], 0)
single = [0.5, -1.0], 2
RIGHT = tape(rows, index), tape(*single), tape.value_and_grad(rows, index), other(rows, index)
cleared()

def answers():
    assert (a * b < 7) is True, "still recording"
    assert tape(rows, index) == RIGHT[0]
    assert tape([0.5, -1.0], 2) == RIGHT[1]
    assert tape.value_and_grad(rows, index) == RIGHT[2]
    assert other(batch, index) == RIGHT[3]
    assert [p.grad for p in parameters] == [0.0] * len(parameters)

def fresh():  # without frames and plans
    return record(cost, [1.0, 2.0], 0)
"""

# What is to fail makes no functions: CPython 3.12 and 3.13 themselves crash then.
SCENARIOS = {
    "record": """
def after_failure(s):
    answers()
def live():
    return 0  # CPython 3.11 loses an argument where a function with cells gets no frame
each_failure(lambda: None, lambda s: record(cost, [1.0, 2.0], 0))
""",
    "derivatives": """
def after_failure(s):
    answers()
    assert set(s.derived or ()) <= {("gradient", wrt, False) for wrt in ("parameters", "x")}
def act(s):
    s.grad_tape("parameters")
    s.hvp_tape("x")
each_failure(fresh, act)
""",
    "record structures": """
example = {"x": [1.0, [2.0, 3.0]]}, (1.0, 2.0)
def function(p, q):
    return [p["x"][0] * q[0], {"r": (p["x"][1][1] * a, q[1])}]
def after_failure(s):
    answers()
def live():
    return 0
each_failure(lambda: None, lambda s: record(function, *example))
""",
    "build": """
from fastgrad import engine
from fastgrad._native.tape.bind import Shape
def prepare():
    inputs = [Value(0.5), Value(0.25), Value(1.0)]
    y = cost(inputs[:2], inputs[2])
    (sum_,) = neuron(inputs)._prev
    hidden = list(sum_._prev)
    for _ in repeat(None, min(9_000, 9 * engine.build_info()["chunk_nodes"])):
        y = y * a + hidden[0]
    structures = [Shape((3,), 0, "x")], Shape((5,), 0, "result")
    return inputs, [y, hidden[1], a, y, inputs[0]], (*structures, "f", [])
def act(s):
    fg.Tape(s[0], s[1], *s[2])
each_failure(prepare, act)
""",
    "enter and exit": """
from fastgrad._native.graph.recording import record_enter, record_exit
def act(s):
    record_enter(print)
    try:
        a * b + 1
    finally:
        record_exit()
def after_failure(s):
    answers()
each_failure(lambda: None, act)
""",
    "first call": """
def after_failure(s):
    assert s([0.5, -1.0], 2) == RIGHT[1]
each_failure(fresh, lambda s: s([0.5, -1.0], 2))
""",
    "first batch": """
def after_failure(s):
    assert s(rows, index) == RIGHT[0]
    answers()
each_failure(fresh, lambda s: s(rows, index))
""",
    "structures": """
each_failure(lambda: record(shapes, [1.0, 2.0], 0),
             lambda s: (s(batch, index), s([0.5, -1.0], 1), s(rows, 2)))
""",
    "backward": """
def act(s):
    before = [p.grad for p in parameters]
    _ = s.backward(rows, index)
    done = [p.grad for p in parameters]
def prepare():
    cleared()
    return fresh()
def after_failure(s):
    got = [p.grad for p in parameters]
    cleared()
    s.backward(rows, index)
    assert got in ([0.0] * len(got), [p.grad for p in parameters]), "half a gradient"
    cleared()
each_failure(prepare, act)
cleared()
""",
    "backward that raises": """
def after_failure(s):
    assert [p.grad for p in parameters] == [0.0] * len(parameters), "failed, but changed a grad"
def prepare():
    cleared()
    return fresh()
each_failure(prepare, lambda s: s.backward(rows, index))
cleared()
each_failure(prepare, lambda s: s.backward([0.5, -1.0], 1))
cleared()
""",
    "value_and_grad": """
def after_failure(s):
    answers()
    assert s.value_and_grad(rows, index) == RIGHT[2]
each_failure(fresh, lambda s: s.value_and_grad(rows, index))
each_failure(fresh, lambda s: s.value_and_grad(batch, index, wrt="inputs"))
each_failure(fresh, lambda s: s.value_and_grad(batch, 1, reduce=None))
each_failure(fresh, lambda s: s.value_and_grad(batch, 1, reduce=None, wrt="inputs"))
each_failure(fresh, lambda s: s.jvp((batch, 1), ([1.0, 0.5], 0.0)))
""",
    "values": """
x, y = Value(0.5), Value(-1.0)
def after_failure(s):
    x.grad = y.grad = 0.0
    cleared()
    out = s([x, y], 1.0)
    assert out.data == s([0.5, -1.0], 1)
    out.backward()
    assert [x.grad, y.grad] == s.value_and_grad([0.5, -1.0], 1, wrt="inputs")[1][0]
    cleared()
each_failure(fresh, lambda s: s([x, y], 1.0))
def after_failure(s):
    answers()
each_failure(lambda: record(shapes, [1.0, 2.0], 0), lambda s: s([x, -1.0], 1))
""",
    "custom operations": """
from fastgrad import custom
def product(x, k, *rest):
    return x * k
def slopes(x, k, *rest_and_result):
    return (k, x) + (0.0,) * (len(rest_and_result) - 1)
own = custom("own")(product).partials(slopes)
few = record(lambda x, k: own(x[0], k) * a + own(x[1], k, b), [1.0, 2.0], 3.0)
many = record(lambda x, k: own(x[0], k, *x, *x, *x, *x) * a, [1.0, 2.0], 3.0)
pair = rows[:2]
wanted = [s.value_and_grad(pair, 1.0) for s in (few, many)]
x = Value(0.5)
def after_failure(s):
    assert wanted == [s.value_and_grad(pair, 1.0) for s in (few, many)]
each_failure(lambda: many, lambda s: s.value_and_grad(pair, 1.0))
each_failure(lambda: few, lambda s: s.jvp((pair, 1.0), ([1.0, 0.0], 1.0)))
each_failure(lambda: few, lambda s: s([x, 1.0], 2.0))
""",
    "threads": """
many = rows * 60
def after_failure(s):
    assert s(rows, index, threads=2) == RIGHT[0]
each_failure(fresh, lambda s: s.value_and_grad(many, 1, threads=3))
""",
    "errors": """
wrong = ((None, 1), ([1.0], 1), ([[1.0, 2.0], [3.0]], 1), (rows, [0, 1]), ([0.5, -1.0], 7),
         (rows, index[:-1] + [9]), ([0.5, "1"], 0), ())
def act(s):
    for arguments in wrong:
        try:
            s(*arguments)
        except (TypeError, ValueError, IndexError):
            pass
def after_failure(s):
    answers()
import fastgrad.errors
each_failure(fresh, act)
""",
    "files": """
def function(v):
    return v[0] * a + v[1].tanh() * b
def prepare():
    return record(function, [1.0, 2.0])
def live():
    return 0  # as with record
def after_failure(s):
    assert os.listdir() == ["tape.fg"], "a temporary file is left"
    again = fg.load_tape("tape.fg")
    assert again([0.5, -1.0]) == s([0.5, -1.0])
disguises = MemoryError, RuntimeError  # open() says "can't allocate read lock"
prepare().save("tape.fg")
each_failure(prepare, lambda s: s.save("tape.fg"))
each_failure(prepare, lambda s: fg.load_tape("tape.fg"))
""",
    "fit of a family": """
from fastgrad import optim
from fastgrad._native.train.fit import Loop  # of fit itself CPython 3.11 dies, in **counts
def loss(v):
    return sum((x * a for x in v), b) ** 2
tapes = tuple(fg.record_each(loss, [[1.0], [1.0, 2.0]], parameters=[a, b]).values())
samples, data = [([1.0],), ([0.5, 2.0],), ([2.0],), ([1.0, 1.0],)], (a.data, b.data)
chosen = [0, 1, 0, 1]
def prepare():
    a.data, b.data = data
    return optim.Adam([a, b], lr=0.1).updaters
def act(s):
    loop = Loop(tapes, samples, s, 1, 3, 0, True, 1, False, chosen)
    loop.advance(1)
    loop.close()
act(prepare())
done = a.data, b.data
def after_failure(s):
    assert (a.data, b.data) in (data, done), "half a step"
    act(prepare())
    assert (a.data, b.data) == done
each_failure(prepare, act)
a.data, b.data = data
""",
    "showing": """
each_failure(lambda: None, lambda s: (repr(tape), str(other), tape.stats(), tape.inputs))
""",
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_each_failing_allocation_raises_and_leaves_tapes_usable(name, tmp_path):
    pytest.importorskip("_testcapi", reason="only CPython's own test module makes allocations fail")
    skip_what_crashes_python(
        name in {"record", "derivatives", "record structures", "files", "showing"}
    )
    process = python("-X", "faulthandler", "-c", FAILING + TAPES + SCENARIOS[name], cwd=tmp_path)
    assert process.returncode == 0, process.stderr
    assert all(int(failures) > 0 for failures in process.stdout.split())


LOOPS = {
    "recording": """
model = MLP(2, [4, 1])
def function(v):
    return model(v) * w + sum(p * p for p in model.parameters())
def round():
    for _ in range(30):
        tape = fg.record(function, [0.1, 0.2])
        tape([[0.5, 1.0]] * 20), tape.backward([0.5, 1.0])
""",
    "calls": """
model = MLP(2, [4, 1])
tape = fg.record(lambda v, k: {"a": model(v) * k, "b": [k, v[0]]}, [0.1, 0.2], 1.0)
def round():
    for i in range(300):
        tape([[0.5, 1.0]] * (1 + i % 50), 1.0)
        tape([0.5, 1.0], 1.0), tape([0.5, 1.0], [1.0, 2.0])
""",
    "gradients": """
tape = fg.record(lambda v, k: (v[0] * w + v[1] * b) * k, [0.1, 0.2], 1.0)
many = [[0.5, 1.0]] * 400
def round():
    for i in range(20):
        tape.backward(many, 1.0, threads=2)
        tape.value_and_grad(many, 1.0, wrt="inputs", threads=2)
        tape.value_and_grad(many, 1.0, reduce=None, wrt="inputs")
    w.grad = b.grad = 0.0
""",
    "fit of a family": """
from fastgrad import optim
tapes = fg.record_each(lambda v: sum((x * w for x in v), b) ** 2, [[0.1], [0.1, 0.2]])
samples, sgd = [[0.5], [0.5, 1.0]] * 50, optim.SGD([w, b], lr=0.0)
def round():
    for size in (1, 3, 7, 100):
        fg.fit(tapes, samples, optimizer=sgd, steps=100, batch_size=size)
""",
    "errors": """
tape = fg.record(lambda v, i: fg.take([w, b], i) * v[0], [0.1, 0.2], 1)
def round():
    for wrong in ((None, 1), ([1.0], 1), ([[1.0, 2.0]] * 99, 5), ([[1.0, 2.0], [1.0]], 1), ()) * 30:
        for call in tape, tape.backward, tape.value_and_grad:
            try:
                call(*wrong)
            except (TypeError, ValueError, IndexError):
                continue
            raise AssertionError(wrong)
""",
}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/self/statm")
@pytest.mark.skipif(
    not INFO["variant"].startswith(("release", "quick", "debug")), reason="instruments take memory"
)
@pytest.mark.parametrize("loop", LOOPS)
def test_memory_of_repeated_tape_use_stays_flat(loop, tmp_path):
    source = (
        f"{PRELUDE}\nimport fastgrad as fg\n{LOOPS[loop]}"
        """
for _ in range(10):
    round()
gc.collect()
before, nodes = resident(), live()
for _ in range(60):
    round()
gc.collect()
assert live() == nodes, (live(), nodes)
print(resident() - before)
"""
    )
    process = python("-c", source, cwd=tmp_path)
    assert process.stderr == ""
    assert int(process.stdout) < 1 << 20


# -- who lives as long as whom ---------------------------------------------------------------------


def test_recording_leaves_no_nodes_or_references():
    model = nn.MLP(2, [3, 1])
    model([1.0, 2.0])  # makes what its neurons keep
    before = live_after_gc()
    counts = [sys.getrefcount(p) for p in model.parameters()]
    tape = fg.record(lambda x: model(x), [1.0, 2.0])
    assert live_after_gc() == before
    assert [sys.getrefcount(p) for p in model.parameters()] > counts
    tape([[1.0, 2.0]] * 3), tape.backward([1.0, 2.0]), tape.value_and_grad([1.0, 2.0])
    del tape
    assert live_after_gc() == before
    assert [sys.getrefcount(p) for p in model.parameters()] == counts


def test_arguments_and_results_are_released():
    w = Value(2.0)
    tape = fg.record(lambda x, k: {"y": x[0] * w * k, "x": x}, [1.0, 2.0], 1.0)
    X, row, k = np.ones((5, 2)), [float(i) for i in (1, 2)], float("123456.789")
    things = (X, row, k, w)
    counts = [sys.getrefcount(thing) for thing in things]
    results = tape(X, k), tape(row, k), tape(X.tolist(), k)
    assert [sys.getrefcount(thing) for thing in things] == counts
    for wrong in ((X, row), (X[:, 0], k), ([row, None], k)):
        with pytest.raises((TypeError, ValueError)):
            tape(*wrong)
    wrong = None
    assert [sys.getrefcount(thing) for thing in things] == counts
    reference = weakref.ref(results[0]["y"])
    del results
    assert reference() is None


def test_recorded_function_is_released():
    class Function:
        def __call__(self, x):
            return x * 2

    function = Function()
    reference = weakref.ref(function)
    tape = fg.record(function, 1.0)
    del function
    gc.collect()
    assert reference() is None
    assert tape(2.0) == 4.0


def test_tape_may_be_dropped_during_its_call():
    w = Value(2.0)
    holder = [fg.record(lambda x, y: x * w + y, 1.0, 2.0)]
    gone = weakref.ref(holder[0])

    class Number:
        def __float__(self):
            holder.clear()
            gc.collect()
            return 5.0

    assert holder[0](3.0, Number()) == 11.0
    assert gone() is None


def test_frames_are_reused():
    tape = fg.record(lambda x: (x * x).exp(), 1.0)
    batch = [0.5] * 1000
    tape(batch)
    size = tape.nbytes
    for _ in range(10):
        tape(batch), tape(0.5)
    assert tape.nbytes == size
