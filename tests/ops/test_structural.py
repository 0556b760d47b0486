"""Opcodes that are no row of the table. Oracle: their own rows, held to what tapes do."""

import pytest

from fastgrad import Value, custom, ops, record, take
from fastgrad._native.tape.inspect import operation
from fastgrad._native.tape.program import opcodes
from fastgrad.errors import TapeError


def test_opcodes_of_tapes_are_the_rows_and_the_structural_ones_that_say_so():
    rows = (*ops.STRUCTURAL.values(), *ops.native(), *ops.slopes())
    names = [row.name for row in rows]
    on_tapes = [row.name for row in rows if isinstance(row, ops.Op) or row.tape]
    assert opcodes() == {name: names.index(name) for name in on_tapes}
    assert {"dot", "take"} < set(on_tapes)


@pytest.mark.parametrize("n", [2, 3, 7])
@pytest.mark.parametrize("name", [row.name for row in ops.STRUCTURAL.values() if row.tape])
def test_structural_operation_lists_as_many_operands_as_its_row_says(name, n):
    leaves = [Value(float(k)) for k in range(2 * n + 1)]

    def dot(x):
        total = leaves[0]
        for k in range(n):
            total = total + leaves[1 + k] * (x + k)
        return total

    own = custom("custom")(lambda *xs: sum(xs)).partials(lambda *xs: [1.0] * n)
    functions = {
        "dot": dot,
        "take": lambda i: take(leaves[:n], i),
        "custom": lambda x: own(x, *leaves[1:n]),
    }
    tape = record(functions[name], 1.0)
    shown = [operation(tape, i) for i in range(tape.stats()["operations"])]
    (slots,) = [slots for found, slots, _ in shown if found == name]
    first, each = ops.STRUCTURAL[name].listed
    assert len(slots) == (name != "custom" and first) + each * n  # its number is no operand


def test_step_in_python_on_a_tape_is_that_of_a_custom_operation():
    @custom("twice")
    def twice(x):
        return 2 * x

    twice.partials(lambda x, y: 2.0)

    def with_closure(x):
        y = x * 2
        y._backward = lambda: None
        return y

    makers = {"custom": twice, "python": with_closure}
    assert set(makers) == {row.name for row in ops.STRUCTURAL.values() if row.python}
    assert record(twice, 1.0)(3.0) == 6.0
    with pytest.raises(TapeError):
        record(with_closure, 1.0)


def test_structural_opcode_is_the_capital_name_of_its_row():
    assert ops.STRUCTURAL["take"].opcode == "OP_TAKE"
    assert list(ops.STRUCTURAL) == [row.name for row in ops.STRUCTURAL.values()]
    with pytest.raises(TypeError):
        ops.STRUCTURAL["leaf"] = None
