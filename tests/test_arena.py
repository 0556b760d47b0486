"""The arena keeps its invariants under random programs, and nodes live exactly as long as needed.

Layer: tests.  May import: fastgrad, hypothesis, pytest.

Oracles: `arena_check`, which recomputes every count from scratch; each value's data as first seen.
"""

import contextlib
import copy
import gc
import os
import random
import weakref

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from programs import python

from fastgrad import Value, _check, arena_stats, no_grad
from fastgrad.engine import build_info
from fastgrad.nn import Layer, Neuron

arena_check = _check.arena_check
INFO = build_info()
NARROW = INFO["id_bits"] < 32
NIGHTLY = os.environ.get("HYPOTHESIS_PROFILE") == "nightly"
MOST = 12 if INFO["id_bits"] == 8 else 40  # values held at once
DEEP = 40 if INFO["id_bits"] == 8 else 300  # nodes below one root, since every look visits them all

KINDS = ["cycle", "operands", "raise", "nested", "drop", "zero", "inspect", "never set"]
PICK = st.integers(0, 1_000)
NUMBER = st.sampled_from([-2.0, -1, 0.0, 0.5, 1, 3.0, True])


class Special(Value):
    """A subclass with state of its own."""


class Refused(Exception):
    """Raised by a backward function."""


def live():
    return arena_stats()["live_nodes"]


def settle():
    """Collect what is garbage: attributes are seen only once no graph uses their node."""
    nodes = live() + 1
    while live() < nodes:
        nodes = live()
        gc.collect()


class Programs(RuleBasedStateMachine):
    @initialize()
    def start(self):
        settle()
        self.before = live()
        self.values, self.sizes, self.kept = [], {}, []
        self.neuron = self.layer = None

    # What a program holds, and how it lets go of it.

    def keep(self, value, size=1):
        """Hold a value, with the data that it must have for ever and the size of its graph."""
        if size > DEEP:
            value, size = value.detach(), 1
        if len(self.values) >= MOST:
            self.values.pop(0)
        self.values.append((value, value.data, size))
        return value

    def pick(self, i):
        value, _, self.size = self.values[i % len(self.values)]
        return value

    def attempt(self, action):
        """Do something that may run out of ids, or out of the range of floats."""
        try:
            action()
        except OverflowError:
            del self.values[: len(self.values) // 2]

    has_values = precondition(lambda self: self.values)

    @rule(data=NUMBER, special=st.booleans(), label=st.sampled_from([None, "x"]))
    def make_leaf(self, data, special, label):
        self.attempt(lambda: self.keep((Special if special else Value)(data, label=label)))

    @has_values
    @rule(i=PICK, j=PICK, op=st.sampled_from("+-*/"), number=st.none() | NUMBER)
    def operate(self, i, j, op, number):
        a, size = self.pick(i), 0
        size += self.size
        b = self.pick(j) if number is None else number
        size += self.size if number is None else 1
        operations = {
            "+": lambda: (a + b, b + a),
            "-": lambda: (a - b, b - a),
            "*": lambda: (a * b, b * a),
            "/": lambda: (a / (b * b + 1), b / (a * a + 1)),
        }
        self.attempt(lambda: [self.keep(v, size + 8) for v in operations[op]()])

    @has_values
    @rule(i=PICK, name=st.sampled_from(["relu", "tanh", "leaky_relu", "exp", "log", "neg", "**3"]))
    def apply(self, i, name):
        a = self.pick(i)
        size = self.size

        def act():
            try:
                if name == "neg":
                    self.keep(-a, size + 2)
                elif name == "**3":
                    self.keep(a**3, size + 2)
                else:
                    self.keep(getattr(a, name)(), size + 2)
            except ValueError:
                assert name == "log"

        self.attempt(act)

    @has_values
    @rule(i=PICK, wrong=st.sampled_from(["a", None, [1], 1j, (), object()]))
    def refuse(self, i, wrong):
        with pytest.raises(TypeError):
            self.pick(i) * wrong
        with pytest.raises(TypeError):
            wrong - self.pick(i)
        with pytest.raises(TypeError):
            Value(1.0, (self.pick(i), wrong))

    # Functions written in Python.

    @has_values
    @rule(picks=st.lists(PICK, min_size=1, max_size=4), kind=st.sampled_from(KINDS))
    def custom(self, picks, kind):
        operands = [self.pick(i) for i in picks]
        size = sum(self.values[i % len(self.values)][2] for i in picks) + 1

        def act():
            out = Value(sum(v.data for v in operands), operands, kind)
            if kind != "never set":
                out._backward = self.step(kind, operands, out)
            self.keep(out, size)

        self.attempt(act)

    @has_values
    @rule(i=PICK, kind=st.sampled_from(["wrap", "nested", "drop", "raise"]))
    def hook(self, i, kind):
        value = self.pick(i)

        def act():
            value._backward = value._backward if kind == "wrap" else self.step(kind, [], value)

        self.attempt(act)

    def step(self, kind, operands, out):
        """Make a backward function; it may find the program in any state, also over."""
        machine = weakref.ref(self)
        if kind == "cycle":

            def step():
                for v in operands:
                    v.grad += out.grad

        elif kind == "operands":

            def step():
                for v in operands:
                    v.grad += 1.0

        elif kind == "raise":

            def step():
                raise Refused

        elif kind == "nested":

            def step():
                (Value(2.0) * operands[0] if operands else Value(1.0)).backward()

        elif kind == "drop":

            def step():
                if machine() and machine().values:
                    del machine().values[0]
                if machine():
                    machine().neuron = None
                    machine().keep(Value(1.0) + 2)

        elif kind == "zero":

            def step():
                for v in operands:
                    v.zero_grad(graph=True)

        else:

            def step():
                for v in operands:
                    len(v._prev)

        return step

    # Python-side life.

    @has_values
    @rule(i=PICK)
    def set_attribute(self, i):
        value = self.pick(i)
        value.note = [value] if i % 2 else "note"

    @has_values
    @rule(i=PICK)
    def refer_weakly(self, i):
        del self.kept[:-5]
        self.kept.append(weakref.ref(self.pick(i)))

    @has_values
    @rule(i=PICK)
    def drop(self, i):
        del self.values[i % len(self.values)]

    @rule()
    def drop_all(self):
        self.values.clear()

    @rule()
    def collect(self):
        gc.collect()

    # Gradients.

    @has_values
    @rule(i=PICK)
    def backward(self, i):
        with contextlib.suppress(Refused, RecursionError, ZeroDivisionError):
            self.attempt(self.pick(i).backward)

    @has_values
    @rule(i=PICK, graph=st.booleans())
    def zero_grad(self, i, graph):
        self.pick(i).zero_grad(graph=graph)

    @has_values
    @rule(i=PICK)
    def set_grad(self, i):
        self.attempt(lambda: setattr(self.pick(i), "grad", 0.5))

    # Looking inside.

    @has_values
    @rule(i=PICK, deep=st.integers(1, 4))
    def inspect(self, i, deep):
        """Hold what `_prev` shows, so that it may become an operand of something new."""
        value = self.pick(i)
        size = self.size

        def act():
            found = [value]
            for _ in range(deep):
                found = [p for v in found for p in v._prev]
                assert all(isinstance(p._op, str) for p in found)
            for p in sorted(found, key=lambda v: v.data)[:3]:
                self.keep(p, size)

        self.attempt(act)

    @has_values
    @rule(i=PICK, shallow=st.booleans())
    def duplicate(self, i, shallow):
        value, size = self.pick(i), self.size

        def act():
            twin = copy.copy(value) if shallow else copy.deepcopy(value)
            assert (twin.data, twin.grad, type(twin)) == (value.data, value.grad, type(value))
            self.keep(twin, size)

        self.attempt(act)

    @has_values
    @rule(i=PICK, j=PICK)
    def compute_quietly(self, i, j):
        def act():
            with no_grad():
                y = self.keep(self.pick(i) * self.pick(j) + 1)
            assert y._prev == set()

        self.attempt(act)

    # Networks.

    @rule(inputs=st.integers(1, 3), nonlin=st.booleans())
    def make_neuron(self, inputs, nonlin):
        self.attempt(lambda: setattr(self, "neuron", Neuron(inputs, nonlin=nonlin)))

    @rule(inputs=st.integers(1, 3), outputs=st.integers(1, 2))
    def make_layer(self, inputs, outputs):
        self.attempt(lambda: setattr(self, "layer", Layer(inputs, outputs)))

    @has_values
    @rule(picks=st.lists(PICK, min_size=1, max_size=4), number=NUMBER, layer=st.booleans())
    def call_network(self, picks, number, layer):
        network = self.layer if layer else self.neuron
        if network is None:
            return
        inputs = [self.pick(i) if i % 4 else number for i in picks]
        size = sum(self.values[i % len(self.values)][2] for i in picks) + 30

        def act():
            out = network(inputs)
            for y in out if isinstance(out, list) else [out]:
                self.keep(y, size)

        self.attempt(act)

    @has_values
    @rule(i=PICK, shrink=st.booleans())
    def edit_neuron(self, i, shrink):
        if self.neuron is not None:
            if shrink and len(self.neuron.w) > 1:
                self.neuron.w.pop()
            else:
                self.neuron.w[0] = self.pick(i).detach()

    @rule()
    def drop_networks(self):
        self.neuron = self.layer = None

    # What must hold after each step.

    @invariant()
    def arena_is_sound(self):
        assert arena_check() == []

    @invariant()
    def data_is_kept(self):
        for value, data, _ in getattr(self, "values", ()):
            assert value.data == data or data != data

    def teardown(self):
        if not hasattr(self, "values"):
            return
        self.values.clear()
        self.kept.clear()
        self.neuron = self.layer = None
        settle()
        assert arena_check() == []
        assert live() <= self.before, "less if what an earlier test held has gone by now"


TestPrograms = Programs.TestCase
TestPrograms.settings = settings(
    deadline=None,
    derandomize=not NIGHTLY,
    max_examples=settings.default.max_examples if NIGHTLY else 60,
    stateful_step_count=80 if NIGHTLY else 40,
    database=None,
    phases=[Phase.generate, Phase.shrink][: 1 + NIGHTLY],  # shrinking takes minutes
)


# Lifetimes ----------------------------------------------------------------------------------------


@pytest.fixture
def baseline():
    """Count the nodes that other tests have left."""
    settle()
    return live()


def test_each_handle_and_each_use_keeps_a_node(baseline):
    a, b = Value(2.0), Value(3.0)
    c = a * b
    assert live() == baseline + 3
    d = c + a
    del c
    assert live() == baseline + 4, "d uses it"
    del a, b
    assert live() == baseline + 4
    del d
    assert live() == baseline


def test_leaves_of_numbers_live_as_long_as_their_operation(baseline):
    a = Value(2.0)
    y = a - 1
    assert live() == baseline + 3
    y = None
    assert y is None
    assert live() == baseline + 1


def test_results_are_freed_without_the_collector(baseline):
    gc.disable()
    try:
        for _ in range(20):
            x = Value(1.5)
            y = (x * x + 3).tanh() / 2
            y.backward()
            y.label = "attributes do no harm"
            del x, y
        assert live() == baseline
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_failed_operations_leave_nothing(baseline):
    values = [Special(0.0)]
    for wrong in (
        lambda a: a**-1, lambda a: 1 / a, lambda a: a.log(), lambda a: a + "1", lambda a: a * None,
        lambda a: a / "1", lambda a: a**"1", lambda a: a - [], lambda a: Value(1, (a, 2)),
    ):  # fmt: skip
        with pytest.raises((ZeroDivisionError, ValueError, TypeError)):
            wrong(values[0])
        assert arena_check() == []
        assert live() == baseline + 1
    values.clear()
    assert live() == baseline, "a subclass's handle is not kept by an operation that failed"


def test_a_leaf_pins_no_operation(baseline):
    kept = []
    for _ in range(50):
        x = Value(1.0)
        y = x * 2 + 1
        kept.append(y.detach())
    del x, y
    assert live() == baseline + 50


def square(x):
    out = Value(x.data * x.data, (x,), "square")

    def step():
        x.grad += 2 * x.data * out.grad

    out._backward = step
    return out


def test_custom_cycle_is_collected_only_when_unused(baseline):
    x = Value(3.0)
    out = square(x)
    gone = weakref.ref(out)
    y = out + 1
    del out
    gc.collect()
    assert gone() is not None, "a graph needs it"
    y.backward()
    assert x.grad == 6.0
    del y
    gc.collect()
    assert gone() is None
    del x
    assert live() == baseline


def test_custom_chain_is_freed_by_one_collection(baseline):
    x = Value(1.0)
    y = x
    for _ in range(DEEP // 2):
        y = square(y)
    del y
    gc.collect()
    assert live() == baseline + 1
    y = x
    for _ in range(DEEP // 2):
        y = square(y)
    y = y + 1
    y.backward()
    del y
    assert live() == baseline + 1, "its root is no cycle, so it needs no collection at all"


def test_attributes_and_weak_references_outlive_the_handle(baseline):
    a = Value(2.0)
    c = a * 3
    c.label, c.list = "c", [1]
    watched = weakref.ref(c)
    d = c + 1
    identity = id(c)
    del c
    assert watched() is not None
    assert (watched().label, watched().list) == ("c", [1])
    assert id(watched()) == identity
    assert watched() in d._prev
    del d
    assert watched() is None
    del a
    assert live() == baseline


def test_subclass_instances_survive_inside_a_graph(baseline):
    s = Special(2.0)
    s.state = "mine"
    y = s * 3
    del s
    (found,) = [p for p in y._prev if isinstance(p, Special)]
    assert found.state == "mine"
    twin = copy.deepcopy(y)
    del y, found
    (found,) = [p for p in twin._prev if isinstance(p, Special)]
    assert found.state == "mine", "so do their copies"
    del twin, found
    assert live() == baseline


@pytest.mark.wide
@pytest.mark.parametrize("how", ["attribute", "closure"])
def test_long_chains_of_objects_die_without_recursion(baseline, how):
    x = Value(0.0)
    for _ in range(100_000):
        y = Value(1.0, (x,) if how == "closure" else ())
        if how == "closure":
            y._backward = lambda x=x: None
        else:
            y.before = x
        x = y
    del y
    del x
    assert live() == baseline


# Chunks -------------------------------------------------------------------------------------------


def test_chunks_are_recycled_although_graphs_share_them(baseline):
    """Let the tail of one graph and the head of the next share a chunk, over many chunks."""
    size = min(3 * INFO["chunk_nodes"] // 2 + 1, 10_000)
    in_use = arena_stats()["chunks"] - arena_stats()["free_chunks"]
    a = Value(1.0)
    most = 0
    y = a
    for _ in range(40):
        head = a * a
        y = head
        for _ in range(size):
            y = y + a
        most = max(most, arena_stats()["chunks"] - arena_stats()["free_chunks"])
    del head, y, a
    assert live() == baseline
    assert most <= in_use + 2 * size // INFO["chunk_nodes"] + 4, "two graphs' worth, never all"


def test_every_chunk_boundary_is_crossed_in_every_phase(baseline):
    """Free up to each offset in a chunk, also exactly at its end, where the open chunk closes."""
    n = INFO["chunk_nodes"]
    offsets = range(3 * n) if n <= 64 else [*range(n - 2, n + 3), 2 * n - 1, 2 * n, 2 * n + 1]
    a = Value(1.0)
    for extra in offsets:
        anchor = a + a
        values = [a * a for _ in range(extra)]
        if n <= 64:
            assert arena_check() == []
        values.clear()
        assert arena_check() == [], extra
        (anchor * 2).backward()
    assert a.grad == 4.0 * len(offsets)
    del anchor, a
    assert live() == baseline


@pytest.mark.slow
@pytest.mark.wide
def test_dead_nodes_are_no_part_of_a_sweep(baseline):
    """Their operands may lie in chunks whose memory has been given back long ago."""
    x = Value(1.0)
    far = [x * x for _ in range(3_000_000)]
    between = []
    y = x * 1.0
    for i in range(40_000):
        y = y + x
        between += [x * far[i] for _ in range(4)]
    chunks = arena_stats()["chunks"]
    del between, far
    assert arena_stats()["chunks"] < chunks
    y.backward()
    assert x.grad == 40_001.0


def test_leaf_slots_are_reused_in_any_order(baseline):
    shuffled = random.Random(5)
    n = 20 * INFO["chunk_nodes"] if INFO["chunk_nodes"] <= 8 else 3 * INFO["chunk_nodes"]
    n = min(n, 100) if NARROW else n
    values = [Value(i) for i in range(n)]
    chunks = arena_stats()["chunks"]
    for _ in range(5):
        shuffled.shuffle(values)
        del values[n // 4 :]
        values += [Value(i) for i in range(n - n // 4)]
        assert live() == baseline + n
        assert arena_stats()["chunks"] <= chunks + 2, "freed slots are taken before new chunks"
    assert arena_check() == []


@pytest.mark.wide
def test_a_million_kept_results_hold_only_themselves(baseline):
    x = Value(2.0)
    kept = []
    for i in range(1_000_000 if INFO["chunk_nodes"] > 64 else 50_000):
        y = x * i + 1
        kept.append(y.detach())
    del y
    assert live() == baseline + len(kept) + 1
    del kept, x
    assert live() == baseline


# The check itself ---------------------------------------------------------------------------------

CORRUPT = """
import ctypes, sys
from fastgrad import Value
from fastgrad._check import arena_check
from fastgrad.engine import build_info
a = Value(1.0)
y = a * 2
z = y + 1
assert arena_check() == []
width = build_info()["id_bits"] // 8
ids = {1: ctypes.c_uint8, 2: ctypes.c_uint16, 4: ctypes.c_uint32}[width]
place = id(y) + 2 * ctypes.sizeof(ctypes.c_void_p)  # a handle's id lies behind its object's head
stored = ids.from_address(place)
right = stored.value
stored.value = right + 1
wrong = arena_check()
stored.value = right
assert arena_check() == []
print(len(wrong) > 0)
"""


def test_the_check_sees_a_handle_of_the_wrong_node(tmp_path):
    process = python("-c", CORRUPT, cwd=tmp_path)
    assert (process.stdout.split(), process.stderr) == (["True"], "")
