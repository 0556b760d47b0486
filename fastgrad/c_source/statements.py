"""A tape's program, and its gradient, as assignments whose operands are entries of arrays.

A value is what an operation makes of its operands, as replay has it. An adjoint is the sum of what
the users of a value contribute, in the order of the reverse sweep: the same sum, so the bits are
those of `value_and_grad`, whatever the order of the assignments.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fastgrad import ops
from fastgrad._native.tape.program import export, opcodes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["INPUTS", "PARAMETERS", "Place", "Program", "Statement", "Term", "program_of"]

Place = tuple[str, int]  # an entry of an array
Term = tuple[str, tuple[Place, ...]]  # a C expression with {0}, {1} for its operands, and these

INPUTS, PARAMETERS, CONSTANTS, VALUES, ADJOINTS, NUMBERS = "x", "p", "c", "w", "g", "#"
INPUT_ADJOINTS, PARAMETER_ADJOINTS = "gx", "gp"


@dataclass(frozen=True)
class Statement:
    """`target = term + term + ...`, summed from left to right.

    Attributes
    ----------
    slot : int
        Whose value or adjoint it is.
    terms : list of (str, tuple of Place)
    level : int
        Statements of one level need only those of lower ones.
    """

    slot: int
    target: Place
    terms: list[Term]
    level: int


@dataclass
class Program:
    """A tape's program.

    Attributes
    ----------
    values, adjoints : list of Statement
        In program order, and from the result back; `adjoints` is empty where the result is not one
        number.
    results : list of Place
    constants : sequence of float
    inputs, parameters : int
        How many there are.
    rows : set of str
        Functions of the table's header that the expressions call.
    picks : bool
        An entry is chosen while it runs, and may not be there.
    """

    values: list[Statement]
    adjoints: list[Statement]
    results: list[Place]
    constants: Sequence[float]
    inputs: int
    parameters: int
    rows: set[str]
    picks: bool


def program_of(tape: Any) -> Program:
    """Return the statements of a tape that calls no Python."""
    return _Reader(tape).read()


class _Reader:
    def __init__(self, tape: Any) -> None:
        arrays, codes = export(tape)
        names = {code: name for name, code in opcodes().items()}

        def numbers(kind: str, name: str) -> array[Any]:
            return array(kind, arrays[name])

        self.names = [names[code] for code in codes]
        self.operations, self.a, self.b = (
            numbers("H", "operations"),
            numbers("I", "a"),
            numbers("I", "b"),
        )
        self.lists, self.outputs = numbers("I", "terms"), numbers("I", "outputs")
        self.constants = numbers("d", "constants")
        self.sizes = len(arrays["inputs"]), len(arrays["parameters"]) // 8, len(self.constants)
        self.leaves = sum(self.sizes)
        self.single = len(self.outputs) == 1
        self.rows: set[str] = set()
        self.table = {row.name: row for row in (*ops.rows(), *ops.slopes())}

    def place(self, slot: int) -> Place:
        """Return where the value of a slot is."""
        for kind, size in zip((INPUTS, PARAMETERS, CONSTANTS), self.sizes, strict=True):
            if slot < size:
                return kind, slot
            slot -= size
        return VALUES, slot

    def adjoint_place(self, slot: int) -> Place:
        """Return where the adjoint of an input, a parameter or a result of an operation is."""
        kind, index = self.place(slot)
        return {INPUTS: INPUT_ADJOINTS, PARAMETERS: PARAMETER_ADJOINTS, VALUES: ADJOINTS}[
            kind
        ], index

    def operation(self, i: int) -> tuple[str, list[int]]:
        """Return the name of an operation and the slots of its operands, with repeats."""
        name, a, b = self.names[self.operations[i]], self.a[i], self.b[i]
        if name == "dot":
            return name, list(self.lists[a : a + 1 + 2 * b])
        if name == "take":
            return name, list(self.lists[a : a + 1 + b])
        row = self.table[name]
        return name, [a, b] if row.arity == 2 or row.parameter else [a]

    def read(self) -> Program:
        level = [0] * self.leaves
        values, picks = [], False
        for i in range(len(self.operations)):
            name, slots = self.operation(i)
            level.append(1 + max(level[s] for s in slots))
            picks |= name == "take"
            slot = self.leaves + i
            values.append(Statement(slot, self.place(slot), self._value(name, slots), level[-1]))
        adjoints = self._adjoints() if self.single else []
        results = [self.place(slot) for slot in self.outputs]
        inputs, parameters, _ = self.sizes
        return Program(
            values, adjoints, results, self.constants, inputs, parameters, self.rows, picks
        )

    def _value(self, name: str, slots: list[int]) -> list[Term]:
        places = tuple(map(self.place, slots))
        if name == "dot":
            products = zip(places[1::2], places[2::2], strict=True)
            return [("{0}", places[:1]), *(("{0} * {1}", pair) for pair in products)]
        if name == "take":
            return [(_picked(places[1:]), places)]
        if name in _INFIX:
            return [(f"{{0}} {_INFIX[name]} {{1}}", places)]
        if name == "pow_number" and self.constants[places[1][1]] == 2.0:
            return [("{0} * {0}", places[:1])]
        return [(self._call(f"op_{name}_value", len(places)), places)]

    def _call(self, function: str, operands: int, result: bool = False) -> str:
        """Return a call of a function of the table's header; a partial takes the result, too."""
        self.rows.add(function)
        given = ["{0}", "{1}" if operands == 2 else "0.0", *([f"{{{operands}}}"] if result else [])]
        return f"{function}({', '.join(given)})"

    def _adjoints(self) -> list[Statement]:
        """Return the adjoints of all slots that are no constants, from the result back."""
        inputs, parameters, _ = self.sizes
        slots = self.leaves + len(self.operations)
        found: list[list[Term]] = [[] for _ in range(slots)]
        level = [0] * slots
        one = CONSTANTS, len(self.constants)
        self.constants.append(1.0)
        found[self.outputs[0]].append(("{0}", (one,)))
        statements = []
        for i in reversed(range(len(self.operations))):
            slot = self.leaves + i
            if not found[slot]:  # an index: it has no influence
                continue
            if len(found[slot]) == 1 and found[slot][0][0] == "{0}":
                (place,) = found[slot][0][1]  # another's adjoint
            else:
                place = self.adjoint_place(slot)
                statements.append(Statement(slot, place, found[slot], level[slot]))
                level[slot] += 1
            name, operands = self.operation(i)
            for operand, term in self._contributions(name, operands, slot, place):
                found[operand].append(term)
                level[operand] = max(level[operand], level[slot])
            found[slot] = []
        last = max(level, default=0)
        for slot in range(inputs + parameters):
            # From 0, as a sweep's sums begin: there is no -0.
            terms = [("0.0", ()), *found[slot]]
            statements.append(Statement(slot, self.adjoint_place(slot), terms, last))
        return statements

    def _contributions(
        self, name: str, slots: list[int], slot: int, adjoint: Place
    ) -> Iterator[tuple[int, Term]]:
        """Yield what an operation adds to the adjoints of its operands, in the sweep's order."""
        places = tuple(map(self.place, slots))
        if name == "dot":
            for i in reversed(range(1, len(slots), 2)):
                yield slots[i], ("tape_product({0}, {1})", (places[i + 1], adjoint))
                yield slots[i + 1], ("tape_product({0}, {1})", (places[i], adjoint))
            yield slots[0], ("{0}", (adjoint,))
        elif name == "take":
            chosen = f"(tape_entry({{0}}, {len(slots) - 1}) == {{1}} ? {{2}} : 0.0)"
            for i, operand in enumerate(slots[1:]):
                yield operand, (chosen, (places[0], (NUMBERS, i), adjoint))
        elif name == "add":
            yield slots[1], ("{0}", (adjoint,))
            yield slots[0], ("{0}", (adjoint,))
        elif name == "mul":
            yield slots[1], ("tape_product({0}, {1})", (places[0], adjoint))
            yield slots[0], ("tape_product({0}, {1})", (places[1], adjoint))
        else:
            given = (*places, self.place(slot), adjoint)
            for which, operand in zip("ab"[: self.table[name].arity], slots, strict=False):
                partial = self._call(f"op_{name}_d{which}", len(places), result=True)
                yield operand, (f"tape_product({partial}, {{{len(places) + 1}}})", given)


_ADJOINTS_OF = {INPUTS: INPUT_ADJOINTS, PARAMETERS: PARAMETER_ADJOINTS, VALUES: ADJOINTS}
_INFIX = {"add": "+", "mul": "*"}


def _picked(entries: tuple[Place, ...]) -> str:
    """Return the expression of a take, whose index is {0} and whose entries are {1}, {2}, ..."""
    choice = "".join(f"at == {i} ? {{{i + 1}}} : " for i in range(len(entries)))
    return f"(at = tape_entry({{0}}, {len(entries)}), {choice}tape_missing(status))"
