"""Tape.check: where nan and inf come from.

Oracle: programs whose first operation that is not finite is known by construction, with its line.
"""

import inspect
import math

import pytest

import fastgrad as fg
from fastgrad import Value
from fastgrad.errors import NonFiniteError


def program(x, y):
    z = x * y
    w = z.exp()
    return w - w


EXP = inspect.getsourcelines(program)[1] + 2
TAPE = fg.record(program, 1.0, 2.0)


def test_check_of_finite_results_gives_none():
    assert TAPE.check(1.0, 2.0) is None
    assert TAPE.check([1.0, 2.0], 3.0) is None


def test_check_of_one_sample_finds_the_operation():
    found = TAPE.check(1000.0, 2.0)
    assert (found.sample, found.operation) == (None, "exp")
    assert (found.operands, found.result) == ((2000.0,), math.inf)
    assert found.place == (__file__, EXP, "program")
    assert str(found) == f"exp(2000.0) = inf, recorded at {__file__}:{EXP} in program"


def test_check_of_a_batch_finds_the_first_sample():
    found = TAPE.check([1.0, 2.0, 900.0, 1000.0], 2.0)
    assert (found.sample, found.operands) == (2, (1800.0,))
    assert "exp(1800.0) = inf in sample 2, recorded at" in str(found)


def test_check_finds_an_input_nan_where_it_is_first_used():
    found = TAPE.check(math.nan, 2.0)
    assert found.operation == "mul"
    assert math.isnan(found.operands[0])
    assert math.isnan(found.result)


def test_check_of_a_dot_shows_its_first_operands():
    w = [Value(1e308) for _ in range(4)]
    tape = fg.record(lambda xs: sum(a * x for a, x in zip(w, xs, strict=True)), [0.0] * 4)
    found = tape.check([1.0, 1.0, 1.0, 1.0])
    assert found.operation == "dot"
    assert str(found).startswith("dot(0.0, 1e+308, 1.0, 1e+308, ...) = inf")


@pytest.mark.parametrize("call", [TAPE, TAPE.backward, TAPE.value_and_grad])
def test_calls_with_check_raise_non_finite_error(call):
    assert call([1.0, 2.0], 1.0, check=True) is not None
    with pytest.raises(NonFiniteError, match=r"got exp\(900.0\) = inf in sample 1, recorded at"):
        call([1.0, 900.0], 1.0, check=True)


def test_failed_checked_backward_changes_no_grad():
    w = Value(3.0)
    tape = fg.record(lambda x: (w * x).exp(), 1.0)
    with pytest.raises(NonFiniteError):
        tape.backward(1000.0, check=True)
    assert w.grad == 0.0


def test_check_refuses_wrong_arguments_as_a_call_does():
    with pytest.raises(TypeError, match=r"expected 2 argument\(s\), as recorded, got 1"):
        TAPE.check(1.0)
