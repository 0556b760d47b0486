"""Operators that stand for others go through those that a subclass or a patch overrides.

Oracle: micrograd, run on the same random programs: values, gradients, types, and each call of an
overridden method with its arguments. `1 + v` is v + 1 there, `-v` is v * -1, `v - w` is v + (-w),
`v / w` is v * w**-1.
"""

import contextlib
import random

import numpy as np
import pytest
from helpers.reference import CLASSES, OURS, THEIRS
from helpers.tally import tally

from fastgrad import Value, no_grad, record

pytestmark = pytest.mark.usefixtures("sound_arena")

BASIC = ("__add__", "__radd__", "__mul__", "__rmul__", "__pow__", "__neg__")
DERIVED = ("__sub__", "__rsub__", "__truediv__", "__rtruediv__")


def shown(x):
    return (type(x).__name__, x.data) if hasattr(x, "data") else x


def counting(log, name, plain):
    """Wrap a method so that each call is noted, with what it was given."""

    def method(self, *others):
        log.append((name, shown(self), *map(shown, others)))
        return plain(self, *others)

    return method


def subclass(V, log, names, wraps):
    """Derive a class that overrides some operators: each notes its calls, some wrap the result."""

    def method(name):
        plain = counting(log, name, getattr(V, name))
        if not wraps:
            return plain

        def wrapped(self, *others):
            result = plain(self, *others)
            out = Own(result.data, (result,), "wrapped")
            out._backward = lambda: setattr(result, "grad", result.grad + out.grad)
            return out

        return wrapped

    Own = type("Own", (V,), {name: method(name) for name in names})
    return Own


@contextlib.contextmanager
def patched(V, log, names):
    """Patch operators of the class itself, and take the patches back."""
    before = {name: V.__dict__.get(name) for name in names}
    for name in names:
        setattr(V, name, counting(log, name, getattr(V, name)))
    try:
        yield
    finally:
        for name, old in before.items():
            if old is None:
                delattr(V, name)
            else:
                setattr(V, name, old)


EXPRESSIONS = [
    lambda v, w, k: v + w,
    lambda v, w, k: v + k,
    lambda v, w, k: k + v,
    lambda v, w, k: v - w,
    lambda v, w, k: v - k,
    lambda v, w, k: k - v,
    lambda v, w, k: -v,
    lambda v, w, k: v * w,
    lambda v, w, k: v * k,
    lambda v, w, k: k * v,
    lambda v, w, k: v / w,
    lambda v, w, k: v / k,
    lambda v, w, k: k / v,
    lambda v, w, k: v**2,
    lambda v, w, k: sum([v, w, v]),
    lambda v, w, k: v.relu(),
]


def run(V, seed, kind):
    """Run a random program; return all that can be seen of it."""
    rng = random.Random(seed)
    log = []
    names = rng.sample(BASIC + DERIVED, rng.randrange(1, 4))
    wraps, mixed = rng.random() < 0.5, rng.random() < 0.5
    makers = [V]
    if kind != "patch":
        makers = [subclass(V, log, names, wraps)]
        if mixed:
            makers += [V, subclass(V, log, rng.sample(BASIC, 2), False)]
    with patched(V, log, names) if kind != "subclass" else contextlib.nullcontext():
        leaves = [rng.choice(makers)(float(rng.choice([-4, -2, -1, 1, 2, 4]))) for _ in range(3)]
        values = list(leaves)
        for _ in range(rng.randrange(2, 12)):
            v, w = rng.choice(values), rng.choice(values)
            k = rng.choice([2, -1, 0.5, True, 4.0])
            step = rng.choice(EXPRESSIONS)
            if 0 in (v.data, w.data):
                continue
            result = step(v, w, k)
            if 1e-6 < abs(result.data) < 1e6:
                values.append(result)
        values[-1].backward()
    return (
        [(name, *map(as_float, arguments)) for name, *arguments in log],
        [(type(v).__name__, float(v.data)) for v in values],
        [float(v.grad) for v in leaves],
    )


def as_float(x):
    """Numbers and data may be ints in micrograd."""
    return (x[0], float(x[1])) if isinstance(x, tuple) else float(x)


@pytest.mark.parametrize("kind", ["subclass", "patch", "patched base of a subclass"])
@pytest.mark.parametrize("seed", range(300))
@pytest.mark.wide
def test_random_programs_call_overridden_operators_as_micrograd_does(seed, kind):
    (calls, values, grads), (their_calls, their_values, their_grads) = (
        run(V, f"{seed} {kind}", kind) for V in (OURS, THEIRS)
    )
    assert calls == their_calls
    assert values == their_values
    assert grads == pytest.approx(their_grads, rel=1e-12, abs=1e-12)
    tally("dialects: programs that override operators")


EVERY = {
    "1 + v": lambda v, w: 1 + v,
    "2 * v": lambda v, w: 2 * v,
    "-v": lambda v, w: -v,
    "v - w": lambda v, w: v - w,
    "v - 1": lambda v, w: v - 1,
    "1 - v": lambda v, w: 1 - v,
    "v / 2": lambda v, w: v / 2,
    "v / w": lambda v, w: v / w,
    "2 / v": lambda v, w: 2 / v,
    "sum([v, w])": lambda v, w: sum([v, w]),
    "v += w": lambda v, w: v + w,
}


def closed(V):
    """Derive a class of which every result is again one."""

    class Own(V):
        def __add__(self, other):
            return Own(V.__add__(self, other).data)

        def __mul__(self, other):
            return Own(V.__mul__(self, other).data)

        def __pow__(self, other):
            return Own(V.__pow__(self, other).data)

    return Own


@CLASSES
@pytest.mark.parametrize("expression", EVERY)
def test_derived_operator_of_a_closed_subclass_stays_in_it(Value, expression):
    Own = closed(Value)
    result = EVERY[expression](Own(4), Own(2))
    assert type(result) is Own
    assert result.data == EVERY[expression](Value(4), Value(2)).data


@pytest.mark.parametrize("expression", EVERY)
def test_derived_operator_of_a_closed_subclass_stays_in_it_under_no_grad(expression):
    Own = closed(Value)
    with no_grad():
        assert type(EVERY[expression](Own(4), Own(2))) is Own


@pytest.mark.parametrize("expression", EVERY)
def test_derived_operator_of_a_subclass_without_operators_is_native(expression):
    class Own(Value):
        def area(self):
            return self * self

    v, w, a, b = Own(4), Own(2), Value(4), Value(2)
    result, plain = EVERY[expression](v, w), EVERY[expression](a, b)
    result.backward()
    plain.backward()
    assert type(result) is Value
    assert (result.data, v.grad, w.grad) == (plain.data, a.grad, b.grad)
    assert [x._op for x in result.operands] == [x._op for x in plain.operands]


@pytest.mark.parametrize("expression", EVERY)
def test_operators_of_a_second_base_are_gone_through(expression):
    calls = []

    class Loud:
        def __add__(self, other):
            calls.append(other)
            return Value.__add__(self, other)

        def __mul__(self, other):
            calls.append(other)
            return Value.__mul__(self, other)

        def __pow__(self, other):
            return Own(Value.__pow__(self, other).data)

    class Own(Loud, Value):
        pass

    assert EVERY[expression](Own(4), Own(2)).data == EVERY[expression](Value(4), Value(2)).data
    assert calls


def test_division_by_zero_is_named_whatever_is_overridden():
    v = closed(Value)(1)
    for zero in (0, 0.0, Value(0.0)):
        with pytest.raises(ZeroDivisionError, match="division by zero"):
            v / zero


@pytest.mark.parametrize("wrong", ["1", None, [1]])
def test_operand_of_another_kind_is_refused_whatever_is_overridden(wrong):
    v = closed(Value)(1)
    for step in (lambda: v - wrong, lambda: wrong - v, lambda: v / wrong, lambda: wrong / v):
        with pytest.raises(TypeError):
            step()


def test_array_of_an_overriding_subclass_is_elementwise():
    Own = closed(Value)
    v, array = Own(6), np.array([1.0, 2.0])
    for result, numbers in ((v - array, [5, 4]), (array - v, [-5, -4]), (v / array, [6, 3])):
        assert [(type(x), x.data) for x in result] == [(Own, number) for number in numbers]


@pytest.mark.parametrize("number", [np.float64(2), np.float32(2), np.int64(2), True])
def test_scalar_of_any_type_reaches_the_overridden_operator_as_a_number(number):
    v = closed(Value)(6)
    assert (v - number).data == 6 - number
    assert (v / number).data == 6 / number


def test_patch_that_is_taken_back_leaves_the_operators_native():
    log = []
    with patched(Value, log, ["__add__", "__mul__", "__neg__", "__pow__"]):
        2 - Value(1) / Value(2)
        assert len(log) == 5  # 1 / 2: pow, mul; 2 - it: neg, its mul, then add
    v, w = Value(3), Value(2)
    assert ((1 + v - w) / w * 2 - -v).data == 5
    assert len(log) == 5


def test_reflected_operator_that_is_patched_is_gone_through():
    log = []
    with patched(Value, log, ["__radd__", "__rmul__"]):
        assert (1 - Value(2)).data == -1
        assert (1 / Value(2)).data == 0.5
        assert (1 + Value(2)).data == 3
    assert [name for name, *_ in log] == ["__radd__", "__rmul__", "__radd__"]


def test_neuron_goes_through_patched_operators_and_activations():
    from fastgrad.nn import Neuron

    log, neuron = [], Neuron(2)
    with patched(Value, log, ["__add__", "relu"]):
        out = neuron([1.0, 2.0])
    assert [name for name, *_ in log] == ["__add__", "__add__", "relu"]
    assert out.data == neuron([1.0, 2.0]).data


def test_derived_operators_are_recorded_through_the_overridden_ones():
    class Own(Value):
        def __add__(self, other):
            return Value.__add__(self, other) * 10

    w = Own(2.0)
    tape = record(lambda x: (w - x) + (3 + w), 1.0, strict=True)
    assert tape(5.0) == (2.0 - 5.0) * 10 + (2.0 + 3) * 10
