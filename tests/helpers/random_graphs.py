"""Random graphs of 5 to 500 nodes: shared operands, dead branches, fused neurons; their oracle.

A graph is a list of numbers of 40 bits; `run` builds it from any class that behaves as Value does.
"""

import struct
import sys
from contextlib import contextmanager
from typing import ClassVar

from helpers.reference import OURS, THEIRS
from hypothesis import strategies as st

from fastgrad import functional, nn

EPSILON = sys.float_info.epsilon


# -- the reference: micrograd, with a fixed order --------------------------------------------------


class Reference:
    """What micrograd does, in Python floats; backward() goes in reverse order of creation.

    Powers are fastgrad's: tests/functions holds them to mpmath's.

    `size` is the adjoint computed from absolute values: a sum of the same terms in any other order
    differs by a few units in the last place of it, at most.
    """

    tape: ClassVar[list] = []

    def __init__(self, data, *edges, op=""):
        self.data, self.grad, self.size = float(data), 0.0, 0.0
        self._op = op
        self.edges = edges  # operand, and the partial as a function of nothing: it is read late
        self.order, self.at = self.tape, len(self.tape)
        self.tape.append(self)

    @property
    def _prev(self):
        return {operand for operand, _ in self.edges}

    def of(self, x):
        return x if isinstance(x, Reference) else type(self)(x)

    def __add__(self, other):
        other = self.of(other)
        y = self.data + other.data
        return type(self)(y, (self, lambda: 1.0), (other, lambda: 1.0), op="+")

    def __mul__(self, other):
        other = self.of(other)
        y = self.data * other.data
        return type(self)(y, (self, lambda: other.data), (other, lambda: self.data), op="*")

    def __pow__(self, k):
        slope = lambda: k * functional.pow(self.data, k - 1) if k else 0.0  # noqa: E731
        return type(self)(functional.pow(self.data, k), (self, slope), op=f"**{k}")

    def relu(self):
        out = type(self)(0.0 if self.data < 0 else self.data, op="ReLU")
        out.edges = ((self, lambda: float(out.data > 0)),)
        return out

    def __neg__(self):
        return self * -1

    def __sub__(self, other):
        return self + (-other)

    def __rsub__(self, other):
        return (-self) + other

    def __truediv__(self, other):
        return self * other**-1

    def __rtruediv__(self, other):
        return self**-1 * other

    def __radd__(self, other):
        return self + other

    def __rmul__(self, other):
        return self * other

    def backward(self):
        self.grad = self.size = 1.0
        reached = {self.at}
        for node in reversed(self.order[: self.at + 1]):
            if node.at in reached:
                for operand, partial in node.edges:
                    slope = partial()
                    operand.grad += slope * node.grad
                    operand.size += abs(slope) * node.size
                    reached.add(operand.at)


# -- programs --------------------------------------------------------------------------------------

NUMBERS = (2, -1, 0.5, -3.25, 0.1, 1, True, -0.7, 0, 1.3)
POWERS = (2, 3, -1, 0.5, 2.0, -2, 1.5, 1, 0, -0.5, True)


def tamed(x):
    """Keep numbers in a range in which neither overflow nor infinite slopes come up."""
    return x * 0.0009765625 if abs(x.data) > 100 else x


def away_from_zero(x):
    return x if x.data > 0.1 else x * x + 1


def neuron_of(V, weights, inputs, nonlin):
    """Apply a neuron; return its output and its parameters."""
    *ws, b = [V(w) for w in weights]
    if V is OURS:
        neuron = nn.Neuron(len(ws), nonlin=nonlin)
        neuron.w, neuron.b = ws, b
        return neuron(inputs), [*ws, b]
    act = sum((w * x for w, x in zip(ws, inputs, strict=True)), b)
    return (act.relu() if nonlin else act), [*ws, b]


def operand_of(node, which):
    """Pick an operand that a picture tells from the others; the node itself if there is none."""
    shown = [(v._op, v.data) for v in node._prev]
    distinct = [v for v in node._prev if shown.count((v._op, v.data)) == 1]
    distinct.sort(key=lambda v: (v._op, v.data))
    return distinct[which % len(distinct)] if distinct else node


def step(V, nodes, code):
    """Extend a program by what a number of 40 bits says."""
    op, code = code % 20, code // 20
    x, code = nodes[-1 - code % min(len(nodes), 64)], code >> 6
    y, code = nodes[code % len(nodes)], code >> 9
    k = NUMBERS[code % len(NUMBERS)]
    if op < 10:
        operations = (
            lambda: x + y, lambda: x * y, lambda: x - y, lambda: x / away_from_zero(y),
            lambda: x.relu(), lambda: -x, lambda: x * x,
            lambda: x + k, lambda: k * x, lambda: k - x,
        )  # fmt: skip
        nodes.append(tamed(operations[op]()))
    elif op == 10:
        nodes.append(tamed(away_from_zero(x) ** POWERS[code % len(POWERS)]))
    elif op == 11:
        nodes.append(x / (k or 4))
    elif op == 12:
        nodes.append(k / away_from_zero(x))
    elif op > 17:
        inner = operand_of(nodes[-1 - code % min(len(nodes), 8)], code >> 3)
        nodes += [inner, tamed(operand_of(inner, code >> 5) * y)]
    elif op == 13:
        total = sum([x, y, x])
        for i in range(code % 8):
            product = tamed(y * nodes[-1 - (code >> 2 * i) % min(len(nodes), 16)])
            total = tamed(total + product)
            nodes += [product, total]
        nodes.append(total)
    elif op == 14:
        nodes.append(V(k))
    else:
        n = 1 + code % 5
        weights = [NUMBERS[(code + i * i) % len(NUMBERS)] / 2 for i in range(n + 1)]
        inputs = [x, k, y, x, 0.25][:n]
        out, parameters = neuron_of(V, weights, inputs, nonlin=code % 3)
        nodes += [*parameters, tamed(out)]


def run(V, codes, prologue=(1.5, -0.8, 2.25)):
    """Run a program; return all its nodes."""
    Reference.tape = []
    nodes = [V(x) for x in prologue]
    for code in codes:
        step(V, nodes, code)
    return nodes


def sweep(nodes, roots, expand=False):
    """Sweep from some roots, one after another; look inside some nodes in between."""
    for root in roots:
        nodes[root % len(nodes)].backward()
        if expand:
            for node in nodes[root % 3 :: 3]:
                node._prev  # noqa: B018
    return nodes


def bits(xs):
    return [struct.pack("<d", x) for x in xs]


@contextmanager
def our_powers():
    """Let micrograd's powers be ours: libm's have another last digit now and then."""
    theirs = THEIRS.__pow__

    def power(self, k):
        out = theirs(self, k)
        out.data = functional.pow(self.data, k)
        return out

    THEIRS.__pow__ = power
    try:
        yield
    finally:
        THEIRS.__pow__ = theirs


def compare(V, codes, roots=(-1,), expand=False):
    """Raise AssertionError unless V computes what micrograd and the reference do."""
    ours, reference = run(V, codes), run(Reference, codes)
    with our_powers():
        theirs = run(THEIRS, codes)
    assert [v.data for v in ours] == [v.data for v in theirs]
    assert bits(v.data for v in ours) == bits(v.data for v in reference)
    sweep(ours, roots, expand)
    sweep(theirs, roots)
    sweep(reference, roots)
    for i, (got, other, exact) in enumerate(zip(ours, theirs, reference, strict=True)):
        assert got.grad == exact.grad, f"node {i}"
        assert abs(got.grad - other.grad) <= 8 * EPSILON * exact.size, f"node {i} by micrograd"


CODES = st.one_of([st.integers(5, n) for n in (30, 60, 100, 500)]).flatmap(
    lambda n: st.lists(st.integers(0, 2**40 - 1), min_size=n, max_size=n)
)
ROOTS = st.lists(st.integers(-40, -1), min_size=1, max_size=3).map(lambda roots: [-1, *roots[1:]])
