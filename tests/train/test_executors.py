"""Batches on executors: the bits of one process, whatever becomes of the workers.

Oracle: the same call without an executor.
"""

import multiprocessing
import os
import pickle
import queue
import random
import signal
import struct
import threading
import warnings
from concurrent.futures import CancelledError, Future, ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest
from helpers.custom_operations import swish
from helpers.executors import N, digest, drawn, network
from helpers.processes import python
from helpers.tally import tally

import fastgrad as fg
from fastgrad import Value, functional, parallel, record
from fastgrad.errors import (
    FastgradIndexError,
    FastgradRuntimeError,
    FastgradTypeError,
    FastgradValueError,
    FastgradWarning,
    NonFiniteError,
    TapeError,
)
from fastgrad.parallel import Workers

pytestmark = [pytest.mark.usefixtures("sound_arena"), pytest.mark.wide]


@pytest.fixture(scope="module")
def expected():
    return digest()


# -- engines ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 2, 3, 7])
def test_threads_give_the_bits_of_one_process(workers, expected):
    before = threading.active_count()
    with ThreadPoolExecutor(workers) as pool:
        assert digest(pool) == expected
    assert threading.active_count() == before


@pytest.mark.parametrize("tasks", [1, 2, 7, 1000])
def test_tasks_computed_here_give_the_bits_of_one_process(tasks, expected):
    with parallel.using(Workers(None, tasks=tasks)):
        assert digest() == expected


def program_of(way, workers):
    return f"""
import multiprocessing, sys
sys.path.insert(0, {os.path.dirname(os.path.dirname(__file__))!r})
from helpers import executors as t

if __name__ == "__main__":
    if {way!r} == "loky":
        import loky
        pool = loky.get_reusable_executor({workers})
    else:
        from concurrent.futures import ProcessPoolExecutor
        pool = ProcessPoolExecutor({workers}, multiprocessing.get_context({way!r}))
    with pool:
        print(t.digest(pool, 50))
"""


@pytest.mark.parametrize(
    ("way", "workers"),
    [("fork", 2), ("fork", 7), ("spawn", 1), ("spawn", 3), ("forkserver", 2), ("loky", 2)],
)
def test_processes_give_the_bits_of_one_process(way, workers, expected, tmp_path):
    (tmp_path / "program.py").write_text(program_of(way, workers))
    process = python("-W", "ignore::DeprecationWarning", "program.py", cwd=tmp_path)
    assert process.returncode == 0, process.stderr
    assert process.stdout.strip() == expected
    tally("executors: process pools")


def test_workers_of_other_levels_of_simd_give_the_same_bits(expected, tmp_path):
    text = program_of("spawn", 2).replace(
        "import test_executors as t",
        "import test_executors as t, os; os.environ['FASTGRAD_SIMD'] = 'baseline'",
    )
    (tmp_path / "program.py").write_text(text)
    process = python("-W", "ignore::DeprecationWarning", "program.py", cwd=tmp_path)
    assert process.returncode == 0, process.stderr
    assert process.stdout.strip() == expected


# -- a scripted executor ---------------------------------------------------------------------------


class Scripted:
    """An executor in this process, whose faults are a list: one for each submission, then none."""

    def __init__(self, *faults, order=None):
        self.faults, self.submitted, self.held, self.random = list(faults), [], [], order
        self.futures, self.now = [], queue.SimpleQueue()

    def submit(self, function, *positional):
        fault = self.faults.pop(0) if self.faults else None
        if isinstance(fault, BaseException) and fault.args == ("at submit",):
            raise fault
        self.submitted.append(positional)
        future = Future()
        self.futures.append(future)
        if fault == "never":
            return future
        self.held.append((future, fault, function, pickle.dumps(positional)))
        return future

    def answer(self):
        """Answer one task, the first or any; False where none is left."""
        if not self.held:
            return False
        at = self.random.randrange(len(self.held)) if self.random else 0
        future, fault, function, positional = self.held.pop(at)
        if future.cancelled():
            return True
        if isinstance(fault, BaseException):
            future.set_exception(fault)
            return True
        result = function(*pickle.loads(positional))
        future.set_result(pickle.loads(pickle.dumps(result if fault is None else fault(result))))
        if fault is twice:
            future._invoke_callbacks()
        return True


def twice(result):
    return result


class Answers(queue.SimpleQueue):
    """What a step waits with: answers come when it does, and silence is a timeout."""

    pool: Scripted

    def get(self, timeout=None):
        while self.empty():
            if not self.pool.answer():
                assert timeout is not None, "it would wait for ever"
                raise queue.Empty
        return super().get()


@pytest.fixture
def script(monkeypatch):
    """Return a function that makes scripted executors."""
    monkeypatch.setattr(parallel, "_kept", parallel._Kept(1 << 30))

    def make(*faults, **how):
        pool = Scripted(*faults, **how)

        class Own(Answers):
            pass

        Own.pool = pool
        monkeypatch.setattr(parallel._Step, "new_queue", Own)
        return pool

    return make


def gradient_of(pool, tasks=4, **how):
    tape, (x, y) = network(), drawn()
    value, gradient = tape.value_and_grad(x, y, executor=Workers(pool, tasks=tasks, **how))
    return struct.pack(f"{1 + len(gradient)}d", value, *gradient)


@pytest.fixture(scope="module")
def whole():
    tape, (x, y) = network(), drawn()
    value, gradient = tape.value_and_grad(x, y)
    return struct.pack(f"{1 + len(gradient)}d", value, *gradient)


def test_answers_in_any_order_give_the_same_bits(script, whole):
    for seed in range(20):
        assert gradient_of(script(order=random.Random(seed)), 7) == whole
    tally("executors: orders of answers", 20)


def test_task_is_sent_without_what_its_workers_have(script, monkeypatch):
    pool, tape, (x, y) = script(), network(), drawn()
    workers = Workers(pool, tasks=2)
    for _ in range(3):
        tape.value_and_grad(x, y, executor=workers)
    sizes = [len(pickle.dumps(positional)) for positional in pool.submitted]
    parameters = 8 * len(tape.parameters)
    assert min(sizes[:2]) > 10_000
    assert max(sizes[2:]) < parameters + 1000
    assert len({positional[0] for positional in pool.submitted}) == 6, (
        "no serial number is used twice"
    )
    monkeypatch.setattr(parallel, "_kept", parallel._Kept(1 << 30))  # the worker is another
    tape.parameters[0].data += 1.0
    expected = tape.value_and_grad(x, y)
    value, gradient = tape.value_and_grad(x, y, executor=workers)
    assert (value, gradient.tolist()) == (expected[0], expected[1].tolist())
    assert len(pool.submitted) == 6 + 2 + 2, "asked, and then sent with all"


def test_worker_keeps_the_latest_of_what_it_was_sent():
    kept = parallel._Kept(100)
    for key in "abc":
        assert kept.get((key, b"x" * 40), bytes.decode) == "x" * 40
    assert kept.get(("a", None), bytes.decode) is None
    assert kept.get(("b", None), bytes.decode) == "x" * 40
    assert kept.get(("d", b"x" * 40), bytes.decode) == "x" * 40
    assert kept.get(("c", None), bytes.decode) is None
    assert kept.get(("e", b"x" * 400), bytes.decode) == "x" * 400
    assert (kept.size, len(kept.things)) == (0, 0)


@pytest.mark.parametrize("at", range(4))
@pytest.mark.parametrize(
    "fault", [RuntimeError("killed"), CancelledError(), "never", twice, lambda r: ("missing", None)]
)
def test_lost_late_and_double_answers_cost_time_and_nothing_else(script, whole, at, fault):
    pool = script(*[None] * at, fault)
    assert gradient_of(pool, timeout=1) == whole
    assert len(pool.submitted) == (4 if fault is twice else 5)


def test_late_answer_of_a_task_that_was_given_up_is_taken(script, whole):
    pool = script("never", None, None, None, "never", "never", "never")
    real = pool.answer

    def answer():
        if real():
            return True
        late = next((f for f in pool.futures if not f.done()), None)
        if late is None or len(pool.futures) < 6:
            return False
        function, positional = parallel.do_task, pool.submitted[pool.futures.index(late)]
        late.set_result(function(*positional))
        return True

    pool.answer = answer
    assert gradient_of(pool, timeout=1) == whole


def test_late_failure_of_a_task_that_has_been_done_changes_nothing(script, whole):
    pool = script()
    gradient_of(pool)
    pool.faults += ["never", "never"]
    real = pool.answer

    def answer():
        if len(pool.futures) == 10 and not pool.futures[4].done():
            real()
            pool.futures[4].set_exception(RuntimeError("late"))
            return True
        return real()

    pool.answer = answer
    assert gradient_of(pool, timeout=1) == whole
    assert len(pool.futures) == 10


def test_task_that_is_lost_too_often_is_done_by_the_caller(script, whole):
    pool = script(*[RuntimeError("lost")] * 100)
    with pytest.warns(FastgradWarning, match="4 of 4 tasks were computed by the caller.*lost"):
        assert gradient_of(pool, retries=2) == whole
    assert len(pool.submitted) == 12
    pool = script(*["never"] * 100)
    with pytest.warns(FastgradWarning, match="no answer for 1 seconds"):
        assert gradient_of(pool, retries=0, timeout=1) == whole
    assert all(future.cancelled() for future in pool.futures)


def test_task_that_is_lost_too_often_raises_if_asked(script):
    pool = script(*[RuntimeError("lost")] * 100)
    with pytest.raises(FastgradRuntimeError, match="none for 4 of 4 tasks: RuntimeError: lost"):
        gradient_of(pool, retries=1, rest="raise")


def test_broken_executor_is_not_used_again(script, whole):
    pool = script(None, None, RuntimeError("at submit"))
    with pytest.warns(FastgradWarning, match="2 of 4 tasks"):
        assert gradient_of(pool) == whole
    with pytest.warns(FastgradWarning, match="4 of 4 tasks.*at submit"):
        assert gradient_of(pool) == whole
    assert len(pool.submitted) == 2


def test_worker_of_another_version_is_refused(script):
    pool = script(None, lambda result: ("version", "0.0.1"))
    with pytest.raises(FastgradRuntimeError, match=r"expected workers with fastgrad .*got 0\.0\.1"):
        gradient_of(pool)
    assert parallel.do_task(1, "0.0.1", None, None, None, b"") == ("version", fg.__version__)


def test_error_of_the_first_sample_is_raised_whoever_answers_first(script):
    tape = record(lambda i: functional.exp(fg.take([Value(1.0), Value(2.0)], i)), 0.0)
    index = [0.0] * 3000
    index[1234] = index[2777] = 5.0
    with pytest.raises(FastgradIndexError) as caught:
        tape.value_and_grad(index)
    for seed in range(10):
        pool = script(order=random.Random(seed))
        with pytest.raises(FastgradIndexError) as found:
            tape.value_and_grad(index, executor=Workers(pool, tasks=9))
        assert str(found.value) == str(caught.value)
        with pytest.raises(FastgradIndexError, match="sample 1234"):
            tape(index, executor=Workers(pool, tasks=9))


def test_interrupt_cancels_and_leaves_all_as_before_the_step(script):
    tape, (x, y) = network(), drawn()
    optimizer = fg.optim.Adam(tape.parameters, lr=0.02)
    want = fg.fit(tape, x, y, optimizer=optimizer, steps=2)
    tape = network()
    optimizer = fg.optim.Adam(tape.parameters, lr=0.02)
    pool = script(*[None] * 10, KeyboardInterrupt("at submit"))
    for p in tape.parameters:
        p.grad = 5.0
    with pytest.raises(KeyboardInterrupt) as caught:
        fg.fit(tape, x, y, optimizer=optimizer, steps=9, executor=Workers(pool, tasks=4))
    assert caught.value.history == want
    assert optimizer.updaters()[0].read_state()[0] == 2
    assert {p.grad for p in tape.parameters} == {5.0}
    assert all(future.done() for future in pool.futures)
    again = fg.fit(tape, x, y, optimizer=optimizer, steps=1)
    tape2 = network()
    other = fg.optim.Adam(tape2.parameters, lr=0.02)
    assert fg.fit(tape2, x, y, optimizer=other, steps=3)[2:] == again


# -- processes that are killed ---------------------------------------------------------------------


class Deadly:
    """Samples whose first reading at a chosen place, in a process of its own, kills that."""

    def __init__(self, caller, folder, at):
        self.caller, self.folder, self.at = caller, folder, at

    def __call__(self, start, stop):
        mark = os.path.join(self.folder, "killed")
        if start <= self.at < stop and os.getpid() != self.caller and not os.path.exists(mark):
            open(mark, "x").close()
            os.kill(os.getpid(), signal.SIGKILL)
        x, y = drawn()
        return x[start:stop], y[start:stop]


@pytest.mark.parametrize("at", [0, 500, 900, 1499])
def test_step_survives_a_process_that_is_killed(at, tmp_path, whole):
    tape = network()
    rows = parallel.Rows(Deadly(os.getpid(), os.fspath(tmp_path), at), n=N)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # threads of other tests, and fork
        with (
            ProcessPoolExecutor(2, multiprocessing.get_context("fork")) as pool,
            pytest.warns(FastgradWarning, match="computed by the caller.*BrokenProcessPool"),
        ):
            value, gradient = tape.value_and_grad(rows, executor=Workers(pool, tasks=4))
    assert struct.pack(f"{1 + len(gradient)}d", value, *gradient) == whole
    assert (tmp_path / "killed").exists()
    tally("executors: processes killed")


# -- what is asked for -----------------------------------------------------------------------------


def test_results_have_the_structure_that_they_have_without(script):
    w = Value(2.0)
    tape = record(lambda d, k: {"a": [d["x"][0] * w, d["x"][1]], "b": (k * d["x"][0], w)},
                  {"x": [1.0, 2.0]}, 3.0)  # fmt: skip
    batch = {"x": [[float(i), -float(i)] for i in range(50)]}
    workers = Workers(script(), tasks=3)
    assert tape(batch, 2.0, executor=workers) == tape(batch, 2.0)
    one = {"x": [1.0, 2.0]}
    assert tape(one, 2.0, executor=workers) == tape(one, 2.0)
    assert repr(tape(one, Value(2.0), executor=workers)) == repr(tape(one, Value(2.0)))
    array = {"x": np.array(batch["x"])}
    got, want = tape(array, 2.0, executor=workers), tape(array, 2.0)
    assert repr(got) == repr(want)


def test_gradients_of_each_sample_and_of_what_is_shared(script):
    w, other = Value(2.0), Value(0.5)
    tape = record(lambda x, k: (k * x * w).tanh() + w, 1.0, 3.0)
    x, workers = [0.01 * i for i in range(300)], Workers(script(), tasks=3)
    for wrt in ("parameters", "k", ["k", w], w):
        got = tape.value_and_grad(x, 0.5, wrt=wrt, executor=workers)
        assert got == tape.value_and_grad(x, 0.5, wrt=wrt)
    for wrt in ("parameters", "x", ["x", w]):
        got = tape.value_and_grad(x, 0.5, wrt=wrt, reduce=None, executor=workers)
        assert got == tape.value_and_grad(x, 0.5, wrt=wrt, reduce=None)
    pair = record(lambda x: (x * w).tanh() + Value(3.0) * other, 1.0)
    assert pair.value_and_grad(x, wrt=other, executor=workers) == pair.value_and_grad(x, wrt=other)
    for reduce in ("mean", None):
        with pytest.raises(FastgradValueError, match=r"one of tape\.parameters"):
            tape.value_and_grad(x, 0.5, wrt=Value(1.0), reduce=reduce, executor=workers)
    with pytest.raises(FastgradValueError, match="what all samples share"):
        tape.value_and_grad(x, 0.5, wrt="x", executor=workers)
    for reduce in ("max", 3):
        with pytest.raises(FastgradValueError):
            tape.value_and_grad(x, 0.5, reduce=reduce, executor=workers)
        with pytest.raises(FastgradValueError):
            tape.backward(x, 0.5, reduce=reduce, executor=workers)


def test_tapes_that_call_python_give_results_but_no_gradients_elsewhere(script):
    tape = record(lambda x: swish(x * Value(2.0)), 1.0)
    workers = Workers(script(), tasks=3)
    x = [0.1 * i for i in range(30)]
    assert tape(x, executor=workers) == tape(x)
    with pytest.raises(TapeError, match="custom operation"):
        tape.value_and_grad(x, executor=workers)


def test_tape_with_decisions_raises_where_a_result_is_not_finite(script):
    w = Value(1.0)

    def program(x):
        return (x * w).log() if x.data > 0 else x * w

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FastgradWarning)
        tape = record(program, 1.0)
    workers = Workers(script(), tasks=2)
    bad = [1.0] * 300 + [0.0]
    assert tape([1.0] * 300, executor=workers) == [0.0] * 300
    for verb in (tape, tape.value_and_grad, tape.backward):
        with pytest.raises(NonFiniteError):
            verb(bad, executor=workers)
    assert w.grad == 0.0
    assert tape.backward([2.0] * 300, executor=workers) == tape.value_and_grad([2.0] * 300)[0]
    assert w.grad == tape.value_and_grad([2.0] * 300)[1][0]
    with pytest.raises(NonFiniteError, match="sample 300"):
        tape(bad, check=True, executor=workers)


def test_fit_that_stops_names_the_step_and_the_sample(script):
    for n, how in ((400, {}), (400, {"batch_size": 60, "seed": 4}), (5, {"batch_size": 2})):
        x = [1.0] * n
        x[n - 2] = 1e200

        def fitted(n=n, how=how, x=x, **more):
            w = Value(1.0)
            tape = record(lambda x: (w * x) ** 2, 1.0)
            with pytest.raises(NonFiniteError) as caught:
                fg.fit(tape, x, optimizer=fg.optim.SGD([w], lr=0.1), steps=99, **how, **more)
            return str(caught.value), caught.value.history, w.data

        assert fitted(executor=Workers(script(), tasks=3)) == fitted()
    w = Value(1e308)
    tape = record(lambda x: w * x, 1.0)
    with pytest.raises(NonFiniteError, match="inf"):
        fg.fit(tape, [1.0] * 300, optimizer=fg.optim.SGD([w]), steps=3, reduce="sum",
               executor=Workers(script(), tasks=3))  # fmt: skip


def test_fit_with_schedule_callback_and_parts_is_that_of_one_process(script):
    def fitted(**how):
        tape, (x, y) = network(), drawn(400)
        seen = []
        optimizer = fg.optim.SGD([*tape.parameters, Value(1.0)], lr=0.1, momentum=0.9)
        common = {
            "optimizer": optimizer,
            "schedule": lambda s: 0.1 / (1 + s),
            "callback": (lambda s, losses: seen.append((s, losses))),
            "every": 3,
            "batch_size": 133,
            **how,
        }
        with pytest.warns(FastgradWarning, match="1 of the optimizer's"):
            losses = fg.fit(tape, x, y, steps=5, **common)
        with pytest.warns(FastgradWarning, match="1 of the optimizer's"):
            losses += fg.fit(tape, x, y, steps=6, start=5, shuffle=False, **common)
        return losses, seen, [p.data for p in tape.parameters]

    assert fitted(executor=Workers(script(), tasks=3)) == fitted()


def test_fit_shows_progress_and_handles_no_step(script, capsys):
    tape, (x, y) = network(), drawn(400)
    how = {"optimizer": fg.optim.SGD(tape.parameters), "executor": Workers(script(), tasks=2)}
    assert fg.fit(tape, x, y, steps=0, progress=True, **how) == []
    assert len(fg.fit(tape, x, y, steps=2, progress=True, **how)) == 2


def test_fit_of_single_samples_and_of_families_is_computed_here(script):
    w = Value(1.0)
    tape = record(lambda x: (w * x - 1.0) ** 2, 2.0)
    pool = script()
    fg.fit(tape, 2.0, optimizer=fg.optim.SGD([w], lr=0.1), steps=2, executor=pool)
    other = record(lambda x: (w * x[0] - x[1]) ** 2, [2.0, 1.0])
    fg.fit([tape, other], [2.0, [1.0, 2.0]], optimizer=fg.optim.SGD([w]), steps=2, executor=pool)
    assert pool.submitted == []
    assert tape.value_and_grad(2.0, executor=pool)[0] == tape(2.0)
    assert tape.backward(2.0, executor=pool) == tape(2.0)


def test_dropouts_draw_on_executors_what_they_do_in_one_process(script):
    def computed(**how):
        w = [Value(0.5), Value(-0.25)]
        tape = record(
            lambda x: (
                functional.dot(functional.dropout([x[0] * w[0], x[1] * w[1]], 0.5), [1.0, 2.0]) ** 2
            ),
            [1.0, 2.0],
        )
        fg.manual_seed(7)
        x = np.random.default_rng(3).normal(size=(1001, 2))
        found = [tape(x, **how).tolist(), tape.value_and_grad(x, **how), tape.backward(x, **how)]
        found += [p.grad for p in w]
        found.append([part.tolist() for part in tape.value_and_grad(x, reduce=None, **how)])
        optimizer = fg.optim.Adam(w, lr=0.01)
        for batch_size in (None, 500, 1):
            found.append(fg.fit(tape, x, optimizer=optimizer, steps=4, batch_size=batch_size,
                                start=1, **how))  # fmt: skip
        tape.train(False)
        found += [tape(x, **how).tolist(), fg.fit(tape, x, optimizer=optimizer, steps=2, **how)]
        return str(found)

    assert computed(executor=Workers(script(), tasks=3)) == computed()


def test_retries_of_fit_count(script):
    tape, (x, y) = network(), drawn()
    pool = script(*[RuntimeError("lost")] * 99)
    with pytest.warns(FastgradWarning, match="computed by the caller"):
        fg.fit(
            tape, x, y, optimizer=fg.optim.SGD(tape.parameters), steps=1, executor=pool, retries=1
        )
    assert len(pool.submitted) == 2 * (os.cpu_count() or 1)
    for retries, error in ((-1, FastgradValueError), (None, FastgradTypeError)):
        with pytest.raises(error, match="retries"):
            fg.fit(
                tape, x, y, optimizer=fg.optim.SGD(tape.parameters), executor=pool, retries=retries
            )


def test_default_executor_holds_in_its_block_and_thread(script):
    tape, (x, y) = network(), drawn()
    want = tape.value_and_grad(x, y)[0]
    pool = script()
    seen = []
    with parallel.using(Workers(pool, tasks=2)):
        assert tape.value_and_grad(x, y)[0] == want
        assert len(pool.submitted) == 2
        thread = threading.Thread(target=lambda: seen.append(tape.value_and_grad(x, y)[0]))
        thread.start()
        thread.join()
        assert len(pool.submitted) == 2
        assert tape(x[0], y[0]) == tape(x[:1], y[:1])[0]
        inner = Workers(None)
        with parallel.using(inner):
            tape(x, y)
    tape(x, y)
    assert parallel.current(None) is None
    assert seen == [want]
    assert len(pool.submitted) == 3  # a batch of one sample has one task
    with pytest.raises(FastgradTypeError, match="an executor with submit"), parallel.using(3):
        pass


def test_executors_say_how_many_workers_they_have():
    class Counted:
        def submit(self):
            pass

    class Dask(Counted):
        __slots__ = ()
        __hash__ = None

        def nthreads(self):
            return {"a": 2, "b": 3}

    class Mpi(Counted):
        num_workers = 4

    assert Workers(Dask()).shares() == 5
    assert Workers(Mpi()).shares() == 4
    assert Workers(Counted()).shares() == (os.cpu_count() or 1)
    assert Workers(Counted(), tasks=9).shares() == 9
    for wrong in ({"tasks": 0}, {"retries": -1}, {"timeout": 0}, {"timeout": "1"}, {"rest": "x"}):
        with pytest.raises(FastgradValueError):
            Workers(None, **wrong)
    with pytest.raises(FastgradTypeError):
        Workers(None, tasks="2")


# -- a thousand workers ----------------------------------------------------------------------------


class Cluster:
    """Virtual workers with exponential delays: some tasks are lost, some ten times slower."""

    def __init__(self, workers, seed):
        self.free, self.random = workers, random.Random(seed)
        self.clock, self.events, self.waiting, self.work, self.count = 0.0, [], [], 0, 0

    def submit(self, function, *positional):
        future = Future()
        self.waiting.append((future, function, positional))
        self.begin()
        return future

    def begin(self):
        import heapq

        while self.free and self.waiting:
            self.free -= 1
            task = self.waiting.pop(0)
            delay = self.random.expovariate(1.0) * (10 if self.random.random() < 0.01 else 1)
            self.count += 1
            heapq.heappush(self.events, (self.clock + delay, self.count, task))

    def advance(self, until):
        """Let one task end before a time, if one does."""
        import heapq

        if not self.events or self.events[0][0] > until:
            self.clock = until
            return False
        self.clock, _, (future, function, positional) = heapq.heappop(self.events)
        self.free += 1
        self.work += 1
        self.begin()
        if self.random.random() >= 0.01:
            future.set_result(function(*positional))
        return True


def test_a_thousand_virtual_workers_give_the_bits_of_one_process(monkeypatch):
    w = Value(0.5)
    tape = record(lambda x: (w * x).tanh() * w, 1.0)
    block, groups = tape.stats()["block"], 4000
    x = np.random.default_rng(2).normal(size=block * groups)
    value, gradient = tape.value_and_grad(x)
    assert len(tape.group_starts(x[:1], of=len(x))) == groups + 1
    for seed in range(2):
        cluster = Cluster(1000, seed)

        class Clocked(queue.SimpleQueue):
            def get(self, timeout=None, cluster=cluster):
                end = cluster.clock + timeout
                while self.empty():
                    if not cluster.advance(end):
                        raise queue.Empty
                return super().get()

        monkeypatch.setattr(parallel._Step, "new_queue", Clocked)
        workers = Workers(cluster, tasks=groups, timeout=60.0)
        got, slope = tape.value_and_grad(x, executor=workers)
        assert struct.pack("2d", got, *slope) == struct.pack("2d", value, *gradient)
        assert groups < cluster.work <= 1.1 * groups
        tally("executors: tasks of virtual workers", cluster.work)
