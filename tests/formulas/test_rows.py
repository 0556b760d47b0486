"""Rows and batches: what functions take for one, and what they refuse.

Oracle: the documents.
"""

import math

import numpy as np
import pytest

from fastgrad import Value, functional, no_grad, record
from fastgrad.errors import FastgradTypeError, FastgradValueError, ShapeError

F = functional


@pytest.mark.parametrize("function", [F.softmax, F.log_softmax, F.rms_norm, F.layer_norm])
def test_batches_may_be_of_any_depth_and_rows_of_any_length(function):
    ragged = [[[1.0, 2.0], [3.0]], [[-1.0, 0.5, 0.25]]]
    assert function(ragged) == [[function(row) for row in rows] for rows in ragged]
    assert function(((1.0, 2.0), (3.0, 4.0))) == [function([1.0, 2.0]), function([3.0, 4.0])]


def test_sum_mean_and_prod_take_any_iterable():
    assert F.sum(x for x in (1.0, 2.0)) == 3.0
    assert F.mean(range(5)) == 2.0
    assert F.prod(iter([2.0, 3.0])) == F.prod(2.0, 3.0) == 6.0
    assert F.sum([]) == 0.0
    assert F.sum([Value(2.0)]).data == 2.0


def test_sum_is_from_left_to_right():
    numbers = [1e16, 1.0, -1e16, 0.5]
    assert F.sum(numbers) == F.sum(map(Value, numbers)).data == 0.5
    assert F.dot(numbers, [1.0] * 4) == 0.5


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: F.softmax(3.0), FastgradTypeError, "a list or array .*got float 3.0 .softmax"),
        (lambda: F.softmax(Value(3.0)), FastgradTypeError, "softmax"),
        (lambda: F.softmax("ab"), FastgradTypeError, "got str 'ab'"),
        (lambda: F.softmax({1.0: 2.0}), FastgradTypeError, "got dict"),
        (lambda: F.softmax({1.0}), FastgradTypeError, "got set"),
        (lambda: F.softmax(np.array(1.0)), FastgradTypeError, "got ndarray"),
        (lambda: F.softmax([]), FastgradValueError, "at least one number, got none .softmax"),
        (lambda: F.softmax([1.0, [2.0]]), FastgradTypeError, "got list"),
        (lambda: F.log_softmax([]), FastgradValueError, "log_softmax"),
        (lambda: F.rms_norm([]), FastgradValueError, "rms_norm"),
        (lambda: F.layer_norm([]), FastgradValueError, "layer_norm"),
        (lambda: F.layer_norm([1.0], weight=[1.0, 2.0]), ShapeError, "weight of layer_norm"),
        (lambda: F.layer_norm([1.0], bias=2.0), ShapeError, "1 numbers.*got float 2.0 .bias"),
        (lambda: F.mean([]), FastgradValueError, "mean"),
        (lambda: F.norm([], math.inf), FastgradValueError, "norm"),
        (lambda: F.norm([1.0], Value(2.0)), FastgradTypeError, "p of norm"),
        (lambda: F.norm([1.0], "2"), FastgradTypeError, "p of norm"),
        (lambda: F.sum([[1.0], [2.0]], dim=2), FastgradValueError, "None, or an axis of -2 to 1"),
        (lambda: F.sum([1.0], dim="0"), FastgradValueError, "dim of sum"),
        (lambda: F.sum([[1.0], [2.0, 3.0]], 0), ShapeError, "row 1 of sum"),
        (lambda: F.dot([1.0], [1.0, 2.0]), ShapeError, "1 numbers.*got 2 .other of dot"),
        (lambda: F.dot([[1.0]], [[1.0], [2.0]]), ShapeError, "1 rows.*got 2"),
        (lambda: F.dot(1.0, [1.0]), FastgradTypeError, "input of dot"),
        (lambda: F.linear([1.0], [[1.0, 2.0]]), ShapeError, "row 0 of weight of linear"),
        (lambda: F.linear([1.0], [[1.0]], [1.0, 2.0]), ShapeError, "bias of linear"),
        (lambda: F.linear([1.0], [[1.0]], 2.0), FastgradTypeError, "bias of linear"),
        (lambda: F.linear([1.0], [1.0], [2.0]), FastgradTypeError, "operand of add"),
        (lambda: F.linear([1.0], [[1.0], 2.0]), FastgradTypeError, "row 1 of weight of linear"),
    ],
)
def test_argument_that_does_not_fit_is_named(call, error, text):
    with pytest.raises(error, match=text):
        call()


@pytest.mark.parametrize("p", [0, 0.5, 1, 2, 3, math.inf, -math.inf])
def test_norm_of_zeros_is_0_and_so_is_its_gradient(p):
    row = [Value(0.0), Value(-0.0)]
    found = F.norm(row, p)
    found.backward()
    assert (repr(found.data), [v.grad for v in row]) == ("0.0", [0.0, 0.0])


def test_cosine_similarity_of_zeros_is_0():
    row = [Value(0.0), Value(0.0)]
    found = F.cosine_similarity(row, [1.0, 2.0])
    found.backward()
    assert found.data == 0.0
    assert all(math.isfinite(v.grad) for v in row)


def test_functions_under_no_grad_make_no_graph():
    with no_grad():
        found = F.softmax([Value(1.0), Value(2.0)])
    assert [v._prev for v in found] == [set(), set()]


def test_arrays_inside_a_recorded_function_stay_recordable():
    def loss(x):
        return np.maximum(F.softmax(x), 0.25).sum()

    tape = record(loss, np.array([0.5, 2.0]), strict=True)
    assert tape(np.array([2.0, 0.5])) == pytest.approx(loss(np.array([2.0, 0.5])))


def test_softmax_on_a_tape_takes_the_largest_anew():
    tape = record(F.softmax, [0.0, 1.0], strict=True)
    assert tape([1000.0, -1000.0]) == [1.0, 0.0]


def test_recorded_shift_has_the_gradient_of_the_plain_one():
    row = [0.3, 1.7, -0.4]
    values = [Value(x) for x in row]
    F.log_softmax(values)[0].backward()
    tape = record(lambda x: F.log_softmax(x)[0], row)
    assert tape.value_and_grad(row, wrt=0)[1] == [v.grad for v in values]
