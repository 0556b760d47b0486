"""Tape.check: where nan and inf come from, in results and in gradients.

Oracle: programs whose operation that makes them is known by construction, with its line.
"""

import inspect
import math

import pytest

import fastgrad as fg
from fastgrad import Value, functional, where
from fastgrad.errors import NonFiniteError


def program(x, y):
    z = x * y
    w = z.exp()
    return w - w


def infinite(x, y):
    z = x * y
    return z.exp() + 1.0


EXP = inspect.getsourcelines(program)[1] + 2
TAPE = fg.record(program, 1.0, 2.0)
INFINITE = fg.record(infinite, 1.0, 2.0)


def test_check_of_finite_results_gives_none():
    assert TAPE.check(1.0, 2.0) is None
    assert TAPE.check([1.0, 2.0], 3.0) is None


def test_check_of_one_sample_finds_what_made_nan_of_numbers():
    found = TAPE.check(1000.0, 2.0)
    assert (found.sample, found.operation) == (None, "add")
    assert sorted(found.operands) == [-math.inf, math.inf]
    assert math.isnan(found.result)
    assert found.place == (__file__, EXP + 1, "program")
    assert str(found).endswith(f"= nan, recorded at {__file__}:{EXP + 1} in program")


def test_check_without_a_nan_finds_what_made_inf():
    found = INFINITE.check(1000.0, 2.0)
    assert (found.sample, found.operation) == (None, "exp")
    assert (found.operands, found.result) == ((2000.0,), math.inf)
    assert not found.in_derivative
    line = inspect.getsourcelines(infinite)[1] + 2
    assert str(found) == f"exp(2000.0) = inf, recorded at {__file__}:{line} in infinite"


def test_check_of_a_batch_finds_the_first_sample():
    found = INFINITE.check([1.0, 2.0, 900.0, 1000.0], 2.0)
    assert (found.sample, found.operands) == (2, (1800.0,))
    assert "exp(1800.0) = inf in sample 2, recorded at" in str(found)


def partly_chosen(x):
    low = x.log()
    kept = where(functional.gt(x, 0.0), low, 0.0)
    return kept + (x + 2.0).log() * (x + 2.0)


def test_check_ignores_infinities_that_no_result_shows():
    tape = fg.record(partly_chosen, 1.0)
    assert tape.check([1.0, 0.0, -1.0]) is None
    assert tape([1.0, 0.0, -1.0], check=True) == tape([1.0, 0.0, -1.0])


def test_check_names_the_nan_made_after_a_legitimate_infinity():
    tape = fg.record(partly_chosen, 1.0)
    found = tape.check([1.0, 0.0, -2.0])
    line = inspect.getsourcelines(partly_chosen)[1] + 3
    assert (found.sample, found.operation, found.place[1]) == (2, "mul", line)
    assert sorted(found.operands) == [-math.inf, 0.0]


def test_check_takes_the_first_of_several_that_made_nan():
    def several(x):
        one, two = x.log(), (x - 3.0).sqrt()
        return two * one

    found = fg.record(several, 4.0).check(-1.0)
    assert (found.operation, found.operands) == ("log", (-1.0,))


def test_check_follows_the_entry_that_is_taken():
    tape = fg.record(lambda x, i: fg.take([x.log(), x * 2.0], i) + 1.0, 1.0, 0)
    assert tape.check(0.0, 1) is None
    found = tape.check(0.0, 0)
    assert (found.operation, found.result) == ("log", -math.inf)
    tape = fg.record(lambda x, i: fg.take([(x - 9.0).exp(), x.log()], i) + 1.0, 1.0, 0)
    found = tape.check(0.0, 1)
    assert (found.operation, found.operands) == ("log", (0.0,))


def test_check_of_an_argument_returned_as_it_is_names_no_operation():
    tape = fg.record(lambda x: [x + 1.0, x], 1.0)
    assert str(tape.check(math.nan)).startswith("add(nan, 1.0) = nan")
    found = fg.record(lambda x: x, 1.0).check([1.0, math.inf])
    assert (found.sample, found.operation, found.result) == (1, "", math.inf)
    assert str(found) == "inf in sample 1"


def root(x):
    shifted = x + 1.0
    return shifted.sqrt() + x


ROOT = fg.record(root, 1.0)
ROOT_LINE = inspect.getsourcelines(root)[1] + 2


def test_check_names_the_operation_whose_derivative_is_infinite():
    found = ROOT.check([1.0, -1.0])
    assert (found.sample, found.operation, found.operands) == (1, "sqrt", (0.0,))
    assert (found.in_derivative, found.result) == (True, math.inf)
    text = f"sqrt(0.0) gives inf in its derivative in sample 1, recorded at {__file__}:{ROOT_LINE}"
    assert str(found) == f"{text} in root"


@pytest.mark.parametrize(("wrt", "refused"), [("parameters", False), ("inputs", True), ("x", True)])
def test_checked_gradient_is_the_one_that_is_asked_for(wrt, refused):
    w = Value(2.0)
    tape = fg.record(lambda x: x.sqrt() * w, 1.0)
    if not refused:
        assert tape.value_and_grad(0.0, wrt=wrt, check=True) == (0.0, [0.0])
        assert tape.backward([0.0, 1.0], check=True) == 1.0
        return
    with pytest.raises(
        NonFiniteError, match=r"expected a finite gradient, got sqrt\(0.0\) gives inf"
    ):
        tape.value_and_grad([1.0, 0.0], wrt=wrt, reduce="sum", check=True)


def test_derivative_that_is_too_large_names_where_it_grew():
    tape = fg.record(lambda x: (x * 1e200) * 1e-10 * 1e200, 0.0)
    found = tape.check(0.0)
    assert (found.operation, found.in_derivative, found.result) == ("mul", True, math.inf)


def test_derivatives_whose_sum_alone_is_too_large_name_an_operation_of_it():
    tape = fg.record(lambda x: x * 1e308 + (x * 1e308).relu() + x, 0.5)
    found = tape.check(0.25)
    assert (found.in_derivative, found.result) == (True, math.inf)


def test_infinite_derivative_in_a_sum_of_products_is_found():
    w = [Value(1.0), Value(2.0)]

    def function(x, t):
        s = sum(a * b for a, b in zip(w, x, strict=True))
        return (fg.take([s, s * 2], t)) ** 0.5

    tape = fg.record(function, [1.0, 1.0], 0)
    found = tape.check([2.0, -1.0], 1)
    assert (found.operation, found.operands[0], found.in_derivative) == ("pow_number", 0.0, True)


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


@pytest.mark.parametrize("call", [INFINITE, INFINITE.backward, INFINITE.value_and_grad])
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


@fg.custom("slow_root")
def slow_root(x, y):
    return math.sqrt(x) + y if x >= 0 else math.nan


@slow_root.partials
def slow_root(x, y, root):
    return (math.inf if x == 0 else 0.5 / math.sqrt(x)), 1.0


def test_check_names_a_custom_operation_and_its_derivative():
    tape = fg.record(lambda x: slow_root(x * 2.0, x) + x, 1.0)
    found = tape.check([1.0, -1.0])
    assert (found.operation, found.operands, found.in_derivative) == (
        "slow_root",
        (-2.0, -1.0),
        False,
    )
    found = tape.check([1.0, 0.0])
    assert (found.sample, found.operation, found.operands) == (1, "slow_root", (0.0, 0.0))
    assert (found.in_derivative, found.result) == (True, math.inf)
