"""Tapes of a million operations, one after another or with operands anywhere before them.

Oracles: the recurrence itself, the eager engine, `arena_check`.
"""

import pytest
from helpers.tape_programs import chain_tape

import fastgrad as fg
from fastgrad import Value

pytestmark = [pytest.mark.wide, pytest.mark.usefixtures("sound_arena")]


def dag(n):
    """A tape of n operations whose operands lie anywhere before them."""
    weights = [Value(0.5 + 0.001 * i) for i in range(50)]

    def function(x):
        made, at = [x, *weights], 1
        for i in range(n):
            at = (at * 1103515245 + 12345) % 2**31
            a, b = made[at % len(made)], made[-1 - at // 7 % min(len(made), 1000)]
            made.append(a * 0.5 + b * 0.5 if i % 50 == 0 else a + b if i % 2 else a * 0.001)
        return made[-1] + made[-2]

    return fg.record(function, 0.5), weights, function


@pytest.mark.parametrize("n", [100_000, pytest.param(1_000_000, marks=pytest.mark.slow)])
def test_a_long_chain(n):
    tape = chain_tape(n)
    assert len(tape) == n
    factor, total, gradient = 1.0000001, 0.5, 0.0
    for _ in range(n // 2):
        total, gradient = (total + 1.0) * factor, (gradient + 1.0) * factor
    value, (slope,) = tape.value_and_grad(0.5)
    assert value == total
    assert slope == pytest.approx(gradient, rel=1e-9)
    assert tape.value_and_grad([0.5] * 9, reduce=None)[0] == [value] * 9
    assert tape([0.5] * 9) == [value] * 9
    assert tape.value_and_grad([0.5] * 9)[1] == pytest.approx([slope], rel=1e-9)


@pytest.mark.parametrize("n", [20_000, pytest.param(1_000_000, marks=pytest.mark.slow)])
def test_a_large_dag(n):
    tape, weights, function = dag(n)
    x = Value(0.5)
    y = function(x)
    y.backward()
    value, gradient = tape.value_and_grad(0.5)
    assert value == y.data
    by_weight = dict(zip(tape.parameters, gradient, strict=True))
    for w in weights:
        assert by_weight.get(w, 0.0) == pytest.approx(w.grad, rel=1e-9)
    assert tape.value_and_grad(0.5, wrt="inputs")[1] == (pytest.approx(x.grad, rel=1e-9),)
    assert tape([0.5] * 9) == [value] * 9
    _, batched = tape.value_and_grad([0.5] * 9)
    assert batched == pytest.approx(gradient, rel=1e-9)
