"""Random programs (random_graphs.py) in fastgrad, micrograd and the reference.

Oracles: micrograd, for the bits of values; `Reference`, which sweeps in reverse order of creation,
for the bits of gradients, and for how far micrograd's own order may take them apart.
"""

import random
import sys

import pytest
from helpers.random_graphs import CODES, EPSILON, ROOTS, Reference, compare, run
from helpers.reference import OURS, THEIRS
from helpers.tally import tally
from hypothesis import example, given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.usefixtures("sound_arena")


@pytest.fixture(scope="module", autouse=True)
def deep_recursion():
    """Let micrograd sort graphs of 2,000 nodes."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(20_000)
    yield
    sys.setrecursionlimit(limit)


@pytest.mark.wide
@settings(max_examples=2_000)
@given(CODES, ROOTS, st.booleans())
@example([15] * 5, [-1, -1], True)
@example([6] * 40, [-1, -1, -1], False)
def test_random_programs_equal_micrograd_and_the_reference(codes, roots, expand):
    compare(OURS, codes, roots, expand)
    tally("wrong graph: against micrograd and a fixed order")


@settings(max_examples=200)
@given(st.lists(st.integers(0, 2**40 - 1), min_size=1, max_size=6), ROOTS, st.booleans())
def test_small_programs_equal_micrograd_and_the_reference(codes, roots, expand):
    compare(OURS, codes, roots, expand)
    tally("wrong graph: against micrograd and a fixed order")


@settings(max_examples=200)
@given(
    st.lists(st.integers(0, 2**40 - 1), min_size=1, max_size=6),
    st.lists(st.floats(-1e3, 1e3), min_size=3, max_size=3),
)
def test_forward_values_of_any_numbers_have_the_same_bits(codes, prologue):
    def data(V):
        try:
            return [repr(v.data + 0.0) for v in run(V, codes, prologue)]
        except ArithmeticError as error:
            return type(error)

    assert data(OURS) == data(THEIRS)  # + 0.0, for micrograd's relu gives the integer 0


@settings(max_examples=100)
@given(st.lists(st.integers(0, 2**40 - 1), min_size=1, max_size=8))
def test_graphs_of_random_programs_equal_micrograd(codes):
    """Compare the graphs node by node: operation, data, operands."""

    def description(root):
        names, stack = {}, [root]
        while stack:
            v = stack[-1]
            waiting = [w for w in v._prev if w not in names]
            if v in names or not waiting:
                operands = tuple(sorted(names[w] for w in v._prev))
                names.setdefault(stack.pop(), hash((v._op, float(v.data), operands)))
            else:
                stack += waiting
        return sorted(names.values())

    assert description(run(OURS, codes)[-1]) == description(run(THEIRS, codes)[-1])


# -- a test of the tests ---------------------------------------------------------------------------


class DropsAnOperand(Reference):
    def __add__(self, other):
        return type(self)(self.data + self.of(other).data, (self, lambda: 1.0))


class OffInTheLastBits(Reference):
    def __mul__(self, other):
        out, (a, x), (b, y) = (made := super().__mul__(other), *made.edges)
        out.edges = (a, lambda: x() * (1 + 4 * EPSILON)), (b, y)
        return out


class ReadsEarly(Reference):
    def relu(self):
        out = super().relu()
        out.edges = ((self, lambda: 1.0),)
        return out


class DividesOnce(Reference):
    def __truediv__(self, other):
        out = super().__truediv__(other)
        out.data = self.data / (other.data if isinstance(other, Reference) else other)
        return out


class SweepsForward(Reference):
    def backward(self):
        """Sort as micrograd does, and take operands in another order than that of creation."""
        order, seen = [], set()

        def visit(v):
            if v not in seen:
                seen.add(v)
                for operand, _ in v.edges:
                    visit(operand)
                order.append(v)

        visit(self)
        self.grad = 1.0
        for v in reversed(order):
            for operand, partial in v.edges:
                operand.grad += partial() * v.grad


CHECKED = [  # programs that use every operation
    [rng.getrandbits(40) for _ in range(200)] for rng in map(random.Random, range(8))
]
EVERYWHERE = range(-40, 0)


@pytest.mark.parametrize(
    "wrong", [DropsAnOperand, OffInTheLastBits, ReadsEarly, DividesOnce, SweepsForward]
)
def test_comparison_of_wrong_classes_fails(wrong):
    failed = 0
    for codes in CHECKED:
        try:
            compare(wrong, codes, EVERYWHERE)
        except AssertionError:
            failed += 1
    assert failed > (0 if wrong is SweepsForward else len(CHECKED) / 2)


@pytest.mark.wide
@pytest.mark.parametrize("right", [Reference, OURS])
def test_comparison_of_right_classes_passes(right):
    for codes in CHECKED:
        compare(right, codes, EVERYWHERE)
