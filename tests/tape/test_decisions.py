# ruff: noqa: NPY002 - the global generator is what is tested
"""What a recording freezes: each way to write a decision, warned of, refused, found by comparison.

Oracle: the function itself on plain numbers, at the example and at another point.
"""

import collections
import contextlib
import copy
import dataclasses
import functools
import math
import numbers
import pickle
import random
import sys
import types
import typing
import warnings

import numpy as np
import pytest

import fastgrad as fg
from fastgrad import Value, functional
from fastgrad._native.graph.check import arena_check
from fastgrad._native.tape import inspect
from fastgrad.errors import (
    FastgradTypeError,
    FastgradWarning,
    NonFiniteError,
    ShapeError,
    TapeError,
)
from fastgrad.tape import Decision

HERE = __file__


def recorded(function, *example, **options):
    """Record, and give the tape and the texts of the warnings, which name this file."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        tape = fg.record(function, *example, **options)
    assert {w.filename for w in caught} <= {HERE}
    assert {w.category for w in caught} <= {FastgradWarning}
    return tape, [str(w.message) for w in caught]


# -- ways to write a decision ----------------------------------------------------------------------


@dataclasses.dataclass
class Point:
    x: object


class Pair(typing.NamedTuple):
    x: float
    y: float


@functools.singledispatch
def dispatched(x):
    return x * 2


@dispatched.register
def _(x: float):
    return x * 3


def matched_value(x):
    match x:
        case 1:
            return x * 2
        case _:
            return x * 3


def matched_class(x):
    match x:
        case float():
            return x * 2
    return x * 3


def state_machine(x):
    state = "start"
    for symbol in (x, x + 1):
        if symbol == 2:
            state = {"start": "one", "one": "two"}[state]
        elif symbol == 3:
            state = "two"
    return x * {"start": 1, "one": 5, "two": 9}[state]


def keyed(x):
    found = collections.defaultdict(lambda: 7)
    found[1] = 5
    return x * found[x]


def removed(x):
    left = [1, 2, 3]
    with contextlib.suppress(ValueError):
        left.remove(x)
    return x * sum(left)


def largest(x):
    return max([(3 - x, 1.0), (x, 2.0)], key=lambda pair: pair[0])[1] * x


def bounded(x):
    while x < 2:
        x = x * 3
    return x


def enumerated(x):
    for i, k in enumerate([1, 2, 3]):
        if k == x:
            return x * i
    return x * 10


def ignored(x):
    with fg.no_grad():
        y = x * 3
    return x + y


def integer(x):
    return x * [0, 5, 7, 9][int(x)]


EXAMPLE, OTHER = 1.0, 2.0
NUMBERS = (int, float)
WAYS = {  # the way: the function, and what it is called
    "==": (lambda x: x if x == 1 else -x, "bool"),
    "==, the number first": (lambda x: x if 1 == x else -x, "bool"),  # noqa: SIM300, YODA
    "!=": (lambda x: x if x != 1 else -x, "bool"),
    "== of what is computed": (lambda x: x if x * 2 == 2 else -x, "bool"),
    "== a NumPy number": (lambda x: x if np.float64(1.0) == x else -x, "bool"),
    "== True": (lambda x: x if x == True else -x, "bool"),  # noqa: E712
    "not ==": (lambda x: x if not x == 1 else -x, "bool"),  # noqa: SIM201
    "<": (lambda x: x if x < 1.5 else -x, "bool"),
    "a chain": (lambda x: x if 0 < x < 1.5 else -x, "bool"),
    "and": (lambda x: x if x > 0 and x < 1.5 else -x, "bool"),
    "in a list": (lambda x: x if x in [0, 1] else -x, "bool"),
    "in a tuple": (lambda x: x if x in (0, 1) else -x, "bool"),
    "in a range": (lambda x: x if x in range(2) else -x, "bool"),
    "in a set": (lambda x: x if x in {0, 1} else -x, "hash"),
    "in a frozenset of what is computed": (lambda x: x if x * 1 in {0, 1} else -x, "hash"),
    "in a dict": (lambda x: x if x in {0: 1, 1: 1} else -x, "hash"),
    "get": (lambda x: x * {1: 5}.get(x, 7), "hash"),
    "a defaultdict": (keyed, "hash"),
    "a Counter": (lambda x: x * len(collections.Counter([x, 1])), "hash"),
    "a set's size": (lambda x: x * len({x, 1}), "hash"),
    "index": (lambda x: x * [1, 2].index(x), "bool"),
    "count": (lambda x: x * (1 + [1, 1, 2].count(x)), "bool"),
    "remove": (removed, "bool"),
    "lists compared": (lambda x: x if [x] == [1] else -x, "bool"),
    "a dataclass compared": (lambda x: x if Point(x) == Point(1) else -x, "bool"),
    "match, a number": (matched_value, "bool"),
    "match, a class": (matched_class, "__class__"),
    "a state machine": (state_machine, "bool"),
    "max with a key": (largest, "bool"),
    "sorted": (lambda x: sorted([1.5, x, 0])[1] * x, "bool"),
    "min": (lambda x: min(x, 1.5) * x, "bool"),
    "while": (bounded, "bool"),
    "enumerate": (enumerated, "bool"),
    "filter": (lambda x: sum(filter(lambda v: v < 1.5, [x, x * x])) + x, "bool"),
    "float": (lambda x: x * float(x), "float"),
    "math": (lambda x: x * math.exp(x), "float"),
    "%": (lambda x: x * float("%.1f" % x), "float"),  # noqa: UP031
    "format": (lambda x: x * float(f"{x:.1f}"), "format"),
    "text as a key": (lambda x: x * {"1": 5, "2": 7}[f"{x:.0f}"], "format"),
    "data": (lambda x: x * x.data, "data"),
    "item": (lambda x: x * x.item(), "item"),
    "int": (integer, "int"),
    "round": (lambda x: x * round(x), "round"),
    "detach": (lambda x: x * x.detach(), "detach"),
    "no_grad": (ignored, "no_grad"),
    "isinstance": (lambda x: x if isinstance(x, float) else -x, "__class__"),
    "isinstance, one of some": (lambda x: x if isinstance(x, int | float) else -x, "__class__"),
    "isinstance, a tuple": (lambda x: x if isinstance(x, (str, float)) else -x, "__class__"),
    "isinstance, a tuple with a name": (
        lambda x: x if isinstance(x, NUMBERS) else -x, "__class__"),
    "isinstance, abstract": (lambda x: x if isinstance(x, numbers.Real) else -x, "__class__"),
    "isinstance, NumPy": (lambda x: x if isinstance(x, np.floating | float) else -x, "__class__"),
    "np.isscalar": (lambda x: x if np.isscalar(x) else -x, "__class__"),
    "__class__": (lambda x: x if x.__class__ is float else -x, "__class__"),
    "singledispatch": (lambda x: dispatched(x), "__class__"),
}  # fmt: skip
# On a tape they do what the function does for Values; only plain numbers tell.
BY_IDENTITY = ("hash", "__class__")


@pytest.mark.parametrize("way", WAYS)
def test_decision_is_warned_of_once_with_its_place_and_its_tape_keeps_it(way):
    function, what = WAYS[way]
    tape, told = recorded(function, EXAMPLE)
    assert what in [decision.what for decision in tape.decisions]
    assert len(told) == 1
    assert told[0].startswith(f"the tape of {function.__name__} keeps what came out")
    for decision in tape.decisions:
        file, line, name = decision.place
        assert (file, HERE) == (HERE, file)
        assert f"\n  {HERE}:{line} in {name}: " in told[0]
    assert tape([EXAMPLE, OTHER]) == [tape(EXAMPLE), tape(OTHER)]
    assert arena_check() == []


@pytest.mark.parametrize("way", WAYS)
def test_decision_is_refused_by_strict_at_its_place(way):
    function, _ = WAYS[way]
    with pytest.raises(TapeError, match="expected what a replay can repeat, got") as caught:
        fg.record(function, EXAMPLE, strict=True)
    assert HERE in str(caught.value)
    assert Value(1.0) != 1.0  # nobody records any more


@pytest.mark.parametrize("way", [way for way in WAYS if way not in ("detach", "no_grad")])
def test_decision_is_found_by_comparing_at_another_point(way):
    function, what = WAYS[way]
    with pytest.raises(TapeError, match=r"at check_at\[\d\].* as the function returned") as caught:
        recorded(function, EXAMPLE, check_at=[OTHER, (EXAMPLE,)])
    assert caught.value.__notes__[0].count("\n  ") >= 1
    if what in BY_IDENTITY:
        assert "on plain numbers" in str(caught.value)


@pytest.mark.parametrize("way", WAYS)
def test_decision_on_values_without_a_recording_is_as_ever(way):
    function, _ = WAYS[way]
    with contextlib.suppress(ValueError), warnings.catch_warnings():  # list.index finds none
        warnings.simplefilter("error")
        assert isinstance(function(Value(EXAMPLE)), Value)


def test_equality_of_values_without_a_recording_is_identity():
    x = Value(1.0)
    assert [x == 1, x != 1, x in [1, 2], x in {1, 2}, {1: 5}.get(x)] == [
        False,
        True,
        False,
        False,
        None,
    ]
    assert (np.arange(3) == x).tolist() == [False] * 3


# -- what decides at replay, and what is no decision -----------------------------------------------

SOUND = {
    "where ==": lambda x: fg.where(x == 1, x * 2, x * 3),
    "where !=": lambda x: fg.where(x != 1, x * 2, x * 3),
    "where == of what is computed": lambda x: fg.where(x * 2 == 4, x * 2, x * 3),
    "eq": lambda x: functional.eq(x, 1) * x,
    "ne": lambda x: functional.not_equal(x, 1) * x,
    "equal": lambda x: functional.equal(2, x) * x,
    "the sum of comparisons": lambda x: sum((x == k) * k for k in range(4)),
    "one_hot": lambda x: sum(
        h * k for h, k in zip(functional.one_hot(x, 4), (3, 5, 7, 9), strict=True)
    ),
    "np.arange": lambda x: ((np.arange(4) == x) * np.array([3.0, 5.0, 7.0, 9.0])).sum(),
    "take": lambda x: fg.take([3.0, 5.0, 7.0, 9.0], x) * x,
}


@pytest.mark.parametrize("way", SOUND)
def test_comparison_that_becomes_no_decision_is_made_at_each_replay(way):
    function = SOUND[way]
    tape = fg.record(function, 1.0, strict=True, check_at=[0.0, 2.0, 3.0])
    assert tape.decisions == []
    expected = [float(y) for y in map(function, (0.0, 1.0, 2.0, 3.0))]
    assert tape([0.0, 1.0, 2.0, 3.0]) == expected
    assert [tape(x) for x in (0.0, 1.0, 2.0, 3.0)] == expected
    assert tape(np.arange(4.0), threads=2).tolist() == expected
    tape.value_and_grad([0.0, 1.0], wrt="inputs")
    tape.jvp((1.0,), (1.0,))


def graph_walk(x, y):
    """Sort a graph as micrograd's backward does, and keep gradients in a dict."""
    z = x * y + x
    seen, order = set(), []

    def build(v):
        if v not in seen:
            seen.add(v)
            for operand in v._prev:
                build(operand)
            order.append(v)

    build(z)
    assert z in order
    assert order.index(x) >= 0
    gradients = {}
    for v in order:
        gradients[v] = 0.0
    gradients[z] = 1.0
    return z * len(gradients) + x * gradients[z]


SILENT = {
    "a walk over the graph": (graph_walk, (1.0, 2.0)),
    "repr": (lambda x: x * len(repr(x)), (1.0,)),
    "isinstance of no number": (
        lambda x: x if isinstance(x, list | np.ndarray | str) else x * 2, (1.0,)),
    "isinstance of a Value": (
        lambda x: x * 2 if isinstance(x, Value) else Value(x), (1.0,)),
    "isinstance of numbers and Values": (
        lambda x: x * 2 if isinstance(x, (int, float, Value)) else x, (1.0,)),
    "isinstance of a result": (lambda x: x if isinstance(x * 2, float) else x * 2, (1.0,)),
    "a Value itself": (lambda x, y: x * 2 if x in (x, y) and x == x else y, (1.0, 1.0)),
    "constants": (lambda x: x * 2 if Value(1.0) < 2 and Value(1.0) == 1 else x, (1.0,)),
    "== None": (lambda x: x if x == None else x * 2, (1.0,)),  # noqa: E711
    "== a text": (lambda x: x if x == "1" else x * 2, (1.0,)),
}  # fmt: skip


@pytest.mark.parametrize("way", SILENT)
def test_what_is_no_decision_by_data_is_silent(way):
    function, example = SILENT[way]
    tape, told = recorded(function, *example, strict=True)
    assert (tape.decisions, told) == ([], [])


def test_captured_values_that_decide_are_reported_though_they_are_no_arguments():
    w = Value(2.0)

    def sign(x):
        return w * x if w > 0 else -w * x

    tape, told = recorded(sign, 1.0)
    assert [decision.what for decision in tape.decisions] == ["bool"]
    assert told
    w.data = -2.0
    assert tape(1.0) == -2.0  # frozen, as it says
    with pytest.raises(TapeError, match=r"test_decisions.py:\d+ in .*sign"):
        fg.record(sign, 1.0, strict=True)
    for frozen in (lambda x: x * w.data, lambda x: x * float(w), lambda x: x + w.detach()):
        tape, told = recorded(frozen, 1.0)
        assert len(tape.decisions) == len(told) == 1


READS = {
    "grad": (lambda x, w, tape: x * w.grad, "grad"),
    "call": (lambda x, w, tape: x * tape(2.0), "tape"),
    "batch": (lambda x, w, tape: x * sum(tape([2.0, 3.0])), "tape"),
    "value_and_grad": (lambda x, w, tape: x * tape.value_and_grad(2.0)[0], "tape"),
    "jvp": (lambda x, w, tape: x * tape.jvp((2.0,), (1.0,))[1], "tape"),
    "==": (lambda x, w, tape: x if x == w else -x, "=="),
    "== of what is computed": (lambda x, w, tape: x if w == x * 2 else -x, "=="),
    "in": (lambda x, w, tape: x if x in [w, None] else -x, "=="),
}


@pytest.mark.parametrize("way", READS)
def test_what_is_read_of_a_captured_value_is_reported(way):
    function, what = READS[way]
    w = Value(3.0)
    w.grad = 4.0
    inner = fg.record(lambda z: z * w, 2.0)
    tape, told = recorded(lambda x: function(x, w, inner), 1.0)
    assert ({d.what for d in tape.decisions}, len(told)) == ({what}, 1)
    with pytest.raises(TapeError):
        fg.record(lambda x: function(x, w, inner), 1.0, strict=True)


def test_captured_value_compared_in_where_is_read_at_each_call():
    w = Value(2.0)
    tape = fg.record(lambda x: fg.where(w > 0, w, -w) * x + (w == 3), 1.0, strict=True)
    assert tape(2.0) == 4.0
    w.data = -3.0
    assert tape(2.0) == 6.0
    w.data = 3.0
    assert tape(2.0) == 7.0


def test_all_places_are_listed_in_one_warning():
    def function(x):
        y = x * float(x)
        for _ in range(3):
            if y > 0:
                y = y * 1
        if y != 2 and x in [1, 2]:
            y = y + x.data
        return y * np.maximum(x.detach(), 1)

    tape, (told,) = recorded(function, 2.0)
    lines = [d.place[1] - function.__code__.co_firstlineno for d in tape.decisions]
    assert sorted(set(lines)) == [1, 3, 5, 6, 7]
    assert told.count("\n  ") == len(tape.decisions)
    assert "see docs/tapes.md" in told
    assert told.count("fastgrad.where") == 1


def test_numpys_and_the_librarys_lines_are_not_named():
    import statistics

    def function(x):
        a = np.array([x[0], x[1]], dtype=object)
        return np.sum(a) * statistics.median([x[0], x[1]]) * np.sort(a)[0]

    tape, _ = recorded(function, [1.0, 2.0])
    assert {d.place[0] for d in tape.decisions} == {HERE}
    places = {tape.places[inspect.operation(tape, i)[2] - 1][0] for i in range(len(tape))}
    assert places == {HERE}


def test_decision_is_public_and_says_what_and_where():
    tape, _ = recorded(lambda x: x * float(x), 1.0)
    (decision,) = tape.decisions
    assert decision == Decision("float", decision.place)
    assert str(decision).endswith(": float() of a Value")
    assert str(Decision("pickle")) == "pickle of a Value"
    assert Decision("pickle").remedy == "compute with the Value itself"


def test_error_of_the_function_carries_what_was_frozen_before():
    def function(x):
        return x * {1: 5, 2: 7}[x]

    with pytest.raises(KeyError) as caught:
        fg.record(function, 1.0)
    assert "a Value as a key" in caught.value.__notes__[0]
    with pytest.raises(IndexError) as caught:
        fg.record(lambda x: x * np.arange(3)[x], 1.0)
    assert "a Value as an index" in caught.value.__notes__[0]
    with pytest.raises(FastgradTypeError, match=r"fastgrad\.take\(table, v\)"):
        fg.record(lambda x: x * [1, 2][x], 1.0)
    with pytest.raises(ZeroDivisionError) as caught:
        fg.record(lambda x: x / 0, 1.0)
    assert not hasattr(caught.value, "__notes__")


def test_strict_refusal_that_the_function_swallows_is_raised_at_the_end():
    def function(x):
        try:
            return x * float(x)
        except RuntimeError:
            return x

    with pytest.raises(TapeError, match=r"float\(\) of a Value"):
        fg.record(function, 1.0, strict=True)


def test_recordings_inside_each_other_report_each_its_own():
    def outer(x):
        inner, told = recorded(lambda z: z if z == 1 else -z, 1.0)
        assert len(told) == 1
        return inner(3.0) * x

    tape, told = recorded(outer, 1.0, strict=True)
    assert (told, tape(2.0)) == ([], 6.0)


def test_class_asked_for_is_not_seen_where_code_has_no_positions():
    def function(x):
        return x if isinstance(x, float) else -x

    bare = types.FunctionType(function.__code__.replace(co_linetable=b""), globals())
    assert fg.record(bare, 1.0, strict=True)(2.0) == -2.0


def test_class_asked_for_by_way_of_a_protocol_is_seen():
    class Sized(typing.Protocol):
        def size(self): ...

    def kind(_):
        return float

    tape, _ = recorded(lambda x: x if isinstance(x, (kind(Sized), float)) else -x, 1.0)
    assert [d.what for d in tape.decisions] == ["__class__"]


TWO_VALUES = {
    "==": lambda x, y: x * 2 if x == y else x,
    "==, of what is computed": lambda x, y: x * 2 if x * 3 == y * 3 else x,
    "!=": lambda x, y: x if x != y else x * 2,
    "in a list": lambda x, y: x * 2 if x in [y, None] else x,
    "tuples": lambda x, y: x * 2 if (x, 1) == (y, 1) else x,
}


@pytest.mark.parametrize("way", TWO_VALUES)
def test_equality_of_two_values_is_identity_and_reported(way):
    function = TWO_VALUES[way]
    tape, told = recorded(function, 1.0, 1.0)
    assert ([d.what for d in tape.decisions], len(told)) == (["=="], 1)
    assert tape(1.0, 1.0) == 1.0
    with pytest.raises(TapeError, match=r"== between two Values.*functional.eq\(a, b\)"):
        fg.record(function, 1.0, 1.0, strict=True)
    with pytest.raises(TapeError, match="on plain numbers"):
        recorded(function, 1.0, 1.0, check_at=[(1.0, 1.0)])


# -- random numbers --------------------------------------------------------------------------------


DRAWS = {
    "random": lambda: random.random(),
    "random of": lambda: random.gauss(0, 1),
    "numpy.random": lambda: float(np.random.rand()),
    "numpy.random normal": lambda: float(np.random.normal()),
}


@pytest.mark.parametrize("way", DRAWS)
def test_numbers_drawn_from_a_global_generator_are_reported(way):
    draw = DRAWS[way]
    np.random.seed(0)
    tape, told = recorded(lambda x: x * draw(), 1.0)
    assert [(d.what, d.place) for d in tape.decisions] == [(way.split()[0], None)]
    assert f"numbers drawn from {way.split()[0]}" in told[0]
    with pytest.raises(TapeError, match=f"numbers drawn from {way.split()[0]} "):
        fg.record(lambda x: x * draw(), 1.0, strict=True)


def test_generators_of_ones_own_are_not_seen():
    own, rng = random.Random(1), np.random.default_rng(1)
    tape = fg.record(lambda x: x * own.random() * rng.random(), 1.0, strict=True)
    assert tape.decisions == []


def test_generator_imported_by_the_function_is_seen_if_drawn_from(monkeypatch):
    np.random.seed(0)

    def imported(x):
        sys.modules.update({"random": fresh, "numpy.random": np.random})
        return x * 2

    fresh = types.ModuleType("random")
    fresh.getstate = lambda: (3, (*[0] * 624, 624), None)
    for name in ("random", "numpy.random"):
        monkeypatch.delitem(sys.modules, name)
    assert recorded(imported, 1.0, strict=True)[0].decisions == []
    np.random.rand()
    fresh.getstate = lambda: (3, (*[0] * 624, 2), None)
    for name in ("random", "numpy.random"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    tape, _ = recorded(imported, 1.0)
    assert [d.what for d in tape.decisions] == ["random", "numpy.random"]


def test_a_program_of_the_name_random_is_no_generator(monkeypatch):
    monkeypatch.setitem(sys.modules, "random", types.ModuleType("random"))
    assert fg.record(lambda x: x * 2, 1.0)(2.0) == 4.0


# -- check_at --------------------------------------------------------------------------------------


def test_tape_equal_to_its_function_passes_comparison_at_all_points():
    w = Value(0.3)

    def function(x, y):
        return [(x["a"] * w - y.sum()).tanh(), x["b"][0] / 3]

    example = ({"a": 1.0, "b": [2, 3.0]}, np.ones(2))
    points = [({"a": k / 3, "b": [k, 1 / (k + 1)]}, np.array([k, 2], dtype=kind))
              for k, kind in enumerate((float, np.float32, int))]  # fmt: skip
    tape = fg.record(function, *example, strict=True, check_at=points)
    assert tape.decisions == []
    fg.record(lambda p: p.x * p.y + p[0], Pair(1.0, 2.0), check_at=[(Pair(3, np.float64(4)),)])


def test_comparison_runs_where_plain_numbers_are_not_enough():
    def on_values(x):
        return x.relu() * 2

    assert fg.record(on_values, 1.0, check_at=[-1.0, 3.0], strict=True)(3.0) == 6.0


def test_comparison_allows_plain_numbers_the_rounding_of_another_library():
    def function(x):
        return functional.exp(x) / 3 if isinstance(x, Value) else math.exp(x) / 3 * (1 + 1e-9)

    fg.record(function, 1.0, check_at=[0.5, 30.0])
    with pytest.raises(TapeError, match=r"expected nan at check_at\[0\] on plain numbers"):
        fg.record(lambda x: x * 1 if isinstance(x, Value) else math.nan, 1.0, check_at=[0.5])
    fg.record(lambda x: (x - x) * math.inf, 1.0, check_at=[0.5])  # nan in all of them


def test_comparison_of_a_function_that_changes_is_refused_naming_both_results():
    seen = []

    def function(x):
        seen.append(1)
        return x * len(seen)

    with pytest.raises(TapeError, match=r"expected 6.0 at check_at\[0\], .*got 2.0 from its tape"):
        fg.record(function, 1.0, check_at=[2.0])


def test_comparison_where_the_function_raises_is_refused():
    with pytest.raises(TapeError, match=r"got ZeroDivisionError: .*check elsewhere") as caught:
        fg.record(lambda x: 1 / x, 1.0, check_at=[2.0, 0.0])
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_comparison_where_only_plain_numbers_do_not_raise_is_made_with_them():
    def function(x):
        if isinstance(x, Value) and x.data == 2:
            raise LookupError
        return x * 2

    recorded(function, 1.0, check_at=[2.0])
    with pytest.raises(TapeError, match="on plain numbers"):
        recorded(lambda x: function(x) if isinstance(x, Value) else x, 1.0, check_at=[2.0])


def test_comparison_at_arguments_of_another_structure_is_refused():
    for wrong in ([1.0, 2.0], ([1.0, 2.0],), (1.0, 2.0), ()):
        with pytest.raises((ShapeError, FastgradTypeError)):
            fg.record(lambda x: x * 2, 1.0, check_at=[wrong])


def test_results_of_another_length_differ():
    def function(x):
        return [x * 2] * (2 if isinstance(x, float) else 1)

    with pytest.raises(TapeError, match=r"expected 4.0 at .* got None from its tape"):
        recorded(function, 1.0, check_at=[2.0])


# -- results that are not finite -------------------------------------------------------------------


def inverse(x):
    return (x if x > 0 else -x) ** -1


CALLS = {
    "a call": lambda tape: tape(0.0),
    "a batch": lambda tape: tape([1.0, 0.0]),
    "arrays": lambda tape: tape(np.array([1.0, 0.0])),
    "threads": lambda tape: tape([1.0, 0.0], threads=2),
    "backward": lambda tape: tape.backward(0.0),
    "value_and_grad": lambda tape: tape.value_and_grad(0.0, wrt="inputs"),
    "value_and_grad of each": lambda tape: tape.value_and_grad([1.0, 0.0], reduce=None),
    "jvp": lambda tape: tape.jvp((0.0,), (1.0,)),
}


@pytest.mark.parametrize("call", CALLS)
def test_result_that_is_not_finite_raises_with_the_decisions(call):
    w = Value(1.0)
    tape, _ = recorded(lambda x: inverse(x) * w, 2.0)
    with pytest.raises(NonFiniteError, match=r"pow_number\(0.0, -1.0\) = inf") as caught:
        CALLS[call](tape)
    assert f"\n  {HERE}:" in str(caught.value)
    assert w.grad == 0.0
    sound = fg.record(lambda x: x**-1 * w, 2.0)
    CALLS[call](sound)  # as ever
    tape.decisions = []
    CALLS[call](tape)


def test_structures_of_finite_results_pass():
    tape, _ = recorded(lambda x: {"a": [x * float(x), x], "b": (x,)}, 2.0)
    assert tape(3.0) == {"a": [6.0, 3.0], "b": (3.0,)}
    assert tape([3.0, 4.0])["b"][0] == [3.0, 4.0]
    bare, _ = recorded(lambda x: [x] * (float(x) > 1), 2.0)
    with pytest.raises(NonFiniteError, match="got inf"):
        bare(math.inf)
    scaled, _ = recorded(lambda x: x * float(x), 1.0)
    with pytest.raises(NonFiniteError, match="got inf as their sum"):
        scaled.value_and_grad([1e308, 1e308], reduce="sum")
    y = tape(Value(3.0))["b"][0]
    assert y.data == 3.0


@pytest.mark.parametrize(
    "make", [float, np.float64, np.array, lambda x: x], ids=["float", "float64", "array", "given"]
)
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_number_that_is_not_finite_is_found_wherever_it_is(make, bad):
    tape, _ = recorded(
        lambda x, y: ({"a": x * y.data, "b": [(x, [y])]}, [[x, y], [y, y * x]]), 1.0, 2.0
    )
    tape(make(3.0), make(4.0))
    for one, two in ((make(bad), make(1.0)), (make(1.0), make(bad))):
        with pytest.raises(NonFiniteError):
            tape(one, two)
    batches = [[1.0, 2.0, bad], [bad, 1.0, 2.0], [1.0, bad, 2.0]]
    for batch in map(np.array if make is np.array else list, batches):
        with pytest.raises(NonFiniteError, match="sample"):
            tape(batch, batch)
    tape(*[np.ones(5)] * 2)
    single, _ = recorded(lambda x: x * float(x), 1.0)
    for batch in batches:
        with pytest.raises(NonFiniteError):
            single(np.array(batch))


def test_copied_and_pickled_tape_keeps_its_decisions():
    tape, _ = recorded(lambda x: inverse(x), 2.0)
    tape.note = "mine"
    for again in (pickle.loads(pickle.dumps(tape)), copy.copy(tape), copy.deepcopy(tape)):
        assert (again.decisions, again.note) == (tape.decisions, "mine")
        with pytest.raises(NonFiniteError, match="pow_number"):
            again(0.0)


def test_fit_that_stops_at_a_loss_that_is_not_finite_lists_the_decisions():
    w = Value(2.0)
    tape, _ = recorded(lambda x: inverse(x) * w, 2.0)
    with pytest.raises(NonFiniteError) as caught:
        fg.fit(tape, [1.0, 0.0], optimizer=fg.optim.SGD([w], lr=0.1), steps=3)
    assert HERE in caught.value.__notes__[0]


def test_example_itself_may_give_what_is_not_finite():
    tape, _ = recorded(lambda x: inverse(x - x.data + 1) * math.inf, 2.0)
    assert tape.decisions
