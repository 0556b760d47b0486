"""gelu with its option.

Oracles: the operation of the table; the formula of PyTorch's documentation by `math`.
"""

import math

import pytest

from fastgrad import Value, functional, nn, record
from fastgrad._native.graph import functional as table
from fastgrad.errors import FastgradValueError

F = functional
POINTS = (-30.0, -2.5, -0.75, 0.0, 1e-9, 0.5, 3.0, 40.0)


def by_tanh(x):
    return 0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


@pytest.mark.parametrize("x", POINTS)
def test_gelu_is_the_operation_or_its_approximation(x):
    assert F.gelu(x) == F.gelu(x, "none") == table.gelu(x)
    assert F.gelu(Value(x)).data == table.gelu(x)
    assert F.gelu(Value(x))._op == "gelu"
    assert F.gelu(x, approximate="tanh") == pytest.approx(by_tanh(x), rel=1e-13, abs=1e-16)
    v = Value(x)
    F.gelu(v, approximate="tanh").backward()
    slope = (by_tanh(x + 1e-6) - by_tanh(x - 1e-6)) / 2e-6
    assert v.grad == pytest.approx(slope, abs=1e-7)
    assert nn.GELU("tanh")(x) == F.gelu(x, "tanh")
    tape = record(lambda a: F.gelu(a, "tanh"), 1.0)
    assert tape(x) == F.gelu(x, "tanh")


@pytest.mark.parametrize("approximate", ["erf", None, ["tanh"], 1])
def test_unknown_approximation_is_refused(approximate):
    for call in (lambda: F.gelu(1.0, approximate), lambda: nn.GELU(approximate)):
        with pytest.raises(FastgradValueError, match=r"'none' or 'tanh'.*approximate of"):
            call()
