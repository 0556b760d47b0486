"""Gradients have the stored bits in every run, build and machine.

Oracles: one sha256 over 10,000 gradients, stored here, and the same from an engine of thirty lines
under micrograd's own networks. Only + - * relu and squares take part, whose results no mathematical
library can change.
"""

import pytest
from helpers.processes import python
from helpers.tally import tally

STORED = "fe1602e5be6bf2bbc9c79d66724f2bc8c5b066d9b5e8aa4f6d80de918507d07a"

FAST = """
from fastgrad import Value
from fastgrad.nn import MLP
"""

NAIVE = """
import itertools
import micrograd.nn
from micrograd.nn import MLP
clock = itertools.count()

class Value:  # adjoints in reverse order of creation, one product and one sum at a time
    def __init__(self, data, *steps):
        self.data, self.grad, self.steps, self.born = data, 0.0, steps, next(clock)
    def __add__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        return Value(self.data + other.data, (self, lambda: 1.0), (other, lambda: 1.0))
    def __mul__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        data = self.data * other.data
        return Value(data, (self, lambda: other.data), (other, lambda: self.data))
    def __pow__(self, k):
        return Value(self.data**k, (self, lambda: k * self.data ** (k - 1)))
    def relu(self):
        out = Value(0.0 if self.data < 0 else self.data, (self, lambda: float(out.data > 0)))
        return out
    __radd__, __rmul__ = __add__, __mul__
    def __sub__(self, other):
        return self + other * -1 if isinstance(other, Value) else self + -other
    def __rsub__(self, other):
        return self * -1 + other
    def backward(self):
        found, stack = {self}, [self]
        while stack:
            for operand, _ in stack.pop().steps:
                if operand not in found:
                    found.add(operand)
                    stack.append(operand)
        self.grad = 1.0
        for v in sorted(found, key=lambda v: -v.born):
            for operand, partial in v.steps:
                operand.grad += partial() * v.grad

micrograd.nn.Value = Value
"""

PROGRAM = """
import hashlib, math, random, struct
rng = random.Random(7)
random.seed(8)
digest = hashlib.sha256()
count = 0

def feed(grads):
    global count
    grads = list(grads)
    count += len(grads)
    assert all(math.isfinite(g) for g in grads), "the sign of a nan is nobody's promise"
    digest.update(struct.pack(f"<{len(grads)}d", *grads))

def dag():
    leaves = [Value(rng.uniform(-2, 2)) for _ in range(10)]
    nodes = list(leaves)
    for _ in range(90):
        a, b = rng.choice(nodes), rng.choice(nodes[-20:])
        kind = rng.randrange(6)
        nodes.append(
            a + b if kind == 0 else a * b * 0.5 if kind == 1 else a - b if kind == 2
            else (a * 0.25).relu() if kind == 3 else (b * 0.25) ** 2 if kind == 4 else 1 - a * 0.1)
    total = sum(nodes[-10:])
    total.backward()
    return leaves

for _ in range(200):
    feed(v.grad for v in dag())

model = MLP(3, [8, 8, 1])
for step in range(75):
    loss = 0
    for i in range(4):
        x = [rng.uniform(-1, 1), Value(rng.uniform(-1, 1)), 1]
        loss = loss + (1 - model(x) * (-1) ** i).relu() * 0.25
    loss = loss + 1e-4 * sum(p * p for p in model.parameters())
    model.zero_grad()
    loss.backward()
    feed(p.grad for p in model.parameters())
    for p in model.parameters():
        p.data -= 0.1 * p.grad
print(count, digest.hexdigest())
"""


def digest(engine, path):
    process = python("-c", engine + PROGRAM, cwd=path)
    assert process.stderr == ""
    count, digest = process.stdout.split()
    assert int(count) >= 10_000
    tally("reproducibility: gradients in a sha256", int(count))
    return digest


@pytest.mark.wide
@pytest.mark.parametrize("seed", ["0", "1", "4242"])
def test_gradients_have_the_stored_bits(seed, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONHASHSEED", seed)
    assert digest(FAST, tmp_path) == STORED


def test_naive_engine_gives_the_stored_bits(tmp_path):
    assert digest(NAIVE, tmp_path) == STORED
