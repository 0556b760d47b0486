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
from fastgrad._native.graph.recording import leaf_mark_input, record_enter, record_exit
from fastgrad.engine import Value, no_grad
from fastgrad.nn import Neuron


@contextlib.contextmanager
def recording(hook=None):
    """Record, and give the list of what was reported."""
    told = []
    record_enter(hook or told.append)
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
    assert told == ["copy", "pickle", *["no_grad"] * 6]


def test_repr_of_a_recorded_value_is_not_reported():
    x = marked(2.0)
    with recording() as told:
        y = x * 3
        assert [repr(y), str(y), f"{y}", y.grad, y._op, y._prev, hash(y) == hash(y)]
        assert y != x
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


def test_comparison_of_unrecorded_values_is_a_bool():
    a, b = Value(1.0), Value(2.0)
    with recording() as told:
        assert (a < b) is True
        assert (a >= 3) is False
    assert told == []


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
