"""Losses and accuracy: classes, what is ignored, extremes.

Oracle: PyTorch's documentation, written out; the same function eagerly and on a tape.
"""

import math

import numpy as np
import pytest

from fastgrad import Value, functional, record
from fastgrad.errors import FastgradIndexError, FastgradTypeError, FastgradValueError, ShapeError

F = functional
LOGITS = [[1.0, 2.0, 0.5], [0.1, -1.0, 0.3], [-2.0, 0.0, 4.0]]


@pytest.mark.parametrize("function", [F.cross_entropy, F.nll_loss])
@pytest.mark.parametrize("weight", [None, [1.0, 2.0, 0.5]])
@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize("targets", [[0, 1, 2], [2, -1, 0], [-1, 1, -1]])
def test_class_on_a_tape_may_be_another_or_ignored_at_each_call(
    function, weight, reduction, targets
):
    def loss(rows, targets):
        return function(rows, targets, weight, ignore_index=-1, reduction=reduction)

    tape = record(loss, LOGITS, [0, 0, 0], strict=True)
    assert tape(LOGITS, targets) == loss(LOGITS, targets)


def test_smoothed_class_on_a_tape_is_that_of_the_graph():
    def loss(row, target):
        return F.cross_entropy(row, target, label_smoothing=0.2)

    tape = record(loss, LOGITS[0], 0, strict=True)
    assert tape(LOGITS[0], [0, 1, 2]) == [loss(LOGITS[0], t) for t in (0, 1, 2)]


def test_mean_of_ignored_rows_alone_is_nan():
    assert math.isnan(F.cross_entropy(LOGITS, [-100] * 3))
    assert F.cross_entropy(LOGITS, [-100] * 3, reduction="sum") == 0.0
    tape = record(F.cross_entropy, LOGITS, [0] * 3)
    assert math.isnan(tape(LOGITS, [-100] * 3))


def test_ignored_row_gets_no_gradient():
    rows = [[Value(x) for x in row] for row in LOGITS]
    F.cross_entropy(rows, [0, -100, 1]).backward()
    assert [v.grad for v in rows[1]] == [0.0] * 3
    tape = record(F.cross_entropy, LOGITS, [0] * 3)
    _, grad = tape.value_and_grad(LOGITS, [0, -100, 1], wrt=0)
    assert grad[1] == [0.0] * 3
    assert grad[0] == [v.grad for v in rows[0]]


def test_class_may_be_any_whole_number():
    expected = F.cross_entropy(LOGITS[0], 1)
    for target in (1.0, np.int8(1), np.float32(1), np.array(1), Value(1), True):
        assert F.cross_entropy(LOGITS[0], target) == expected, target


@pytest.mark.parametrize("target", [3, -1, 0.5, Value(7), math.inf])
def test_class_outside_is_refused(target):
    with pytest.raises(FastgradIndexError, match=r"class of 0 to 2.*target of nll_loss.*-100"):
        F.nll_loss(LOGITS[0], target)


@pytest.mark.parametrize("target", [3.0, -1.0, 0.5])
def test_class_outside_is_refused_by_a_tape(target):
    tape = record(F.cross_entropy, LOGITS[0], 0)
    with pytest.raises(FastgradIndexError, match="index of take"):
        tape(LOGITS[0], target)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: F.cross_entropy(LOGITS, 1), FastgradTypeError, "target of cross_entropy"),
        (lambda: F.cross_entropy(LOGITS, [1, 2]), ShapeError, "3 targets.*got 2"),
        (lambda: F.cross_entropy(LOGITS[0], "a"), FastgradTypeError, "a class, counted from 0"),
        (lambda: F.cross_entropy(LOGITS[0], [0.5, 0.5]), ShapeError, "3 probabilities.*got 2"),
        (lambda: F.cross_entropy(LOGITS, [0, 1, 2], [1.0]), ShapeError, "3 weights.*got 1"),
        (lambda: F.cross_entropy([], 0), FastgradIndexError, "a class of 0 to -1"),
        (lambda: F.cross_entropy(LOGITS[0], 1, reduction="avg"), FastgradValueError, "'none', 'm"),
        (lambda: F.cross_entropy(LOGITS[0], 1, label_smoothing=2), FastgradValueError, "0 to 1"),
        (lambda: F.nll_loss(LOGITS[0], [0.1, 0.2, 0.7]), FastgradTypeError, "target of nll_loss"),
        (lambda: F.mse_loss([1.0], [1.0, 2.0]), ShapeError, "1 entries, .*got 2 .mse_loss"),
        (lambda: F.mse_loss(1.0, [1.0, 2.0]), ShapeError, "a number, as the input is, got 2"),
        (lambda: F.mse_loss([1.0], 1.0), ShapeError, "1 entries.* got float 1.0"),
        (lambda: F.mse_loss([], []), FastgradValueError, "input of mse_loss"),
        (lambda: F.mse_loss([None], [1.0]), FastgradTypeError, "operand of sub"),
        (lambda: F.huber_loss(1.0, 2.0, delta=0.0), FastgradValueError, "delta of huber_loss"),
        (lambda: F.accuracy([], []), FastgradValueError, "input of accuracy"),
        (lambda: F.accuracy([[]], [0]), FastgradValueError, "input of accuracy"),
        (lambda: F.accuracy(LOGITS, [0]), ShapeError, "3 targets.*got 1 .target of accuracy"),
        (lambda: F.accuracy(LOGITS[0], 3), FastgradIndexError, "target of accuracy"),
    ],
)
def test_argument_that_does_not_fit_is_named(call, error, text):
    with pytest.raises(error, match=text):
        call()


def test_large_scores_do_not_overflow():
    row = [Value(1e308), Value(-1e308), Value(1e308)]
    loss = F.cross_entropy(row, 0)
    loss.backward()
    assert loss.data == math.log(2)
    assert [v.grad for v in row] == [-0.5, 0.0, 0.5]
    assert F.softmax([1e308, -1e308]) == [1.0, 0.0]


def test_masked_scores_have_no_probability():
    row = [Value(0.0), Value(-math.inf), Value(0.0)]
    loss = F.cross_entropy(row, 2)
    loss.backward()
    assert (loss.data, [v.grad for v in row]) == (math.log(2), [0.5, 0.0, -0.5])


def test_all_scores_of_minus_infinity_give_nan_as_with_pytorch():
    assert all(map(math.isnan, F.softmax([-math.inf] * 2)))
    assert math.isnan(F.cross_entropy([-math.inf] * 2, 0))


@pytest.mark.parametrize(
    ("p", "y", "loss"), [(0.0, 1.0, 100.0), (1.0, 0.0, 100.0), (1.0, 1.0, 0.0)]
)
def test_certain_probabilities_cost_at_most_100(p, y, loss):
    v = Value(p)
    found = F.binary_cross_entropy(v, y)
    found.backward()
    assert (found.data, F.binary_cross_entropy(1e-300, 1.0)) == (loss, 100.0)
    assert math.isfinite(v.grad)


def test_probability_outside_0_to_1_is_refused():
    for p in (-0.1, 1.1):
        with pytest.raises(ValueError, match="expected"):
            F.binary_cross_entropy(Value(p), 1.0)


def test_loss_with_logits_is_accurate_far_from_0():
    losses = F.binary_cross_entropy_with_logits([-50.0, 50.0, 1e9], [0, 1, 0], reduction="none")
    assert losses == [math.exp(-50), math.exp(-50), 1e9]


@pytest.mark.parametrize(
    ("rows", "targets"),
    [
        (LOGITS, [1, 2, 2]),
        (LOGITS, [0, 1, 0]),
        ([[1.0, 1.0, 1.0], [0.0, 2.0, 2.0], [3.0, 1.0, 3.0]], [0, 1, 2]),
    ],
)
def test_accuracy_counts_rows_whose_first_largest_is_the_target(rows, targets):
    expected = float(np.mean(np.argmax(rows, axis=1) == targets))
    assert F.accuracy(rows, targets) == expected
    assert F.accuracy(np.array(rows), np.array(targets)) == expected
    tape = record(F.accuracy, LOGITS, [0, 0, 0], strict=True)
    assert tape(rows, targets) == expected
    assert [F.accuracy(row, t) for row, t in zip(rows, targets, strict=True)] == [
        float(np.argmax(row) == t) for row, t in zip(rows, targets, strict=True)
    ]


def test_one_hot_of_several_classes_is_a_row_for_each():
    assert F.one_hot([2, 0], 3) == [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    assert F.one_hot(np.array([[1], [0]]), 2).tolist() == [[[0.0, 1.0]], [[1.0, 0.0]]]
