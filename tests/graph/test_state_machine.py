"""A state machine of random programs; the arena is checked after every step.

Python code runs in the middle of native operations and builds, sweeps, drops: backward functions,
`__float__`, `__del__`, callbacks of weak references. Oracles: `arena_check`, which recomputes every
count from scratch; each value's data as first seen.
"""

import contextlib
import copy
import gc
import os
import weakref

import pytest
from helpers.graphs import live_after_gc
from helpers.tally import tally
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from fastgrad import Value, no_grad
from fastgrad._native.graph import check
from fastgrad.engine import build_info
from fastgrad.nn import Layer, Neuron

arena_check = check.arena_check
ID_BITS = build_info()["id_bits"]
PROFILE = os.environ.get("HYPOTHESIS_PROFILE")
NIGHTLY = PROFILE == "nightly"
MOST = 12 if ID_BITS == 8 else 40  # values held at once
DEEP = 40 if ID_BITS == 8 else 300  # nodes below one root, since every look visits them all

KINDS = ["cycle", "operands", "raise", "nested", "drop", "zero", "inspect", "never set"]
PICK = st.integers(0, 1_000)
NUMBER = st.sampled_from([-2.0, -1, 0.0, 0.5, 1, 3.0, True])


class Special(Value):
    """A subclass with state of its own."""


class Refused(Exception):
    """Raised by a backward function."""


class Intruder:
    """What uses the arena whenever Python lets it run; the program may be in any state, or over."""

    def __init__(self, machine):
        self.machine = weakref.ref(machine)

    def __call__(self, *_):
        machine = self.machine()
        with contextlib.suppress(OverflowError, Refused, RecursionError, ZeroDivisionError):
            x = Value(2.0)
            y = (x * x + 1).relu()
            y.backward()
            assert x.grad == (4.0 if y._prev else 0.0)  # it may run inside no_grad
            if machine and machine.values:
                tally("re-entrancy: conversions, destructors and callbacks that use the arena")
                (machine.values[-1][0] * x).backward()
                del machine.values[0]

    def __float__(self):
        self()
        return 0.25


class Dying(Intruder):
    """The same, from a destructor."""

    def __del__(self):
        self()


class Programs(RuleBasedStateMachine):
    @initialize()
    def start(self):
        self.before = live_after_gc()
        gc.freeze()  # what is loaded, and Hypothesis's notes, are no concern of later collections
        gc.disable()  # the rule `collect` does it: what a program does must not depend on chance
        tally("re-entrancy: random programs")
        self.values, self.kept = [], []
        self.neuron = self.layer = None
        for data in (2.0, -1.0):
            self.keep(Value(data))

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

    @has_values
    @rule(i=PICK, op=st.sampled_from(["+", "r-", "/", "Value", "neuron"]))
    def convert(self, i, op):
        """Compute with a number whose conversion drops values, perhaps the operand itself."""
        a, number = self.pick(i), Intruder(self)
        size = self.size + 8
        operations = {
            "+": lambda: self.keep(a + number, size),
            "r-": lambda: self.keep(number - a, size),
            "/": lambda: self.keep(a / number, size),
            "Value": lambda: self.keep(Value(number)),
            "neuron": lambda: self.neuron and self.keep(self.neuron([a, number]), size + 30),
        }
        self.attempt(operations[op])

    # Python-side life.

    @has_values
    @rule(i=PICK)
    def set_attribute(self, i):
        value = self.pick(i)
        value.note = [value] if i % 3 == 0 else "note" if i % 3 == 1 else Dying(self)

    @has_values
    @rule(i=PICK)
    def refer_weakly(self, i):
        del self.kept[:-5]
        self.kept.append(weakref.ref(self.pick(i), Intruder(self) if i % 2 else None))

    @has_values
    @rule(i=PICK)
    def drop(self, i):
        del self.values[i % len(self.values)]

    @precondition(lambda self: len(self.values) > 6)  # or most programs would have none, mostly
    @rule()
    def drop_all(self):
        self.values.clear()

    @has_values
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
    def compute_under_no_grad(self, i, j):
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

    @precondition(lambda self: self.neuron or self.layer)
    @rule()
    def drop_networks(self):
        self.neuron = self.layer = None

    # What must hold after each step.

    @invariant()
    def arena_is_sound(self):
        tally("re-entrancy: steps of random programs, the arena checked after each")
        assert arena_check() == []

    @invariant()
    def data_is_kept(self):
        for value, data, _ in getattr(self, "values", ()):
            assert value.data == data or data != data

    def teardown(self):
        gc.enable()
        if not hasattr(self, "values"):
            return
        self.values.clear()
        self.kept.clear()
        self.neuron = self.layer = None
        assert live_after_gc() <= self.before, "less if what an earlier test held has gone by now"
        assert arena_check() == []


class TestRandomPrograms(Programs.TestCase):
    settings = settings(
        deadline=None,
        derandomize=not NIGHTLY,
        max_examples=settings.default.max_examples if PROFILE in ("nightly", "few") else 60,
        stateful_step_count=80 if NIGHTLY else 40,
        database=None,
        phases=[Phase.generate, Phase.shrink][: 1 + NIGHTLY],  # shrinking takes minutes
    )

    @classmethod
    def tearDownClass(cls):
        gc.unfreeze()
