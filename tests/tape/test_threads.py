"""Tapes with threads, signals and forks; tapes of a million operations.

Oracles: what one thread gets alone, bit for bit; closed forms; `arena_check`.
"""

import ctypes
import gc
import os
import platform
import sys
import threading

import pytest
from helpers.polls import POLL_INTERVAL, at_each_poll, stop_at
from helpers.processes import needs_limits, python
from helpers.tape_programs import chain_tape
from helpers.threads import run_in_threads, switch_often  # noqa: F401

import fastgrad as fg
from fastgrad import Value, nn
from fastgrad._native.graph import check

pytestmark = pytest.mark.wide


def example():
    """A tape with parameters, takes and decisions, and arguments that threads can tell apart."""
    model, table = nn.MLP(2, [6, 4, 1]), [Value(0.5), Value(-1.0), Value(2.0)]

    def cost(x, i):
        return model(x) * fg.take(table, i) + fg.where(x[0] < x[1], x[0] * table[0], x[1].tanh())

    tape = fg.record(cost, [0.1, 0.2], 0)

    def arguments(k, n):
        xs = [[0.1 * k + 0.01 * s, 1.0 - 0.02 * s * k] for s in range(n)]
        return xs, [(s + k) % 3 for s in range(n)]

    return tape, arguments


def uses(tape, xs, i):
    """Use a tape in every way; return all numbers."""
    return (
        tape(xs, i), tape(xs[0], i[0]), tape(xs[0], i), tape(xs, i, threads=2),
        tape.value_and_grad(xs, i, threads=3), tape.value_and_grad(xs, i[0], wrt="inputs"),
        tape.value_and_grad(xs[:20], 1, reduce=None), tape.value_and_grad(xs[0], i[0]),
    )  # fmt: skip


@pytest.mark.parametrize("n", [2, 8])
def test_one_tape_called_by_several_threads_gives_equal_results(n):
    tape, arguments = example()
    given = [arguments(k, 40 * (k + 1) + 300 * (k % 2)) for k in range(n)]
    expected = [uses(tape, *arguments) for arguments in given]

    def work(k):
        for _ in range(12):
            assert uses(tape, *given[k]) == expected[k]
        return True

    assert run_in_threads(work, n) == [True] * n


def test_gradients_of_several_threads_add_up():
    w = Value(2.0)
    tape = fg.record(lambda x: x * w, 1.0)
    batch = [1.0] * 64

    def work(k):
        for _ in range(200):
            tape.backward(batch, reduce="sum")
            tape.backward(1.0)

    run_in_threads(work)
    assert w.grad == 8 * 200 * 65


def test_recordings_in_several_threads_are_independent():
    def work(k):
        kept = []
        for _ in range(10):
            w = Value(float(k))
            tape = fg.record(lambda x, w=w: sum(x * w for _ in range(k + 2)).tanh() / 4, 0.01)
            kept.append((tape, w, tape(0.02)))
        return [(tape(0.02), tape.parameters == [w]) == (y, True) for tape, w, y in kept]

    assert run_in_threads(work) == [[True] * 10] * 8


def test_lines_are_noted_without_running_python():
    """Else another thread could take its turn in the middle of an operation."""
    called = []

    def listen(frame, event, argument):
        if event == "call":
            called.append(frame.f_code.co_name)

    def function(x):
        sys.setprofile(listen)
        y = x * 2.0
        z = y + 3.0
        sys.setprofile(None)
        return y * z

    pytest.importorskip("numpy")  # where it is imported, its folder is looked up, too
    fg.record(function, 1.0)
    assert called == []


def test_reading_in_one_thread_does_not_affect_a_recording():
    w = Value(1.0)

    def work(k):
        if k % 2:
            return [w.data + (w * 2).item() + (w < 3) for _ in range(300)][-1]
        return [fg.record(lambda x: x * w + 1, 1.0, strict=True)(2.0) for _ in range(30)][-1]

    assert run_in_threads(work) == [3.0, 4.0] * 4


def test_parameters_are_read_once_a_call():
    """A call reads each parameter once: all samples of a batch see one value."""
    w = Value(1.0)
    tape = fg.record(lambda x: x * w + x * w, 1.0)
    batch, stop = [1.0] * 3_000, threading.Event()

    def change():
        while not stop.is_set():
            w.data = 3.0 - w.data

    thread = threading.Thread(target=change)
    thread.start()
    try:
        for _ in range(100):
            assert set(tape(batch, threads=2)) in ({2.0}, {4.0})
    finally:
        stop.set()
        thread.join()


def test_tape_may_be_called_inside_its_own_call():
    tape = fg.record(lambda x, y: x * 10 + y, 1.0, 2.0)

    class Nested:
        def __init__(self, depth):
            self.depth = depth

        def __float__(self):
            return tape(1.0, Nested(self.depth - 1)) if self.depth else 5.0

    assert tape(2.0, Nested(30)) == 20.0 + 10.0 * 30 + 5.0
    assert tape([2.0, 3.0], Nested(2)) == [45.0, 55.0]


def test_long_tape_replays_on_a_small_stack():
    tape = chain_tape(50_000)
    results = []
    before = threading.stack_size(64 << 10)
    try:
        thread = threading.Thread(target=lambda: results.append(tape.value_and_grad([1.0] * 9)))
        thread.start()
        thread.join()
    finally:
        threading.stack_size(before)
    assert results == [tape.value_and_grad([1.0] * 9)]


# -- Ctrl-C ----------------------------------------------------------------------------------------


def spread(last):
    """Give numbers of polls: the first, the last, some between."""
    return sorted({1, *range(1, last + 1, max(last // 5, 1)), last})


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("way", ["values", "backward", "per sample", "inputs"])
def test_interrupted_batch_leaves_the_tape_usable(way, threads):
    model = nn.MLP(3, [24, 24, 1])
    tape = fg.record(lambda x: model(x), [0.1, 0.2, 0.3])
    few = [[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]]
    expected = tape.value_and_grad(few)
    n = {"per sample": 500, "inputs": 5_000}.get(way, 20_000)
    memory = memoryview(bytearray(24 * n)).cast("d", (n, 3))
    action = {
        "values": lambda: tape(memory, threads=threads),
        "backward": lambda: tape.backward(memory, threads=threads),
        "per sample": lambda: tape.value_and_grad(memory, reduce=None),
        "inputs": lambda: tape.value_and_grad(memory, wrt="inputs", threads=threads),
    }[way]
    last, _ = at_each_poll(action)
    for p in model.parameters():
        p.grad = 0.0
    # Who does which share is chance, so only the first poll is sure to come on several threads.
    for number in spread(last) if threads == 1 else [1, 1, 1]:
        with pytest.raises(KeyboardInterrupt):
            at_each_poll(action, stop_at(number))
        assert tape.value_and_grad(few) == expected
    assert {p.grad for p in model.parameters()} == {0.0}, "a batch adds all of its gradient or none"


def test_interrupted_batch_adds_to_no_grad():
    """A batch that would take minutes is left at once, and has added to no grad."""
    w = Value(0.5)
    tape = fg.record(lambda x: long(x * w, 2_000), 0.1)
    n = 2_000_000
    memory = memoryview(bytearray(8 * n)).cast("d")
    for threads in (1, 2):
        with pytest.raises(KeyboardInterrupt):
            at_each_poll(lambda: tape.backward(memory, threads=threads), stop_at(3))  # noqa: B023
        assert w.grad == 0.0
    assert tape.backward(0.0) == tape(0.0)


def test_interrupt_while_waiting_for_a_worker_is_raised():
    """The caller's block is done long before its helper's, for sines of 1e300 take longer.

    A caller polls as its own blocks ask for, none, one or both, and once when it has done them;
    what is polled besides, it polls while it waits. Another round, where it did not have to wait.
    """
    w = Value(0.5)
    tape = fg.record(lambda x: w * sum((x + i).sin() for i in range(30_000)), 0.1)
    block = tape.stats()["block"]
    quick, slow = [0.5] * block, [1e300] * block
    one, _ = at_each_poll(lambda: tape.backward(quick))
    both, _ = at_each_poll(lambda: tape.backward(quick + slow))
    polled = (at_each_poll(lambda: tape.backward(quick + slow, threads=2))[0] for _ in range(1_000))
    assert any(n not in {1, one + 1, both + 1} for n in polled)

    def is_stopped():
        w.grad = 0.0
        try:
            at_each_poll(lambda: tape.backward(quick + slow, threads=2), stop_at(one + 2))
        except KeyboardInterrupt:
            return True
        return False

    assert any(is_stopped() for _ in range(1_000))
    assert w.grad == 0.0


def long(x, n):
    for _ in range(n):
        x = x.sin()
    return x


@pytest.mark.parametrize("way", ["values", "backward", "gradient", "batch"])
def test_interrupted_long_replay_leaves_the_tape_usable(way):
    tape = chain_tape(200_000)
    expected = tape.value_and_grad(0.5)
    action = {
        "values": lambda: tape(0.5),
        "backward": lambda: tape.backward(0.5),
        "gradient": lambda: tape.value_and_grad(0.5),
        "batch": lambda: tape([0.5] * 16),
    }[way]
    action()  # makes the plan of a batch
    last, _ = at_each_poll(action)
    assert last >= 200_000 // POLL_INTERVAL
    for number in spread(last):
        with pytest.raises(KeyboardInterrupt):
            at_each_poll(action, stop_at(number))
        assert tape.value_and_grad(0.5) == expected


def test_replay_in_another_thread_ignores_interrupts():
    """Only the main thread runs handlers; a replay elsewhere goes on."""
    tape = chain_tape(30_000)
    assert run_in_threads(lambda k: tape([0.5] * 8)[0], 2) == [tape(0.5)] * 2


# -- forks -----------------------------------------------------------------------------------------

FORKS = {
    "beside threads at work": """
import os, sys, threading, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # forking beside threads, from Python 3.12 on
import fastgrad as fg
from fastgrad import Value, nn
from fastgrad._native.graph.check import arena_check
model = nn.MLP(2, [8, 1])
tape = fg.record(lambda x: model(x), [0.1, 0.2])
batch = [[0.01 * i, 0.5] for i in range(2000)]
expected = tape.value_and_grad(batch, threads=4)
stop = threading.Event()
def busy():
    while not stop.is_set():
        tape(batch, threads=2)
threads = [threading.Thread(target=busy) for _ in range(2)]
for thread in threads:
    thread.start()
for _ in range(5):
    child = os.fork()
    if child == 0:
        right = tape.value_and_grad(batch, threads=4) == expected
        again = fg.record(lambda x: model(x), [0.1, 0.2])
        right = right and again.value_and_grad(batch, threads=2) == expected
        os._exit(0 if right and arena_check() == [] else 7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
stop.set()
for thread in threads:
    thread.join()
assert tape.value_and_grad(batch, threads=4) == expected
print("done")
""",
    # helpers end before a fork: else Python 3.12 warns of it
    "after batches on threads": """
import os, sys, time, warnings
import fastgrad as fg
from fastgrad import nn
warnings.simplefilter("ignore", DeprecationWarning)  # 3.12 may still count one that has ended

def threads():
    return len(os.listdir("/proc/self/task")) if sys.platform == "linux" else 1

model = nn.MLP(2, [8, 1])
tape = fg.record(lambda x: model(x), [0.1, 0.2])
batch = [[0.01 * i, 0.5] for i in range(2000)]
expected = tape.value_and_grad(batch)
for _ in range(3):
    assert tape.value_and_grad(batch, threads=4) == expected
    assert threads() > 1 or sys.platform != "linux"
    child = os.fork()
    while child and threads() > 1:  # the kernel may take a moment
        time.sleep(0)
    assert threads() == 1
    if child == 0:
        os._exit(0 if tape.value_and_grad(batch, threads=4) == expected else 7)
    assert tape.value_and_grad(batch, threads=3) == expected
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
print("done")
""",
    # the child has no helpers, and does their share again
    "by a signal handler in a batch": """
import os, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # as above
import fastgrad as fg
from fastgrad import Value
from fastgrad._native.base.poll import observe
w, children = Value(1.0), []
def function(x):
    for _ in range(2000):
        x = (x + w).tanh()
    return x
tape = fg.record(function, 0.1)
batch = [0.001 * i for i in range(3000)]
expected = tape.value_and_grad(batch)
def fork():
    observe(None)
    children.append(os.fork())
observe(fork)
result = tape.value_and_grad(batch, threads=2)
if children == [0]:
    os._exit(0 if result == expected == tape.value_and_grad(batch, threads=2) else 7)
assert result == expected
assert os.waitstatus_to_exitcode(os.waitpid(children[0], 0)[1]) == 0
print("done")
""",
}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("name", FORKS)
def test_fork_with_worker_threads_is_clean(tmp_path, name):
    process = python("-c", FORKS[name], cwd=tmp_path)
    assert (process.stdout, process.stderr) == ("done\n", "")


AT_EXIT = """
import os, sys, threading, time
import fastgrad as fg
from fastgrad import nn
model = nn.MLP(2, [8, 1])
tape = fg.record(lambda x: model(x), [0.1, 0.2])
batch = memoryview(bytearray(16 * 4_000_000)).cast("d", (4_000_000, 2))
def deep(n):  # calls of C that call Python: pages of the thread's stack, which go when it ends
    return max([0], key=lambda _: deep(n - 1)) if n else tape.backward(batch, threads=2)
def work():
    while True:
        deep(100)
threading.Thread(target=work, daemon=True).start()
while sys.platform == "linux" and len(os.listdir("/proc/self/task")) < 3:
    time.sleep(0)  # until the daemon has a helper
class Late:  # gives the daemon time to come back while the interpreter ends
    def __del__(self, sleep=time.sleep):
        sleep(0.7)
late = Late()
print("done")
"""


def test_exit_while_a_daemon_thread_replays_is_clean(tmp_path):
    process = python("-c", AT_EXIT, cwd=tmp_path)
    assert (process.returncode, process.stdout, process.stderr) == (0, "done\n", "")


@pytest.mark.skipif(platform.machine() != "x86_64" or os.name == "nt", reason="knows its modes")
def test_worker_threads_use_the_rounding_mode_of_the_caller():
    """Though they were there before the mode changed, and after."""
    libm = ctypes.CDLL(None)
    tape = chain_tape(200)
    batch = [0.0001 * i for i in range(100_000)]
    nearest = tape(batch, threads=2)
    try:
        assert libm.fesetround(0x800) == 0  # upwards
        assert tape(batch, threads=2) == tape(batch) != nearest
    finally:
        libm.fesetround(0)
    assert tape(batch, threads=2) == nearest


NO_ROOM = """
import os, resource
import fastgrad as fg
from fastgrad import nn
model = nn.MLP(2, [8, 1])
tape = fg.record(lambda x: model(x), [0.1, 0.2])
batch = [[0.01 * i, 0.5] for i in range(2000)]
expected = tape.value_and_grad(batch)
with open("/proc/self/statm") as file:
    pages = int(file.read().split()[0])
limit = pages * resource.getpagesize() + (1 << 20)  # less than a thread's stack
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
assert tape.value_and_grad(batch, threads=4) == expected
assert len(os.listdir("/proc/self/task")) == 1
print("done")
"""


@needs_limits
def test_caller_computes_alone_when_threads_cannot_start(tmp_path):
    process = python("-c", NO_ROOM, cwd=tmp_path)
    assert (process.stdout, process.stderr) == ("done\n", "")


@pytest.fixture(autouse=True)
def sound():
    yield
    gc.collect()
    assert check.arena_check() == []
