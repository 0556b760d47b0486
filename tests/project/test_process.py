"""Processes: import, fork, exit and daemon threads are clean.

Oracles: exit status and output of a process of its own.
"""

import os
import sys

import pytest
from helpers.processes import ROOT, python
from helpers.timing import HANG

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")


def succeeds(script, path, *flags):
    process = python("-c", script, cwd=path, flags=flags)
    assert (process.returncode, process.stderr) == (0, "")
    return process.stdout


# Import -------------------------------------------------------------------------------------------


def test_import_in_isolated_mode_gives_no_warning(tmp_path):
    script = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import fastgrad; fastgrad.nn"
    process = python("-I", "-W", "error", "-c", script, cwd=tmp_path)
    assert (process.returncode, process.stdout, process.stderr) == (0, "", "")


def test_import_loads_no_heavy_modules(tmp_path):
    heavy = {
        "numpy", "matplotlib", "scipy", "sklearn", "graphviz", "micrograd", "asyncio", "ctypes",
        "logging", "unittest", "email", "pickle", "multiprocessing", "importlib.metadata",
    }  # fmt: skip
    script = "import fastgrad, sys; print(*sys.modules)"  # -S: site-packages may load anything
    assert not heavy & set(succeeds(script, tmp_path, "-S").split())
    script = "import fastgrad.nn, sys; print(*sys.modules)"
    assert "numpy" not in succeeds(script, tmp_path, "-S").split()


def test_import_keeps_the_floating_point_state(tmp_path):
    script = """
import math, sys
def state():
    tiny, third = 5e-324, 1.0 / 3.0
    return tiny * 1.0 != 0, 2.2250738585072014e-308 / 2 > 0, third.hex(), (1e16 + 1.1).hex()
before = state()
import fastgrad.nn, fastgrad.functional
x = fastgrad.Value(5e-324)
y = x * 1.0 + fastgrad.nn.Neuron(1)([2.0]) * 0
y.backward()
assert x.data == 5e-324 and (x * 1.0).data != 0
print(before == state(), all(before[:2]))
"""
    assert succeeds(script, tmp_path) == "True True\n"


def test_import_twice_gives_the_same_class(tmp_path):
    script = """
import sys
import fastgrad
first = fastgrad.Value
for name in [n for n in sys.modules if n.startswith("fastgrad") and "._" not in n]:
    del sys.modules[name]
import fastgrad
x = first(2.0)
y = x * fastgrad.Value(3.0)
y.backward()
print(fastgrad.Value is first, x.grad)
"""
    assert succeeds(script, tmp_path) == "True 3.0\n"


# Fork ---------------------------------------------------------------------------------------------

FORK = f"""
HANG = {HANG}
import gc, os, signal, sys, threading
from fastgrad import Value, arena_stats, no_grad
from fastgrad._native.graph.check import arena_check
from fastgrad.nn import MLP

def in_child(act):
    sys.stdout.flush()
    child = os.fork()
    if not child:
        signal.alarm(HANG)  # rather killed than waited for
        status = 1
        try:
            act()
            status = 0
        except BaseException:
            import traceback
            traceback.print_exc()
        finally:
            raise SystemExit(status)  # not os._exit: what ends a process has to work here too
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
"""


@needs_fork
def test_forked_child_uses_and_frees_inherited_graphs(tmp_path):
    script = """
x = Value(2.0)
y = x * x + 1
y.label = "inherited"
model = MLP(2, [3, 1])
out = model([x, 1.0])
held = [y, out]
def act():
    y.backward()
    assert x.grad == 4.0
    out.backward()
    z = y * out
    z.backward()
    held.clear()
    globals().update(y=None, out=None)
    del z
    gc.collect()
    assert arena_check() == []
    assert arena_stats()["live_nodes"] == 1 + len(model.parameters())
    assert model([1.0, 2.0]).data == model([1.0, 2.0]).data
print([in_child(act) for _ in range(3)])
y.backward()
assert x.grad == 4.0, "the parent's own"
assert arena_check() == []
"""
    assert succeeds(FORK + script, tmp_path) == "[0, 0, 0]\n"


@needs_fork
def test_child_forked_during_a_sweep_does_not_wait_for_it(tmp_path):
    """A thread that is inside a sweep is not there in the child, which must not wait for it."""
    script = """
x = Value(1.0)
leaf = Value(1.0)
leaf._backward = lambda: None
y = Value(2.0, (x,))
inside, leave = threading.Event(), threading.Event()
def step():
    inside.set()
    leave.wait()
    x.grad += y.grad
y._backward = step
root = (y + leaf) * (x + 1)
slow = threading.Thread(target=root.backward)
slow.start()
inside.wait()
def act():
    a = Value(3.0)
    b = a * a
    b.backward()
    assert a.grad == 6.0
    y._backward = lambda: None
    root.zero_grad(graph=True)
    root.backward()
    assert x.grad == 3.0, x
with __import__("warnings").catch_warnings():
    __import__("warnings").simplefilter("ignore")  # 3.12 warns of threads and fork
    print(in_child(act))
leave.set()
slow.join()
"""
    assert succeeds(FORK + script, tmp_path) == "0\n"


@needs_fork
def test_child_forked_inside_a_step_can_sweep(tmp_path):
    script = """
x = Value(1.0)
y = Value(2.0, (x,))
statuses = []
def act():
    z = x * 5
    z.backward()
    assert x.grad == 5.0
y._backward = lambda: statuses.append(in_child(act))
(y * 2).backward()
print(statuses)
"""
    assert succeeds(FORK + script, tmp_path) == "[0]\n"


@needs_fork
def test_child_forked_under_no_grad_records_nothing(tmp_path):
    script = """
x = Value(1.0)
def quiet():
    assert (x * 2)._prev == set()
def recording():
    assert len((x * 2)._prev) == 2
with no_grad():
    first = in_child(quiet)
print(first, in_child(recording))
"""
    assert succeeds(FORK + script, tmp_path) == "0 0\n"


@needs_fork
def test_child_forked_while_another_thread_fits_trains_with_the_same_optimizer(tmp_path):
    script = """
import fastgrad as fg
from fastgrad._native.base.poll import observe
w = Value(0.0)
tape = fg.record(lambda x: (x * w - 1) ** 2, 1.0)
sgd = fg.optim.SGD([w], lr=0.1)
inside, leave = threading.Event(), threading.Event()
def wait():
    inside.set()
    leave.wait()
observe(wait)
slow = threading.Thread(
    target=lambda: fg.fit(tape, [1.0] * 100, optimizer=sgd, steps=10_000))
slow.start()
inside.wait()
observe(None)
def act():
    sgd.step()
    assert len(fg.fit(tape, [1.0], optimizer=sgd, steps=3)) == 3
try:
    sgd.step()
except RuntimeError as error:
    print("busy here" if "at a time" in str(error) else error)
with __import__("warnings").catch_warnings():
    __import__("warnings").simplefilter("ignore")  # 3.12 warns of threads and fork
    print(in_child(act))
leave.set()
slow.join()
"""
    assert succeeds(FORK + script, tmp_path) == "busy here\n0\n"


# Exit ---------------------------------------------------------------------------------------------

ALIVE = """
import atexit, sys, threading, weakref
from fastgrad import Value, no_grad
from fastgrad.nn import MLP
x = Value(2.0)
y = (x * x + 1).tanh()
y.label, y.itself = "alive", y
model = MLP(2, [2, 1])
out = model([x, y])
custom = Value(1.0, (x, out))
custom._backward = lambda: custom
root = custom * 3
watched = weakref.ref(root, lambda r: None)
"""


LATE = """
class Late:
    def __del__(self, Value=Value):
        (Value(2.0) * 3).backward()
sys.late = Late()
"""


@pytest.mark.parametrize(
    "ending",
    [
        "pass",
        "sys.modules['kept'] = root; del root",
        "import builtins; builtins.kept = [root, model]",
        "atexit.register(lambda: (root.backward(), print(x.grad > 0)))",
        "atexit.register(lambda: globals().clear())",
        "sys.exit(0)",
        "no_grad().__enter__()",
        "sys.modules['fastgrad._native.graph.value'] = None",
        "root.cycle = [root, sys]",
        LATE,
        "class Sub(Value):\n    pass\ns = Sub(1.0); t = s * 2; s.t = t",
    ],
)
def test_exit_with_live_graphs_is_clean(ending, tmp_path):
    succeeds(ALIVE + ending, tmp_path)


@pytest.mark.parametrize(
    "work",
    [
        "while True: (Value(2.0) * x + 1).backward(); begun.release()",
        "while True: model([x, 1.0])._prev; begun.release()",
        "step = for_ever; s = Value(1.0, (x,)); s._backward = step; s.backward()",
        "with no_grad(): for_ever()",
    ],
)
def test_exit_with_daemon_threads_is_clean(work, tmp_path):
    script = f"""
begun = threading.Semaphore(0)
def for_ever():
    begun.release()
    threading.Event().wait()
def work():
    {work}
for _ in range(3):
    threading.Thread(target=work, daemon=True).start()
begun.acquire()  # the others may be waiting for their turn
"""
    succeeds(ALIVE + script, tmp_path)


def test_exit_while_a_daemon_thread_sweeps_is_clean(tmp_path):
    """What sweeps during the interpreter's end cannot wait for a thread that is gone."""
    script = f"""
import faulthandler
faulthandler.dump_traceback_later({HANG}, exit=True)
slow = Value(1.0, (x,))
entered = threading.Event()
slow._backward = lambda: (entered.set(), threading.Event().wait())
threading.Thread(target=slow.backward, daemon=True).start()
entered.wait()
class Late:
    def __del__(self, Value=Value):
        try:
            (Value(2.0) * 3).backward()
        except BaseException:
            pass  # an error is as good as a gradient
late = sys.late = Late()
"""
    process = python("-c", ALIVE + script, cwd=tmp_path)
    assert process.returncode == 0, process.stderr


def test_exit_with_many_linked_graphs_is_clean(tmp_path):
    script = """
kept = [Value(float(i)) for i in range(100)]
for i in range(100):
    kept[i].next = kept[i - 1]
    kept.append(kept[i] * kept[i - 1])
"""
    succeeds(ALIVE + script, tmp_path)


def test_program_in_dev_mode_prints_nothing(tmp_path):
    script = "import fastgrad.nn as n; n.MLP(2, [2, 1])([1, 2]).backward()"
    assert succeeds(script, tmp_path, "-X", "dev") == ""
    assert sys.executable
