"""Dropout: masks, scale, gradient, recordings.

Oracle: the numbers that the generator gives.
"""

import numpy as np
import pytest

from fastgrad import Value, functional, manual_seed, record
from fastgrad.errors import FastgradValueError
from fastgrad.nn.init import Generator

F = functional


def test_dropout_keeps_with_probability_1_minus_p_and_scales():
    manual_seed(5)
    found = F.dropout([[2.0, 3.0], [4.0, 5.0]], p=0.25)
    drawn = Generator(5).uniform(4)
    scales = [(u >= 0.25) * (1 / 0.75) for u in drawn]
    assert found == [[2.0 * scales[0], 3.0 * scales[1]], [4.0 * scales[2], 5.0 * scales[3]]]
    assert F.dropout([1.0], p=1.0) == [0.0]


def test_dropout_of_values_has_the_mask_as_its_gradient():
    manual_seed(2)
    row = [Value(1.5) for _ in range(50)]
    out = F.dropout(row, 0.5)
    F.sum(out).backward()
    assert [v.grad for v in row] == [v.data / 1.5 for v in out]
    assert {v.grad for v in row} == {0.0, 2.0}


def test_dropout_of_arrays_gives_arrays():
    found = F.dropout(np.ones((3, 4)), 0.5)
    assert found.shape == (3, 4)
    assert set(found.flat) <= {0.0, 2.0}
    assert F.dropout(3.0, 0.0) == 3.0


def test_dropout_out_of_training_is_the_input_and_draws_nothing():
    manual_seed(6)
    row = [1.0]
    assert F.dropout(row, 0.5, training=False) is row
    assert F.dropout(row, 0.0) is row
    assert manual_seed(6).state == (6, 0)


def test_dropout_out_of_training_is_on_no_tape():
    assert record(lambda x: F.dropout([x], 0.5, training=False)[0], 1.0)(2.0) == 2.0


@pytest.mark.parametrize("p", [-0.1, 1.5, float("nan")])
def test_probability_outside_0_to_1_is_refused(p):
    with pytest.raises(FastgradValueError, match="p of dropout"):
        F.dropout([1.0], p)
