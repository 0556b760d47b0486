"""Groups: single samples in vectors, against the scalar interpreter and the eager engine.

Oracles: the eager engine, for values, and for gradients where the tape has merged no work; the
interpreter, `use_groups("never")`, for everything.
"""

import copy
import math
import os
import pickle
import random
import threading
import warnings
from functools import reduce
from itertools import pairwise
from pathlib import Path

import pytest
from helpers.custom_operations import swish
from helpers.failing_allocations import skip_what_crashes_python
from helpers.groups import LEVELS, ODD, assert_same, bits, in_both
from helpers.polls import POLL_INTERVAL, at_each_poll, stop_at
from helpers.processes import python
from helpers.tally import tally

import fastgrad as fg
from fastgrad import Value, functional, nn, optim
from fastgrad._native.tape.replay import use_groups
from fastgrad.errors import FastgradIndexError, FastgradValueError

pytestmark = pytest.mark.wide
PROGRAMS = {"nightly": 1_000, "few": 5}.get(os.environ.get("HYPOTHESIS_PROFILE", ""), 120)
WIDTHS = (1, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 40, 130)  # of a level
STEPS = {
    "add": lambda a, b, pick: a + b,
    "mul": lambda a, b, pick: a * b,
    "square": lambda a, b, pick: a * a,
    "double": lambda a, b, pick: (a + a) * 0.5,
    "scale": lambda a, b, pick: a * -0.5,
    "tanh": lambda a, b, pick: a.tanh(),
    "sigmoid": lambda a, b, pick: (a * 0.3).sigmoid(),
    "relu": lambda a, b, pick: a.relu(),
    "leaky": lambda a, b, pick: functional.leaky_relu(a, 0.1),
    "max": lambda a, b, pick: functional.max(a, b),
    "atan2": lambda a, b, pick: functional.atan2(a, b * b + 0.5),
    "power": lambda a, b, pick: (a * a + 1.0) ** -0.5,
    "square_power": lambda a, b, pick: (a - b) ** 2,
    "fused": lambda a, b, pick: a * b + pick(),
    "dot": lambda a, b, pick: sum(pick() * pick() for _ in range(5)) * 0.1,
    "sum": lambda a, b, pick: reduce(lambda s, _: s + pick(), range(7), a) * 0.1,
    "long": lambda a, b, pick: sum(pick() for _ in range(20)) * 0.1,
    "long_dot": lambda a, b, pick: sum(pick() * pick() for _ in range(18)) + a,
    "take": lambda a, b, pick: fg.take([pick() for _ in range(4)], pick.index),
    "where": lambda a, b, pick: fg.where(a < b, a, b * 0.5),
}


@pytest.fixture
def always():
    before = use_groups("always")
    yield
    use_groups(before)


class Pick:
    """Draws operands: the same ones at each run of a program."""

    def __init__(self, seed, values, index):
        self.rng, self.values, self.index = random.Random(seed), values, index

    def __call__(self):
        return self.rng.choice(self.values)


class Wide:
    """A random program whose levels are wide, its arguments and parameters."""

    def __init__(self, seed):
        rng = random.Random(seed)
        self.parameters = [Value(rng.uniform(-1, 1)) for _ in range(rng.randrange(1, 40))]
        self.x = [rng.uniform(-1, 1) for _ in range(rng.randrange(1, 40))]
        self.index = rng.choice([0, 1, 3, -1])
        self.seed, self.width = rng.random(), rng.choice(WIDTHS)
        self.kinds = rng.choices(list(STEPS), k=rng.randrange(2, 25))
        self.ends = rng.randrange(1, 60)

    def __call__(self, x, index):
        pick = Pick(self.seed, [*x, *self.parameters], index)
        for kind in self.kinds:
            made = [STEPS[kind](pick(), pick(), pick) for _ in range(self.width)]
            pick.values = [*pick.values, *made]
        last = pick.values[-self.ends :]
        return reduce(lambda s, y: s + y, last[1:], last[0])

    def eager(self):
        """Give value, gradients in x and in the parameters, as the graph has them."""
        x = [Value(a) for a in self.x]
        for p in self.parameters:
            p.grad = 0.0
        y = self(x, self.index)
        y.backward()
        return y.data, [a.grad for a in x], {id(p): p.grad for p in self.parameters}


def check_program(seed):
    """Compare a program, as it is and with odd numbers among its leaves; return how often."""
    program, rng = Wide(seed), random.Random(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tape = fg.record(program, program.x, program.index)
    grouped, plain = in_both(tape, program.x, program.index)
    assert_same(grouped, plain)
    value, inputs, parameters = program.eager()
    stats = tape.stats()
    assert bits([grouped[0]]) == bits([value])
    if stats["recorded"] == stats["operations"]:  # no work was merged: sums have eager's order
        assert bits(grouped[1]) == bits(inputs)
        assert bits(grouped[2]) == bits([parameters[id(p)] for p in tape.parameters])
    for share in (0.05, 0.3):
        odd = [rng.choice(ODD) if rng.random() < share else a for a in program.x]
        for p in program.parameters:
            p.data = rng.choice(ODD) if rng.random() < share else p.data
        assert_same(*in_both(tape, odd, program.index))
    return 3


def check_level(programs, begin=0):
    return sum(check_program(seed) for seed in range(begin, begin + programs))


def test_random_wide_programs_have_eager_bits_in_groups():
    for _ in range(check_level(PROGRAMS, 1_000)):
        tally("wrong replay: wide programs in groups, against the interpreter")


@pytest.mark.parametrize("level", LEVELS)
def test_every_simd_level_gives_eager_bits_in_groups(level, tmp_path, monkeypatch):
    monkeypatch.setenv("FASTGRAD_SIMD", level)
    folders = [Path(__file__).parent, Path(__file__).parents[1]]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, folders)))
    source = f"import test_groups as t\nprint(t.check_level({PROGRAMS}))"
    process = python("-c", source, cwd=tmp_path)
    if process.returncode and "as this processor has" in process.stderr:
        pytest.skip(f"no {level} here")
    assert process.stderr == ""
    assert int(process.stdout) == 3 * PROGRAMS


def rosenbrock(x):
    return sum(100 * (b - a**2) ** 2 + (1 - a) * (1 - a) for a, b in pairwise(x))


def recorded_rosenbrock(n):
    rng = random.Random(n)
    x = [rng.uniform(-2, 2) for _ in range(n)]
    return fg.record(rosenbrock, x), x


@pytest.mark.parametrize("n", [*range(2, 20), 33, 100, 257])
def test_rosenbrock_of_any_length_has_the_interpreter_bits(n):
    tape, x = recorded_rosenbrock(n)
    assert_same(*in_both(tape, x))


@pytest.mark.parametrize("special", ODD)
def test_special_values_have_the_interpreter_bits(special):
    tape, x = recorded_rosenbrock(40)
    for place in (0, 7, 8, 39):
        assert_same(*in_both(tape, [special if i == place else a for i, a in enumerate(x)]))


def test_partial_that_is_infinite_gives_an_adjoint_of_zero_nothing():
    def f(x):  # the first square root has an infinite slope at 0, and an adjoint of 0
        return sum(a.sqrt() * b * (a + 1.0) for a, b in zip(x[:20], x[20:], strict=True))

    tape = fg.record(f, [1.0] * 40)
    grouped, plain = in_both(tape, [0.0] * 40)
    assert_same(grouped, plain)
    assert grouped[1] == [0.0] * 40


def calls_until_planned(tape, x):
    """Give after which call its native memory has grown by a plan."""
    sizes = []
    for _ in range(4):
        tape(x)
        sizes.append(tape.nbytes)
    return [i + 1 for i in range(1, 4) if sizes[i] > sizes[i - 1]]


def test_plan_is_made_at_the_second_call_and_nbytes_has_it():
    tape, x = recorded_rosenbrock(100)
    assert calls_until_planned(tape, x) == [2]


def test_plan_for_a_gradient_is_made_at_its_second_call():
    tape, x = recorded_rosenbrock(100)
    tape(x), tape(x)
    size = tape.nbytes
    tape.value_and_grad(x, wrt="inputs")
    first = tape.nbytes
    tape.value_and_grad(x, wrt="inputs")
    assert tape.nbytes > first >= size


def test_program_that_gains_with_a_gradient_alone_is_planned_for_it():
    random.seed(2)
    model = nn.MLP(30, [64, 64, 1])
    x = [random.uniform(-1, 1) for _ in range(30)]
    tape = fg.record(lambda x: model(x).tanh(), x)
    expected = [tape(x) for _ in range(3)]
    sizes, results = [], []
    for _ in range(3):
        results.append(tape.value_and_grad(x))
        sizes.append(tape.nbytes)
    assert sizes[0] < sizes[1] == sizes[2]
    assert results[0] == results[1] == results[2]
    assert [value for value, _ in results] == expected


def chained(x):
    y = x[0]
    for i in range(3000):
        y = y * 0.999 + x[i % 3]
    return y


@pytest.mark.parametrize(
    ("function", "n"), [(chained, 3), (lambda x: x[0] * x[1] + x[2], 3), (lambda x: x[0], 3)]
)
def test_chains_and_small_programs_keep_the_interpreter(function, n):
    tape = fg.record(function, [0.5] * n)
    assert calls_until_planned(tape, [0.5] * n) == []


def test_same_program_has_the_same_plan_every_time():
    sizes = set()
    for _ in range(3):
        tape, x = recorded_rosenbrock(100)
        for _ in range(2):
            tape.value_and_grad(x, wrt="inputs")
        sizes.add(tape.nbytes)
    assert len(sizes) == 1


def test_results_in_a_structure_and_inputs_among_them(always):
    def f(x, y):
        squares = [a * y for a in x]
        return {"squares": squares, "first": x[0], "parts": (sum(squares), squares[3], y)}

    x = [float(i) for i in range(30)]
    tape = fg.record(f, x, 2.0)
    for y in (5.0, 2.0, 3.0):
        given = tape(x, y)
    assert given["squares"] == [3.0 * a for a in x]
    assert given["first"] == 0.0
    assert given["parts"] == (3.0 * sum(x), 9.0, 3.0)


@pytest.mark.parametrize("wrt", ["inputs", "parameters", 0, "y", [1, 0]])
def test_every_wrt_has_the_interpreter_bits(wrt):
    weights = [Value(0.1 * i) for i in range(20)]

    def f(x, y):
        hidden = [(a * w + y).tanh() for a, w in zip(x, weights, strict=True)]
        return sum(h * h for h in hidden) * y

    x = [0.05 * i - 0.5 for i in range(20)]
    tape = fg.record(f, x, 0.5)
    before = use_groups("always")
    try:
        for _ in range(3):
            grouped = tape.value_and_grad(x, 0.7, wrt=wrt)
        use_groups("never")
        assert grouped == tape.value_and_grad(x, 0.7, wrt=wrt)
    finally:
        use_groups(before)


def test_a_value_as_wrt_has_the_gradient_of_all(always):
    weights = [Value(0.1 * i) for i in range(20)]
    tape = fg.record(lambda x: sum((w * x).tanh() for w in weights), 0.5)
    for _ in range(3):
        _, everything = tape.value_and_grad(0.7)
        _, one = tape.value_and_grad(0.7, wrt=weights[7])
    assert one == everything[tape.parameters.index(weights[7])]


def test_backward_and_changed_parameters_and_fit(always):
    weights = [Value(0.1 * i) for i in range(20)]
    tape = fg.record(lambda x: sum((w * x - 1.0) ** 2 for w in weights), 0.5)
    for step in range(4):
        for w in weights:
            w.grad, w.data = 0.0, w.data + 0.01
        loss = tape.backward(0.7)
        expected = [2.0 * (w.data * 0.7 - 1.0) * 0.7 for w in weights]
        assert [w.grad for w in weights] == pytest.approx(expected, rel=1e-12), step
    losses = fg.fit(tape, 0.7, optimizer=optim.SGD(weights, lr=0.1), steps=50)
    assert losses[0] == loss
    assert losses[-1] < 1e-2


def test_jvp_and_check_and_values_after_calls_in_groups(always):
    tape, x = recorded_rosenbrock(40)
    for _ in range(3):
        x = [a + 0.25 for a in x]  # the interpreter's slots have what the first call left
        value, (gradient,) = tape.value_and_grad(x, wrt="inputs")
    assert tape.jvp((x,), ([1.0] * 40,)) == (value, pytest.approx(sum(gradient), rel=1e-12))
    assert tape.check(x) is None
    x = [a + 0.25 for a in x]
    value, (gradient,) = tape.value_and_grad(x, wrt="inputs")
    operands = [Value(a) for a in x]
    result = tape(operands)
    result.backward()
    assert result.data == value
    assert [a.grad for a in operands] == pytest.approx(gradient, rel=1e-12)
    with pytest.raises(fg.errors.NonFiniteError):
        tape([math.inf] * 40, check=True)


def test_take_without_entry_raises_and_the_next_call_is_right(always):
    rows = [[Value(float(10 * i + j)) for j in range(8)] for i in range(5)]
    tape = fg.record(lambda i, y: sum(a * a * y for a in fg.take(rows, i)), 0, 1.0)
    for _ in range(3):
        assert tape(2, 1.0) == sum((20.0 + j) ** 2 for j in range(8))
        with pytest.raises(FastgradIndexError, match="expected an index of -5 to 4, got 5"):
            tape(5, 1.0)
        value, gradient = tape.value_and_grad(-1, 0.5)
        expected = {40.0 + j: 40.0 + j for j in range(8)}
        assert value == 0.5 * sum(a * a for a in expected)
        assert [g for p, g in zip(tape.parameters, gradient, strict=True) if p.data < 40] == [
            0
        ] * 32
        assert {p.data: g for p, g in zip(tape.parameters, gradient, strict=True) if g} == expected


def test_custom_operations_leave_a_tape_to_the_interpreter(always):
    tape = fg.record(lambda x: sum(swish(a) for a in x), [1.0] * 40)
    tape([2.0] * 40)
    size = tape.nbytes
    for _ in range(3):
        assert tape([2.0] * 40) == pytest.approx(80 / (1 + math.exp(-2.0)))
        assert tape.nbytes == size


def test_threads_that_call_one_tape_get_their_own_results():
    tape, x = recorded_rosenbrock(600)
    points = [[a + 0.01 * t for a in x] for t in range(4)]
    expected = [fg.record(rosenbrock, x).value_and_grad(p, wrt="inputs") for p in points]
    wrong = []

    def work(t):
        got = [tape.value_and_grad(points[t], wrt="inputs") for _ in range(30)]
        wrong.extend(t for result in got if result != expected[t])

    threads = [threading.Thread(target=work, args=(t,)) for t in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize("made", [copy.copy, lambda tape: pickle.loads(pickle.dumps(tape))])
def test_tape_that_was_not_recorded_here_is_planned_too(made):
    """Its values one call later than those of one that `record` has called, and its gradients."""
    tape, x = recorded_rosenbrock(200)
    other = made(tape)
    for one in (tape, other):
        for _ in range(4):
            one.value_and_grad(x, wrt="inputs")
    assert other.nbytes == tape.nbytes


def test_planning_and_running_poll_and_an_interrupt_leaves_the_tape_right():
    tape, x = recorded_rosenbrock(POLL_INTERVAL // 16)  # ten operations for each
    expected = tape.value_and_grad(x, wrt="inputs")

    def calls(fresh):
        for _ in range(4):
            fresh.value_and_grad(x, wrt="inputs")

    first = copy.copy(tape)
    polls, _ = at_each_poll(lambda: calls(first))
    assert polls >= 10
    for number in range(1, polls + 1):
        fresh = copy.copy(tape)
        with pytest.raises(KeyboardInterrupt):
            at_each_poll(lambda fresh=fresh: calls(fresh), stop_at(number))
        for _ in range(3):
            assert fresh.value_and_grad(x, wrt="inputs") == expected


ALLOCATIONS = """
import _testcapi, sys
sys.settrace(None)
import fastgrad as fg
from fastgrad._native.tape.replay import use_groups
use_groups("always")
x = [0.1 * i for i in range(40)]
w = [[fg.Value(0.01 * i * j) for i in range(9)] for j in range(6)]
def f(x):
    layer = sum(sum(a * b for a, b in zip(row, x)).tanh() for row in w)
    return layer + sum(100 * (b - a**2) ** 2 + (1 - a) * (1 - a) for a, b in zip(x, x[1:]))
expected = fg.record(f, x).value_and_grad(x, wrt="inputs")
raised = unplanned = 0
call = fg.record(f, x).value_and_grad
for number in range(250):
    tape = fg.record(f, x)
    tape.value_and_grad(x, wrt="inputs")
    call, got = tape.value_and_grad, None
    _testcapi.set_nomemory(number, number + 1)
    try:
        got = call(x, wrt="inputs")
    except MemoryError:
        raised += 1
    finally:
        _testcapi.remove_mem_hooks()
    assert got in (None, expected), number
    assert tape.value_and_grad(x, wrt="inputs") == expected, number
    unplanned += got is not None
print(raised, unplanned)
"""


def test_planning_without_memory_leaves_the_call_to_the_interpreter(tmp_path):
    pytest.importorskip("_testcapi", reason="only CPython's own test module makes allocations fail")
    skip_what_crashes_python(False)
    process = python("-X", "faulthandler", "-c", ALLOCATIONS, cwd=tmp_path)
    assert process.returncode == 0, process.stderr
    raised, went_on = map(int, process.stdout.split())
    assert raised
    assert went_on > 30


def test_use_groups_refuses_other_words():
    with pytest.raises(FastgradValueError, match="got 'sometimes'"):
        use_groups("sometimes")
    assert use_groups("auto") == "auto"
