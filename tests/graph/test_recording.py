"""Recording: which readings are reported to the hook, which comparisons become nodes.

Oracle: a list of what a hook was told, and the same program without a recording.
"""

import contextlib
import copy
import math
import operator
import pickle
import sys
import threading
import warnings

import pytest
from helpers.graphs import live_after_gc

import fastgrad
from fastgrad import functional
from fastgrad._native.graph.check import arena_check
from fastgrad._native.graph.recording import (
    graph_reads_now,
    leaf_is_held,
    leaf_mark_input,
    record_enter,
    record_exit,
)
from fastgrad.engine import Value, no_grad
from fastgrad.errors import FastgradTypeError
from fastgrad.nn import Neuron


@contextlib.contextmanager
def recording(hook=None, leaf_hook=None):
    """Record, and give the list of what was reported."""
    told = []
    record_enter(hook or told.append, leaf_hook)
    try:
        yield told
    finally:
        record_exit()


def marked(data):
    leaf = Value(data)
    leaf_mark_input(leaf)
    return leaf


def set_data(v):
    v.data = 1.0


class Unreadable:
    def __float__(self):
        raise ValueError("no number")


READINGS = {
    "data": lambda v: v.data,
    "data =": set_data,
    "float": float,
    "bool": bool,
    "format": lambda v: f"{v:.2f}",
    "detach": lambda v: v.detach(),
    "deepcopy": copy.deepcopy,
    "backward": lambda v: v.backward(),
}


@pytest.mark.parametrize("what", READINGS)
def test_reading_a_recorded_value_is_reported_to_the_hook(what):
    leaf, x = Value(2.0), marked(3.0)
    y = leaf * 2
    with recording() as told:
        READINGS[what](leaf)
        assert told == []  # neither an input nor computed
        READINGS[what](x)
        assert told == [what]
        READINGS[what](y)
        assert told == [what, what]
    READINGS[what](x)
    assert told == [what, what]


def test_leaves_made_from_inputs_are_reported():
    x = marked(2.0)
    with recording() as told:
        copy.copy(x)
        pickle.dumps(x)
        copy.copy(x * 2)  # on the same operands
        with no_grad():
            x * 2
            x + 1
            2 * x
            x.exp()
            fastgrad.custom("half")(lambda v: v / 2).partials(lambda v, y: 0.5)(x)
            Neuron(1)([x])
            Value(1.0) + Value(2.0)
    told.remove("__class__")  # which pickle reads
    assert told == ["copy", "pickle", *["no_grad"] * 6]


def test_repr_of_a_recorded_value_is_not_reported():
    x = marked(2.0)
    with recording() as told:
        y = x * 3
        assert [repr(y), str(y), f"{y}", y.grad, y._op, y._prev]
        x.grad = 1.0
    assert told == []


def test_custom_operation_reading_operands_is_not_reported():
    @fastgrad.custom("twice")
    def twice(a):
        return 2 * a

    @twice.partials
    def twice(a, y):
        return 2.0

    x = marked(2.0)
    with recording() as told:
        y = twice(x)
    assert (told, y.data, y._prev) == ([], 4.0, {x})


def test_conversions_are_reported_as_float():
    x = marked(2.0)
    with recording() as told:
        assert (math.sqrt(x), "%.1f" % x, Value(x).data) == (math.sqrt(2), "2.0", 2.0)  # noqa: UP031
    assert told == ["float", "float", "float"]


COMPARISONS = [operator.lt, operator.le, operator.gt, operator.ge]


@pytest.mark.parametrize("compare", COMPARISONS)
@pytest.mark.parametrize(("a", "b"), [(1.0, 2.0), (2.0, 1.0), (1.0, 1.0), (math.nan, 1.0)])
def test_comparison_of_recorded_values_is_a_node(compare, a, b):
    x, leaf = marked(a), Value(b)
    with recording() as told:
        results = [compare(x, leaf), compare(x, b), compare(x * 1, leaf)]
        mirrored = compare(b, x)
        assert told == []
        assert [bool(r) for r in (*results, mirrored)] == [compare(a, b)] * 3 + [compare(b, a)]
        assert told == ["bool"] * 4
    assert all(type(r) is Value for r in (*results, mirrored))
    assert [r.data for r in results] == [float(compare(a, b))] * 3
    assert mirrored.data == float(compare(b, a))
    assert results[0]._prev == {x, leaf}
    assert results[0]._op == ("<" if compare in (operator.lt, operator.gt) else "<=")
    assert type(compare(x, leaf)) is bool


def test_comparison_of_leaves_while_recording_is_a_node_that_reads_them():
    a, b, told_of_leaves = Value(1.0), Value(2.0), []
    with recording(leaf_hook=lambda what, _: told_of_leaves.append(what)) as told:
        results = [a < b, a >= 3, a == 1, b != 2]
        assert told_of_leaves == []
        assert [bool(r) for r in results] == [True, False, True, False]
        assert (told, told_of_leaves) == ([], ["bool"] * 8)
        with no_grad():
            assert [a < b, a == 1.5, a != 1.5] == [True, False, True]
        assert (told, told_of_leaves) == ([], ["bool"] * 12)
    assert [r.data for r in results] == [1.0, 0.0, 1.0, 0.0]
    assert (a < b) is True
    assert a != 1


@pytest.mark.parametrize(
    ("what", "reading"),
    [(what, r) for what, r in READINGS.items() if what not in ("bool", "backward")],
)
def test_reading_a_leaf_is_reported_to_the_leaf_hook(what, reading):
    leaf, told_of_leaves = Value(2.0), []
    with recording(leaf_hook=lambda *told: told_of_leaves.append(told)) as told:
        reading(leaf)
        ((told_what, id_of_leaf),) = told_of_leaves
        assert bool(leaf)  # always
    assert (told, told_what, len(told_of_leaves)) == ([], what, 1)
    assert leaf_is_held(id_of_leaf)
    del leaf
    assert not leaf_is_held(id_of_leaf)


def test_leaf_that_nobody_holds_is_told_from_one_that_is_held():
    x = Value(1.0)
    y = x * 2
    ids = []
    with recording(leaf_hook=lambda _, id: ids.append(id)):
        float(x)
    assert leaf_is_held(ids[0])
    del x  # its node lives on, without a handle
    assert y.data == 2.0
    assert not leaf_is_held(ids[0])
    for nowhere in (0, 2**20, 2**31, 2**63):
        assert not leaf_is_held(nowhere)


def test_equality_with_a_number_while_recording_is_a_node():
    x = marked(2.0)
    with recording() as told:
        results = [x == 2, 2 == x, x == 3.0, x != 2, 2.0 != x, x * 1 == 2, x == True]  # noqa: E712, SIM300
        assert told == []
        assert [bool(r) for r in results] == [True, True, False, False, False, True, False]
        assert told == ["bool"] * 7
    assert [(type(r), r._op) for r in results[:4:3]] == [(Value, "=="), (Value, "!=")]
    assert results[0]._prev > {x}
    assert [x == 2, x != 2] == [False, True]  # identity again


@pytest.mark.parametrize("other", ["2", None, [2.0], (2,), object(), 10**400, Unreadable()])
def test_equality_with_no_number_stays_identity_while_recording(other):
    x = marked(2.0)
    with recording() as told:
        assert (x == other) is False
        assert (x != other) is True
    assert told == []


def test_equality_with_a_complex_number_is_reported():
    x = marked(2.0)
    with recording() as told:
        assert (x == 2 + 0j) is False
    assert told == ["bool"]


def test_equality_between_values_stays_identity_while_recording():
    x, y = marked(2.0), Value(2.0)
    z = x * 1
    with recording() as told:
        assert [x == y, x != y, x == z, z == z, x == x] == [False, True, False, True, True]
        assert [x in [y, z], z in [y, z], [y, z].index(z)] == [False, True, 1]
        assert [y == y, y == x] == [True, False]
    assert told == ["=="] * 8  # of x or z with another Value, which may be a leaf


MEMBERSHIPS = {
    "in a list": lambda x: x in [1, 2],
    "in a tuple": lambda x: x in (1, 2),
    "index": lambda x: [1, 2].index(x),
    "count": lambda x: [1, 2].count(x),
    "remove": lambda x: [1, 2].remove(x),
    "any": lambda x: any(x == k for k in (1, 2)),
    "not": lambda x: not x == 2,  # noqa: SIM201
    "a conditional expression": lambda x: 1 if x != 1 else 2,
    "a list of equals": lambda x: [x, 1] == [2, 1],
}


@pytest.mark.parametrize("way", MEMBERSHIPS)
def test_equality_that_decides_is_reported(way):
    x = marked(2.0)
    with recording() as told:
        MEMBERSHIPS[way](x)
    assert set(told) == {"bool"}


def test_hashes_of_recorded_values_are_reported():
    leaf, x = Value(1.0), marked(2.0)
    with recording() as told:
        {leaf: 1}[leaf]
        assert told == []
        assert hash(x) == hash(x)
        assert (x * 1) not in {1, 2}
    assert told == ["hash"] * 3
    assert hash(x) == hash(x)
    assert told == ["hash"] * 3


def test_operands_shown_or_given_are_not_hashed_for_the_hook():
    x = marked(2.0)
    with recording() as told:
        before = graph_reads_now()
        assert len((x * 3)._prev) == 2
        assert len(Value(1.0, (x, x), "own")._prev) == 1
        assert graph_reads_now() == before + 2
    assert told == []


def test_class_of_an_input_that_is_asked_for_is_reported():
    x, leaf = marked(2.0), Value(1.0)
    with recording() as told:
        assert isinstance(x, Value)  # without a look at __class__
        assert not isinstance(leaf, float)
        assert not isinstance(x * 1, float)
        assert told == []
        assert not isinstance(x, float)
        assert x.__class__ is Value
    assert told == ["__class__"] * 2
    assert x.__class__ is Value


def test_index_is_refused_with_a_hint_and_reported_while_recording():
    x, table = marked(1.0), [1.0, 2.0]
    for _ in range(2):
        with pytest.raises(
            FastgradTypeError, match=r"expected an int, .*fastgrad\.take\(table, v\)"
        ):
            table[x]
    with recording() as told:
        with pytest.raises(FastgradTypeError, match="expected an int"):
            table[x]
        with pytest.raises(FastgradTypeError, match="expected an int"):
            range(x * 1)
    assert told == ["index", "index"]


def test_decision_by_a_recorded_value_is_made_and_reported():
    x, y = marked(3.0), marked(2.0)
    with recording() as told:
        taken = "positive" if x > 0 else "negative"
        assert (taken, max(x, y), min(x, y), sorted([x, y])) == ("positive", x, y, [y, x])
        assert told == ["bool"] * 4
        assert bool(x * 0) is True  # as in micrograd: only a comparison has a truth
    assert not functional.lt(x, y)  # a comparison has its own, recorded or not
    assert functional.lt(y, x)
    assert bool(Value(0.0)) is True


def test_comparison_with_a_custom_backward_keeps_its_truth():
    y = functional.lt(Value(2.0), 1.0)
    y._backward = lambda: None
    assert not y


def test_comparison_under_no_grad_is_a_bool_and_reported():
    x = marked(3.0)
    with recording() as told, no_grad():
        assert (x < 4) is True
        assert (Value(2.0) < x) is True
    assert told == ["bool", "bool"]


def test_comparison_with_a_non_number_is_refused():
    x = marked(1.0)
    with recording():
        for wrong in (None, "1", 1j, [1.0]):
            with pytest.raises(TypeError, match="not supported between"):
                x < wrong  # noqa: B015
            with pytest.raises(TypeError, match="not supported between"):
                wrong >= x  # noqa: B015


def test_exception_of_a_hook_passes_through():
    def refuse(what):
        raise RuntimeError(what)

    x = marked(2.0)
    before = live_after_gc()
    with recording(refuse):
        for reading in READINGS.values():
            with pytest.raises(RuntimeError):
                reading(x)
        with no_grad():
            for operation in (lambda: x + 1, lambda: x * x, lambda: abs(x), lambda: Neuron(1)([x])):
                with pytest.raises(RuntimeError, match="no_grad"):
                    operation()
    sys.last_value = None
    assert x.data == 2.0
    assert live_after_gc() == before
    assert arena_check() == []


def test_warning_of_a_hook_names_the_reading_line():
    x = marked(2.0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with recording(lambda what: warnings.warn(what, stacklevel=2)):
            line = sys._getframe().f_lineno + 1
            assert x.data == 2.0
            if x > 1:
                pass
    assert [(str(w.message), w.filename, w.lineno) for w in caught] == [
        ("data", __file__, line),
        ("bool", __file__, line + 1),
    ]


def test_nested_recordings_report_to_the_inner_hook():
    x = marked(2.0)
    with recording() as outer:
        with recording() as inner:
            float(x)
        bool(x)
    float(x)
    assert (outer, inner) == (["bool"], ["float"])
    record_exit()  # one too many does nothing
    with recording() as told:
        float(x)
    assert told == ["float"]


def test_recording_affects_its_thread_only():
    x = marked(2.0)
    seen = []

    def other():
        seen.append((x.data, x < 3))
        with recording() as told:
            float(x)
        seen.append(told)

    with recording() as told:
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        assert told == []
        float(x)
    assert told == ["float"]
    assert seen == [(2.0, True), ["float"]]


def test_operation_result_cannot_be_marked_as_an_input():
    with pytest.raises(TypeError, match="expected a leaf"):
        leaf_mark_input(Value(1.0) * 2)


def test_input_mark_is_gone_when_its_leaf_is_freed():
    marked(1.0)
    plain = [Value(1.0) for _ in range(3)]
    with recording() as told:
        for v in plain:
            float(v)
    assert told == []
