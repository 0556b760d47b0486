"""Refused arguments of record and of tapes: the message, and that nothing has changed.

Oracle: the words of each error, and the same tape's next call.
"""

import re

import pytest
from helpers.graphs import live_after_gc

import fastgrad as fg
from fastgrad import Value
from fastgrad.errors import FastgradTypeError, FastgradValueError, ShapeError, TapeError

pytestmark = [pytest.mark.usefixtures("sound_arena"), pytest.mark.wide]


class Unfriendly:
    def __float__(self):
        raise ArithmeticError("mine")


WRONG = {  # arguments of a tape of (x: number, y: 2 numbers, z: {"a": number}); what is said
    "too few": ((1.0, [1.0, 2.0]), TypeError, r"expected 3 argument\(s\), as recorded, got 2"),
    "too many": ((1.0, [1.0, 2.0], {"a": 1.0}, 4.0), TypeError, "expected 3 .* got 4"),
    "None": ((None, [1.0, 2.0], {"a": 1.0}), ShapeError, r"got NoneType None \(x\)"),
    "text": (("1.0", [1.0, 2.0], {"a": 1.0}), ShapeError, r"got str '1.0' \(x\)"),
    "bytes": ((b"12345678", [1.0, 2.0], {"a": 1.0}), ShapeError, r"got bytes .* \(x\)"),
    "complex": ((1j, [1.0, 2.0], {"a": 1.0}), ShapeError, r"got complex 1j \(x\)"),
    "text inside": ((1.0, [1.0, "2"], {"a": 1.0}), FastgradTypeError, r"got str '2' \(y\)"),
    "None inside": ((1.0, [None, 2.0], {"a": 1.0}), FastgradTypeError, r"NoneType None \(y\)"),
    "too short": ((1.0, [1.0], {"a": 1.0}), ShapeError,
                  r"expected shape \(2,\), or \(n, 2\) for a batch, got 1 where 2 belong \(y\)"),
    "too long": ((1.0, [1.0, 2.0, 3.0], {"a": 1.0}), ShapeError, r"got 3 where 2 .* \(y\)"),
    "ragged batch": ((1.0, [[1.0, 2.0], [3.0]], {"a": 1.0}), ShapeError,
                     r"got 1 where 2 .*\(y, sample 1\)"),
    "too deep": ((1.0, [[[1.0, 2.0]]], {"a": 1.0}), ShapeError, r"got 3 levels of nesting \(y\)"),
    "number for a list": ((1.0, 2.0, {"a": 1.0}), ShapeError, r"got float 2.0 \(y\)"),
    "set": ((1.0, {1.0, 2.0}, {"a": 1.0}), ShapeError, r"got set .* \(y\)"),
    "empty": (([], [1.0, 2.0], {"a": 1.0}), ShapeError, r"at least one sample, got 0 \(x\)"),
    "unequal": (([1.0, 2.0, 3.0], [[1.0, 2.0]] * 2, {"a": 1.0}), ShapeError,
                r"expected 3 samples, as in x, got 2 \(y\)"),
    "unequal inside": (([1.0, 2.0, 3.0], [1.0, 2.0], {"a": [1.0]}), ShapeError,
                       r"expected 3 samples, as in x, got 1 \(z\['a'\]\)"),
    "no dict": ((1.0, [1.0, 2.0], [1.0]), ShapeError,
                r"expected a dict with keys \['a'\], got list \[1.0\] \(z\)"),
    "other keys": ((1.0, [1.0, 2.0], {"b": 1.0}), ShapeError, r"got keys \['b'\] \(z\)"),
    "more keys": ((1.0, [1.0, 2.0], {"a": 1.0, "b": 1.0}), ShapeError, r"got keys .* \(z\)"),
    "its own error": ((Unfriendly(), [1.0, 2.0], {"a": 1.0}), ArithmeticError, "mine"),
    "its own error inside": ((1.0, [2.0, Unfriendly()], {"a": 1.0}), ArithmeticError, "mine"),
}  # fmt: skip


@pytest.fixture
def strange():
    w = Value(2.0)

    def function(x, y, z):
        return x * (y[0] * y[0] + y[1] * y[1]) * z["a"] * w

    return fg.record(function, 1.0, [1.0, 2.0], {"a": 1.0})


@pytest.mark.parametrize("name", WRONG)
def test_wrong_arguments_are_refused(name, strange):
    arguments, error, message = WRONG[name]
    (w,) = strange.parameters
    for call in (strange, strange.backward, strange.value_and_grad, strange.check):
        with pytest.raises(error, match=message):
            call(*arguments)
    assert (w.data, w.grad) == (2.0, 0.0)
    assert strange(1.0, [1.0, 2.0], {"a": 3.0}) == 30.0
    assert strange([1.0, 2.0], [1.0, 2.0], {"a": 3.0}) == [30.0, 60.0]


def test_a_list_that_holds_itself_is_refused():
    endless = []
    endless.append(endless)
    for tape in (fg.record(lambda x: x, 1.0), fg.record(lambda x: x[0], [1.0])):
        with pytest.raises(ShapeError, match=r"got more than \d levels of nesting \(x\)"):
            tape(endless)


def test_arguments_of_jvp_are_tuples(linear):
    for arguments in (([1.0], (1.0,)), ((1.0,), [1.0])):
        with pytest.raises(FastgradTypeError, match=r"expected a tuple, got list .* of jvp"):
            linear.jvp(*arguments)


def test_wrong_arrays_are_refused(numpy, strange, linear):
    for shape in ((4,), (2, 4), (3, 2), (1, 2, 3), (0, 3), (2, 0), ()):
        for dtype in (float, "f4"):
            with pytest.raises(ShapeError, match=r"\(x\)"):
                linear(numpy.zeros(shape, dtype))
    with pytest.raises(ShapeError, match=re.escape("(n, 3) for a batch, got shape (2, 4) (x)")):
        linear(numpy.zeros((2, 4)))
    for dtype in ("complex128", "datetime64[D]", "U3", "O"):
        with pytest.raises(FastgradTypeError, match=r"expected numbers, got .* \(x\)"):
            linear(numpy.zeros(3, dtype) if dtype != "O" else numpy.array([1, None, 2]))


WORDS = {
    "reduce": ({"reduce": "total"}, '"mean" or "sum"( or None)?, got \'total\' .reduce'),
    "threads": ({"threads": 0}, "expected at least 1, got 0 .threads"),
    "negative": ({"threads": -3}, "expected at least 1, got -3 .threads"),
}


@pytest.mark.parametrize("name", WORDS)
def test_wrong_option_values_are_refused(name, linear):
    words, message = WORDS[name]
    calls = [linear.backward, linear.value_and_grad] + ([] if "reduce" in words else [linear])
    for call in calls:
        for argument in ([1.0, 2.0, 3.0], [[1.0, 2.0, 3.0]] * 3):
            with pytest.raises(FastgradValueError, match=message):
                call(argument, **words)


def test_wrong_option_types_and_names_are_refused(linear):
    x = [1.0, 2.0, 3.0]
    with pytest.raises(FastgradValueError, match='expected "mean" or "sum", got None'):
        linear.backward(x, reduce=None)
    for call in (linear, linear.backward, linear.value_and_grad):
        with pytest.raises(TypeError, match="unexpected keyword argument 'thread'"):
            call(x, thread=2)
        for threads in ("2", None, 1.5):
            with pytest.raises(TypeError):
                call(x, threads=threads)
        with pytest.raises(OverflowError):
            call(x, threads=2**40)


def test_gradient_of_several_results_is_refused():
    for function in (lambda x: [x], lambda x: {"a": x}, lambda x: (x, x)):
        tape = fg.record(function, 1.0)
        for call in (tape.backward, tape.value_and_grad):
            with pytest.raises(TapeError, match="expected a function that returns one Value"):
                call(1.0)


EXAMPLES = {
    "text": ("1", FastgradTypeError, r"got str '1' \(example of x\)"),
    "None": (None, FastgradTypeError, r"got NoneType None \(example of x\)"),
    "complex": (1j, FastgradTypeError, r"got complex 1j \(example of x\)"),
    "object": ([object()], FastgradTypeError, r"got object .* \(example of x\[0\]\)"),
    "text in a dict": ({"a": "1"}, FastgradTypeError, r"got str '1' \(example of x\['a'\]\)"),
    "range": (range(3), FastgradTypeError, r"got range range\(0, 3\) \(example of x\)"),
    "generator": (iter([1.0]), FastgradTypeError, r"got list_iterator"),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_wrong_examples_are_refused_by_record(name):
    example, error, message = EXAMPLES[name]
    with pytest.raises(error, match=message):
        fg.record(lambda x: x, example)


RESULTS = {
    "None": (None, r"expected a Value, or lists, tuples, dicts of Values, got NoneType None"),
    "number": (1.0, r"got float 1.0 \(result\)"),
    "nothing": ([], r"got list \[\] \(result\)"),
    "empty dict": ({}, r"got dict \{\} \(result\)"),
    "number inside": ({"a": [Value(1.0), 2.0]}, r"got float 2.0 \(result\['a'\]\[1\]\)"),
}


@pytest.mark.parametrize("name", RESULTS)
def test_wrong_results_are_refused_by_record(name):
    result, message = RESULTS[name]
    with pytest.raises(TapeError, match=message):
        fg.record(lambda x: result, 1.0)


def test_operations_without_a_native_rule_are_refused():
    def by_hand(x):
        y = x * 2
        y._backward = lambda: None
        return y

    def leaf(x):
        w = Value(1.0)
        w._backward = lambda: None
        return x * w

    for function in (by_hand, leaf, lambda x: Value(1.0, (x,)) * x):
        with pytest.raises(TapeError, match="got a node with a backward step in Python"):
            fg.record(function, 1.0)


def test_function_that_changes_data_is_refused():
    w = Value(2.0)

    def function(x):
        y = x * w
        w.data = w.data + 1
        return y

    with pytest.raises(TapeError, match=r"expected 4.0 at the example, .* got 6.0 from its"):
        fg.record(function, 2.0)


def test_exceptions_of_the_recorded_function_pass_through():
    before = live_after_gc()
    with pytest.raises(ZeroDivisionError):
        fg.record(lambda x: x / 0, 1.0)
    with pytest.raises(TypeError, match="positional argument"):
        fg.record(lambda x, y: x, 1.0)
    assert live_after_gc() == before


def test_list_edited_while_it_is_read_is_refused(linear):
    """A list may be edited by the __float__ of its items: nothing is written where none belongs."""

    class Editor:
        def __init__(self, edit):
            self.edit = edit

        def __float__(self):
            self.edit()
            return 1.0

    growing = []
    growing += [Editor(lambda: growing.extend([1.0] * 10_000)), 2.0, 3.0]
    with pytest.raises(ShapeError, match="a list that changed while it was read"):
        linear(growing)
    shrinking = []
    shrinking += [Editor(shrinking.clear), 2.0, 3.0]
    with pytest.raises(ShapeError, match="a list that changed while it was read"):
        linear(shrinking)
    rows = [[1.0, 2.0, 3.0]] * 3
    rows[1] = [Editor(lambda: rows.extend([[1.0] * 3] * 1_000)), 2.0, 3.0]
    with pytest.raises(ShapeError, match="a list that changed while it was read"):
        linear(rows)
    inside = [Editor(lambda: linear([[5.0, 5.0, 5.0]] * 50)), 2.0, 3.0]  # the tape itself, again
    assert linear(inside) == 321.0
    assert linear([inside, inside]) == [321.0, 321.0]
