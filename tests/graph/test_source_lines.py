"""Source lines: the line of the program that made an operation, while recording.

Oracle: the number of the line that the test itself is on.
"""

import contextlib
import gc
import random
import sys
import threading
import weakref

import pytest

import fastgrad
from fastgrad import functional
from fastgrad._native.graph.check import arena_check
from fastgrad._native.graph.recording import record_enter, record_exit, source_of_value, sources
from fastgrad.engine import Value, arena_stats
from fastgrad.nn import MLP

UNKNOWN = ("", 0, "")


@contextlib.contextmanager
def recording():
    record_enter(print)
    try:
        yield
    finally:
        record_exit()


def here(offset):
    """Give the place `offset` lines below the caller's."""
    frame = sys._getframe(1)
    return frame.f_code.co_filename, frame.f_lineno + offset, frame.f_code.co_qualname


@fastgrad.custom("twice")
def twice(a):
    return 2 * a


@twice.partials
def twice(a, y):
    return 2.0


MAKERS = {
    "add": lambda a, b: a + b,
    "number": lambda a, b: a * 3,
    "left number": lambda a, b: 3 + a,
    "sub": lambda a, b: a - b,
    "sub number": lambda a, b: a - 3,
    "div": lambda a, b: a / b,
    "div number": lambda a, b: a / 3,
    "neg": lambda a, b: -a,
    "power": lambda a, b: a**2,
    "method": lambda a, b: a.tanh(),
    "parameter": lambda a, b: a.leaky_relu(0.1),
    "function": lambda a, b: functional.hypot(a, b),
    "where": lambda a, b: fastgrad.where(a, a, b),
    "take": lambda a, b: fastgrad.take([a, b], Value(1)),
    "custom": lambda a, b: twice(a),
    "by hand": lambda a, b: Value(1.0, (a, b), "mine"),
    "sum": lambda a, b: sum([a, b]),
}


@pytest.mark.parametrize("name", MAKERS)
def test_operation_has_the_line_that_made_it(name):
    make = MAKERS[name]
    a, b = Value(2.0), Value(3.0)
    with recording():
        y = make(a, b)
        expected = (__file__, make.__code__.co_firstlineno, make.__code__.co_qualname)
        assert source_of_value(y) == expected
        for operand in y._prev:
            assert source_of_value(operand) in (expected, UNKNOWN)  # leaves have no place
        assert source_of_value(a) == UNKNOWN
        assert arena_check() == []
    assert source_of_value(y) == UNKNOWN


def test_lines_of_loops_and_split_statements_are_told_apart():
    x = y = Value(1.0)
    made = []
    with recording():
        start = here(2)
        for _ in range(3):
            y = y * x
            z = (y +
                 x)  # fmt: skip
            made += [y, z]
        places = [source_of_value(v) for v in made]
        assert len(sources()) == 3  # unknown, and two places
    assert places == [start, (start[0], start[1] + 1, start[2])] * 3


def test_line_is_of_the_running_code_not_of_its_caller():
    def inner(v):
        return v * v

    with recording():
        first = inner.__code__.co_firstlineno
        assert source_of_value(inner(Value(2.0))) == (__file__, first + 1, inner.__qualname__)
        total = sum(v * 2 for v in [Value(1.0), Value(2.0)])
        product = next(v for v in total._prev if v._op == "*")
        file, line, name = here(-2)
        assert source_of_value(total) == (file, line, name)
        assert source_of_value(product) == (file, line, f"{name}.<locals>.<genexpr>")


def test_operations_inside_fastgrad_have_the_line_of_the_caller():
    model = MLP(2, [3, 1])
    with recording():
        y = model([1.0, 2.0])
        assert source_of_value(y) == here(-1)
        model.layers[0].neurons[0].w[0] = type("Special", (Value,), {})(1.0)  # no longer native
        y = model([1.0, Value(2.0)])
        assert source_of_value(y) == here(-1)


def test_command_modules_count_as_programs_not_as_library():
    folder = fastgrad.__file__.removesuffix("__init__.py")
    demo, library = (
        compile("a * a", folder + name, "eval") for name in ("command/demo.py", "nn.py")
    )
    space, seen = {"a": Value(2.0)}, []

    def run():
        seen.append(source_of_value(eval(library, space)))

    with recording():
        assert source_of_value(eval(demo, space)) == (folder + "command/demo.py", 1, "<module>")
        run()
        assert seen[0][::2] == (__file__, run.__qualname__)


@pytest.mark.wide
def test_many_operations_keep_many_lines():
    lines = 1000
    source = "def f(x):\n" + "    x = x + 1\n" * lines + "    return x\n"
    namespace = {}
    exec(compile(source, "many", "exec"), namespace)
    x = y = Value(0.0)
    before = arena_stats()["live_nodes"]
    with recording():
        for _ in range(12):
            y = namespace["f"](y)
        v, places = y, []
        while v._op:
            places.append(source_of_value(v))
            v = next((p for p in v._prev if p._op), x)
        assert places == [("many", line, "f") for line in range(lines + 1, 1, -1)] * 12
        assert len(sources()) == lines + 1
        assert arena_check() == []
        assert arena_stats()["live_nodes"] > before
    assert y.data == 12.0 * lines


@pytest.mark.wide
def test_recording_changes_no_graph_and_no_gradient():
    def build(rng):
        vs = [Value(rng.uniform(-2, 2)) for _ in range(5)]
        for _ in range(500):
            a, b, k = rng.choice(vs), rng.choice(vs), rng.uniform(0.5, 2)
            makers = (
                lambda: a + b, lambda: a - b, lambda: a * k, lambda: k - a, lambda: -a,  # noqa: B023
                lambda: a / k, lambda: (a * a + 1) ** -1, lambda: a.tanh(),  # noqa: B023
            )  # fmt: skip
            vs.append(rng.choice(makers)().tanh())
        out = sum(vs)
        out.backward()
        return [(v.data, v.grad, v._op) for v in vs], arena_stats()["live_nodes"]

    gc.collect()
    plain = build(random.Random(1))
    with recording():
        assert build(random.Random(1)) == plain


def test_operations_of_other_threads_have_no_line():
    a = Value(2.0)
    made = []
    with recording():
        thread = threading.Thread(target=lambda: made.extend([a * a, a + 1]))
        thread.start()
        thread.join()
        made.append(a * a)
        assert [source_of_value(v) for v in made] == [UNKNOWN, UNKNOWN, here(-1)]


def test_lines_last_until_the_last_recording_ends():
    a = Value(2.0)
    inside, go = threading.Event(), threading.Event()

    def other():
        with recording():
            inside.set()
            go.wait()

    with recording():
        y = a * a
        expected = here(-1)
        thread = threading.Thread(target=other)
        thread.start()
        inside.wait()
        with recording():
            pass
        assert source_of_value(y) == expected
    assert source_of_value(y) == expected  # the other thread still records
    assert arena_check() == []
    go.set()
    thread.join()
    assert source_of_value(y) == UNKNOWN
    assert sources() == [UNKNOWN]
    assert arena_check() == []


def test_code_object_lives_as_long_as_its_lines():
    class Tracer:
        pass

    def make():
        namespace = {}
        exec("def f(x):\n    return x * x", namespace)
        return namespace["f"]

    with recording():
        function = make()
        gone = weakref.ref(function.__code__)
        y = function(Value(2.0))
        del function
        gc.collect()
        assert source_of_value(y) == ("<string>", 2, "f")
        assert gone() is not None
    assert gone() is None


@pytest.mark.wide
def test_recordings_may_start_and_end_within_a_chunk():
    x = y = Value(1.0)
    for i in range(50):
        with recording():
            y = y * x + i
            assert source_of_value(y)[0] == __file__
        y = y - x
        assert source_of_value(y) == UNKNOWN
        assert arena_check() == []
    y.backward()
    assert x.grad != 0.0


@pytest.mark.wide
def test_noting_a_line_triggers_no_garbage_collection():
    """A finalizer that runs while a place is noted could push nodes of its own."""

    class Loop:
        def __init__(self):
            self.me = self

        def __del__(self):
            made.append(Value(1.0) * 2)

    made, y, x = [], Value(0.0), Value(1.0)
    thresholds = gc.get_threshold()

    def step(v):
        return v + x

    gc.set_threshold(1)
    try:
        with recording():
            for _ in range(200):
                Loop()
                y = step(y)
        assert gc.isenabled()
    finally:
        gc.set_threshold(*thresholds)
    assert y.data == 200.0
    assert made
    assert arena_check() == []
